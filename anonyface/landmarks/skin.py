"""Which pixels are bare skin: a colour model of the person's own cheeks and nose."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.landmarks import topology as topo
from anonyface.types import FloatArray, ImageArray, Mesh

CHEEKS = np.concatenate([topo.LEFT_CHEEK, topo.RIGHT_CHEEK])
MIDDLE = np.array([5, 195, 197, 6, 45, 275])
"""Bridge and sides of the nose; with the cheeks, skin that is bare on nearly everybody."""
UPPER = np.array([8, 9, 168, 193, 417, 151, 108, 337, 69, 299, 143, 372, 35, 265, 226, 446])
"""Between the brows, forehead, temples: what a medical mask leaves free."""
MOUTH = np.concatenate([topo.MOUSTACHE, topo.CHIN_PATCH, topo.LIPS_OUTER])
MOUTH_WEIGHT, CHEEK_WEIGHT, DOUBT_WEIGHT, MASKED_FROM = 1.5, 2.5, 5.0, 12.0
"""Blood makes lips and cheeks redder than the forehead, cloth does not: a mask is told by how much
redness (a*) mouth and cheeks lack, plus the doubt of the mesh. Set by hand, looking at people with
and without masks."""
MASK_COLOUR = 20.0
"""Difference in a*b* between upper face and cheeks that no skin has."""
FLOOR_LAB = np.array([7.0, 4.0, 5.0], dtype=np.float32)
"""Smallest spread believed, L*a*b* units: skin is never of one colour."""
SHADOW = 1.6
"""Shading moves lightness more than hue: its spread is widened by this factor."""


@dataclass(frozen=True)
class SkinModel:
    """A person's skin colour.

    Attributes:
        centre: (3,) L*a*b*.
        spread: (3,) L*a*b* units.
        masked: Whether something covers the cheeks: a medical mask, a scarf.
    """

    centre: FloatArray
    spread: FloatArray
    masked: bool

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


def fit_skin(lab: FloatArray, mesh: Mesh) -> SkinModel:
    """Learn the skin colour of one face.

    Args:
        lab: (h, w, 3) float32 CIE L*a*b* of a crop.
        mesh: The face in crop coordinates; points outside of the crop are moved to its edge.
    """
    height, width = lab.shape[:2]
    xy = np.clip(mesh.points[:, :2].round(), 0, [width - 1, height - 1]).astype(int)
    radius = max(1, int(np.ptp(mesh.points[:, 0]) * 0.02))
    smooth = cv2.blur(lab, (2 * radius + 1, 2 * radius + 1))

    def colours(indices: NDArray[np.intp]) -> FloatArray:
        return np.asarray(smooth[xy[indices, 1], xy[indices, 0]], dtype=np.float32)

    red = [float(np.median(colours(part)[:, 1])) for part in (UPPER, MOUTH, CHEEKS)]
    lack = MOUTH_WEIGHT * (red[0] - red[1]) + CHEEK_WEIGHT * (red[0] - red[2])
    off = np.median(colours(CHEEKS), axis=0) - np.median(colours(UPPER), axis=0)
    coloured = float(np.hypot(off[1], off[2])) > MASK_COLOUR
    masked = coloured or lack - DOUBT_WEIGHT * float(np.log(mesh.presence + 1e-3)) > MASKED_FROM
    samples = colours(UPPER if masked else np.concatenate([CHEEKS, MIDDLE]))
    centre = np.median(samples, axis=0)
    spread = 1.4826 * np.median(np.abs(samples - centre), axis=0)  # normal-consistent MAD
    spread = np.maximum(spread, FLOOR_LAB) * np.array([SHADOW, 1, 1], dtype=np.float32)
    return SkinModel(centre.astype(np.float32), spread.astype(np.float32), masked)
