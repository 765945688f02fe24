"""Averages of pixels, weighted and smooth, on which colour and light are compared."""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.types import FloatArray

SHADING_SIGMA = 0.11
"""Smoothness of the shading that is transferred, in face widths."""
WORK_PX = 64
"""The shading is computed on a crop shrunk to about this width of face."""
FEWEST_PX = 8.0
"""What is seen of less skin, in pixels at that size, tells nothing."""


def luma_of(rgb: FloatArray) -> FloatArray:
    """(h, w) luma (Rec. 601) of an RGB picture, (h, w, 3) float32, in its units."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.float32)


def shrink(array: FloatArray, factor: float) -> FloatArray:
    """Area averages of (h, w) or (h, w, c) float32 at ``factor`` of its size, at most as large."""
    if factor >= 1:
        return array
    size = (max(1, round(array.shape[1] * factor)), max(1, round(array.shape[0] * factor)))
    return np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def blur(array: FloatArray, sigma: float) -> FloatArray:
    """Gaussian blur of (h, w) or (h, w, c) float32, ``sigma`` in pixels; edges are continued."""
    out = cv2.GaussianBlur(array, (0, 0), max(0.5, sigma), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(out, dtype=np.float32)


def work_size(where: FloatArray, width: float) -> tuple[float, FloatArray, float] | None:
    """At which size, with which weights and how smoothly two faces are compared.

    Args:
        where: (h, w) float32 weight of the pixels to compare.
        width: Face width in pixels.

    Returns:
        Factor of the size, weights there, and sigma of what counts as smooth there, pixels; None
        where less than `FEWEST_PX` is seen.
    """
    factor = min(1.0, WORK_PX / width)
    weight = shrink(where, factor)
    if float(weight.sum()) < FEWEST_PX:
        return None
    return factor, weight, SHADING_SIGMA * width * factor


def spread_about(values: FloatArray, weight: FloatArray, sigma: float) -> tuple[FloatArray, float]:
    """The smooth part of some channels, (h, w, c), and how far they spread about it.

    Args:
        values: (h, w, c) float32.
        weight: (h, w) float32 of the pixels that count; some must.
        sigma: Of the Gaussian, pixels.
    """
    near = (blur(weight, sigma) + np.float32(1e-3))[..., None]
    blurred = blur(values * weight[..., None], sigma)
    smooth = np.asarray(blurred.reshape(values.shape) / near, dtype=np.float32)
    square = np.square(values - smooth).sum(axis=2)
    return smooth, float(np.sqrt((square * weight).sum() / weight.sum()))
