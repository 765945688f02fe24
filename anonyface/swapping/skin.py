"""Which pixels are bare skin: a colour model of the person's own cheeks and nose."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from anonyface.landmarks import topology as topo
from anonyface.types import FloatArray, ImageArray

# Points on the cheeks, the bridge and the sides of the nose: bare on nearly everybody.
SAMPLES = np.concatenate([topo.LEFT_CHEEK, topo.RIGHT_CHEEK, [5, 195, 197, 6, 45, 275]])
FLOOR_LAB = np.array([7.0, 4.0, 5.0], dtype=np.float32)
"""Smallest spread believed, L*a*b* units: skin is never of one colour."""
SHADOW = 1.6
"""Shading moves lightness more than hue: its spread is widened by this factor."""


@dataclass(frozen=True)
class SkinModel:
    """Centre and spread of a person's skin colour, (3,) L*a*b* each."""

    centre: FloatArray
    spread: FloatArray

    def likelihood(self, lab: FloatArray) -> FloatArray:
        """How much each pixel looks like this skin.

        Args:
            lab: (h, w, 3) float32 CIE L*a*b*.

        Returns:
            (h, w) float32 in [0, 1], 1 within two spreads, falling to 0 at about four.
        """
        z = (lab - self.centre) / self.spread
        distance = np.sqrt(np.einsum("hwc,hwc->hw", z, z))
        return np.asarray(np.clip((4.0 - distance) / 2.0, 0, 1), dtype=np.float32)


def to_lab(pixels: ImageArray | FloatArray) -> FloatArray:
    """(h, w, 3) RGB, uint8 or float32 in 0-255 -> float32 CIE L*a*b*."""
    scaled = np.asarray(pixels, dtype=np.float32) * np.float32(1 / 255)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB), dtype=np.float32)


def fit_skin(lab: FloatArray, points: FloatArray) -> SkinModel:
    """Learn the skin colour of one face.

    Args:
        lab: (h, w, 3) float32 CIE L*a*b* of a crop.
        points: (468, 3) mesh in crop coordinates; points outside of the crop are moved to its edge.
    """
    height, width = lab.shape[:2]
    xy = np.clip(points[SAMPLES, :2].round(), 0, [width - 1, height - 1]).astype(int)
    radius = max(1, int(np.ptp(points[:, 0]) * 0.02))
    smooth = cv2.blur(lab, (2 * radius + 1, 2 * radius + 1))
    colours = smooth[xy[:, 1], xy[:, 0]]
    centre = np.median(colours, axis=0)
    spread = 1.4826 * np.median(np.abs(colours - centre), axis=0)  # normal-consistent MAD
    spread = np.maximum(spread, FLOOR_LAB) * np.array([SHADOW, 1, 1], dtype=np.float32)
    return SkinModel(centre.astype(np.float32), spread.astype(np.float32))
