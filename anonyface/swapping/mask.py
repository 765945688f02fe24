"""Which pixels of the crop become the new face, and how much of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.errors import FaceError
from anonyface.landmarks import topology as topo
from anonyface.types import FloatArray

FEATHER = 0.10
"""Width of the soft edge inside the outline, in face widths."""
CORE_MARGIN = 0.035
"""How far the core reaches beyond the eyes, brows, nose and lips, in face widths."""
BAND_RAMP = 0.06
"""Distance from the core over which hair and other occluders begin to be respected."""
LEFT_MOST = 0.7
"""Share of the core that may stay as it is because something hides it, under a mask of what lies
above that: with more, nobody could say that the face was replaced."""

SPOT = 0.5
"""Likelihood of skin below which a pixel belongs to something else."""
HAIRLINE = 0.04
"""Hair, hats and glasses come in from the outline: so near to it, in face widths, they begin."""
ISLAND_EDGE = 0.012
"""Soft edge of a spot, in face widths, which goes with it."""

WINDOW_PX = 2
"""Pixels around the outline, so that its distance transform has an outside."""

CORE = np.concatenate(
    [
        topo.LEFT_EYE,
        topo.RIGHT_EYE,
        topo.LEFT_BROW,
        topo.RIGHT_BROW,
        topo.LIPS_OUTER,
        np.array([1, 2, 98, 327, 48, 278]),
    ]
)
_SUBPIXEL = 4  # bits of sub-pixel precision of cv2.fillPoly


@dataclass(frozen=True)
class Regions:
    """Masks of one crop, (h, w) float32 each.

    Attributes:
        edge: Distance from the face outline in pixels, 0 outside.
        soft: Outline with its soft inner edge, in [0, 1].
        core: 1 where the features are that make a face recognisable; always replaced.
        band: 1 - core, rising from 0 at the core's border: here hair and occluders are respected.
        bare: 0 in eyes and mouth, 1 elsewhere: where only skin is expected.
    """

    edge: FloatArray
    soft: FloatArray
    core: FloatArray
    band: FloatArray
    bare: FloatArray


def face_width(points: FloatArray) -> float:
    """Size of a face in pixels: the geometric mean of its mesh's width and height."""
    spans = np.ptp(points[topo.FACE_OVAL, :2], axis=0)
    return float(max(1.0, np.sqrt(spans[0] * spans[1])))


