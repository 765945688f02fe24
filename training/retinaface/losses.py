"""The multi-task loss of RetinaFace with two more terms.

    L = Lcls + l1 p* Lbox + l2 p* Lpts + l4 p* Lgender + l5 p* Lage

(arXiv 1905.00641, eq. 1, whose third term, a dense mesh, is left out.) p* is 1 on anchors that
answer for a face: background has neither place nor age.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.retinaface.anchors import encode_boxes, encode_landmarks, match
from training.retinaface.network import Outputs

NEGATIVES = 7
"""Background anchors a positive one, the hardest first: without a limit they outweigh the faces a
thousandfold (online hard example mining, arXiv 1604.03540; the ratio is biubug6's)."""


@dataclass(frozen=True)
class Weights:
    """Of the terms; a term with weight 0 is frozen: it gives no gradient.

    Attributes:
        classes: Face or not.
        boxes: l1.
        landmarks: l2.
        gender: l4.
        age: l5.
    """

    classes: float = 1.0
    boxes: float = 2.0
    landmarks: float = 1.0
    gender: float = 0.5
    age: float = 0.5


@dataclass(frozen=True)
class Targets:
    """The faces of one picture.

    Attributes:
        boxes: (m, 4) x0 y0 x1 y1, pixels of the network's input.
        landmarks: (m, 5, 2); NaN where not known.
        gender: (m, 2) shares of male and female; NaN where not known.
        age: (m, 9) shares of the bins; NaN where not known.
    """

    boxes: Tensor
    landmarks: Tensor
    gender: Tensor
    age: Tensor

    def to(self, device: torch.device) -> Targets:
        """Move everything to a device."""
        return Targets(*(t.to(device) for t in vars(self).values()))


def multi_task_loss(
    outputs: Outputs, targets: list[Targets], anchors: Tensor, weights: Weights
) -> dict[str, Tensor]:
    """Return each term, unweighted, and their weighted sum as "loss".

    Args:
        outputs: For N pictures.
        targets: N of them.
        anchors: (A, 4) from `anchors.priors`, on the outputs' device.
        weights: Of the terms.
    """
    matched = torch.stack([match(t.boxes, anchors) for t in targets])
    positive = matched >= 0
    count = positive.sum().clamp(min=1)
    terms = {"classes": _classes(outputs.logits, positive) / count}
    where = positive.nonzero(as_tuple=True)
    truth = [
        torch.cat([getattr(t, name)[m[m >= 0]] for t, m in zip(targets, matched, strict=True)])
        for name in ("boxes", "landmarks", "gender", "age")
    ]
    at = anchors[where[1]]
    boxes = F.smooth_l1_loss(outputs.boxes[where], encode_boxes(truth[0], at), reduction="sum")
    terms["boxes"] = boxes / count
    terms["landmarks"] = _landmarks(outputs.landmarks[where], truth[1], at)
    for name, logits, share in (
        ("gender", outputs.gender, truth[2]),
        ("age", outputs.age, truth[3]),
    ):
        if logits is not None:
            terms[name] = _shares(logits[where], share)
    terms["loss"] = torch.stack(
        [getattr(weights, n) * t for n, t in terms.items() if getattr(weights, n)]
    ).sum()
    return terms


def _classes(logits: Tensor, positive: Tensor) -> Tensor:
    """Sum of cross entropies of all positive anchors and of the hardest others of each picture."""
    every = F.cross_entropy(logits.transpose(1, 2), positive.long(), reduction="none")
    hardness = every.detach().masked_fill(positive, -1.0)
    rank = hardness.argsort(dim=1, descending=True).argsort(dim=1)
    # A picture without a face still teaches what is none.
    allowed = (NEGATIVES * positive.sum(dim=1, keepdim=True)).clamp(min=NEGATIVES)
    chosen = positive | ((rank < allowed) & ~positive)
    return (every * chosen).sum()


def _landmarks(offsets: Tensor, points: Tensor, anchors: Tensor) -> Tensor:
    known = points.isfinite().all(dim=2).all(dim=1)
    if not known.any():
        return offsets.sum() * 0
    wanted = encode_landmarks(points[known], anchors[known])
    return F.smooth_l1_loss(offsets[known], wanted, reduction="sum") / known.sum()


def _shares(logits: Tensor, share: Tensor) -> Tensor:
    known = share.isfinite().all(dim=1)
    if not known.any():
        return logits.sum() * 0
    return F.cross_entropy(logits[known], share[known])
