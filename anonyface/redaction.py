"""Cover a face so that nothing of it can be brought back: the way out when replacing fails.

What survives is bounded by construction: "blur" keeps at most 6x6 mean colours of the crop,
"pixelate" 8x8, "solid" nothing. Sharpening, deconvolution or a restoration network can't recover
more than these few numbers hold, whatever the size of the face.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.errors import FaceError, InputError
from anonyface.types import Face, FloatArray, ImageArray, Placed

Cover: TypeAlias = Literal["blur", "pixelate", "solid"]

GROWTH = 1.25  # detectors box a face from brows to chin; hair line and ears lie up to here
FEATHER = 0.15  # width of the soft rim outside the ellipse, in radii
BLUR_CELLS = 6
SHARE_OF_ALL = 0.02  # weight of the mean of all in a cell, of 1 for a cell that is seen whole
PIXELATE_CELLS = 8
MIN_CELL_PX = 4  # a face of a few pixels must not get cells as small as its eyes
GREY = 128
OWN_REACH = 0.15
"""Surroundings of a face's landmarks that are covered whatever is in front of it, in face sizes."""
OWN_GROWTH = 1.1
"""Beyond the ellipse inscribed in the box grown by this, where hair and ears are, the faces of
others stay free of a cover."""
NEW_FROM, NEW_EDGE = 0.99, 0.03
"""Weight of a new face from which on nothing of an original is left under it, and the soft edge of
a cover there, inside of that, in face sizes."""
_SUBPIXEL = 4  # bits of sub-pixel precision of cv2.fillPoly
MAX_GRAIN = 6.0  # grey levels; more looks like a pattern, not like film


def ellipse_alpha(
    box_xyxy: NDArray[np.floating], image_hw: tuple[int, int]
) -> tuple[slice, slice, FloatArray] | None:
    """Return where to cover a face and how strongly.

    Args:
        box_xyxy: (4,) x0 y0 x1 y1 in pixels; may lie partly or wholly outside the image.
        image_hw: Height and width of the image.

    Returns:
        Rows, columns and an (h, w) float32 alpha for them: exactly 1 in the ellipse inscribed in
        the box grown by 1.25, falling to 0 outside of it. None if nothing of it is in the image.

    Raises:
        FaceError: If the box is not finite.
    """
    x0, y0, x1, y1 = (float(value) for value in box_xyxy)
    if not all(map(math.isfinite, (x0, y0, x1, y1))):
        raise FaceError(f"the box is not finite: {(x0, y0, x1, y1)}", stage="redaction")
    height, width = image_hw
    center_x, center_y = (x0 + x1) / 2, (y0 + y1) / 2
    radius_x, radius_y = (max(abs(d) / 2 * GROWTH, 1.0) for d in (x1 - x0, y1 - y0))
    # A rim of at least one pixel, so that tiny faces have one at all.
    rim = max(FEATHER, 1 / min(radius_x, radius_y))
    left = max(math.floor(center_x - radius_x * (1 + rim)), 0)
    right = min(math.ceil(center_x + radius_x * (1 + rim)) + 1, width)
    top = max(math.floor(center_y - radius_y * (1 + rim)), 0)
    bottom = min(math.ceil(center_y + radius_y * (1 + rim)) + 1, height)
    if left >= right or top >= bottom:
        return None
    x = (np.arange(left, right, dtype=np.float32) - np.float32(center_x)) / np.float32(radius_x)
    y = (np.arange(top, bottom, dtype=np.float32) - np.float32(center_y)) / np.float32(radius_y)
    distance = np.sqrt(x[None, :] ** 2 + y[:, None] ** 2)
    alpha = np.clip(1 - (distance - 1) / np.float32(rim), 0, 1).astype(np.float32)
    if not alpha.any():
        return None
    return slice(top, bottom), slice(left, right), alpha


