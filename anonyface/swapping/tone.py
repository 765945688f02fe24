"""Colour and light: the low-frequency shading of the original, put on the new face.

Only smooth averages of skin pixels travel from the original to the new face: nothing finer than a
tenth of the face's width, and nothing from hair, glasses or background, so that they can't bleed.
"""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.swapping.mask import Regions
from anonyface.types import FloatArray

SHADING_SIGMA = 0.11
"""Smoothness of the shading that is transferred, in face widths."""
PRIOR = 0.04
"""Weight of the whole face's mean against the local one: decides where no skin is near."""
GAIN_LIMITS = (0.2, 4.0)
EDGE_SIGMA = 0.05
EDGE_REACH = 0.07
"""Smoothness and depth of the last correction along the outline, in face widths."""
WORK_PX = 96
"""The shading is computed on a crop shrunk to about this width of face."""


def match_shading(
    new: FloatArray, old: FloatArray, skin: FloatArray, regions: Regions, width: float
) -> FloatArray:
    """Give the new face the colour and light of the old one.

    gain = (G*(skin old) + k mean(old)) / (G*(skin new) + k mean(new)), a quotient of normalised
    convolutions (Knutsson & Westin 1993) per channel, G Gaussian; then a difference of the same
    kind along the outline.

    Args:
        new: (h, w, 3) float32 RGB 0-255, the warped portrait.
        old: (h, w, 3) float32 RGB 0-255, the crop.
        skin: (h, w) float32 weight of pixels that are skin in both.
        regions: Masks of the crop.
        width: Face width in pixels.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    factor = min(1.0, WORK_PX / width)
    small_new, small_old = _shrink(new, factor), _shrink(old, factor)
    weight = _shrink(skin, factor)
    small_width = width * factor
    gain = _quotient(small_old, small_new, weight, SHADING_SIGMA * small_width)
    near = np.exp(-_shrink(regions.edge, factor) / (EDGE_REACH * width)).astype(np.float32)
    residual = (small_old - small_new * gain) * (weight * near)[..., None]
    sigma = EDGE_SIGMA * small_width
    correction = _blur(residual, sigma) / (_blur(weight * near, sigma) + 0.05)[..., None]
    correction *= near[..., None]
    shape = (new.shape[1], new.shape[0])
    out = new * cv2.resize(gain, shape, interpolation=cv2.INTER_LINEAR)
    out += cv2.resize(correction, shape, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(out, 0, 255), dtype=np.float32)


def _quotient(old: FloatArray, new: FloatArray, weight: FloatArray, sigma: float) -> FloatArray:
    total = max(float(weight.sum()), 1e-3)
    mean_old = (old * weight[..., None]).sum(axis=(0, 1)) / total
    mean_new = (new * weight[..., None]).sum(axis=(0, 1)) / total
    if total < 4:  # hardly any skin in sight: keep the light the portrait came with
        return np.ones_like(old)
    top = _blur(old * weight[..., None], sigma) + PRIOR * mean_old
    bottom = _blur(new * weight[..., None], sigma) + PRIOR * mean_new
    return np.asarray(np.clip(top / np.maximum(bottom, 1e-3), *GAIN_LIMITS), dtype=np.float32)


def _shrink(array: FloatArray, factor: float) -> FloatArray:
    if factor >= 1:
        return array
    size = (max(1, round(array.shape[1] * factor)), max(1, round(array.shape[0] * factor)))
    return np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _blur(array: FloatArray, sigma: float) -> FloatArray:
    out = cv2.GaussianBlur(array, (0, 0), max(0.5, sigma), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(out, dtype=np.float32)
