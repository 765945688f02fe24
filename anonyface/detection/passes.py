"""Which parts of an image are looked at, at which scale: the cost of detection is decided here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from anonyface.types import BoolArray, Detail, FloatArray

WHOLE_PIXELS = 1_600_000
"""Most pixels run of a whole photo in one piece; larger photos are shrunk for that."""
TILE_PIXELS = 1_200_000
"""Largest tile run at once: bounds memory whatever the photo's size, and larger ones are slower a
pixel, since what a layer writes falls out of the processor's cache."""
OVERLAP = 96
"""Pixels run by which tiles overlap: a face up to this size is whole in one of them."""
LARGEST_RUN_PX = 400
"""Longest side of a face, in pixels run, that all but the coarse pass may report: the largest
anchor has 512 px, and larger faces come out in pieces."""
COARSE_SCALE = 0.5
"""Scale of the coarse pass; smaller where the photo would not fit into one window."""
FINE_SCALE = 2.0
"""Scale of the fine pass at most: below 16 px, the smallest anchor, faces need enlarging."""
LEAST_FINE_SCALE = 1.2
"""Below this enlarging shows nothing that the native pass does not."""
FINE_PIXELS = 8_000_000
THOROUGH_FINE_PIXELS = 24_000_000
"""Pixels of a fine pass from which on it is enlarged less."""


@dataclass(frozen=True)
class Window:
    """A part of the image, how it is run, and the largest face it may report.

    Attributes:
        x0: Left edge in the image, like the next three.
        y0: Top edge.
        x1: Right edge.
        y1: Bottom edge.
        size_wh: Size it is resized to, before it is turned.
        max_face_px: Longest side of a face it may report, in pixels of the image.
        sight: Number of the pass it belongs to: one look at the whole image.
        mirrored: Whether its mirror image is run.
        turns: Quarter turns counter-clockwise before it is run.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    size_wh: tuple[int, int]
    max_face_px: float = math.inf
    sight: int = 0
    mirrored: bool = False
    turns: int = 0

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


@dataclass(frozen=True)
class _Look:
    """One look at the whole image: which scales, seen how."""

    fine_pixels: int
    mirrored: bool = False
    turns: int = 0


_LOOKS: dict[Detail, tuple[_Look, ...]] = {
    "normal": (_Look(FINE_PIXELS),),
    "thorough": (
        _Look(THOROUGH_FINE_PIXELS),
        _Look(FINE_PIXELS, mirrored=True),
        *(_Look(FINE_PIXELS, turns=turns) for turns in (1, 2, 3)),
    ),
}


def plan_windows(image_hw: tuple[int, ...], detail: Detail) -> list[Window]:
    """Return the windows to run, pass by pass.

    Pixels run, n being those of the photo: "fast" n, at most `WHOLE_PIXELS`. "normal" a coarse pass
    (n / 4, at most `WHOLE_PIXELS`), a native one (n) and a fine one (4 n, at most `FINE_PIXELS`;
    none where it would enlarge less than `LEAST_FINE_SCALE` times). "thorough" the same with a fine
    pass of at most `THOROUGH_FINE_PIXELS`, and four times what "normal" runs: on the mirror image
    and on the three turned ones. Overlaps of tiles come on top.

    Args:
        image_hw: Height and width.
        detail: Level of effort.
    """
    height, width = image_hw[:2]
    whole = min(1.0, math.sqrt(WHOLE_PIXELS / (height * width)))
    if detail == "fast":
        return _tiles(height, width, whole, _Look(0), 0)
    windows: list[Window] = []
    for look in _LOOKS[detail]:
        fine = min(FINE_SCALE, math.sqrt(look.fine_pixels / (height * width)))
        scales = [min(COARSE_SCALE, whole), 1.0]
        if fine >= LEAST_FINE_SCALE:
            scales.append(fine)
        for scale in scales:
            number = windows[-1].sight + 1 if windows else 0
            windows += _tiles(height, width, scale, look, number)
    return windows


def _tiles(height: int, width: int, scale: float, look: _Look, sight: int) -> list[Window]:
    """Cover the image with equal overlapping windows of at most `TILE_PIXELS` run pixels."""
    rows = columns = 1
    overlap = round(OVERLAP / max(scale, 1.0))
    while (math.ceil(height / rows) + overlap) * (math.ceil(width / columns) + overlap) * (
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
            LARGEST_RUN_PX / scale if scale > 0.999 and look.fine_pixels else math.inf,
            sight,
            look.mirrored,
            look.turns,
        )
        for y0, y1 in _spans(height, rows, overlap)
        for x0, x1 in _spans(width, columns, overlap)
    ]


def _spans(length: int, count: int, overlap: int) -> list[tuple[int, int]]:
    """Split [0, length) into equal spans, each reaching half the overlap over its edges."""
    edges = [round(i * length / count) for i in range(count + 1)]
    half = overlap // 2
    return [(max(0, a - half), min(length, b + half)) for a, b in pairwise(edges)]
