"""Where the eyes look and how far they are open: irises and lids of both eyes of a mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.landmarks import topology as topo
from anonyface.runtime import open_session, run
from anonyface.types import FloatArray, ImageArray, Mesh

INPUT_PX = 64
EYE_FACTOR = 2.3
"""Side of the square the network sees over the width of the eye (arXiv 2006.11341, model card)."""
GAZE_FACE_PX = 40
"""In smaller faces an eye is less than ten pixels wide: nobody sees where it looks."""
CORNERS = (
    (topo.LEFT_EYE_OUTER, topo.LEFT_EYE_INNER),
    (topo.RIGHT_EYE_INNER, topo.RIGHT_EYE_OUTER),
)
"""Image-left and image-right corner of the image-left and of the image-right eye."""
SHUT, TRUE_FROM = 0.10, 0.24
"""Gap over eye width that the network sees at closed lids, and the one from which on what it sees
is what there is."""
_LOWER = np.arange(9)
_UPPER = np.array([0, 9, 10, 11, 12, 13, 14, 15, 8])
"""Places of the lids' edges among the network's points of an eye, from its outer corner on."""


@dataclass(frozen=True)
class Gaze:
    """Where the irises sit in the eyes, mean of both.

    Attributes:
        across: Offset of the iris from the middle between the eye's corners towards the image's
            right side, over the width of the eye.
        down: The same, at a right angle to the line through the corners, downwards.
    """

    across: float
    down: float


class IrisLandmarks:
    """Finds both irises.

    The network was made for eyes whose outer corner is on the left of the square; the other eye is
    mirrored for it.

    Args:
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(self, *, threads: int = 0) -> None:
        self.session = open_session("iris", threads=threads)

    def __call__(self, image: ImageArray, mesh: Mesh) -> FloatArray:
        """Return the irises of a face.

        Args:
            image: (H, W, 3) RGB uint8.
            mesh: The face's mesh, in image coordinates.

        Returns:
            (2, 5, 2) float32 x y in image coordinates, image-left eye first: the centre, then four
            points on the rim.
        """
        return self.eyes(image, mesh)[0]

    def eyes(self, image: ImageArray, mesh: Mesh) -> tuple[FloatArray, FloatArray]:
        """Return irises and lids of a face, as `Mesh` has them.

        Args:
            image: (H, W, 3) RGB uint8.
            mesh: The face's mesh, in image coordinates.
        """
        squares = [_square(mesh, *corners) for corners in CORNERS]
        chips = [_cut(image, matrix) for matrix in squares]
        feed = np.stack([chips[0], chips[1][:, ::-1]]).astype(np.float32) / 255
        found = run(self.session, {"image": feed}, ["iris", "contours"])
        irises, contours = (_placed(points, squares) for points in found)
        lids = np.stack([contours[:, _UPPER], contours[:, _LOWER]], axis=1)
        lids[1] = lids[1, :, ::-1]  # found from the outer corner on, which is on the right here
        return irises, lids

    def complete(self, image: ImageArray, mesh: Mesh) -> Mesh:
        """Return the mesh with irises and lids; without, where the face is under `GAZE_FACE_PX`.

        Args:
            image: (H, W, 3) RGB uint8.
            mesh: The face's mesh, in image coordinates.
        """
        if float(np.ptp(mesh.points[:, :2], axis=0).max()) < GAZE_FACE_PX:
            return mesh
        irises, lids = self.eyes(image, mesh)
        return replace(mesh, irises=irises, lids=lids)


def gap(lids: FloatArray | NDArray[np.float64]) -> float:
    """Mean gap of one eye's lids, where they are farthest apart, over the eye's width.

    Args:
        lids: (2, 9, 2) as in `anonyface.types.Mesh`.
    """
    width = max(float(np.hypot(*(lids[:, -1] - lids[:, 0]).mean(axis=0))), 1e-6)
    return float(np.hypot(*(lids[1] - lids[0])[3:6].T).mean()) / width


def true_gap(lids: FloatArray) -> float:
    """`gap` without what the network adds to lids that are closed or nearly so."""
    found = gap(lids)
    nearly = max(0.0, found - SHUT) * TRUE_FROM / (TRUE_FROM - SHUT)
    return found if found >= TRUE_FROM else nearly


def measure_gaze(mesh: Mesh, irises: FloatArray) -> Gaze:
    """Measure where the irises sit between the corners of the eyes.

    Args:
        mesh: The face's mesh.
        irises: (2, 5, 2) from `IrisLandmarks`.
    """
    offsets = []
    for (left, right), iris in zip(CORNERS, irises, strict=True):
        corners = mesh.points[[left, right], :2].astype(np.float64)
        along = corners[1] - corners[0]
        width = max(float(np.hypot(*along)), 1e-6)
        off = (iris[0] - corners.mean(axis=0)) / width
        x, y = along / width
        offsets.append((off[0] * x + off[1] * y, off[1] * x - off[0] * y))
    across, down = np.mean(offsets, axis=0)
    return Gaze(float(across), float(down))


def _placed(found: NDArray[np.float32], squares: Sequence[NDArray[np.float64]]) -> FloatArray:
    """The network's points in the image: (2, 3 n) -> (2, n, 2)."""
    points = found.reshape(2, -1, 3)[..., :2].astype(np.float64)
    points[1, :, 0] = INPUT_PX - 1 - points[1, :, 0]
    inverses = map(cv2.invertAffineTransform, squares)
    both = [p @ m[:, :2].T + m[:, 2] for p, m in zip(points, inverses, strict=True)]
    return np.stack(both).astype(np.float32)


def _square(mesh: Mesh, left: int, right: int) -> NDArray[np.float64]:
    """(2, 3) similarity from the image to the network's input, the eye's corners level."""
    corners = mesh.points[[left, right], :2].astype(np.float64)
    along = corners[1] - corners[0]
    width = max(float(np.hypot(*along)), 1e-3)
    c, s = along / width
    rotation = np.array([[c, s], [-s, c]]) * (INPUT_PX / (EYE_FACTOR * width))
    middle = np.full(2, (INPUT_PX - 1) / 2)
    return np.concatenate([rotation, (middle - rotation @ corners.mean(axis=0))[:, None]], axis=1)


def _cut(image: ImageArray, matrix: NDArray[np.float64]) -> ImageArray:
    chip = cv2.warpAffine(
        image,
        matrix,
        (INPUT_PX, INPUT_PX),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(chip, dtype=np.uint8)
