"""Which parts of an image are looked at, at which scale: the cost of detection is decided here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from anonyface.types import BoolArray, Detail, FloatArray

TILE_PIXELS = 1_600_000
"""Largest window run at once: bounds memory (about 300 MB) whatever the photo's size."""
OVERLAP = 96
"""Pixels by which tiles overlap: a face up to this size is whole in one of them."""
ENLARGED_MAX_FACE_PX = 96
"""Largest face, in pixels of the photo, taken from a window that is run enlarged."""
UPSCALE_BELOW_PIXELS = 500_000
"""Photos smaller than this get their native pass at double size: their faces are small, too."""


@dataclass(frozen=True)
class Window:
    """A part of the image, the size it is run at and the largest face it may report."""

    x0: int
    y0: int
    x1: int
    y1: int
    size_wh: tuple[int, int]
    max_face_px: float = math.inf

    def owns(self, boxes: FloatArray, image_hw: tuple[int, ...]) -> BoolArray:
        """(n,) whether a box may be taken from this window.

        An enlarged window finds small faces; large ones outgrow the anchors there and come out in
        pieces, so those are left to the other windows. A box that touches an inner edge of the
        window is cut by it; the neighbour, which overlaps, has it whole, or the coarse pass has,
        if it is larger than the overlap.
        """
        height, width = image_hw[:2]
        sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
        whole = np.asarray(sides <= self.max_face_px, dtype=np.bool_)
        if self.x0 > 0:
            whole &= boxes[:, 0] > self.x0 + 1
        if self.y0 > 0:
            whole &= boxes[:, 1] > self.y0 + 1
        if self.x1 < width:
            whole &= boxes[:, 2] < self.x1 - 1
        if self.y1 < height:
            whole &= boxes[:, 3] < self.y1 - 1
        return whole


def plan_windows(image_hw: tuple[int, ...], detail: Detail) -> list[Window]:
    """Return the windows to run, coarse first.

    Pixels run: "fast" at most `TILE_PIXELS`; "normal" the native pixels (doubled in size for photos
    under `UPSCALE_BELOW_PIXELS`) and, for photos larger than a tile, `TILE_PIXELS` more for large
    faces; "thorough" what "normal" runs and four times the native pixels, up to 32 megapixels.

    Args:
        image_hw: Height and width.
        detail: Level of effort.
    """
    height, width = image_hw[:2]
    pixels = height * width
    coarse = min(1.0, math.sqrt(TILE_PIXELS / pixels))
    windows = _tiles(height, width, coarse)
    if detail == "fast":
        return windows
    if coarse < 1:
        windows += _tiles(height, width, 1.0)
    elif pixels < UPSCALE_BELOW_PIXELS:
        windows += _tiles(height, width, 2.0)
    if detail == "thorough" and pixels >= UPSCALE_BELOW_PIXELS:
        windows += _tiles(height, width, max(1.0, min(2.0, math.sqrt(32e6 / pixels))))
    return windows


def _tiles(height: int, width: int, scale: float) -> list[Window]:
    """Cover the image with equal overlapping windows of at most `TILE_PIXELS` run pixels."""
    rows = columns = 1
    while (math.ceil(height / rows) + OVERLAP) * (math.ceil(width / columns) + OVERLAP) * (
        scale**2
    ) > 1.15 * TILE_PIXELS and scale > 0.999:
        if height / rows > width / columns:
            rows += 1
        else:
            columns += 1
    return [
        Window(
            x0,
            y0,
            x1,
            y1,
            (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))),
            ENLARGED_MAX_FACE_PX if scale > 1 else math.inf,
        )
        for y0, y1 in _spans(height, rows)
        for x0, x1 in _spans(width, columns)
    ]


def _spans(length: int, count: int) -> list[tuple[int, int]]:
    """Split [0, length) into equal spans, each reaching half the overlap over its edges."""
    edges = [round(i * length / count) for i in range(count + 1)]
    half = OVERLAP // 2
    return [(max(0, a - half), min(length, b + half)) for a, b in pairwise(edges)]
