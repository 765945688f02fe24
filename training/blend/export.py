"""Measure and export what was trained: ``python -m training.blend.export RUN``.

All figures are of faces held out of training. The model does not ship: see docs/blending.md.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from training.averaged import average_of
from training.blend.look import INPUT_PX
from training.blend.network import SHRUNK, BlendNetwork, Exported, to_input
from training.blend.pairs import Pairs, read_pairs
from training.blend.spoil import Batch, spoiled
from training.blend.train import BATCH, errors, take, told
from training.convert.onnx_tools import save, store_half
from training.traced import traced

SIZES = (0.5, 3.0, 6.0, 12.0, 100.0)
"""Errors are told apart at these, per cent."""
REPEATS = 60
"""Runs for the clock."""


def to_onnx(network: BlendNetwork) -> onnx.ModelProto:
    """Return the network from grey levels to gains, weights in half precision."""
    example = torch.zeros(1, 5, INPUT_PX, INPUT_PX)
    return store_half(traced(Exported(network), example, "image", "field"))


def trained(run: Path) -> tuple[BlendNetwork, int]:
    """Return the running average of a `training.blend.train` run, and its steps."""
    tensors, facts = average_of(run)
    network = BlendNetwork()
    network.load_state_dict(tensors)
    return network.eval(), int(facts["done"])  # type: ignore[call-overload]


def answer(session: onnxruntime.InferenceSession, seen: Tensor) -> NDArray[np.float32]:
    """(1, 5, 128, 128) grey levels -> (1, 3, 32, 32)."""
    return np.asarray(session.run(["field"], {"image": seen.numpy()})[0])


@torch.no_grad()
def by_size(network: BlendNetwork, pairs: Pairs, rows: NDArray[np.int64]) -> dict[str, str]:
    """Errors before and after of perfect faces in a wrong light, by how wrong it is."""
    rng, before, after = torch.Generator().manual_seed(3), [], []
    for start in range(0, len(rows), BATCH):
        made = take(pairs, rows[start : start + BATCH])
        bad = spoiled(Batch(made.photo, made.photo, made.masks), rng)
        before.append(errors(bad))
        after.append(errors(bad, network(to_input(bad.mixed(), bad.masks))))
    old, new = np.concatenate(before), np.concatenate(after)
    out = {}
    for low, high in pairwise(SIZES):
        these = (old >= low) & (old < high)
        means = f"{old[these].mean():.2f} -> {new[these].mean():.2f}" if these.any() else "none"
        out[f"of {low:g} to {high:g} per cent, {int(these.sum())} faces"] = means
    return out


def milliseconds(session: onnxruntime.InferenceSession, seen: Tensor) -> float:
    """Median time for one face."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        answer(session, seen)
        times.append(time.perf_counter() - start)
    return round(1000 * float(np.median(times)), 1)


def main() -> None:
    """Export."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a training.blend.train run")
    parser.add_argument("--pairs", type=Path, required=True, help="folder of the pairs")
    parser.add_argument("--out", type=Path, required=True, help="file of the model")
    args = parser.parse_args()
    network, steps = trained(args.run)
    model = to_onnx(network)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    pairs = read_pairs(args.pairs)
    held = np.flatnonzero(pairs.held)
    batch = take(pairs, held[:1])
    seen = F.interpolate(torch.cat([batch.mixed(), batch.masks], dim=1), scale_factor=SHRUNK)
    with torch.no_grad():
        exact = Exported(network)(seen).numpy()
    check: dict[str, object] = {
        "largest deviation from torch": f"{np.abs(exact - answer(session, seen)).max():.1e}",
        "steps trained": steps,
        "ms a face, one core": milliseconds(session, seen),
    }
    check |= {f"error in per cent, {n}": v for n, v in told(network, pairs, held).items()}
    check |= by_size(network, pairs, held)
    for name, value in check.items():
        print(f"{name}: {value}")
    save(model, args.out)


if __name__ == "__main__":
    main()
