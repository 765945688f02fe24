"""Which face is which protected person: keep, replace or unsure, with the scores behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonyface.protection.portrayal import Portrayal, resemblance
from anonyface.protection.quality import MIN_FACE_PX
from anonyface.protection.references import MARGIN, SURE_RATE, References
from anonyface.protection.thresholds import thresholds
from anonyface.result import Match
from anonyface.types import Face, Verdict

UNSURE_RATE = 1e-2
"""Share of strangers' faces that may come out as sure or unsure."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """One face against every reference.

    Attributes:
        score: (n,) similarities: by both encoders where both know face and reference, else by the
            first. Each is to be read against its own thresholds only.
        sure: (n,) thresholds from which on it is the person of the reference.
        unsure: (n,) thresholds from which on it might be.
    """

    score: NDArray[np.float32]
    sure: NDArray[np.float64]
    unsure: NDArray[np.float64]


def decide(
    portrayals: Sequence[Portrayal | None],
    faces: Sequence[Face],
    references: References,
    *,
    allow_repeats: bool,
) -> list[Match | None]:
    """Compare every face of a photo with the protected people.

    The rates hold for one face against all references together: with n of them each comparison may
    fail n times less often (the union bound), so a large gallery lets no more strangers through.

    A person is in a photo once, unless repeats are allowed: faces take people in the order of how
    far they are above the threshold. No other assignment is stable, as nobody loses a person to a
    face that fits worse; one of higher total similarity may give a person to the wrong face to gain
    elsewhere.

    Args:
        portrayals: Of each face, None where it could not be read.
        faces: The faces, in the same order.
        references: The protected people.
        allow_repeats: Whether several faces may be the same person.

    Returns:
        One match per face; None where it can't be compared: nobody is protected, no embedding, or
        too small a face. A face that loses its person to a better one has the verdict "replace" and
        a score from ``unsure`` on, see `lost_to_another`.
    """
    if not len(references):
        return [None] * len(faces)
    compared = {
        k: compare(seen, face, references)
        for k, (seen, face) in enumerate(zip(portrayals, faces, strict=True))
        if seen is not None and np.isfinite(seen.first).all() and face.size >= MIN_FACE_PX
    }
    given = None if allow_repeats else _assign(compared, references.people)
    return [
        _match(compared[k], given, k, references) if k in compared else None
        for k in range(len(faces))
    ]


def compare(
    portrayal: Portrayal, face: Face, references: References, *, among: int | None = None
) -> Comparison:
    """Compare one face with every reference.

    Args:
        portrayal: The face as the encoders see it.
        face: Its size decides about the thresholds.
        references: At least one.
        among: How many comparisons share the rates, default all of these.
    """
    count = len(references) if among is None else among
    score, both = resemblance(references.embeddings, references.second, portrayal)
    sure, unsure = (
        thresholds(
            MARGIN * rate / count, both=both, reference_px=references.face_px, face_px=face.size
        )
        for rate in (SURE_RATE, UNSURE_RATE)
    )
    return Comparison(score, sure, unsure)


def lost_to_another(match: Match) -> bool:
    """Whether a face resembles a protected person whom another face resembles more."""
    return match.verdict == "replace" and match.score >= match.unsure


def _assign(compared: dict[int, Comparison], people: Sequence[str]) -> dict[int, int]:
    """Give each person to at most one face, and each face at most one person.

    Returns:
        Face -> reference by which it got its person.
    """
    wishes = sorted(
        (
            (float(c.score[r] - c.sure[r]), k, r)
            for k, c in compared.items()
            for r in np.flatnonzero(c.score >= c.unsure).tolist()
        ),
        key=lambda wish: (-wish[0], wish[1], wish[2]),
    )
    given: dict[int, int] = {}
    taken: set[str] = set()
    for _, k, r in wishes:
        if k not in given and people[r] not in taken:
            given[k] = r
            taken.add(people[r])
    return given


def _match(
    compared: Comparison, given: dict[int, int] | None, k: int, references: References
) -> Match:
    """Say how face k compares; ``given`` is None where people may repeat."""
    best = int((compared.score - compared.sure).argmax())
    r = best if given is None else given.get(k, best)
    score, sure, unsure = (float(v[r]) for v in (compared.score, compared.sure, compared.unsure))
    verdict: Verdict = "keep" if score >= sure else "unsure" if score >= unsure else "replace"
    if given is not None and k not in given:
        verdict = "replace"
    return Match(verdict, score, references.names[r], sure, unsure, SURE_RATE)
