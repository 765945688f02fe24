"""Five-point alignment: from a face anywhere in a photo to the upright chip the encoder reads."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonyface.errors import FaceError
from anonyface.types import Crop, ImageArray

CHIP_PX = 150

# Where RetinaFace's landmarks lie in the chips that dlib's encoder was trained on (150 px, padding
# 0.25, cut by dlib's own 5-point predictor): mean over the 1,305 LFW photos, of 1,400, in which
# dlib's detector finds the same face, averaged with its mirror image. Standard deviation of a
# single face: 4 px at the eyes, 8 at the nose, 6 at the mouth.
CHIP_TEMPLATE = np.array(
    [[47.1, 46.0], [101.9, 46.0], [74.5, 77.4], [51.5, 102.9], [97.5, 102.9]], np.float64
)
CHIP_TEMPLATE.setflags(write=False)

# Where encoders of the ArcFace family expect the five landmarks in their chips of 112 px (the
# reference points of arXiv 1801.07698's five-point alignment).
ARCFACE_PX = 112
ARCFACE_TEMPLATE = np.array(
    [[38.29, 51.70], [73.53, 51.50], [56.03, 71.74], [41.55, 92.37], [70.73, 92.20]], np.float64
)
ARCFACE_TEMPLATE.setflags(write=False)

# Points closer together than this fraction of the largest coordinate are one point in float64.
_COINCIDENT = 1e-9
# No image is that large; beyond it squares of coordinates would lose their meaning.
_FARTHEST_PX = 1e9
# Pixels around the face that the bilinear filter of the last step may touch.
_MARGIN_PX = 2


def fit_similarity(source: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """Fit rotation, uniform scale and translation by least squares, without reflection.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    PAMI 1991, eqs. 39-43; written for the plane, where points are complex numbers and the optimal
    rotation and scale are one complex factor.

    Args:
        source: (n, 2) points x y, n >= 2.
        target: (n, 2) points they should be mapped to.

    Returns:
        (2, 3) matrix mapping source to target.

    Raises:
        FaceError: If the points are not finite, differ in number, all source or all target points
            coincide, or no rotation fits them better than another.

    >>> fit_similarity([[0, 0], [1, 0]], [[5, 5], [5, 7]]).round(6) + 0.0
    array([[ 0., -2.,  5.],
           [ 2.,  0.,  5.]])
    """
    a, b = (np.asarray(points, np.float64) for points in (source, target))
    if a.ndim != 2 or a.shape != b.shape or a.shape[1] != 2 or len(a) < 2:
        raise FaceError(f"need two (n, 2) arrays, got {a.shape} and {b.shape}", stage="alignment")
    if not all((np.abs(points) < _FARTHEST_PX).all() for points in (a, b)):
        raise FaceError("landmarks are not finite coordinates", stage="alignment")
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    from_a, from_b = _as_complex(a - mean_a), _as_complex(b - mean_b)
    for points, centred in ((a, from_a), (b, from_b)):
        if np.abs(centred).max() <= _COINCIDENT * np.abs(points).max():
            raise FaceError("landmarks coincide", stage="alignment")
    factor = np.vdot(from_a, from_b) / np.vdot(from_a, from_a).real
    if abs(factor) <= _COINCIDENT * np.abs(from_b).max() / np.abs(from_a).max():
        raise FaceError("landmarks fit equally badly at every rotation", stage="alignment")
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([linear, mean_b - linear @ mean_a])


def align_chip(
    image: ImageArray,
    landmarks: ArrayLike,
    size: int = CHIP_PX,
    *,
    template: NDArray[np.float64] | None = None,
) -> Crop:
    """Cut out the upright chip that an identity encoder reads.

    Where the face is larger than the chip, its region is first averaged down by a whole factor, so
    that the bilinear warp behind it skips no pixel.

    Args:
        image: (H, W, 3) RGB uint8; only the region of the face is read.
        landmarks: (5, 2) points x y in pixels of the image, in the order of `Face.landmarks`.
        size: Side of the chip in pixels.
        template: (5, 2) where the landmarks go, in pixels of the chip; None for the template of the
            built-in encoder.

    Returns:
        Chip of (size, size, 3); the border of the image is repeated where it reaches over it, as in
        the pictures that gender and age were learnt from.

    Raises:
        FaceError: If the landmarks are degenerate or the chip lies outside of the image.
    """
    if template is None:
        # Pixel centres are integers: scale about the corner of the image, (-0.5, -0.5).
        template = (CHIP_TEMPLATE + 0.5) * (size / CHIP_PX) - 0.5
    matrix = fit_similarity(landmarks, template)
    x0, y0, x1, y1 = _region_xyxy(matrix, size, image.shape[:2])
    if x1 <= x0 or y1 <= y0:
        raise FaceError("the face lies outside of the image", stage="alignment")
    region = image[y0:y1, x0:x1]
    scale = float(np.hypot(*matrix[:, 0]))
    factor = min(int(1 / scale), *region.shape[:2])
    warp = matrix.copy()
    warp[:, 2] += matrix[:, :2] @ (x0, y0)
    if factor > 1:
        region = _shrink(region, factor)
        warp[:, 2] += warp[:, :2] @ ((factor - 1) / 2, (factor - 1) / 2)
        warp[:, :2] *= factor
    pixels: NDArray[Any] = cv2.warpAffine(
        region, warp, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return Crop(pixels.astype(np.uint8, copy=False), matrix)


def _as_complex(points: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return (n, 2) points as n numbers x + iy."""
    out: NDArray[np.complex128] = points[:, 0] + 1j * points[:, 1]
    return out


def _region_xyxy(
    matrix: NDArray[np.float64], size: int, image_hw: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """Return the part of the image, end exclusive, that a chip is made of."""
    corners = np.array([[x, y] for x in (-0.5, size - 0.5) for y in (-0.5, size - 0.5)])
    reached = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    # Averaging by a factor reads that many more pixels at the far side.
    margin = _MARGIN_PX * max(1.0, 1 / np.hypot(*matrix[:, 0]))
    height, width = image_hw
    low = np.floor(np.clip(reached.min(axis=0) - margin, 0, (width, height)))
    high = np.ceil(np.clip(reached.max(axis=0) + margin + 1, 0, (width, height)))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _shrink(region: ImageArray, factor: int) -> ImageArray:
    """Average blocks of ``factor`` x ``factor`` pixels; the last ones repeat the border."""
    height, width = region.shape[:2]
    down, right = -height % factor, -width % factor
    if down or right:
        region = np.pad(region, ((0, down), (0, right), (0, 0)), mode="edge")
    size_wh = (region.shape[1] // factor, region.shape[0] // factor)
    out: NDArray[Any] = cv2.resize(region, size_wh, interpolation=cv2.INTER_AREA)
    return out.astype(np.uint8, copy=False)
