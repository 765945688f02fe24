"""Colour and light: the low-frequency shading of the original, put on the new face.

Only smooth averages of skin pixels travel from the original to the new face: nothing finer than a
tenth of the face's width, and nothing from hair, glasses or background, so that they can't bleed.
"""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.swapping.mask import Regions, smoothstep
from anonyface.swapping.smooth import (
    FEWEST_PX,
    SHADING_SIGMA,
    WORK_PX,
    blur,
    luma_of,
    shrink,
    spread_about,
    work_size,
)
from anonyface.types import FloatArray

PRIOR = 0.04
"""Weight of the whole face's mean against the local one: decides where no skin is near."""
GAIN_LIMITS = (0.2, 4.0)
EDGE_SIGMA = 0.05
EDGE_REACH = 0.07
"""Smoothness and depth of the last correction along the outline, in face widths."""
RIM_SIGMA, RIM_NEAR, RIM_REACH = 0.03, 0.05, 0.06
"""What is finer counts as lively; how far around that is measured; how far from the edge it is
matched: all in face widths."""
RIM_LIMITS, RIM_FLOOR = (0.4, 1.3), 0.5
"""Gain there, and grey levels that are nothing."""
CONTRAST_LIMITS = (0.75, 1.4)
"""Gain of the contrast."""
CHEEK_LIMITS, CHEEK_RAMP = (0.8, 1.2), 0.2
"""The most the colour of cheeks may change; the distance from the outline over which the change
sets in, in face widths."""


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
    small_new, small_old = shrink(new, factor), shrink(old, factor)
    weight = shrink(skin, factor)
    small_width = width * factor
    gain = _quotient(small_old, small_new, weight, SHADING_SIGMA * small_width)
    near = np.exp(-shrink(regions.edge, factor) / (EDGE_REACH * width)).astype(np.float32)
    residual = (small_old - small_new * gain) * (weight * near)[..., None]
    sigma = EDGE_SIGMA * small_width
    correction = blur(residual, sigma) / (blur(weight * near, sigma) + 0.05)[..., None]
    correction *= near[..., None]
    shape = (new.shape[1], new.shape[0])
    out = new * cv2.resize(gain, shape, interpolation=cv2.INTER_LINEAR)
    out += cv2.resize(correction, shape, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(out, 0, 255), dtype=np.float32)


def match_contrast(new: FloatArray, old: FloatArray, where: FloatArray, width: float) -> FloatArray:
    """Give the features of the new face the contrast of the old ones.

    A portrait taken in soft light looks flat in a photo with hard light, and the other way round.
    One factor is measured, the ratio of the spreads of what is finer than the shading.

    Args:
        new: (h, w, 3) float32 RGB 0-255, already of the right shading.
        old: (h, w, 3) float32 RGB 0-255.
        where: (h, w) float32 weight of the pixels to compare.
        width: Face width in pixels.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    compared = work_size(where, width)
    if compared is None:
        return new
    factor, weight, sigma = compared
    luma, size = luma_of(new), (new.shape[1], new.shape[0])
    smooth, spread = spread_about(shrink(luma, factor)[..., None], weight, sigma)
    _, wanted = spread_about(shrink(luma_of(old), factor)[..., None], weight, sigma)
    gain = np.clip(wanted / max(spread, 1e-3), *CONTRAST_LIMITS)
    around = cv2.resize(smooth[..., 0], size, interpolation=cv2.INTER_LINEAR)
    # As a gain of lightness: the colours of the portrait are not made louder.
    lighter = np.maximum(around + gain * (luma - around), 0) / np.maximum(luma, 1)
    return np.asarray(np.clip(new * lighter[..., None], 0, 255), dtype=np.float32)


def match_rim(new: FloatArray, old: FloatArray, alpha: FloatArray, width: float) -> FloatArray:
    """Let the new face be as lively along its edge as the photo is there.

    Wrinkles, pores and shadows that the photo has not would end where the new face does. What is
    finer than `RIM_SIGMA` gets a gain, the ratio of its local spreads; it fades out inwards.

    Args:
        new: (h, w, 3) float32 RGB 0-255, already of the right shading.
        old: (h, w, 3) float32 RGB 0-255.
        alpha: (h, w) float32 weight of the new face.
        width: Face width in pixels.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    inside = cv2.distanceTransform((alpha >= 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    rim = np.exp(-np.asarray(inside) / np.float32(max(1.0, RIM_REACH * width)))
    smooth = cv2.GaussianBlur(new, (0, 0), max(1.0, RIM_SIGMA * width))
    near = max(1.0, RIM_NEAR * width)
    spreads = []
    for image in (new, old):
        luma = luma_of(image)
        fine = luma - cv2.GaussianBlur(luma, (0, 0), max(1.0, RIM_SIGMA * width))
        spreads.append(np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), near)) + RIM_FLOOR)
    gain = np.clip(spreads[1] / spreads[0], *RIM_LIMITS)
    keep = (1 + (gain - 1) * rim)[..., None]
    return np.asarray(np.clip(smooth + (new - smooth) * keep, 0, 255), dtype=np.float32)


def match_cheeks(
    new: FloatArray, old: FloatArray, cheeks: FloatArray, regions: Regions, width: float
) -> FloatArray:
    """Give the new face the mean colour of the old one's cheeks.

    A portrait's cheeks shine more against the face around them than most people's do, so that a
    face of the right shading still reads as lighter. Three numbers for the whole face, fading out
    towards the outline, where the colours meet those around.

    Args:
        new: (h, w, 3) float32 RGB 0-255, already of the right shading.
        old: (h, w, 3) float32 RGB 0-255.
        cheeks: (h, w) float32 weight of the cheeks' skin.
        regions: Masks of the crop.
        width: Face width in pixels.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    total = float(cheeks.sum())
    if total < FEWEST_PX:
        return new
    have, wanted = (np.einsum("hwc,hw->c", image, cheeks) / total for image in (new, old))
    gain = np.clip(wanted / np.maximum(have, 1), *CHEEK_LIMITS).astype(np.float32)
    inner = smoothstep(regions.edge / max(1.0, CHEEK_RAMP * width))
    return np.asarray(new * (1 + (gain - 1) * inner[..., None]), dtype=np.float32)


def _quotient(old: FloatArray, new: FloatArray, weight: FloatArray, sigma: float) -> FloatArray:
    total = max(float(weight.sum()), 1e-3)
    mean_old = (old * weight[..., None]).sum(axis=(0, 1)) / total
    mean_new = (new * weight[..., None]).sum(axis=(0, 1)) / total
    if total < 4:  # hardly any skin in sight: keep the light the portrait came with
        return np.ones_like(old)
    top = blur(old * weight[..., None], sigma) + PRIOR * mean_old
    bottom = blur(new * weight[..., None], sigma) + PRIOR * mean_new
    return np.asarray(np.clip(top / np.maximum(bottom, 1e-3), *GAIN_LIMITS), dtype=np.float32)
