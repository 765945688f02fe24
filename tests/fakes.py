"""Stand-ins for stages, and the check that tells whether a face is still there."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.detection.faces import FaceFinder
from anonyface.errors import FaceError
from anonyface.landmarks.mesh import five_points
from anonyface.types import Crop, Face, Identity, Mesh, Patch
from anonyface.verification.alignment import fit_similarity
from anonyface.verification.encoder import DlibEncoder, similarity
from anonyface.verification.thresholds import match_threshold


class DoNothing:
    """A swapper that claims to have replaced a face and changes nothing."""

    def __call__(self, crop: Crop, mesh: Mesh, identity: Identity, /) -> Patch:
        return Patch(crop.pixels, np.ones(crop.pixels.shape[:2], np.float32))


class Failing:
    """A swapper that can't."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error or FaceError("no way", stage="swapping")

    def __call__(self, crop: Crop, mesh: Mesh, identity: Identity, /) -> Patch:
        raise self.error


class PutOn:
    """A swapper that puts one and the same portrait on every face."""

    def __init__(self, portrait: NDArray[np.uint8]) -> None:
        self.portrait = portrait
        self.landmarks = FaceFinder()(portrait)[0].landmarks

    def __call__(self, crop: Crop, mesh: Mesh, identity: Identity, /) -> Patch:
        matrix = fit_similarity(self.landmarks, five_points(mesh.points))
        height, width = crop.pixels.shape[:2]
        worn = cv2.warpAffine(self.portrait, matrix, (width, height), flags=cv2.INTER_AREA)
        return Patch(np.asarray(worn, np.uint8), np.ones((height, width), np.float32))


def still_there(
    before: NDArray[np.uint8], after: NDArray[np.uint8], faces: list[Face]
) -> list[bool]:
    """Whether each original face is recognised in ``after`` at the place where it was."""
    encoder = DlibEncoder()
    return [
        bool(
            similarity(encoder(before, f.landmarks), encoder(after, f.landmarks))
            >= match_threshold("1e-3")
        )
        for f in faces
    ]


def face_change(before: NDArray[np.uint8], after: NDArray[np.uint8], face: Face) -> float:
    """Mean absolute change in the inner 60 % of a face's box, grey levels."""
    x0, y0, x1, y1 = face.box
    rows = slice(int(y0 + 0.2 * (y1 - y0)), int(y1 - 0.2 * (y1 - y0)))
    columns = slice(int(x0 + 0.2 * (x1 - x0)), int(x1 - 0.2 * (x1 - x0)))
    return float(np.abs(before[rows, columns].astype(int) - after[rows, columns]).mean())
