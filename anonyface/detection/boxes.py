"""Box arithmetic on (n, 4) float arrays x0 y0 x1 y1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anonyface.types import FloatArray


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


def non_maximum_suppression(
    boxes: FloatArray, scores: FloatArray, *, iou: float
) -> NDArray[np.intp]:
    """Keep the best of each group of overlapping boxes.

    Besides the usual overlap rule, a box that lies almost wholly inside a better one (a part of the
    same face, seen in another tile or scale) is dropped too.

    Args:
        boxes: (n, 4).
        scores: (n,).
        iou: Boxes that overlap a better one by more than this are dropped.

    Returns:
        Indices kept, best first.
    """
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order]
    sizes = area(boxes)
    kept: list[int] = []
    alive = np.ones(len(boxes), dtype=bool)
    for i in range(len(boxes)):
        if not alive[i]:
            continue
        kept.append(i)
        common = intersection(boxes[i : i + 1], boxes[i + 1 :])[0]
        rest = sizes[i + 1 :]
        overlap = common / np.maximum(sizes[i] + rest - common, 1e-9)
        part_of = common / np.maximum(rest, 1e-9)
        alive[i + 1 :] &= (overlap <= iou) & ((part_of <= 0.85) | (rest < 0.05 * sizes[i]))
    return np.asarray(order[kept], dtype=np.intp)