def cover(
    pixels: ImageArray, alpha: FloatArray, method: Cover, *, rng: np.random.Generator
) -> ImageArray:
    """Return a crop with the face in it covered.

    Args:
        pixels: (h, w, 3) RGB uint8 crop around the face.
        alpha: (h, w) float32 in [0, 1]; where it is 1 nothing of the crop is left but the few
            means the method keeps, where it is 0 the crop stays as it is, bit by bit.
        method: "blur", "pixelate" or "solid" (mid grey).
        rng: Source of the grain of "blur".

    Returns:
        (h, w, 3) uint8, a new array.

    Raises:
        InputError: If the method is unknown.
        ValueError: If the shapes don't belong together.
    """
    if method not in COVERS:
        raise InputError(f"method must be one of {', '.join(get_args(Cover))}, not {method!r}")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or alpha.shape != pixels.shape[:2]:
        raise ValueError(f"expected (h, w, 3) and (h, w), got {pixels.shape} and {alpha.shape}")
    return mixed(pixels, COVERS[method](pixels, rng), alpha)


def mixed(pixels: ImageArray, covered: FloatArray, alpha: FloatArray) -> ImageArray:
    """Return a cover laid over a crop; where alpha is 0 the crop stays as it is, bit by bit.

    Args:
        pixels: (h, w, 3) RGB uint8.
        covered: (h, w, 3) float32 RGB 0-255.
        alpha: (h, w) float32 in [0, 1].
    """
    weight = alpha[..., None]
    both = np.rint(pixels + weight * (covered - pixels))
    return np.where(weight > 0, np.clip(both, 0, 255), pixels).astype(np.uint8)


