"""Who stays: references, indices, boxes or a callable decide, one decision per face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from anonyface.detection.boxes import iou
from anonyface.errors import FaceError, InputError
from anonyface.protection.matching import decide, lost_to_another
from anonyface.protection.portrayal import Portrayal
from anonyface.protection.references import References
from anonyface.result import Match
from anonyface.types import Face, Unsure

Selection: TypeAlias = Callable[[Face], bool] | Sequence[Any]
"""Which faces: a callable, or indices (ints) and boxes (x0 y0 x1 y1) in any mixture."""
Embed: TypeAlias = Callable[[int], Portrayal | None]
"""Number of a face in the photo -> how the encoders see it, None where it can't be read."""

BOX_IOU = 0.3
"""Overlap from which on a caller's box means a face: hand-drawn boxes are rough."""


@dataclass(frozen=True)
class Decision:
    """Whether a face stays, and why.

    Attributes:
        keep: Whether it stays.
        reason: Why, in a short sentence; empty where nothing was asked about the face.
        match: How it compares with the protected people, None if it was not compared.
    """

    keep: bool
    reason: str
    match: Match | None = None


def who_stays(
    faces: Sequence[Face],
    image_hw: tuple[int, ...],
    embed: Embed,
    references: References,
    *,
    keep: Selection = (),
    only: Selection = (),
    keep_largest: int = 0,
    keep_central: bool = False,
    allow_repeats: bool = False,
    unsure: Unsure = "replace",
) -> list[Decision]:
    """Decide about every face of a photo.

    A face stays if one of the options names it, or if it matches a protected person. With
    ``unsure="raise"`` a face that only might be a protected person is an error, unless another
    option decides about it.

    Args:
        faces: The faces of one photo.
        image_hw: Height and width of the photo.
        embed: Encodes a face; called at most once a face, and only where somebody is
            protected.
        references: The protected people.
        keep: Faces that stay: indices, boxes (x0 y0 x1 y1) or a callable ``Face -> bool``.
        only: The opposite: if given, every other face stays.
        keep_largest: So many of the largest faces stay.
        keep_central: Whether the face nearest the centre of the photo stays.
        allow_repeats: Whether a protected person may stay more than once in the photo.
        unsure: What becomes of a face that might be a protected person.

    Returns:
        One decision per face, in their order.

    Raises:
        InputError: A selection is wrong, or ``keep_largest`` is no int >= 0.
        FaceError: ``unsure`` is "raise" and a face might be a protected person.
    """
    reasons = _reasons(faces, image_hw, keep, only, keep_largest, keep_central)
    matches: list[Match | None] = [None] * len(faces)
    # Where an option decides about every face, nobody needs to be compared.
    if len(references) and None in reasons:
        # Faces that stay anyway take part: each protected person is in a photo once.
        portrayals = [embed(k) for k in range(len(faces))]
        matches = decide(portrayals, faces, references, allow_repeats=allow_repeats)
    decisions = []
    for number, (reason, match) in enumerate(zip(reasons, matches, strict=True)):
        if reason is not None:
            decisions.append(Decision(True, reason, match))
        elif match is None:
            compared = "could not be compared with the protected people" if len(references) else ""
            decisions.append(Decision(False, compared))
        else:
            decisions.append(_by_match(match, number, faces[number], unsure))
    return decisions


def _reasons(
    faces: Sequence[Face],
    image_hw: tuple[int, ...],
    keep: Selection,
    only: Selection,
    keep_largest: int,
    keep_central: bool,
) -> list[str | None]:
    """Return why each face stays whoever it is, None where that depends on who it is."""
    asked = callable(only) or not isinstance(only, (Sequence, np.ndarray)) or len(only) > 0
    target = select(faces, only, option="only") if asked else [True] * len(faces)
    rules = (
        (select(faces, keep, option="keep"), "kept as asked"),
        (largest(faces, keep_largest), "kept as one of the largest faces"),
        (central(faces, image_hw) if keep_central else [], "kept as the face in the centre"),
        ([not t for t in target], "not among the faces to replace"),
    )
    return [
        next((why for named, why in rules if named and named[k]), None) for k in range(len(faces))
    ]


def _by_match(match: Match, number: int, face: Face, unsure: Unsure) -> Decision:
    """Decide by likeness alone.

    Raises:
        FaceError: If the face might be a protected person and ``unsure`` is "raise".
    """
    score = f"similarity {match.score:.2f}"
    if match.verdict == "keep":
        return Decision(True, f"protected person ({score})", match)
    if lost_to_another(match):
        why = f"somebody else in the photo matches this protected person better ({score})"
        return Decision(False, why, match)
    if match.verdict == "replace":
        return Decision(False, "", match)
    if unsure == "raise":
        raise FaceError(
            f"face {number} might be {match.reference} ({score}, sure from {match.sure:.2f})",
            stage="protection",
            face=face,
        )
    text = f"might be a protected person ({score}, sure from {match.sure:.2f})"
    return Decision(unsure == "keep", text, match)


def largest(faces: Sequence[Face], n: int) -> list[bool]:
    """Say of each face whether it is one of the ``n`` largest; of equal ones the first.

    Raises:
        InputError: If n is no int >= 0.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
        raise InputError(f"keep_largest must be an int >= 0, not {n!r}")
    order = sorted(range(len(faces)), key=lambda k: faces[k].size, reverse=True)
    chosen = set(order[:n])
    return [k in chosen for k in range(len(faces))]


def central(faces: Sequence[Face], image_hw: tuple[int, ...]) -> list[bool]:
    """Say of each face whether it is the one in the centre of the photo.

    That is the one nearest the centre, measured from the face's border: a large face that covers
    the centre beats a small one beside it. Of several that cover it, the largest.
    """
    middle = np.array([image_hw[1] - 1, image_hw[0] - 1], np.float32) / 2

    def far_and_small(k: int) -> tuple[float, float]:
        box = faces[k].box
        outside = np.maximum(np.maximum(box[:2] - middle, middle - box[2:]), 0)
        return float(np.linalg.norm(outside)), -faces[k].size

    best = min(range(len(faces)), key=far_and_small, default=-1)
    return [k == best for k in range(len(faces))]


def select(faces: Sequence[Face], selection: Selection, *, option: str) -> list[bool]:
    """Say of each face whether a selection names it.

    Args:
        faces: The faces of one photo.
        selection: Callable, indices or boxes.
        option: Name of the option, for errors.

    Raises:
        InputError: An index out of range, a box that meets no face, or something else.
    """
    if callable(selection):
        return [bool(selection(face)) for face in faces]
    if isinstance(selection, (str, bytes)) or not isinstance(selection, (Sequence, np.ndarray)):
        raise InputError(f"{option} must be indices, boxes or a callable, not {selection!r}")
    chosen = [False] * len(faces)
    for item in selection:
        chosen[_find(faces, item, option)] = True
    return chosen


def _find(faces: Sequence[Face], item: Any, option: str) -> int:
    if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
        if not 0 <= item < len(faces):
            raise InputError(f"{option}: there is no face {item}, {len(faces)} were found")
        return int(item)
    try:
        box = np.asarray(item, dtype=np.float32)
    except (TypeError, ValueError):
        box = np.zeros(0, dtype=np.float32)
    if box.shape != (4,):
        raise InputError(f"{option}: {item!r} is neither an index nor a box x0 y0 x1 y1")
    if faces:
        overlap = iou(box[None], np.stack([f.box for f in faces]))[0]
        if overlap.max() >= BOX_IOU:
            return int(overlap.argmax())
    raise InputError(f"{option}: no face was found at box {box.round().astype(int).tolist()}")
