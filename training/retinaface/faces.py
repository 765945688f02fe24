"""Batches of cached faces for the refinement: aligned pictures, degraded anew each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonyface.errors import InputError
from anonyface.types import FloatArray, ImageArray
from training.retinaface.ages import AGES, soft_bins
from training.retinaface.aligned import SPAN, similarity_solver
from training.retinaface.cache import GRIDS, VARIANTS
from training.retinaface.degrade import degrade
from training.retinaface.pictures import to_input
from training.retinaface.refinement import SIDE

TEACHERS = ("dlib", "sface")
"""Encoders whose embeddings a cache may hold, see `training.retinaface.embed`."""
EMBEDDING = 128
FOUND = 0.3
"""Score from which on a cached face counts as found."""
HELD_OUT = 1200
"""Faces kept from training, to see how it goes; always the same."""
NEIGHBOUR = 0.075
"""Share of an age label given to each neighbouring bin: people look a little older or younger."""
GENERATED_WEIGHT = 0.5
"""Of a face whose labels a teacher gave."""


@dataclass(frozen=True)
class Batch:
    """Faces and their targets.

    Attributes:
        picture: (n, 3, 80, 80) BGR minus the mean.
        maps: The backbone's, by name.
        gender: (n, 2) shares of male and female.
        age: (n, 9) shares of the bins.
        weight: (n,).
        teachers: (n, 128) embeddings by name; NaN where not known.
    """

    picture: Tensor
    maps: dict[str, Tensor]
    gender: Tensor
    age: Tensor
    weight: Tensor
    teachers: dict[str, Tensor]

    def to(self, device: torch.device) -> Batch:
        """Move everything to a device."""
        return Batch(
            self.picture.to(device),
            {n: m.to(device) for n, m in self.maps.items()},
            self.gender.to(device),
            self.age.to(device),
            self.weight.to(device),
            {n: e.to(device) for n, e in self.teachers.items()},
        )


class CachedFaces:
    """The faces of one cache folder.

    Args:
        folder: From `training.retinaface.cache`.
        pooled: Whether the maps are read.

    Raises:
        InputError: The folder is no cache.
    """

    def __init__(self, folder: Path, *, pooled: bool = True) -> None:
        try:
            self.pixels = np.load(folder / "pixels.npy", mmap_mode="r")
            self.landmarks = np.load(folder / "landmarks.npy")
            self.scores = np.load(folder / "scores.npy")
            self.labels = np.load(folder / "labels.npy")
            names = GRIDS if pooled else ()
            self.maps = {n: np.load(folder / f"{n}.npy", mmap_mode="r") for n in names}
        except (OSError, ValueError) as error:
            raise InputError(f"{folder} is no cache of faces: {error}") from error
        self.teachers = {n: _embeddings(folder / f"{n}.npy", len(self.labels)) for n in TEACHERS}
        self.found = np.flatnonzero(self.scores[:, 0] >= FOUND)
        self.solver = similarity_solver().numpy()

    def split(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows to train on and those held out."""
        order = np.random.default_rng(20).permutation(self.found)
        count = min(HELD_OUT, len(order) // 5)
        return np.sort(order[count:]), np.sort(order[:count])

    def batch(self, rows: Sequence[int], rng: np.random.Generator | None) -> Batch:
        """Read rows; with randomness they come degraded, turned, moved and mirrored."""
        variants = np.zeros(len(rows), int) if rng is None else rng.integers(0, VARIANTS, len(rows))
        maps = {
            name: torch.from_numpy(
                np.stack([m[r, v] for r, v in zip(rows, variants, strict=True)])
            ).float()
            for name, m in self.maps.items()
        }
        picture = to_input(np.stack([self.picture(r, rng) for r in rows]))
        female, age, years = (torch.from_numpy(self.labels[rows, c]) for c in (0, 1, 3))
        told = years >= 0  # by a teacher
        return Batch(
            picture=picture,
            maps=maps,
            gender=torch.stack([1 - female, female], dim=1),
            age=torch.where(told[:, None], soft_bins(years.clamp(min=0)), label_bins(age.long())),
            weight=torch.where(told, GENERATED_WEIGHT, 1.0),
            teachers={n: torch.from_numpy(e[rows]).float() for n, e in self.teachers.items()},
        )

    def picture(self, row: int, rng: np.random.Generator | None) -> ImageArray:
        """(80, 80, 3) RGB uint8 aligned picture of one face."""
        pixels, points, factor = np.asarray(self.pixels[row]), self.landmarks[row], 1.0
        if rng is not None:
            pixels, factor = degrade(pixels, rng)
            span = float(np.linalg.norm(points[1] - points[0]))
            points = points + rng.normal(0, 0.02 * span, points.shape).astype(np.float32)
        out = cv2.warpAffine(
            pixels,
            canvas_matrix(points * factor, self.solver, SIDE, rng),
            (SIDE, SIDE),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if rng is not None and rng.random() < 0.5:
            out = np.ascontiguousarray(out[:, ::-1])
        return np.asarray(out, dtype=np.uint8)


def _embeddings(path: Path, count: int) -> FloatArray:
    """(count, 128) embeddings, NaN where there is no file."""
    if path.exists():
        return np.asarray(np.load(path), dtype=np.float32)
    return np.full((count, EMBEDDING), np.nan, dtype=np.float32)


def canvas_matrix(
    points: FloatArray, solver: FloatArray, side: int, rng: np.random.Generator | None
) -> NDArray[np.float64]:
    """(2, 3) matrix from pixels of the canvas to pixels of the picture.

    Args:
        points: (5, 2) landmarks.
        solver: From `aligned.similarity_solver`.
        side: Of the canvas.
        rng: Turns, scales and moves the canvas a little; None for none of it.
    """
    a, b, x, y = (float(v) for v in points.reshape(10) @ solver)
    turn, size, shift = 0.0, 1.0, np.zeros(2)
    if rng is not None:
        turn = float(np.radians(rng.normal(0, 6)))
        size = float(np.exp(rng.normal(0, 0.06)))
        shift = rng.normal(0, 0.025 * SPAN, 2)
    outer = np.array([[a, -b], [b, a]])
    inner = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    step = SPAN / side
    linear = outer @ inner * step
    corner = outer @ (inner @ np.full(2, step / 2 - SPAN / 2) + shift) + (x, y)
    return np.hstack([linear, corner[:, None]])


def label_bins(age: Tensor) -> Tensor:
    """(n,) bins -> (n, 9) shares, some of each in the neighbouring bins."""
    near = torch.eye(len(AGES))
    near = near * (1 - 2 * NEIGHBOUR) + NEIGHBOUR * (near.roll(1, 1) + near.roll(-1, 1))
    near[0] = torch.eye(len(AGES))[0] * (1 - NEIGHBOUR) + NEIGHBOUR * torch.eye(len(AGES))[1]
    near[-1] = torch.eye(len(AGES))[-1] * (1 - NEIGHBOUR) + NEIGHBOUR * torch.eye(len(AGES))[-2]
    return near[age]


def shuffled(
    rows: Sequence[tuple[int, int]], batch: int, rng: np.random.Generator
) -> Iterator[list[tuple[int, int]]]:
    """Yield batches of (source, row) pairs for one epoch, the incomplete last one left out."""
    order = rng.permutation(len(rows))
    for start in range(0, len(order) - batch + 1, batch):
        yield [rows[i] for i in order[start : start + batch]]


def join(parts: Sequence[Batch]) -> Batch:
    """Put batches of several sources together."""
    return Batch(
        torch.cat([p.picture for p in parts]),
        {n: torch.cat([p.maps[n] for p in parts]) for n in parts[0].maps},
        torch.cat([p.gender for p in parts]),
        torch.cat([p.age for p in parts]),
        torch.cat([p.weight for p in parts]),
        {n: torch.cat([p.teachers[n] for p in parts]) for n in TEACHERS},
    )
