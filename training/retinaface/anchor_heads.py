"""Fit the plain heads: ``python -m training.retinaface.anchor_heads CACHE... --out FILE``.

With a frozen detector a head on an anchor is a linear model of the 64 numbers that the context
module has there. So it can be fitted to what `training.retinaface.cache` stored of each face's best
anchors, many thousand faces a second. `training.retinaface.train --preset traits` does the same on
pictures, slower.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from anonyface.errors import AnonyfaceError, InputError
from generators.state import load_state, save_state
from training.manifest import WEIGHTS
from training.retinaface.ages import AGES, soft_bins
from training.retinaface.cache import ANCHORS
from training.retinaface.checkpoints import load_onnx
from training.retinaface.faces import FOUND, GENERATED_WEIGHT, CachedFaces, label_bins
from training.retinaface.network import Head, RetinaFace
from training.retinaface.reading_loss import loss_of
from training.retinaface.refinement import Reading

WIDTH = 64
LEVELS, SIZES = 3, 2
BATCH, EPOCHS, RATE = 1024, 30, 5e-3


@dataclass(frozen=True)
class AnchorRows:
    """Anchors and their targets: features (n, 64), which head (n,), and as in `faces.Batch`."""

    features: Tensor
    head: Tensor
    gender: Tensor
    age: Tensor
    weight: Tensor


class AnchorHeads(nn.Module):
    """A linear model for each of the six kinds of anchor."""

    def __init__(self) -> None:
        super().__init__()
        self.values = 2 + len(AGES)
        self.weight = nn.Parameter(torch.zeros(LEVELS * SIZES, WIDTH, self.values))
        self.bias = nn.Parameter(torch.zeros(LEVELS * SIZES, self.values))

    def forward(self, features: Tensor, head: Tensor) -> Reading:
        """(n, 64) and (n,) -> logits."""
        every = torch.einsum("nw,hwv->nhv", features, self.weight) + self.bias
        out = every[torch.arange(len(head)), head]
        return Reading(out[:, :2], out[:, 2:])

    @torch.no_grad()
    def copy_to(self, network: RetinaFace) -> None:
        """Write the models into a network's gender and age head."""
        for name, columns in (("gender", slice(0, 2)), ("age", slice(2, None))):
            head = getattr(network, name)
            if not isinstance(head, Head):
                raise InputError(f"the network has no {name} head")
            for level, conv in enumerate(head.convs):
                rows = slice(level * SIZES, (level + 1) * SIZES)
                weight = self.weight[rows, :, columns].transpose(1, 2)
                conv.weight.copy_(weight.reshape(conv.weight.shape))  # type: ignore[operator]
                conv.bias.copy_(self.bias[rows, columns].reshape(-1))  # type: ignore[operator]


def read_rows(faces: CachedFaces, rows: np.ndarray, anchors: np.ndarray) -> AnchorRows:
    """Read the anchors of some rows of a cache that are on a face surely enough.

    Args:
        faces: The cache.
        rows: Which faces.
        anchors: (all faces, variants, anchors, 67): 64 features, level, size, score.
    """
    some = torch.from_numpy(anchors[rows].astype(np.float32)).flatten(1, 2)
    each = some.shape[1]
    labels = torch.from_numpy(faces.labels[rows]).repeat_interleave(each, dim=0)
    flat = some.flatten(0, 1)
    sure = flat[:, -1] >= FOUND
    flat, labels = flat[sure], labels[sure]
    female, age, years = labels[:, 0], labels[:, 1].long(), labels[:, 3]
    told = years >= 0
    return AnchorRows(
        features=flat[:, :WIDTH],
        head=(flat[:, WIDTH] * SIZES + flat[:, WIDTH + 1]).long(),
        gender=torch.stack([1 - female, female], dim=1),
        age=torch.where(told[:, None], soft_bins(years.clamp(min=0)), label_bins(age)),
        weight=torch.where(told, GENERATED_WEIGHT, 1.0) / ANCHORS,
    )


def fit(data: AnchorRows, *, epochs: int = EPOCHS, seed: int = 0) -> AnchorHeads:
    """Fit all heads to the loss of the refinement."""
    heads = AnchorHeads()
    optimiser = torch.optim.Adam(heads.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    rng = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for rows in torch.randperm(len(data.head), generator=rng).split(BATCH):
            loss = loss_of(heads(data.features[rows], data.head[rows]), _part(data, rows))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
    return heads


@dataclass(frozen=True)
class _Targets:
    gender: Tensor
    age: Tensor
    weight: Tensor


def _part(data: AnchorRows, rows: Tensor) -> _Targets:
    return _Targets(data.gender[rows], data.age[rows], data.weight[rows])


def load_heads(path: Path) -> RetinaFace:
    """Return the shipped detector with heads that this module fitted.

    Raises:
        InputError: The file is missing or holds something else.
    """
    tensors, _ = load_state(path)
    heads = AnchorHeads()
    if set(tensors) != {"weight", "bias"} or tensors["weight"].shape != heads.weight.shape:
        raise InputError(f"{path} holds no heads")
    heads.load_state_dict(tensors)
    network = load_onnx(WEIGHTS / "detector.onnx", traits=True)
    heads.copy_to(network)
    return network


def main() -> None:
    """Fit and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("caches", type=Path, nargs="+", help="the first one is measured on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    try:
        parts = []
        for number, folder in enumerate(args.caches):
            faces = CachedFaces(folder, pooled=False)
            rows, held = faces.split()
            anchors = np.load(folder / "anchors.npy")
            if number == 0:
                test = read_rows(faces, held, anchors)
            parts.append(read_rows(faces, rows, anchors))
    except (AnonyfaceError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    names = ("features", "head", "gender", "age", "weight")
    heads = fit(AnchorRows(*(torch.cat([getattr(p, n) for p in parts]) for n in names)))
    with torch.no_grad():
        reading = heads(test.features, test.head)
    right = (reading.gender.argmax(1) == test.gender.argmax(1)).float().mean()
    print(f"gender, anchors held out: {right:.3f} of {len(test.head)}")
    save_state(args.out, dict(heads.state_dict()), {"kind": "anchor heads"}, precision="full")


if __name__ == "__main__":
    main()
