"""Who reads gender, age, glasses and group off a face: the product's models, and an outsider."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from anonyface.errors import FaceError
from anonyface.identities.fit import WEARS
from anonyface.identities.looks import LookReader
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.alignment import align_chip
from anonyface.verification.encoder import DlibEncoder
from benchmarks.identification import share
from benchmarks.outside import OutsideEncoder

FEMALE_FROM = 0.5
"""Probability from which on a face reads as female."""
AGES_FROM = (10, 30, 60)
"""First years of the second, third and fourth age class."""


@dataclass(frozen=True)
class Reading:
    """What a face reads as; None where the reader can't say.

    Attributes:
        female: Whether as a woman or girl.
        years: Age.
        glasses: Whether glasses are worn.
        group: Number of FairFace's group, in alphabetical order.
    """

    female: bool
    years: float
    glasses: bool | None = None
    group: int | None = None

    @property
    def age_class(self) -> int:
        """0 to 3: under 10, 10-29, 30-59, 60 and over."""
        return int(np.searchsorted(AGES_FROM, self.years, side="right"))


Read: TypeAlias = Callable[[ImageArray, FloatArray], Reading]


@dataclass(frozen=True, eq=False)
class AttributeReader:
    """Reads a face.

    Attributes:
        name: What the result calls it.
        read: Image and (5, 2) landmarks -> reading.
        used_inside: Whether the product picks its identities by this model.
    """

    name: str
    read: Read
    used_inside: bool

    def __call__(self, image: ImageArray, landmarks: FloatArray | None) -> Reading | None:
        """Return the reading, None if there is no face or it can't be aligned."""
        if landmarks is None:
            return None
        try:
            return self.read(image, landmarks)
        except FaceError:
            return None


def attribute_readers(encoders: Sequence[OutsideEncoder], threads: int) -> list[AttributeReader]:
    """Return who reads: outsiders that can, and the product's own models.

    Args:
        encoders: The encoders from outside.
        threads: Threads for inference.
    """
    looks, encoder = LookReader(threads=threads), DlibEncoder(threads=threads)

    def own(image: ImageArray, landmarks: FloatArray) -> Reading:
        chip = align_chip(image, landmarks).pixels
        views = encoder.views(chip)
        traits = looks.traits(image, landmarks, chip, views)
        return Reading(
            female=traits.p_female >= FEMALE_FROM,
            years=traits.age,
            glasses=looks.eyewear(chip) >= WEARS,
            group=int(np.argmax(traits.groups)),
        )

    def outsider(encoder: OutsideEncoder) -> AttributeReader:
        def read(image: ImageArray, landmarks: FloatArray) -> Reading:
            p_female, years = encoder.attributes(image, landmarks)
            return Reading(female=p_female >= FEMALE_FROM, years=years)

        return AttributeReader(encoder.feeds[0].name, read, False)

    return [
        *(outsider(e) for e in encoders if e.reads_attributes),
        AttributeReader("built-in", own, True),
    ]


def agreement(
    before: Sequence[Reading | None], after: Sequence[Reading | None], *, used_inside: bool
) -> dict[str, Any]:
    """Compare readings of the same people; a face that can't be read counts as disagreement.

    Args:
        before: Reading of each original.
        after: Reading of each result.
        used_inside: Whether the product picks its identities by the reader.
    """
    both = list(zip(before, after, strict=True))
    read = [(a, b) for a, b in both if a is not None and b is not None]
    years = np.abs([b.years - a.years for a, b in read])
    out: dict[str, Any] = {
        "used_inside": used_inside,
        "gender_agreement": share([bool(a and b and a.female == b.female) for a, b in both]),
        "age_class_agreement": share(
            [bool(a and b and a.age_class == b.age_class) for a, b in both]
        ),
        "age_difference_years": {
            "mean": float(years.mean()) if len(years) else None,
            "median": float(np.median(years)) if len(years) else None,
            "of": len(years),
        },
    }
    for name in ("glasses", "group"):
        if any(getattr(a, name) is not None for a, _ in read):
            same = [bool(a and b and getattr(a, name) == getattr(b, name)) for a, b in both]
            out[f"{name}_agreement"] = share(same)
    return out
