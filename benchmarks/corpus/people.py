"""The people in the corpus: rendered by the shipped generator, none of them exists."""

from __future__ import annotations

import numpy as np

from anonyface.demo import make_people
from anonyface.detection.faces import FaceFinder
from anonyface.identities.generator import Generator
from anonyface.types import ImageArray
from benchmarks.corpus.kinds import FACE_PX, PHOTO_WH, Sitter
from benchmarks.scenes import make_group

CLEAR_OF = 1.9
"""Sides of the area around a face that may change, in sides of its box, with room to spare."""


def make_sitter(*, seed: int = 31, threads: int = 1) -> Sitter:
    """Render a photo with one person.

    Raises:
        ValueError: If the detector does not find exactly one face in it: take another seed.
    """
    (portrait,) = make_people(Generator(threads=threads), 1, seed)
    photo = make_group([portrait], PHOTO_WH, FACE_PX, seed)
    faces = FaceFinder(threads=threads)(photo)
    if len(faces) != 1:
        raise ValueError(f"seed {seed} gives {len(faces)} faces")
    centre, half = (
        (faces[0].box[:2] + faces[0].box[2:]) / 2,
        (faces[0].box[2:] - faces[0].box[:2]) * CLEAR_OF / 2,
    )
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    inside = (abs(x - centre[0]) <= half[0]) & (abs(y - centre[1]) <= half[1])
    return Sitter(photo, np.asarray(~inside, bool))


def make_folder_photos(count: int, *, seed: int = 5, threads: int = 1) -> list[ImageArray]:
    """Render small photos for runs over folders: six people, each photo with another ground.

    Args:
        count: How many.
        seed: Seed of people and grounds.
        threads: Threads for the generator.

    Returns:
        Photos of (288, 384, 3) RGB uint8.
    """
    people = make_people(Generator(threads=threads), 6, seed)
    return [
        make_group([people[number % len(people)]], (384, 288), 110, seed + number)
        for number in range(count)
    ]
