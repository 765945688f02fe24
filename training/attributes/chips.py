"""FairFace as aligned faces that look different each time they are asked for."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from anonyface.types import FloatArray, ImageArray
from anonyface.verification.alignment import CHIP_PX, CHIP_TEMPLATE, fit_similarity
from training.attributes.network import SIDE
from training.fairface import PAD, samples
from training.retinaface.degrade import degrade

HELD_OUT = 1200
"""Faces of the training set that are kept from training; always the same."""
STORED_PX = 160
ERASED = 0.35
"""Share of the faces of which a patch is painted over."""


@dataclass(frozen=True, eq=False)
class Chips:
    """Labelled faces.

    Attributes:
        pixels: (n, 160, 160, 3) RGB uint8.
        landmarks: (n, 5, 2) points x y in them.
        labels: (n, 3) female, bin of age, group.
        rows: (n,) row of each in labels.csv.
    """

    pixels: NDArray[np.uint8]
    landmarks: FloatArray
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]

    def face(self, number: int, rng: np.random.Generator | None = None) -> ImageArray:
        """(128, 128, 3) RGB uint8; with randomness degraded, turned, moved, mirrored, patched."""
        pixels, points = self.pixels[number], self.landmarks[number]
        if rng is None:
            return _aligned(pixels, points, np.eye(2), np.zeros(2))
        pixels, factor = degrade(pixels, rng)
        turn, size = np.radians(rng.normal(0, 7)), np.exp(rng.normal(0, 0.07))
        change = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        out = _aligned(pixels, points * np.float32(factor), change, rng.normal(0, 0.025 * SIDE, 2))
        if rng.random() < 0.5:
            out = np.ascontiguousarray(out[:, ::-1])
        if rng.random() < ERASED:
            width, height = rng.integers(SIDE // 8, SIDE // 2, 2)
            x, y = rng.integers(0, SIDE - width), rng.integers(0, SIDE - height)
            out[y : y + height, x : x + width] = rng.integers(0, 256, 3)
        return out


def split(found: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which of the faces found in the training set are trained on, and which held out."""
    order = np.random.default_rng(20).permutation(found)
    count = min(HELD_OUT, found // 5)
    return np.sort(order[count:]), np.sort(order[:count])


def _aligned(
    pixels: ImageArray, points: FloatArray, change: NDArray[np.float64], shift: FloatArray
) -> ImageArray:
    matrix = fit_similarity(points, CHIP_TEMPLATE * (SIDE / CHIP_PX))
    middle = np.full(2, SIDE / 2)
    linear = change @ matrix[:, :2]
    offset = change @ (matrix[:, 2] - middle) + middle + shift
    if np.sqrt(abs(np.linalg.det(linear))) < 0.6:  # the bilinear filter would skip pixels
        pixels = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        linear = linear * 2
    return np.asarray(
        cv2.warpAffine(
            pixels,
            np.column_stack([linear, offset]),
            (SIDE, SIDE),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        dtype=np.uint8,
    )


def load(path: Path, cache: Path) -> Chips:
    """Read a FairFace zip file, or what the cache has of it."""
    folder = cache / f"chips-{path.stem}"
    if not (folder / "rows.npy").exists():
        _read(path, folder)
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    return Chips(pixels, *(np.load(folder / f"{name}.npy") for name in _ARRAYS[1:]))


_ARRAYS = ("pixels", "landmarks", "labels", "rows")


def _read(path: Path, folder: Path) -> None:
    """Write what was read; "rows" last, which says that all is there."""
    with zipfile.ZipFile(path) as archive:
        count = len(archive.read(_labels_of(archive)).splitlines()) - 1
    # Room for all at once: one by one, between larger temporaries, they would take 20 times that.
    pixels = np.empty((count, STORED_PX, STORED_PX, 3), dtype=np.uint8)
    landmarks = np.empty((count, 5, 2), dtype=np.float32)
    labels, rows = np.empty((count, 3), dtype=np.int64), np.empty(count, dtype=np.int64)
    found = 0
    for s in tqdm(samples(path), desc=path.stem, unit="face", mininterval=10):
        edge = round(PAD * s.image.shape[0] / (1 + 2 * PAD))
        face = s.image[edge:-edge, edge:-edge]
        pixels[found] = cv2.resize(face, (STORED_PX, STORED_PX), interpolation=cv2.INTER_AREA)
        landmarks[found] = (s.landmarks - edge) * (STORED_PX / face.shape[0])
        labels[found], rows[found] = (int(s.female), s.age, s.group), s.index
        found += 1
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(_ARRAYS, (pixels, landmarks, labels, rows), strict=True):
        np.save(folder / f"{name}.npy", array[:found])


def _labels_of(archive: zipfile.ZipFile) -> str:
    return next(n for n in archive.namelist() if Path(n).name == "labels.csv")
