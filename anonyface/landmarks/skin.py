"""Which pixels are bare skin: a colour model of the person's own cheeks and nose."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from anonyface.errors import FaceError
from anonyface.landmarks import topology as topo
from anonyface.landmarks.occlusion import bare_points, is_masked
from anonyface.types import FloatArray, ImageArray, Mesh

BARE = np.concatenate([topo.LEFT_CHEEK, topo.RIGHT_CHEEK, np.array([5, 195, 197, 6, 45, 275])])
"""Cheeks, bridge and sides of the nose: skin that is bare on nearly everybody."""
UPPER = np.array([8, 9, 168, 193, 417, 151, 108, 337, 69, 299, 143, 372, 35, 265, 226, 446])
"""Between the brows, forehead, temples: what a medical mask leaves free."""
ALL_OVER = np.concatenate([BARE, UPPER, topo.CHIN_PATCH])
"""Skin from the forehead to the chin."""
FEWEST_POINTS = 4
"""With fewer points in view than that, those that are hidden are believed as well."""
SKIN_PX = 128
"""Side to which a face is shrunk before its skin is learnt: noise is averaged away."""
FLOOR_LAB = np.array([7.0, 4.0, 5.0], dtype=np.float32)
"""Smallest spread believed, L*a*b* units: skin is never of one colour."""
SHADOW = 1.6
"""Shading moves lightness more than hue: its spread is widened by this factor."""


@dataclass(frozen=True)
class SkinModel:
    """A person's skin colour.

    Attributes:
        centre: (3,) L*a*b*.
        spread: (3,) L*a*b* units.
        masked: Whether something is worn over nose and mouth: a medical mask, a scarf.
    """

    centre: FloatArray
    spread: FloatArray
    masked: bool = False

    def likelihood(self, lab: FloatArray) -> FloatArray:
        """How much each pixel looks like this skin.

        Args:
            lab: (h, w, 3) float32 CIE L*a*b*.

        Returns:
            (h, w) float32 in [0, 1], 1 within two spreads, falling to 0 at about four.
        """
        z = (lab - self.centre) / self.spread
        distance = np.sqrt(np.einsum("hwc,hwc->hw", z, z))
        return np.asarray(np.clip((4.0 - distance) / 2.0, 0, 1), dtype=np.float32)


def to_lab(pixels: ImageArray | FloatArray) -> FloatArray:
    """(h, w, 3) RGB, uint8 or float32 in 0-255 -> float32 CIE L*a*b*."""
    scaled = np.asarray(pixels, dtype=np.float32) * np.float32(1 / 255)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB), dtype=np.float32)


def fit_skin(lab: FloatArray, mesh: Mesh) -> SkinModel:
    """Learn the skin colour of one face where nothing lies in front of it.

    Args:
        lab: (h, w, 3) float32 CIE L*a*b* of a crop.
        mesh: The face in crop coordinates; points outside of the crop are moved to its edge.
    """
    masked = is_masked(mesh)
    where = UPPER if masked else BARE
    seen = bare_points(mesh, where)
    if len(seen) < FEWEST_POINTS:
        seen = bare_points(mesh, np.concatenate([BARE, UPPER]))
    model = _model(
        smooth_lab(lab, mesh.points), mesh.points, seen if len(seen) >= FEWEST_POINTS else where
    )
    return SkinModel(model.centre, model.spread, masked)


def fit_bare_skin(lab: FloatArray, points: FloatArray) -> SkinModel:
    """Learn the skin colour of a face that is known to wear nothing over nose and mouth.

    Args:
        lab: (h, w, 3) float32 CIE L*a*b* of a crop.
        points: (468, 3) mesh in crop coordinates.
    """
    return _model(smooth_lab(lab, points), points, BARE)


def face_skin(image: ImageArray, mesh: Mesh) -> SkinModel:
    """Return the skin model of a face, from its pixels shrunk to at most `SKIN_PX`.

    Args:
        image: (H, W, 3) RGB uint8.
        mesh: The face's mesh in image coordinates.

    Raises:
        FaceError: If the face lies outside of the image.
    """
    return fit_skin(*_shrunk(image, mesh))


def colour_spread(image: ImageArray, mesh: Mesh) -> float:
    """How far the skin's colour is from its median, mean of points all over the face.

    Light of two colours shows in it; L* is not counted, shadows are no other colour.

    Args:
        image: (H, W, 3) RGB uint8.
        mesh: The face's mesh in image coordinates.

    Returns:
        a*b* units.

    Raises:
        FaceError: If the face lies outside of the image.
    """
    lab, small = _shrunk(image, mesh)
    colours = _at(smooth_lab(lab, small.points), small.points, ALL_OVER)[:, 1:]
    return float(np.hypot(*(colours - np.median(colours, axis=0)).T).mean())


def _shrunk(image: ImageArray, mesh: Mesh) -> tuple[FloatArray, Mesh]:
    """L*a*b* of a face, (h, w, 3), no larger than `SKIN_PX`, and its mesh in it.

    Raises:
        FaceError: If the face lies outside of the image.
    """
    low = np.maximum(np.floor(mesh.points[:, :2].min(axis=0)), 0).astype(int)
    high = np.ceil(mesh.points[:, :2].max(axis=0)).astype(int) + 1
    part = image[low[1] : high[1], low[0] : high[0]]
    if not part.size:
        raise FaceError("the face lies outside of the image", stage="landmarks")
    factor = min(1.0, SKIN_PX / max(part.shape[:2]))
    size = (max(1, round(part.shape[1] * factor)), max(1, round(part.shape[0] * factor)))
    small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    shrink = np.array([[factor, 0, -factor * low[0]], [0, factor, -factor * low[1]]])
    return to_lab(small), mesh.moved(shrink)


def smooth_lab(lab: FloatArray, points: FloatArray) -> FloatArray:
    """(h, w, 3) float32: the picture without grain, as skin and cloth are measured on it.

    Args:
        lab: (h, w, 3) float32 CIE L*a*b* of a crop.
        points: (468, 3) mesh in crop coordinates.
    """
    side = 2 * max(1, int(np.ptp(points[:, 0]) * 0.02)) + 1
    return np.asarray(cv2.blur(lab, (side, side)), dtype=np.float32)


def _at(smooth: FloatArray, points: FloatArray, where: topo.Indices) -> FloatArray:
    """(n, 3) colours at some points of a mesh, clamped to the picture."""
    height, width = smooth.shape[:2]
    xy = np.clip(points[where, :2].round(), 0, [width - 1, height - 1]).astype(int)
    return np.asarray(smooth[xy[:, 1], xy[:, 0]], dtype=np.float32)


def _model(smooth: FloatArray, points: FloatArray, where: topo.Indices) -> SkinModel:
    samples = _at(smooth, points, where)
    centre = np.median(samples, axis=0)
    spread = 1.4826 * np.median(np.abs(samples - centre), axis=0)  # normal-consistent MAD
    spread = np.maximum(spread, FLOOR_LAB) * np.array([SHADOW, 1, 1], dtype=np.float32)
    return SkinModel(centre.astype(np.float32), spread.astype(np.float32))
