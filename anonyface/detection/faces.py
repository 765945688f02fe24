"""The default detector: RetinaFace, and a second look by the mesh at what it is unsure of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anonyface.detection.boxes import area, intersection
from anonyface.detection.retinaface import SURE_SCORE, RetinaFace
from anonyface.errors import FaceError
from anonyface.landmarks.mesh import FaceMesh
from anonyface.types import Detail, Face, ImageArray

CONFIRMED = 0.5
"""Presence the mesh must see in a face that the detector alone is not sure of."""
BORROWED = 0.2
"""Share of an unsure box inside a sure one from which on it is taken for a part of it."""
SMALL_PX = 24
SURE_SMALL_SCORE = 0.65
"""Patterns in cloth and leaves look like faces of a few pixels: those must convince more."""


class FaceFinder:
    """Finds faces; a `Detector`.

    Candidates between the detector's noise level and the sure level count only if the mesh sees a
    face there too: a low threshold finds the turned and half-hidden ones, the second look drops the
    leaves.

    Args:
        detail: How hard to look, see `anonyface.detection.passes.plan_windows`.
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(self, *, detail: Detail = "normal", threads: int = 0) -> None:
        self.detector = RetinaFace(detail=detail, threads=threads)
        self.mesh = FaceMesh(threads=threads)

    def __call__(self, image: ImageArray, /) -> list[Face]:
        """Return the faces in an (H, W, 3) RGB uint8 image, most confident first."""
        found = self.detector(image)
        sure = [f for f in found if is_sure(f)]
        return sure + [f for f in found if not is_sure(f) and self._confirmed(image, f, sure)]

    def _confirmed(self, image: ImageArray, face: Face, sure: Sequence[Face]) -> bool:
        box = face.box[None]
        if sure:
            common = intersection(box, np.stack([f.box for f in sure]))[0]
            if common.max() > BORROWED * area(box)[0]:
                return False  # the mesh would snap to the sure face beside it
        try:
            (mesh,) = self.mesh(image, [face])
        except FaceError:
            return False
        return mesh.presence >= CONFIRMED


def is_sure(face: Face) -> bool:
    """Whether the detector's score alone is enough for a face of this size."""
    return face.score >= (SURE_SCORE if face.size >= SMALL_PX else SURE_SMALL_SCORE)
