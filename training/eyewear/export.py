"""Measure and ship the reader of glasses: ``python -m training.eyewear.export RUN TRAIN.zip``.

All figures are of faces held out of training that were labelled by eye, and go on the card.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from anonyface.identities.eyewear import EYES_WH
from anonyface.identities.fit import WEARS
from generators.features import load_features
from training.averaged import average_of
from training.convert.onnx_tools import run_onnx, save, shortened, store_half
from training.eyewear.examples import load
from training.eyewear.network import EyewearNetwork
from training.eyewear.train import areas, held_examples
from training.manifest import WEIGHTS, record
from training.traced import traced


class Exported(nn.Module):
    """The network as it is shipped: from grey levels to a probability.

    Args:
        network: In evaluation mode.
    """

    def __init__(self, network: EyewearNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, eyes: Tensor) -> Tensor:
        """(n, 3, 64, 128) RGB 0-255 -> (n,) probability of glasses."""
        logits: Tensor = self.network(eyes / 127.5 - 1)
        return logits.sigmoid()


def to_onnx(network: EyewearNetwork) -> onnx.ModelProto:
    """Convert, weights in half precision, for any number of faces."""
    example = torch.zeros(2, 3, *EYES_WH[::-1])
    return shortened(store_half(traced(Exported(network), example, "eyes", "probability")))


def main() -> None:
    """Export, compare with the network, write the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a training.eyewear.train run")
    parser.add_argument("train", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="keeps faces and start weights")
    args = parser.parse_args()
    tensors, facts = average_of(args.run)
    network = EyewearNetwork(load_features(args.cache))
    network.load_state_dict(tensors)
    network.eval().requires_grad_(False)
    held, model = held_examples(load(args.train, args.cache)), to_onnx(network)
    check: dict[str, object] = {"steps trained": facts["done"]}
    for name, (eyes, truth) in held.items():
        feed = eyes.transpose(0, 3, 1, 2).astype(np.float32)
        got = run_onnx(model, {"eyes": feed})["probability"]
        off = np.abs(got - Exported(network)(torch.from_numpy(feed)).numpy()).max()
        check |= {f"largest deviation from torch, {name}": f"{off:.1e}"}
        wears = got >= WEARS
        check |= {f"faces, {name}": len(truth), f"of them with glasses, {name}": int(truth.sum())}
        check |= {f"missed, {name}": int((truth & ~wears).sum())}
        check |= {f"seen where there are none, {name}": int((~truth & wears).sum())}
    check |= areas(network, held)
    for name, value in check.items():
        print(f"{name}: {value}")
    path = WEIGHTS / "eyewear.onnx"
    save(model, path)
    record("eyewear", path, check)


if __name__ == "__main__":
    main()
