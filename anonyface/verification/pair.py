"""Two versions of one photo, brought to one size, and how much a face in them differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from anonyface.errors import InputError
from anonyface.types import Face, ImageArray

INNER = 0.8
"""Share of a box, in width and height, in which its change is measured: without background."""
# JPEG of quality 30 changes the inner face by 4.0 to 4.8 grey levels and keeps a correlation of
# 0.986, a blur of 2 px (face of 200 px) 4.7 to 5.8 and 0.96 to 0.99: measured on the scene of
# tests/conftest.py.
UNCHANGED_LEVELS, UNCHANGED_CORRELATION = 5.0, 0.98
IDENTICAL_LEVELS = 0.5
"""Below this mean change there is nothing to correlate: rounding of a colour conversion."""
ASPECT_SLACK_PX = 1.5
"""Rounding of two image sizes may put their proportions apart by that much."""


@dataclass(frozen=True, eq=False)
class PhotoPair:
    """Both photos at the size of the first.

    Attributes:
        before: (H, W, 3) RGB uint8.
        after: (H, W, 3) RGB uint8.
        scale: Size of the smaller photo, as a share of the first one's.
    """

    before: ImageArray
    after: ImageArray
    scale: float


def pair_up(before: ImageArray, after: ImageArray) -> PhotoPair:
    """Scale the second photo to the size of the first.

    Raises:
        InputError: If their proportions differ.
    """
    (height, width), (h, w) = before.shape[:2], after.shape[:2]
    if (height, width) == (h, w):
        return PhotoPair(before, after, 1.0)
    # Compared in pixels of the smaller photo, where rounding weighs most.
    off = abs(width * h / height - w) if h < height else abs(w * height / h - width)
    if off > ASPECT_SLACK_PX:
        raise InputError(
            f"the photos differ in their proportions: {width}x{height} and {w}x{h} pixels"
        )
    way = cv2.INTER_AREA if h > height else cv2.INTER_CUBIC
    scaled: Any = cv2.resize(after, (width, height), interpolation=way)
    return PhotoPair(before, np.asarray(scaled, np.uint8), min(1.0, h / height))


def face_change(photos: PhotoPair, face: Face) -> tuple[float, bool]:
    """Return by how many grey levels the inner face changed, and whether that is next to nothing.

    A face wholly outside of the photo has not changed.
    """
    height, width = photos.before.shape[:2]
    x0, y0, x1, y1 = (float(value) for value in face.box)
    dx, dy = (x1 - x0) * (1 - INNER) / 2, (y1 - y0) * (1 - INNER) / 2
    left, right = (int(np.clip(round(x), 0, width)) for x in (x0 + dx, x1 - dx))
    top, bottom = (int(np.clip(round(y), 0, height)) for y in (y0 + dy, y1 - dy))
    if left >= right or top >= bottom:
        return 0.0, True
    a, b = (p[top:bottom, left:right].astype(np.float32) for p in (photos.before, photos.after))
    change = float(np.abs(a - b).mean())
    if change <= IDENTICAL_LEVELS:
        return change, True
    if change > UNCHANGED_LEVELS:
        return change, False
    flat = [(g - g.mean()).ravel() for g in (a.mean(axis=2), b.mean(axis=2))]
    length = float(np.linalg.norm(flat[0]) * np.linalg.norm(flat[1]))
    return change, length > 0 and float(flat[0] @ flat[1]) / length >= UNCHANGED_CORRELATION
