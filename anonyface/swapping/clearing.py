"""Take the identity's own hair off its forehead and temples: the original's hair is what stays."""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.landmarks import topology as topo
from anonyface.landmarks.skin import to_lab
from anonyface.swapping.mask import Regions, fill_polygon, smoothstep
from anonyface.swapping.warp import PLACES
from anonyface.types import FloatArray

MARGIN = 0.03
"""How far eyes and brows reach beyond their points, in face widths: lashes, hairs of the brow."""
LOCK, SOFT = 0.05, 0.012
"""Side of a square as large as what is hair and no long brow, and how near to its points a brow is
left alone and how soft the edge there is, in face widths."""
RIM = 0.018
"""How far beyond what is told from skin its edge is taken for it, too, in face widths."""
FADE = 0.025
"""How far what is changed fades out over brows and eyes, in face widths."""
NEAR, FAR, FAR_WEIGHT = 0.05, 0.2, 0.02
"""Smoothness of what the hair is filled with, in face widths: of the skin beside it, and where none
is near, of all around."""
WORK_PX = 96
"""The filling is computed at about this width of face."""
STRANDS, PASSES = (5.0, 12.0), 3
"""How much darker than the skin around it, L* units, what is on a forehead is no wrinkle any more,
and surely hair: a fringe of the colour of the skin. How often that is looked at."""
FRINGE, FRINGED = (0.1, 0.25), 0.4
"""Shares of a forehead under such strands that are none and surely a fringe; of the difference,
what is enough then: no wrinkles show through one."""
_EYES = (
    np.concatenate([topo.LEFT_EYE[::2], topo.LEFT_BROW[::2]]),
    np.concatenate([topo.RIGHT_EYE[::2], topo.RIGHT_BROW[::2]]),
)
_NOSE = np.array([98, 327, 48, 278, 64, 294, 129, 358, 6, 168])


