"""Who stays: references, indices, boxes or a callable decide, one decision per face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from anonyface.detection.boxes import iou
from anonyface.errors import InputError
from anonyface.types import Face

Selection: TypeAlias = Callable[[Face], bool] | Sequence[Any]
"""Which faces: a callable, or indices (ints) and boxes (x0 y0 x1 y1) in any mixture."""

BOX_IOU = 0.3
"""Overlap from which on a caller's box means a face: hand-drawn boxes are rough."""


@dataclass(frozen=True)
class Decision:
    """Whether a face stays, and why."""

    keep: bool
    reason: str


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
