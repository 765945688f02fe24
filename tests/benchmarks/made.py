"""Made-up faces and what became of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anonyface.result import FaceOutcome
from anonyface.types import Action, Face

Image = NDArray[np.uint8]


def face_at(x: float, y: float, side: float) -> Face:
    """A face in a square box that begins at (x, y)."""
    box = np.array([x, y, x + side, y + side], np.float32)
    points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]) * side
    return Face(box, points + box[:2], 0.9)


def outcome(face: Face, action: Action = "replaced", reason: str = "as asked") -> FaceOutcome:
    """What became of it."""
    return FaceOutcome(face, action, reason)
