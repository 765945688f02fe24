"""The running average of the generator's weights, which is what one keeps."""

from __future__ import annotations

import torch
from torch import nn


def average_decay(*, images: int, batch: int, half_life: float, ramp: float) -> float:
    """Return the decay of the average for one step.

    Args:
        images: Images shown so far.
        batch: Images in the step.
        half_life: Images after which a weight counts half.
        ramp: The half-life is at most this share of the images shown, so that the beginning is
            soon forgotten (arXiv 2006.06676, table of hyperparameters in appendix C); 0 for none.

    Returns:
        A factor in [0, 1).

    >>> average_decay(images=10**6, batch=100, half_life=100, ramp=0.05)
    0.5
    >>> average_decay(images=0, batch=100, half_life=100, ramp=0.05)
    0.0
    """
    if ramp:
        half_life = min(half_life, images * ramp)
    return 0.5 ** (batch / half_life) if half_life > 0 else 0.0


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, *, decay: float) -> None:
    """Move the parameters of ``average`` towards those of ``network``; copy buffers.

    Args:
        average: Network of the same shape; changed in place.
        network: The one in training.
        decay: Share of the old average that stays.
    """
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.copy_(value.lerp(mean, decay))
    for kept, current in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(current)
