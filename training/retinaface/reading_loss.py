"""What a reading of gender and age costs, and how far an inner description is from a teacher's."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from training.retinaface.ages import CENTRES, CLASS_OF_BIN, CLASSES
from training.retinaface.refinement import Reading

SMOOTHING = 0.03
CLASS_WEIGHT, YEARS_WEIGHT = 0.7, 0.3
"""Of the four classes and of the expected years beside the nine bins."""


class Shares(Protocol):
    """What a loss needs to know of faces; `faces.Batch` has it."""

    @property
    def gender(self) -> Tensor:
        """(n, 2) shares of male and female."""
        ...

    @property
    def age(self) -> Tensor:
        """(n, 9) shares of the bins."""
        ...

    @property
    def weight(self) -> Tensor:
        """(n,)."""
        ...


def loss_of(reading: Reading, batch: Shares) -> Tensor:
    """Weighted mean over faces of gender, bins, four classes and expected years."""
    gender = -(smooth(batch.gender) * reading.gender.log_softmax(1)).sum(1)
    logs = reading.age.log_softmax(1)
    bins = -(batch.age * logs).sum(1)
    members = F.one_hot(torch.tensor(CLASS_OF_BIN, device=logs.device), len(CLASSES)).float()
    classes = -((batch.age @ members) * (logs.exp() @ members).clamp(min=1e-6).log()).sum(1)
    centres = torch.tensor(CENTRES, device=logs.device)
    years = ((logs.exp() - batch.age) @ centres).abs() / 10
    every = gender + bins + CLASS_WEIGHT * classes + YEARS_WEIGHT * years
    return (every * batch.weight).sum() / batch.weight.sum()


def smooth(shares: Tensor) -> Tensor:
    """Move a little of each label to the other one."""
    return shares * (1 - SMOOTHING) + SMOOTHING / shares.shape[1]


def teacher_loss(said: Tensor, wanted: Tensor) -> Tensor:
    """Mean of 1 - cosine over the faces whose embedding is known.

    Args:
        said: (n, d) what a linear layer makes of the network's inner description.
        wanted: (n, d) embeddings of an encoder; NaN where not known.
    """
    known = wanted.isfinite().all(dim=1)
    if not known.any():
        return said.sum() * 0
    return (1 - F.cosine_similarity(said[known], wanted[known])).mean()
