"""Sharpness and grain: the new face must be neither cleaner nor softer than the photo."""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.types import FloatArray

SIGMAS = (0.45, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0, 4.0)
SHARPEN = (0.3, 0.6, 0.9)
GRAIN_LIMIT = 12.0
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)


def match_texture(
    new: FloatArray, old: FloatArray, where: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Blur or sharpen the new face to the old one's sharpness, then add grain like the photo's.

    Args:
        new: (h, w, 3) float32 RGB 0-255.
        old: (h, w, 3) float32 RGB 0-255.
        where: (h, w) float32 weight of the pixels to compare.
        rng: Source of the grain.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    wanted = _detail(_luma(old), where)
    new = _match_sharpness(new, wanted, where)
    grain_old, grain_new = _grain(_luma(old), where), _grain(_luma(new), where)
    missing = float(np.sqrt(max(0.0, grain_old**2 - grain_new**2)))
    if missing > 0.4:
        # Photos carry grain that is slightly soft: demosaicking and JPEG have smoothed it.
        noise = rng.standard_normal(new.shape[:2]).astype(np.float32)
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.6), dtype=np.float32)
        noise *= min(missing, GRAIN_LIMIT) / max(float(noise.std()), 1e-6)
        new = new + noise[..., None]
    return np.asarray(np.clip(new, 0, 255), dtype=np.float32)


def _match_sharpness(new: FloatArray, wanted: float, where: FloatArray) -> FloatArray:
    have = _detail(_luma(new), where)
    if have > wanted * 1.05:
        best, error = new, abs(np.log(have / wanted))
        for sigma in SIGMAS:
            soft = np.asarray(cv2.GaussianBlur(new, (0, 0), sigma), dtype=np.float32)
            off = abs(np.log(_detail(_luma(soft), where) / wanted))
            if off > error:
                break
            best, error = soft, off
        return best
    if have < wanted * 0.9:
        soft = np.asarray(cv2.GaussianBlur(new, (0, 0), 1.0), dtype=np.float32)
        best, error = new, abs(np.log(have / wanted))
        for amount in SHARPEN:
            crisp = np.asarray(new + amount * (new - soft), dtype=np.float32)
            off = abs(np.log(_detail(_luma(crisp), where) / wanted))
            if off > error:
                break
            best, error = crisp, off
        return best
    return new


def _luma(rgb: FloatArray) -> FloatArray:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.float32)


def _detail(luma: FloatArray, where: FloatArray) -> float:
    """Energy of the Laplacian, weighted; never 0."""
    laplacian = cv2.Laplacian(luma, cv2.CV_32F, ksize=1)
    return float((laplacian**2 * where).sum() / max(float(where.sum()), 1e-6)) + 1e-3


def _grain(luma: FloatArray, where: FloatArray) -> float:
    """Noise level by the median of the Immerkaer (1996) operator, grey levels."""
    values = np.abs(cv2.filter2D(luma, cv2.CV_32F, _NOISE_KERNEL))[where > 0.5]
    return float(np.median(values)) / (0.6745 * 6) if values.size else 0.0
