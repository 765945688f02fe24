"""Labelled photos of FairFace: what an attacker trains on, and whose traits are known."""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from anonyface.types import ImageArray

AGE_CLASSES = {
    "0-2": 0,
    "3-9": 0,
    "10-19": 1,
    "20-29": 1,
    "30-39": 2,
    "40-49": 2,
    "50-59": 2,
    "60-69": 3,
    "70+": 3,
}
"""FairFace's age bin -> class: under 10, 10-29, 30-59, 60 and over."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Photos, one person each, with what people said of them.

    Attributes:
        images: (H, W, 3) RGB uint8.
        female: (n,) whether labelled so.
        age_class: (n,) 0 to 3.
        group: (n,) number of FairFace's group, in alphabetical order.
    """

    images: list[ImageArray]
    female: np.ndarray
    age_class: np.ndarray
    group: np.ndarray


def load_labelled(path: Path, *, count: int, seed: int) -> Labelled:
    """Read photos of a FairFace zip with its labels.csv.

    Args:
        path: The zip file.
        count: Photos to draw; a larger count holds the photos of a smaller one, first.
        seed: Seed of the draw.

    Raises:
        ValueError: If a file is not a readable image.
    """
    with zipfile.ZipFile(path) as archive:
        (labels,) = (n for n in archive.namelist() if n.endswith("labels.csv"))
        folder = labels.removesuffix("labels.csv")
        rows = list(csv.DictReader(io.StringIO(archive.read(labels).decode("utf-8"))))
        groups = sorted({row["race"] for row in rows})
        rows = [rows[k] for k in np.random.default_rng(seed).permutation(len(rows))[:count]]
        images = []
        for row in rows:
            data = np.frombuffer(archive.read(folder + row["file"]), np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
            if image is None:
                raise ValueError(f"{row['file']} in {path} is not a readable image")
            images.append(image.astype(np.uint8, copy=False))
    return Labelled(
        images,
        np.array([row["gender"] == "Female" for row in rows]),
        np.array([AGE_CLASSES[row["age"]] for row in rows]),
        np.array([groups.index(row["race"]) for row in rows]),
    )
