"""Anchors, the encoding of boxes and landmarks against them, and which anchor answers for whom."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

STRIDES = (8, 16, 32)
SIZES = ((16, 32), (64, 128), (256, 512))
VARIANCES = (0.1, 0.2)
"""What the shipped weights were trained with: offsets are divided by the first, log sizes by the
second."""

POSITIVE_IOU = 0.35
"""An anchor that overlaps a face so much answers for it; all below are background (the paper has
0.5 and 0.3; small faces then find no anchor)."""


@lru_cache(maxsize=16)
def priors(image_hw: tuple[int, int]) -> Tensor:
    """(A, 4) anchors, centre x y, width, height in pixels, in the order of the heads.

    Args:
        image_hw: Height and width of the network's input, pixels.
    """
    parts = []
    for stride, sizes in zip(STRIDES, SIZES, strict=True):
        rows, columns = (-(-side // stride) for side in image_hw)
        ys, xs = torch.meshgrid(
            (torch.arange(rows) + 0.5) * stride,
            (torch.arange(columns) + 0.5) * stride,
            indexing="ij",
        )
        centres = torch.stack([xs, ys], dim=-1).reshape(-1, 1, 2).expand(-1, len(sizes), -1)
        sides = torch.tensor(sizes, dtype=torch.float32)[None, :, None].expand(*centres.shape)
        parts.append(torch.cat([centres, sides], dim=2).reshape(-1, 4))
    return torch.cat(parts)


def corners(anchors: Tensor) -> Tensor:
    """(n, 4) centre x y, width, height -> x0 y0 x1 y1."""
    half = anchors[:, 2:] / 2
    return torch.cat([anchors[:, :2] - half, anchors[:, :2] + half], dim=1)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """(n, m) intersection over union of (n, 4) and (m, 4) boxes x0 y0 x1 y1."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    common = (high - low).clamp(min=0).prod(dim=2)
    areas = [(x[:, 2:] - x[:, :2]).clamp(min=0).prod(dim=1) for x in (a, b)]
    return common / (areas[0][:, None] + areas[1][None] - common).clamp(min=1e-9)


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Offsets (n, 4) of boxes x0 y0 x1 y1 against as many anchors (arXiv 1512.02325, eq. 2)."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)
    shift = (centre - anchors[:, :2]) / (VARIANCES[0] * anchors[:, 2:])
    return torch.cat([shift, (size / anchors[:, 2:]).log() / VARIANCES[1]], dim=1)


def decode_boxes(offsets: Tensor, anchors: Tensor) -> Tensor:
    """Turn offsets back into boxes: the inverse of `encode_boxes`."""
    centre = anchors[:, :2] + offsets[:, :2] * VARIANCES[0] * anchors[:, 2:]
    size = anchors[:, 2:] * (offsets[:, 2:] * VARIANCES[1]).exp()
    return corners(torch.cat([centre, size], dim=1))


def encode_landmarks(points: Tensor, anchors: Tensor) -> Tensor:
    """Offsets (n, 10) of (n, 5, 2) points against as many anchors."""
    shift = (points - anchors[:, None, :2]) / (VARIANCES[0] * anchors[:, None, 2:])
    return shift.reshape(len(points), 10)


def decode_landmarks(offsets: Tensor, anchors: Tensor) -> Tensor:
    """Turn offsets back into (n, 5, 2) points: the inverse of `encode_landmarks`."""
    return anchors[:, None, :2] + offsets.reshape(-1, 5, 2) * VARIANCES[0] * anchors[:, None, 2:]


def match(boxes: Tensor, anchors: Tensor, *, iou_from: float = POSITIVE_IOU) -> Tensor:
    """Say which face each anchor answers for.

    Anchors take the face they overlap most, if that is enough. Each face also gets the anchor that
    overlaps it most, however little that is, or faces between the sizes of the anchors would be
    never learnt.

    Args:
        boxes: (m, 4) faces x0 y0 x1 y1.
        anchors: (A, 4) from `priors`.
        iou_from: Overlap that is enough.

    Returns:
        (A,) int64 index of a face, -1 for background.
    """
    if not len(boxes):
        return torch.full((len(anchors),), -1, dtype=torch.int64, device=anchors.device)
    overlap = iou(boxes, corners(anchors))
    best, face = overlap.max(dim=0)
    face = torch.where(best >= iou_from, face, torch.full_like(face, -1))
    top, anchor = overlap.max(dim=1)
    for m in top.argsort():  # where two faces want one anchor, the better fit is written last
        if top[m] > 0:
            face[anchor[m]] = m
    return face
