"""Lips keep the colour of the original's: who wears lipstick wears it still."""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.landmarks import topology as topo
from anonyface.landmarks.skin import to_lab
from anonyface.swapping.mask import fill_polygon
from anonyface.swapping.warp import PLACES
from anonyface.types import FloatArray

MOST = np.array([[-8, -10, -6], [6, 20, 8]], np.float32)
"""The most that lips may be changed, down and up, L*a*b* units: beyond, a moustache or a shadow
lies on one of the two."""
FEWEST_PX, SEEN_FROM = 12, 0.6
"""Smaller lips tell nothing of their colour, nor do lips of which less is in view."""
_OUTER, _INNER = (
    [PLACES[int(point)] for point in outline if int(point) in PLACES]
    for outline in (topo.LIPS_OUTER, topo.LIPS_INNER)
)
SOFT = 0.012
"""How softly the change sets in, face widths."""


def match_lips(
    new: FloatArray,
    old: FloatArray,
    bare: FloatArray,
    points: FloatArray,
    placed: FloatArray,
    width: float,
) -> FloatArray:
    """Give the new lips the median colour of the old ones.

    Three numbers for a whole mouth: no more of the original's is known afterwards.

    Args:
        new: (h, w, 3) float32 RGB 0-255, already of the right shading.
        old: (h, w, 3) float32 RGB 0-255.
        bare: (h, w) float32 weight of what nothing lies in front of.
        points: (468, 3) mesh of the original.
        placed: (len(CONTROL), 2) where the new face's control points lie.
        width: Face width in pixels.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    shape = new.shape[:2]
    was = _between(points[topo.LIPS_OUTER, :2], points[topo.LIPS_INNER, :2], shape)
    lips = _between(placed[_OUTER], placed[_INNER], shape)
    seen = was * (bare > 0.5)
    if seen.sum() < max(FEWEST_PX, SEEN_FROM * was.sum()) or lips.sum() < FEWEST_PX:
        return new
    lab = to_lab(np.clip(new, 0, 255))
    have = np.median(lab[lips > 0], axis=0)
    wanted = np.median(to_lab(old[seen > 0][None])[0], axis=0)
    by = np.clip(wanted - have, *MOST)
    weight = cv2.GaussianBlur(lips, (0, 0), max(0.6, SOFT * width))[..., None]
    changed = cv2.cvtColor(np.asarray(lab + by, np.float32), cv2.COLOR_LAB2RGB) * np.float32(255)
    return np.asarray(new + (changed - np.clip(new, 0, 255)) * weight, dtype=np.float32)


def inside_mouth(placed: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """(h, w) float32: 1 between the new face's lips, 0 elsewhere.

    Args:
        placed: (len(CONTROL), 2) where the new face's control points lie.
        shape: Height and width of the crop.
    """
    return np.asarray(fill_polygon(placed[_INNER], shape) > 0, dtype=np.float32)


def _between(outer: FloatArray, inner: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """(h, w) float32: 1 between two outlines, 0 elsewhere."""
    ring = (fill_polygon(outer, shape) > 0) & (fill_polygon(inner, shape) == 0)
    return np.asarray(ring, dtype=np.float32)
