"""Box arithmetic on (n, 4) float arrays x0 y0 x1 y1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonyface.types import FloatArray

PART = 0.85
"""Share of a box inside a better one from which on it is a part of the same face."""
LEAST_PART = 0.05
"""Area of a part over that of the face: smaller is another face, on a shirt or far behind."""


def area(boxes: FloatArray) -> FloatArray:
    """(n,) areas of (n, 4) boxes in square pixels; 0 for inverted ones."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], dtype=np.float32)


def intersection(a: FloatArray, b: FloatArray) -> FloatArray:
    """(n, m) areas in which the (n, 4) boxes ``a`` and the (m, 4) boxes ``b`` overlap."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(high - low, 0)
    return np.asarray(sides[..., 0] * sides[..., 1], dtype=np.float32)


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """(n, m) intersection over union of (n, 4) and (m, 4) boxes.

    >>> iou(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]])).round(2).tolist()
    [[0.33000001311302185, 0.0]]
    """
    common = intersection(a, b)
    union = area(a)[:, None] + area(b)[None] - common
    return np.asarray(common / np.maximum(union, 1e-9), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Groups:
    """Boxes in groups, each around its best one.

    Attributes:
        leaders: (g,) index of the best box of each group, best first.
        member: (n,) number of the group of each box.
        overlap: (n,) intersection over union of each box with its leader.
    """

    leaders: NDArray[np.intp]
    member: NDArray[np.intp]
    overlap: FloatArray


def group_overlapping(boxes: FloatArray, scores: FloatArray, *, iou: float) -> Groups:
    """Put boxes of the same face together.

    Besides the usual overlap rule, a box that lies almost wholly inside a better one (a part of the
    same face, seen in another tile or scale) belongs to it, too.

    Args:
        boxes: (n, 4).
        scores: (n,).
        iou: Boxes that overlap a better one by more than this belong to it.
    """
    order = np.argsort(-scores, kind="stable")
    member = np.zeros(len(boxes), dtype=np.intp)
    overlap = np.zeros(len(boxes), dtype=np.float32)
    sizes = area(boxes)
    leaders: list[int] = []
    while len(order):
        best = order[0]
        common = intersection(boxes[best][None], boxes[order])[0]
        rest = sizes[order]
        shared = common / np.maximum(sizes[best] + rest - common, 1e-9)
        part = (common > PART * rest) & (rest >= LEAST_PART * sizes[best])
        mine = (shared > iou) | part
        mine[0] = True  # also if it has no area
        member[order[mine]], overlap[order[mine]] = len(leaders), shared[mine]
        leaders.append(int(best))
        order = order[~mine]
    return Groups(np.asarray(leaders, dtype=np.intp), member, overlap)
