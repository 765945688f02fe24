"""From the heads' outputs to faces, and how many of the true ones are among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.retinaface.anchors import decode_boxes, decode_landmarks, iou, priors
from training.retinaface.network import Outputs

NMS_IOU = 0.4


@dataclass(frozen=True, eq=False)
class Found:
    """Faces of one picture, best first.

    Attributes:
        boxes: (n, 4) x0 y0 x1 y1, pixels.
        landmarks: (n, 5, 2).
        scores: (n,).
        anchors: (n,) index of the anchor that found each.
    """

    boxes: Tensor
    landmarks: Tensor
    scores: Tensor
    anchors: Tensor


def find(
    outputs: Outputs, image_hw: tuple[int, int], *, picture: int = 0, least: float = 0.02
) -> Found:
    """Decode one picture's outputs and drop what overlaps a better find.

    Args:
        outputs: Of a batch.
        image_hw: Of the network's input.
        picture: Which one of the batch.
        least: Smallest score.
    """
    scores = outputs.logits[picture].softmax(-1)[:, 1]
    hits = (scores >= least).nonzero()[:, 0]
    hits = hits[scores[hits].argsort(descending=True, stable=True)]
    anchors = priors(image_hw).to(scores.device)[hits]
    boxes = decode_boxes(outputs.boxes[picture, hits], anchors)
    points = decode_landmarks(outputs.landmarks[picture, hits], anchors)
    keep = suppress(boxes)
    return Found(boxes[keep], points[keep], scores[hits][keep], hits[keep])


def suppress(boxes: Tensor, *, iou_from: float = NMS_IOU) -> Tensor:
    """Return the indices of boxes, given best first, that overlap no better one that is kept."""
    overlap = iou(boxes, boxes) > iou_from
    alive = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    for i in range(len(boxes)):
        if alive[i]:
            alive[i + 1 :] &= ~overlap[i, i + 1 :]
    return alive.nonzero()[:, 0]


def average_precision(
    found: Sequence[Found], truth: Sequence[Tensor], *, iou_from: float = 0.4
) -> float:
    """Area under precision over recall, all points, over a set of pictures.

    Args:
        found: Of each picture.
        truth: (m, 4) true boxes of each picture.
        iou_from: Overlap from which on a find is right; each face counts once.
    """
    scores: list[float] = []
    right: list[bool] = []
    for finds, boxes in zip(found, truth, strict=True):
        overlap = iou(finds.boxes, boxes) if len(boxes) else torch.zeros(len(finds.boxes), 0)
        taken = torch.zeros(len(boxes), dtype=torch.bool)
        for row, score in zip(overlap.cpu(), finds.scores.tolist(), strict=True):
            free = row.masked_fill(taken, -1.0)
            hit = len(boxes) > 0 and float(free.max()) >= iou_from
            if hit:
                taken[int(free.argmax())] = True
            scores.append(score)
            right.append(hit)
    total = sum(len(t) for t in truth)
    return _area(np.array(scores), np.array(right, dtype=bool), total)


def _area(scores: NDArray[np.float64], right: NDArray[np.bool_], total: int) -> float:
    if not total or not len(scores):
        return 0.0
    hits = right[np.argsort(-scores, kind="stable")].cumsum()
    precision = hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    recall = np.concatenate([[0.0], hits / total])
    return float((np.diff(recall) * best).sum())
