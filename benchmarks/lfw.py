"""The people of lfw-dev: photos, pairs, and the face a photo is of, before and after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anonyface.detection.boxes import iou
from anonyface.detection.retinaface import SURE_SCORE
from anonyface.result import AnonymizeResult, FaceOutcome
from anonyface.types import Face, ImageArray
from benchmarks.calibrate import photos

FOUND_IOU = 0.3
"""Overlap with the original box from which on a face counts as the one that stands there now."""


@dataclass(frozen=True, eq=False)
class People:
    """Photos of people, of some of them two.

    Attributes:
        names: Person in each photo.
        images: (H, W, 3) RGB uint8, one a name.
        pairs: Rows of a person's first photo, A, and second photo, B.
    """

    names: list[str]
    images: list[ImageArray]
    pairs: list[tuple[int, int]]


def load_people(path: Path, *, limit: int | None, seed: int) -> People:
    """Read lfw-dev.

    Args:
        path: The zip file.
        limit: Take so many people with two photos, and as many with one; None for all.
        seed: Seed of that draw.
    """
    by_person: dict[str, list[ImageArray]] = defaultdict(list)
    for person, image in photos(path):
        by_person[person].append(image)
    two = [p for p, images in by_person.items() if len(images) > 1]
    one = [p for p, images in by_person.items() if len(images) == 1]
    if limit is not None:
        rng = np.random.default_rng(seed)
        two, one = ([group[i] for i in rng.permutation(len(group))[:limit]] for group in (two, one))
    names: list[str] = []
    pictures: list[ImageArray] = []
    pairs: list[tuple[int, int]] = []
    for person in two + one:
        if len(by_person[person]) > 1:
            pairs.append((len(names), len(names) + 1))
        for image in by_person[person][:2]:
            names.append(person)
            pictures.append(image)
    return People(names, pictures, pairs)


def face_there(faces: Sequence[Face], original: Face | None) -> Face | None:
    """Return the face that stands where the original stood, None if there is none.

    Among those that overlap its box by `FOUND_IOU` or more, the largest.
    """
    if original is None:
        return None
    there = [f for f in faces if iou(f.box[None], original.box[None])[0, 0] >= FOUND_IOU]
    return max(there, key=lambda face: face.size, default=None)


def outcome_of(result: AnonymizeResult, original: Face | None) -> FaceOutcome | None:
    """Return what became of the face, None if the anonymizer did not see it."""
    if original is None:
        return None
    face = face_there([o.face for o in result.faces], original)
    return next((o for o in result.faces if o.face is face), None)


def is_sure(face: Face | None) -> bool:
    """Whether a face was found at the detector's own level, not just suspected."""
    return face is not None and face.score >= SURE_SCORE