def _means(pixels: ImageArray, cells: int, weight: FloatArray | None = None) -> FloatArray:
    """Return mean colours on a coarse grid: (n, m, 3) float32, every cell at least 4 x 4 pixels.

    The longer side gets ``cells`` cells and the shorter one fewer, so that a face cut by the image
    border doesn't get finer cells than a whole one. With a weight only what has some counts; the
    mean of all of it fills cells in which there is little.
    """
    height, width = pixels.shape[:2]
    longer = max(height, width)
    rows = max(1, min(round(cells * height / longer), height // MIN_CELL_PX))
    columns = max(1, min(round(cells * width / longer), width // MIN_CELL_PX))
    size_wh = (columns, rows)
    part = pixels.astype(np.float32)
    if weight is not None:
        part *= weight[..., None]
    means = cv2.resize(part, size_wh, interpolation=cv2.INTER_AREA).reshape(rows, columns, 3)
    if weight is not None:
        shares = cv2.resize(weight, size_wh, interpolation=cv2.INTER_AREA).reshape(rows, columns, 1)
        of_all = part.sum(axis=(0, 1)) / max(float(weight.sum()), 1e-6)
        means = (means + SHARE_OF_ALL * of_all) / (shares + SHARE_OF_ALL)
    return np.asarray(means, np.float32)


def blurred(
    pixels: ImageArray,
    rng: np.random.Generator,
    *,
    cells: int = BLUR_CELLS,
    weight: FloatArray | None = None,
) -> FloatArray:
    """Return mean colours, smoothly enlarged, with the crop's own amount of grain.

    Args:
        pixels: (h, w, 3) RGB uint8.
        rng: Source of the grain.
        cells: Means along the longer side.
        weight: (h, w) float32 in [0, 1]: what of the crop counts; None for all of it.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    height, width = pixels.shape[:2]
    means = _means(pixels, cells, weight)
    smooth = cv2.resize(means, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.standard_normal((height, width, 1), np.float32) * np.float32(_grain(pixels))
    return np.clip(np.asarray(smooth, np.float32) + grain, 0, 255)


def _grain(pixels: ImageArray) -> float:
    """Estimate the standard deviation of the noise in a crop, in grey levels.

    Immerkaer, "Fast Noise Variance Estimation" (1996): a filter blind to planes and edges, of
    which the noise response has 6 times the noise's deviation. The median makes texture count less.
    """
    if min(pixels.shape[:2]) < 3:
        return 0.0
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(grey, -1, kernel)[1:-1, 1:-1])
    return min(float(np.median(response)) / 0.6745 / 6, MAX_GRAIN)


def _pixelate(pixels: ImageArray, rng: np.random.Generator) -> FloatArray:
    """Return 8x8 means as flat blocks."""
    height, width = pixels.shape[:2]
    means = _means(pixels, PIXELATE_CELLS)
    return np.asarray(cv2.resize(means, (width, height), interpolation=cv2.INTER_NEAREST))


def _solid(pixels: ImageArray, rng: np.random.Generator) -> FloatArray:
    """Return mid grey: not even the skin colour stays."""
    return np.full(pixels.shape, GREY, np.float32)


COVERS: dict[Cover, Callable[[ImageArray, np.random.Generator], FloatArray]] = {
    "blur": blurred,
    "pixelate": _pixelate,
    "solid": _solid,
}


def cover_face(
    image: ImageArray,
    face: Face,
    method: Cover,
    *,
    rng: np.random.Generator,
    spare: Sequence[NDArray[np.floating]] = (),
    beside: Sequence[NDArray[np.floating]] = (),
    new: Sequence[Placed] = (),
) -> None:
    """Cover a face in an image, in place.

    Args:
        image: (H, W, 3) RGB uint8, writable.
        face: The face; nothing happens where its box lies wholly outside of the image.
        method: "blur", "pixelate" or "solid".
        rng: Source of the grain of "blur".
        spare: (n, 2) outlines x y of other faces known to be in front of this one: the cover does
            not reach into them, except where this face's own landmarks are.
        beside: The same of faces that may be in front of it or behind it: the cover reaches into
            them as far as this face itself does, but its rim does not.
        new: New faces in the image: nothing is covered where nothing of an original is left.
    """
    found = ellipse_alpha(face.box, (image.shape[0], image.shape[1]))
    if found is None:
        return
    rows, columns, alpha = found
    if spare or beside:
        corner = (columns.start, rows.start)
        alpha = alpha * _around(alpha.shape, face, spare, beside, corner)
    for placed in new:
        _leave_new(alpha, placed, (rows.start, columns.start))
    image[rows, columns] = cover(image[rows, columns], alpha, method, rng=rng)


def _around(
    size_hw: tuple[int, ...],
    face: Face,
    spare: Sequence[NDArray[np.floating]],
    beside: Sequence[NDArray[np.floating]],
    origin_xy: tuple[int, int],
) -> FloatArray:
    """(h, w) weight: 0 in the outlines of others, 1 outside and where the face itself is."""
    weight, corner = np.full(size_hw, 255, np.uint8), np.array(origin_xy)
    _fill(weight, beside, corner, 0)
    if beside:
        x0, y0, x1, y1 = face.box - np.tile(corner, 2)
        radii = np.array([x1 - x0, y1 - y0]) / 2 * OWN_GROWTH
        centre = round((x0 + x1) / 2), round((y0 + y1) / 2)
        axes = max(1, round(radii[0])), max(1, round(radii[1]))
        cv2.ellipse(weight, centre, axes, 0, 0, 360, 255, cv2.FILLED, cv2.LINE_AA)
    _fill(weight, spare, corner, 0)
    core = np.zeros(size_hw, np.uint8)
    own = np.asarray(cv2.convexHull(face.landmarks.astype(np.float32)), np.float32)[:, 0]
    _fill(core, [own], corner, 255)
    reach = 2 * max(1, round(OWN_REACH * face.size)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    return np.asarray(np.maximum(weight, cv2.dilate(core, disc)) / np.float32(255), np.float32)


def _leave_new(alpha: FloatArray, placed: Placed, first_yx: tuple[int, int]) -> None:
    """Take a cover off a new face, in place; ``first_yx`` is the place of its first pixel."""
    (y0, x0), (rows, columns) = first_yx, placed.window
    top, left = max(rows.start, y0), max(columns.start, x0)
    bottom, right = min(rows.stop, y0 + alpha.shape[0]), min(columns.stop, x0 + alpha.shape[1])
    if top >= bottom or left >= right:
        return
    old = (placed.alpha < NEW_FROM).astype(np.uint8)
    away = cv2.distanceTransform(1 - old, cv2.DIST_L2, 5)
    kept = np.clip(away / max(1.0, NEW_EDGE * placed.face.size), 0, 1)
    part = kept[
        top - rows.start : bottom - rows.start, left - columns.start : right - columns.start
    ]
    alpha[top - y0 : bottom - y0, left - x0 : right - x0] *= 1 - part.astype(np.float32)


def _fill(
    weight: NDArray[np.uint8],
    outlines: Sequence[NDArray[np.floating]],
    corner: NDArray[np.int64],
    value: int,
) -> None:
    """Fill outlines, (n, 2) x y, in place; ``corner`` is the x y of the first pixel."""
    for outline in outlines:
        fixed = np.round((outline - corner) * (1 << _SUBPIXEL)).astype(np.int32)
        cv2.fillPoly(weight, [fixed], value, cv2.LINE_AA, shift=_SUBPIXEL)
