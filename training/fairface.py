"""FairFace (Karkkainen & Joo, WACV 2021; CC BY 4.0) as aligned chips with labels."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from anonyface.detection.retinaface import RetinaFace
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.alignment import align_chip

AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")
GROUPS = (
    "Black",
    "East Asian",
    "Indian",
    "Latino_Hispanic",
    "Middle Eastern",
    "Southeast Asian",
    "White",
)
PAD = 0.25
"""The crops are tight; the detector sees them with their border repeated outwards by this share."""


@dataclass(frozen=True)
class Sample:
    """One labelled face.

    Attributes:
        index: Row in labels.csv.
        image: (H, W, 3) RGB uint8, with a border.
        landmarks: (5, 2) points x y in it.
        chip: (150, 150, 3) the aligned face.
        female: Label.
        age: Number of the age bin.
        group: Number of the group.
    """

    index: int
    image: ImageArray
    landmarks: FloatArray
    chip: ImageArray
    female: bool
    age: int
    group: int


def count(path: Path) -> int:
    """Return the number of rows of labels.csv."""
    with zipfile.ZipFile(path) as archive:
        return len(_rows(archive, _names(archive)))


def samples(path: Path, indices: Sequence[int] | None = None) -> Iterator[Sample]:
    """Yield the faces of a FairFace zip (labels.csv and JPEG files); those not found are left out.

    Args:
        path: The zip file.
        indices: Rows of labels.csv to read, None for all.
    """
    detector = RetinaFace(detail="fast")
    with zipfile.ZipFile(path) as archive:
        names = _names(archive)
        rows = _rows(archive, names)
        for index in range(len(rows)) if indices is None else indices:
            row = rows[index]
            data = np.frombuffer(archive.read(names[row["file"]]), np.uint8)
            found = _found(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), detector)
            if found is not None:
                image, landmarks = found
                yield Sample(
                    index,
                    image,
                    landmarks,
                    align_chip(image, landmarks).pixels,
                    row["gender"] == "Female",
                    AGES.index(row["age"].replace("more than 70", "70+")),
                    GROUPS.index(row["race"]),
                )


def _names(archive: zipfile.ZipFile) -> dict[str, str]:
    """File name -> name in the archive."""
    return {Path(n).name: n for n in archive.namelist()}


def _rows(archive: zipfile.ZipFile, names: dict[str, str]) -> list[dict[str, str]]:
    """The rows of labels.csv."""
    return list(csv.DictReader(io.StringIO(archive.read(names["labels.csv"]).decode())))


def _found(image: ImageArray, detector: RetinaFace) -> tuple[ImageArray, FloatArray] | None:
    pad = round(PAD * image.shape[0])
    wide = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    middle = wide.shape[0] / 2
    faces = [f for f in detector(wide) if f.score > 0.3]
    if not faces:
        return None
    best = max(
        faces, key=lambda f: f.size - float(np.hypot(*((f.box[:2] + f.box[2:]) / 2 - middle)))
    )
    return np.asarray(wide, dtype=np.uint8), best.landmarks