def outline_window(
    points: FloatArray, image_hw: tuple[int, ...]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns, from and to, around a face's outline: nothing beyond them is replaced.

    Args:
        points: (468, 3) mesh in crop coordinates.
        image_hw: Height and width of the crop.
    """
    outline = points[topo.FACE_OVAL, :2]
    limit = [image_hw[1], image_hw[0]]
    x0, y0 = np.clip(np.floor(outline.min(axis=0)) - WINDOW_PX, 0, limit).astype(int)
    x1, y1 = np.clip(np.ceil(outline.max(axis=0)) + WINDOW_PX + 1, 0, limit).astype(int)
    return (int(y0), int(y1)), (int(x0), int(x1))


def build_regions(points: FloatArray, image_hw: tuple[int, ...]) -> Regions:
    """Draw the masks of a face.

    Args:
        points: (468, 3) mesh in crop coordinates.
        image_hw: Height and width of the crop.
    """
    width = face_width(points)
    edge = _inside_distance(points[topo.FACE_OVAL, :2], image_hw)
    soft = smoothstep(edge / max(1.0, FEATHER * width))
    hull = np.asarray(cv2.convexHull(points[CORE, :2])[:, 0], dtype=np.float32)
    outside = _outside_distance(hull, image_hw)
    away = (outside - CORE_MARGIN * width) / max(1.0, BAND_RAMP * width)
    band = smoothstep(away)
    return Regions(edge=edge, soft=soft, core=1 - band, band=band, bare=_bare(points, image_hw))


def leave(
    regions: Regions, hidden: FloatArray, points: FloatArray, *, masked: bool = False
) -> Regions:
    """Leave what lies in front of a face as it is.

    Args:
        regions: Masks of the crop.
        hidden: (h, w) float32 in [0, 1]: where something lies in front.
        points: (468, 3) mesh in crop coordinates.
        masked: Whether something is worn over nose and mouth: then eyes and brows alone must
            change.

    Raises:
        FaceError: If more than `LEFT_MOST` of what makes the face recognisable would stay.
    """
    must = regions.core * (regions.soft > 0)
    if masked:
        eyes = cv2.convexHull(points[topo.EYES_AND_BROWS, :2])[:, 0]
        must = must * (fill_polygon(np.asarray(eyes, np.float32), hidden.shape) > 0)
    if float((must * hidden).sum()) > LEFT_MOST * float(must.sum()):
        raise FaceError("too much of the face is hidden", stage="swapping")
    return replace(regions, soft=regions.soft * (1 - hidden))


def without_islands(skin: FloatArray, regions: Regions, width: float) -> FloatArray:
    """Count as skin what looks like none but touches nothing that comes in from the outline.

    The end of a brow, a mole or a deep wrinkle belongs to the face that is replaced; hair over the
    forehead does not.

    Args:
        skin: (h, w) skin likelihood of the original.
        regions: Masks of the crop.
        width: Face width in pixels.
    """
    odd = ((skin < SPOT) & (regions.edge > 0)).astype(np.uint8)
    count, labels = cv2.connectedComponents(odd, connectivity=8)
    inside = np.ones(count, dtype=bool)
    inside[labels[regions.edge < max(1.0, HAIRLINE * width)]] = False
    islands = inside[labels] & (odd > 0)
    if not islands.any():
        return skin
    edge = disc(ISLAND_EDGE * width)
    return np.maximum(skin, cv2.dilate(islands.astype(np.float32), edge))


def disc(radius: float) -> NDArray[np.uint8]:
    """Structuring element of a radius in pixels, at least 1."""
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def cheeks(points: FloatArray, image_hw: tuple[int, ...]) -> FloatArray:
    """(h, w) float32: 1 on both cheeks, 0 elsewhere.

    Args:
        points: (468, 3) mesh in crop coordinates.
        image_hw: Height and width of the crop.
    """
    hulls = (
        np.asarray(cv2.convexHull(points[c, :2])[:, 0], np.float32)
        for c in (topo.LEFT_CHEEK, topo.RIGHT_CHEEK)
    )
    both = np.maximum(*(fill_polygon(hull, image_hw) for hull in hulls))
    return np.asarray(both > 0, dtype=np.float32)


def smoothstep(x: FloatArray) -> FloatArray:
    """3 x^2 - 2 x^3 on [0, 1], constant outside.

    >>> smoothstep(np.array([-1.0, 0.5, 2.0], dtype=np.float32)).tolist()
    [0.0, 0.5, 1.0]
    """
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x), dtype=np.float32)


def _bare(points: FloatArray, image_hw: tuple[int, ...]) -> FloatArray:
    openings = np.zeros(image_hw[:2], dtype=np.uint8)
    for outline in (topo.LEFT_EYE, topo.RIGHT_EYE, topo.LIPS_INNER):
        openings |= fill_polygon(points[outline, :2], image_hw)
    sigma = max(0.8, 0.02 * face_width(points))
    soft = cv2.GaussianBlur(openings.astype(np.float32) / 255, (0, 0), sigma)
    return np.asarray(1 - np.clip(2 * soft, 0, 1), dtype=np.float32)


def fill_polygon(polygon: FloatArray, image_hw: tuple[int, ...]) -> NDArray[np.uint8]:
    """(h, w) uint8: 255 inside a polygon of (n, 2) points, 0 outside."""
    mask = np.zeros(image_hw[:2], dtype=np.uint8)
    fixed = np.round(polygon * (1 << _SUBPIXEL)).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, shift=_SUBPIXEL)
    return mask


def _inside_distance(polygon: FloatArray, image_hw: tuple[int, ...]) -> FloatArray:
    """Distance to the outside of a polygon; the image border is no edge of it."""
    mask = fill_polygon(polygon, image_hw)
    return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, 3), dtype=np.float32)


def _outside_distance(polygon: FloatArray, image_hw: tuple[int, ...]) -> FloatArray:
    mask = 255 - fill_polygon(polygon, image_hw)
    return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, 3), dtype=np.float32)
