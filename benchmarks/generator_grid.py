"""The grid of section "classes", and what can be counted on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.fairface import Labelled
from benchmarks.generator_lab import GENDERS, Gender, Wish
from benchmarks.generator_teachers import Said
from benchmarks.identification import share

CLASSES = ("<10", "10-29", "30-59", "60+")
AGES = ((4, 5, 6), (17, 21, 25), (39, 44, 49), (66, 69, 72))
"""Years asked for, one after the other, in the middle of each class."""
TONES = (5, 32, 55)
"""ITA in degrees: dark, in between, light (Chardon et al. 1991)."""


@dataclass(frozen=True)
class Cell:
    """One cell of the grid."""

    gender: Gender
    age_class: int
    tone: int

    def __str__(self) -> str:
        return f"{self.gender}, {CLASSES[self.age_class]}, ITA {self.tone}"


CELLS = tuple(Cell(g, a, t) for g in GENDERS for a in range(len(CLASSES)) for t in TONES)


def cell_wishes(cell: Cell, *, count: int, seed: int) -> list[Wish]:
    """Return the wishes of a cell, each with a seed of its own."""
    first = seed * 1_000_000 + CELLS.index(cell) * 1_000
    ages = AGES[cell.age_class]
    return [
        Wish(
            seed=first + n, gender=cell.gender, age=float(ages[n % len(ages)]), skin_tone=cell.tone
        )
        for n in range(count)
    ]


def agreement(asked: Sequence[Cell], said: Sequence[Said | None]) -> dict[str, Any]:
    """Return how often a teacher sees what was asked; no portrait, or no face, is a disagreement.

    Args:
        asked: Cell of each portrait.
        said: What the teacher says of each.
    """
    both = list(zip(asked, said, strict=True))
    return {
        "gender": share([s is not None and s.female == (c.gender == "female") for c, s in both]),
        "age class": share([s is not None and s.age_class == c.age_class for c, s in both]),
    }


def by_cell(asked: Sequence[Cell], said: Sequence[Said | None]) -> dict[str, Any]:
    """Return the agreement of every cell there is."""
    out = {}
    for cell in dict.fromkeys(asked):
        rows = [n for n, other in enumerate(asked) if other == cell]
        out[str(cell)] = agreement([cell] * len(rows), [said[n] for n in rows])
    return out


def by_age_class(asked: Sequence[Cell], said: Sequence[Said | None]) -> dict[str, Any]:
    """Return the agreement of every age class there is."""
    out = {}
    for number in sorted({cell.age_class for cell in asked}):
        rows = [n for n, cell in enumerate(asked) if cell.age_class == number]
        out[CLASSES[number]] = agreement([asked[n] for n in rows], [said[n] for n in rows])
    return out


def accuracy_on_photos(labelled: Labelled, said: Sequence[Said | None]) -> dict[str, Any]:
    """Return how often a teacher is right about real photos; a face not found is wrong.

    Returns:
        For gender and age class the plain share; under "by age class" the mean over the genders;
        under "mix of the grid" the mean over the eight cells of gender and age class.
    """
    hits = {
        "gender": np.array(
            [s is not None and s.female == t for s, t in zip(said, labelled.female, strict=True)]
        ),
        "age class": np.array(
            [
                s is not None and s.age_class == t
                for s, t in zip(said, labelled.age_class, strict=True)
            ]
        ),
    }
    cell = labelled.female.astype(int) * len(CLASSES) + labelled.age_class

    def mean_of(right: np.ndarray, cells: np.ndarray) -> float:
        return float(np.mean([right[cell == c].mean() for c in np.unique(cells)]))

    return {
        trait: {
            "photos": share(right),
            "mix of the grid": mean_of(right, cell),
            "by age class": {
                CLASSES[number]: mean_of(right, cell[labelled.age_class == number])
                for number in np.unique(labelled.age_class)
            },
        }
        for trait, right in hits.items()
    }


def tone_errors(asked: Sequence[Cell], read: Sequence[float | None]) -> dict[str, Any]:
    """Return the error of the skin tone in degrees of ITA, by the tone asked for.

    Args:
        asked: Cell of each portrait.
        read: ITA measured on it, None where it could not be.
    """
    out = {}
    for tone in sorted({cell.tone for cell in asked}):
        off = [
            value - tone
            for cell, value in zip(asked, read, strict=True)
            if cell.tone == tone and value is not None
        ]
        out[f"ITA {tone}"] = {
            "median_error": float(np.median(np.abs(off))) if off else None,
            "median_signed": float(np.median(off)) if off else None,
            "of": len(off),
        }
    every = [abs(v - c.tone) for c, v in zip(asked, read, strict=True) if v is not None]
    return out | {
        "all": {"median_error": float(np.median(every)) if every else None, "of": len(every)}
    }
