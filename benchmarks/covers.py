"""Plain ways to hide a face, to compare with: what they leave is known."""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.types import Face, ImageArray

MOSAIC_TILES = 10
"""Across the face."""


def mosaic(image: ImageArray, face: Face) -> ImageArray:
    """Return a copy with the face as a mosaic, as many tools make it: without noise or seed."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = face.box.round().astype(int).clip(0, [width, height, width, height])
    out = image.copy()
    part = out[y0:y1, x0:x1]
    small = cv2.resize(part, (MOSAIC_TILES, MOSAIC_TILES), interpolation=cv2.INTER_AREA)
    out[y0:y1, x0:x1] = cv2.resize(small, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return out


def paint(image: ImageArray, face: Face | None) -> ImageArray:
    """Return a copy with a flat ellipse, of the face's mean colour, that fills the face's box."""
    out = image.copy()
    if face is None:
        return out
    x0, y0, x1, y1 = (float(v) for v in face.box)
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.ellipse(inside, (((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0, y1 - y0), 0.0), 1, cv2.FILLED)
    if inside.any():
        out[inside == 1] = image[inside == 1].mean(axis=0).round().astype(np.uint8)
    return out
