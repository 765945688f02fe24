"""Write the trained reader as ONNX: ``python -m training.attributes.export RUN TRAIN.zip``."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from anonyface.types import FloatArray
from generators.features import load_features
from training.attributes.chips import load, split
from training.attributes.network import SIDE, AttributeNetwork
from training.attributes.train import NAMES, accuracy, answers
from training.averaged import average_of
from training.convert.onnx_tools import run_onnx, save, store_half
from training.manifest import WEIGHTS, record
from training.traced import traced

CHECKED = 32
"""Faces on which the file is compared with the network."""


class Reader(nn.Module):
    """What is exported: the logits as one row a face.

    Args:
        network: Trained.
    """

    def __init__(self, network: AttributeNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> Tensor:
        """(n, 3, 128, 128) RGB 0-255 -> (n, 18) logits: gender, nine bins of age, seven groups."""
        said = self.network(faces / 127.5 - 1)
        return torch.cat([getattr(said, name) for name in NAMES], dim=1)


def load_trained(run: Path, cache: Path) -> AttributeNetwork:
    """Return the running average of a run's network.

    Raises:
        InputError: The folder holds no run.
    """
    network = AttributeNetwork(load_features(cache))
    network.load_state_dict(average_of(run)[0])
    return network.eval().requires_grad_(False)


def to_onnx(network: AttributeNetwork) -> onnx.ModelProto:
    """Convert, with any number of faces."""
    return traced(Reader(network), torch.zeros(2, 3, SIDE, SIDE), "faces", "logits")


def main() -> None:
    """Export, compare with the network, write the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("train", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    args = parser.parse_args()
    network, chips = load_trained(args.run, args.cache), load(args.train, args.cache)
    _, held = split(len(chips.rows))
    faces = np.stack([chips.face(i) for i in held[:CHECKED]]).transpose(0, 3, 1, 2)
    want: FloatArray = Reader(network)(torch.from_numpy(faces.astype(np.float32))).numpy()
    half = store_half(to_onnx(network))
    got = run_onnx(half, {"faces": faces.astype(np.float32)})["logits"]
    path = WEIGHTS / "attributes.onnx"
    save(half, path)
    figures = {"deviation of logits, fp16 storage": f"{float(np.abs(want - got).max()):.3f}"}
    right = accuracy(answers(network, chips, held), chips.labels[held])
    figures |= {f"{n}, right of {len(held)} held out": f"{v:.3f}" for n, v in right.items()}
    record("attributes", path, figures)
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
