"""Black-and-white and toned photos: one ink, whose colour is told by the lightness alone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from anonyface.landmarks.skin import to_lab
from anonyface.types import FloatArray, ImageArray

LOOK_PX = 16
"""The photo is looked at shrunk to this width: what compression does to colours is finer."""
DEGREE = 3
"""Of the polynomials that tell a* and b* from L*."""
MOST_OFF = 1.8
"""Root mean square distance of the colours from those, a*b* units, up to which there is one ink: of
719 faces in colour the least is 1.9; the same toned brown and saved as JPEG are below at quality
95, three of four at 70; in two black-and-white photos it is 0.02 and 0.4."""
FEWEST_PX = 64
"""Fewer tell nothing: any few colours lie on a curve."""


@dataclass(frozen=True, eq=False)
class Tint:
    """The colour of an ink by its lightness.

    Attributes:
        a, b: (DEGREE + 1,) polynomials of L* / 100, highest power first.
        lightness: Least and greatest L* they were fitted to: beyond, the colour stays.
    """

    a: FloatArray
    b: FloatArray
    lightness: tuple[float, float]

    def __call__(self, rgb: FloatArray) -> FloatArray:
        """Return a picture, (h, w, 3) float32 RGB 0-255, in that ink: its own colours are lost."""
        lab = to_lab(np.clip(rgb, 0, 255))
        place = np.clip(lab[..., 0], *self.lightness) / 100
        toned = [lab[..., 0], np.polyval(self.a, place), np.polyval(self.b, place)]
        out = cv2.cvtColor(np.stack(toned, axis=-1).astype(np.float32), cv2.COLOR_LAB2RGB)
        return np.asarray(np.clip(out, 0, 1) * 255, dtype=np.float32)


def find_tint(pixels: ImageArray) -> Tint | None:
    """Return the tint of a photo in one ink, None if it has more colours, or is too small to tell.

    Args:
        pixels: (h, w, 3) RGB uint8.
    """
    factor = min(1.0, LOOK_PX / max(pixels.shape[:2]))
    size = tuple(max(1, round(n * factor)) for n in pixels.shape[1::-1])
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    lab = to_lab(small).reshape(-1, 3)
    if len(lab) < FEWEST_PX:
        return None
    place, colours = lab[:, 0] / 100, lab[:, 1:]
    powers = np.vander(place, DEGREE + 1)
    fitted = np.linalg.lstsq(powers, colours, rcond=None)[0]
    off = colours - powers @ fitted
    if float(np.sqrt(np.square(off).sum(axis=1).mean())) > MOST_OFF:
        return None
    return Tint(fitted[:, 0], fitted[:, 1], (float(lab[:, 0].min()), float(lab[:, 0].max())))


def grey(rgb: FloatArray) -> FloatArray:
    """Return a picture, (h, w, 3) float32 RGB 0-255, without its colours."""
    luma = cv2.cvtColor(np.clip(rgb, 0, 255), cv2.COLOR_RGB2GRAY)
    return np.repeat(np.asarray(luma, dtype=np.float32)[..., None], 3, axis=2)
