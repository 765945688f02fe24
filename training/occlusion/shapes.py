"""Outlines and lines, drawn with soft edges."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.types import FloatArray

Vector = NDArray[np.float64]


def fill(polygon: NDArray[np.float64], hw: tuple[int, int], soft: float) -> FloatArray:
    """(h, w) float32 in [0, 1]: 1 inside a polygon, its edge blurred by ``soft`` pixels."""
    mask = np.zeros(hw, np.uint8)
    cv2.fillPoly(mask, [np.round(polygon * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return blurred(mask, soft)


def line(
    through: NDArray[np.float64], thickness: float, hw: tuple[int, int], soft: float
) -> FloatArray:
    """(h, w) float32 in [0, 1]: a line through points, with round ends."""
    mask = np.zeros(hw, np.uint8)
    fixed = [np.round(through * 16).astype(np.int32)]
    cv2.polylines(mask, fixed, False, 255, max(1, round(thickness)), cv2.LINE_AA, 4)
    return blurred(mask, soft)


def blurred(mask: NDArray[np.uint8], soft: float) -> FloatArray:
    """(h, w) uint8 0-255 -> float32 in [0, 1], blurred."""
    out = cv2.GaussianBlur(mask, (0, 0), soft) if soft > 0.3 else mask
    return np.asarray(out, dtype=np.float32) * np.float32(1 / 255)


def rounded(corners: NDArray[np.float64], passes: int = 2) -> NDArray[np.float64]:
    """(n, 2) polygon with its corners cut off again and again (Chaikin 1974)."""
    out = corners
    for _ in range(passes):
        after = np.roll(out, -1, axis=0)
        out = np.stack([0.75 * out + 0.25 * after, 0.25 * out + 0.75 * after], 1).reshape(-1, 2)
    return out


def turned(angle: float) -> Vector:
    """(2, 2) rotation by an angle in radians."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def bezier(start: Vector, knee: Vector, end: Vector) -> Vector:
    """(7, 2) points of a quadratic Bezier curve."""
    t = np.linspace(0, 1, 7)[:, None]
    return np.asarray((1 - t) ** 2 * start + 2 * t * (1 - t) * knee + t**2 * end)


def capsule(start: Vector, end: Vector, thick: float) -> Vector:
    """(4, 2) corners of a bar of some thickness."""
    along = end - start
    along = along / max(float(np.hypot(*along)), 1e-6)
    side = np.array([-along[1], along[0]]) * thick / 2
    return np.array([start + side, start - side, end - side, end + side])


def ellipse(centre: Vector, radii: tuple[float, float], ahead: Vector) -> Vector:
    """(20, 2) polygon of an ellipse, its first radius along ``ahead``."""
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    side = np.array([-ahead[1], ahead[0]])
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii
    return np.asarray(centre + circle @ np.stack([ahead, side]))