def clear_hair(
    new: FloatArray,
    skin: FloatArray,
    placed: FloatArray,
    regions: Regions,
    width: float,
    *,
    glasses: bool,
) -> tuple[FloatArray, FloatArray]:
    """Fill hair on the new face with the skin around it, from the forehead to the nose.

    Args:
        new: (h, w, 3) float32 RGB 0-255, the warped portrait.
        skin: (h, w) float32 likelihood of its skin.
        placed: (len(CONTROL), 2) where its control points lie.
        regions: Masks of the crop.
        width: Face width in pixels.
        glasses: Whether it wears some: then nothing is done below the brows.

    Returns:
        The new face without, (h, w, 3) float32, and the likelihood of its skin, (h, w) float32.
    """
    away = _from_features(placed, regions.edge.shape)
    free = smoothstep(away / max(1.0, MARGIN * width) - 1) * (regions.edge > 0)
    top, outer = _above(placed, free.shape, width, glasses=True), _beside_eyes(placed, free.shape)
    high = top if glasses else _above(placed, free.shape, width, glasses=False)
    zone, forehead = free * high, free * np.maximum(top, high * outer)
    reach = 2 * max(1, round(RIM * width)) + 1
    solid = cv2.erode(skin, np.ones((reach, reach), np.uint8))
    hair = (1 - np.asarray(solid)) * zone
    factor = min(1.0, WORK_PX / width)
    size = (max(1, round(new.shape[1] * factor)), max(1, round(new.shape[0] * factor)))
    small, weight, above = (
        np.asarray(cv2.resize(a, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
        for a in (new, solid * (regions.edge > 0), forehead)
    )
    strands, filling = _strands(small, weight, above, width * factor)
    shape = (new.shape[1], new.shape[0])
    strands = np.asarray(cv2.resize(strands, shape, interpolation=cv2.INTER_LINEAR), np.float32)
    hair = np.maximum(hair, strands)
    shown = np.asarray(cv2.resize(filling, shape, interpolation=cv2.INTER_LINEAR), np.float32)
    bare = skin * (_darker(new, shown) < np.mean(STRANDS))
    hair = np.maximum(hair, _up_to_features(hair, bare, away * high * outer, zone, width))
    filled = _let_fade(new, shown, hair, high * (regions.edge > 0), width)
    return filled, np.maximum(skin, hair).astype(np.float32)


def _strands(
    pixels: FloatArray, weight: FloatArray, above: FloatArray, width: float
) -> tuple[FloatArray, FloatArray]:
    """Find what is darker than the skin around it; without it, what that skin is like.

    Args:
        pixels: (h, w, 3) float32 RGB 0-255.
        weight: (h, w) float32 in [0, 1]: what has the colour of skin.
        above: (h, w) float32 in [0, 1]: where nothing but skin is expected.
        width: Face width in pixels.

    Returns:
        (h, w) float32 in [0, 1], and the skin without, (h, w, 3) float32.
    """
    strands = np.zeros_like(weight)
    filling = _smoothed(pixels, weight, width)
    for _ in range(PASSES):
        darker = _darker(pixels, filling)
        share = float((strands * above).sum() / max(1.0, float(above.sum())))
        low, high = np.interp(share, FRINGE, (1, FRINGED)) * np.array(STRANDS, np.float32)
        strands = above * cv2.dilate(smoothstep((darker - low) / (high - low)), np.ones((3, 3)))
        filling = _smoothed(pixels, weight * (1 - strands), width)
    return np.asarray(strands, dtype=np.float32), filling


def _let_fade(
    new: FloatArray, shown: FloatArray, hair: FloatArray, where: FloatArray, width: float
) -> FloatArray:
    """Put skin in place of hair, and let what it changes fade out over brows and eyes beside it.

    The edge between what is hair and what is a brow is never told to the pixel, and skin in the
    shade of hair passes for hair: without, jagged dark ends are left.

    Args:
        new: (h, w, 3) float32 RGB 0-255.
        shown: (h, w, 3) float32 RGB 0-255, the skin that is put there.
        hair: (h, w) float32 in [0, 1].
        where: (h, w) float32 in [0, 1]: where something may change beside it.
        width: Face width in pixels.
    """
    change = (shown - new) * hair[..., None]
    sigma = max(0.5, FADE * width)
    near = np.asarray(cv2.GaussianBlur(hair, (0, 0), sigma))
    beside = cv2.GaussianBlur(change, (0, 0), sigma) / np.maximum(near, 1e-3)[..., None]
    weight = np.minimum(1, 2 * near) * (1 - hair) * where
    filled = new + change
    # Nothing comes out lighter or darker than the skin that is put beside it, if it was not.
    low, high = np.minimum(filled, shown), np.maximum(filled, shown)
    return np.asarray(np.clip(filled + beside * weight[..., None], low, high), dtype=np.float32)


def _darker(pixels: FloatArray, skin: FloatArray) -> FloatArray:
    """(h, w) by how many L* units a picture, (h, w, 3) RGB 0-255, is darker than another."""
    one, other = (to_lab(np.clip(picture, 0, 255))[..., 0] for picture in (skin, pixels))
    return np.asarray(one - other, np.float32)


def _smoothed(pixels: FloatArray, weight: FloatArray, width: float) -> FloatArray:
    """(h, w, 3) blurred picture, of those pixels that have weight.

    Args:
        pixels: (h, w, 3) float32.
        weight: (h, w) float32.
        width: Face width in pixels.
    """
    top = np.zeros_like(pixels)
    bottom = np.full_like(weight, 1e-6)
    for sigma, share in ((NEAR, 1.0), (FAR, FAR_WEIGHT)):
        s = max(0.6, sigma * width)
        top += share * cv2.GaussianBlur(pixels * weight[..., None], (0, 0), s)
        bottom += share * cv2.GaussianBlur(weight, (0, 0), s)
    return np.asarray(top / bottom[..., None], dtype=np.float32)


def _beside_eyes(placed: FloatArray, shape_hw: tuple[int, ...]) -> FloatArray:
    """(h, w) float32: 1 farther out than the outer corners of the eyes, on the temples."""
    left, right = (
        placed[PLACES[i]].astype(np.float64) for i in (topo.LEFT_EYE_OUTER, topo.RIGHT_EYE_OUTER)
    )
    along = (right - left) / max(float((right - left) @ (right - left)), 1e-6)
    y, x = np.mgrid[: shape_hw[0], : shape_hw[1]]
    place = (x - left[0]) * along[0] + (y - left[1]) * along[1]
    return np.asarray((place < 0) | (place > 1), dtype=np.float32)


def _from_features(placed: FloatArray, shape_hw: tuple[int, ...]) -> FloatArray:
    """(h, w) float32 distance from eyes, brows and nose in pixels, 0 on them."""
    features = np.zeros(shape_hw, dtype=np.uint8)
    for outline in (*_EYES, _NOSE):
        hull = cv2.convexHull(placed[[PLACES[int(i)] for i in outline]])[:, 0]
        features |= fill_polygon(np.asarray(hull, np.float32), shape_hw)
    return np.asarray(cv2.distanceTransform(255 - features, cv2.DIST_L2, 3), dtype=np.float32)


def _up_to_features(
    hair: FloatArray, skin: FloatArray, away: FloatArray, zone: FloatArray, width: float
) -> FloatArray:
    """(h, w) float32: how much of hair that was found reaches on to a brow or an eye.

    Alone, what is so near belongs to these.

    Args:
        hair: (h, w) float32 in [0, 1]: found farther out.
        skin: (h, w) float32 likelihood of skin.
        away: (h, w) float32 distance from the features in pixels, 0 where none is looked for.
        zone: (h, w) float32 in [0, 1]: where hair was looked for.
        width: Face width in pixels.
    """
    near = (away > SOFT * width) & (away < 2 * MARGIN * width) & (skin < 0.5)
    found = (hair > 0.5) & (zone > 0.9)
    count, labels = cv2.connectedComponents((near | found).astype(np.uint8), connectivity=8)
    areas = np.bincount(labels[found], minlength=count)
    goes_on = areas >= np.square(LOCK * width)
    goes_on[0] = False
    rest = (goes_on[labels] & near).astype(np.float32)
    sigma = max(0.5, SOFT * width)
    soft = np.minimum(1, 1.5 * cv2.GaussianBlur(rest, (0, 0), sigma))
    return np.asarray(soft * (away > SOFT * width), np.float32)


def _above(
    placed: FloatArray, shape_hw: tuple[int, ...], width: float, *, glasses: bool
) -> FloatArray:
    """(h, w) float32: 1 from the forehead down to the nose, or to the brows if glasses are worn."""
    top, chin = (placed[PLACES[i]].astype(np.float64) for i in (topo.FOREHEAD_TOP, topo.CHIN))
    down = (chin - top) / max(float(np.hypot(*(chin - top))), 1e-6)
    y, x = np.mgrid[: shape_hw[0], : shape_hw[1]]
    depth = x * down[0] + y * down[1]
    lowest = [98, 327] if not glasses else [*topo.LEFT_BROW[:10:2], *topo.RIGHT_BROW[:10:2]]
    levels = placed[[PLACES[int(i)] for i in lowest]] @ down
    level = levels.mean() if not glasses else levels.min()
    return smoothstep(((level - depth) / max(1.0, MARGIN * width)).astype(np.float32))
