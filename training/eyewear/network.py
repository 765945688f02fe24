"""Glasses on the upper half of an aligned face: first stages of EfficientNet-lite0, one logit.

The first stages keep their ImageNet weights (Apache-2.0).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from generators.features import FeatureNetwork, FixedConv
from training.occlusion.network import make_trainable

STAGES, FROZEN_STAGES = 5, 2
"""Stages of the backbone that are used, to 1/16 of the side, and those of them that don't learn."""
CHANNELS = 112
"""Of the last of them."""


class EyewearNetwork(nn.Module):
    """Says whether somebody wears glasses.

    Args:
        features: The backbone; the weights of its first stages are copied.
        dropout: Share of the pooled features left out in training.
    """

    def __init__(self, features: FeatureNetwork, *, dropout: float = 0.3) -> None:
        super().__init__()
        features = copy.deepcopy(features)
        self.stem, self.stages = features.stem, features.stages[:STAGES]
        for stage in list(self.stages)[FROZEN_STAGES:]:
            for module in stage.modules():
                if isinstance(module, FixedConv):
                    make_trainable(module)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(2 * CHANNELS, 1)

    def forward(self, eyes: Tensor) -> Tensor:
        """(n, 3, 64, 128) RGB in [-1, 1] -> (n,) logits.

        Of every feature the mean and the maximum over all places count: half a rim tells.
        """
        x = self.stem(eyes)
        for stage in self.stages:
            x = stage(x)
        pooled = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        logits: Tensor = self.head(self.drop(pooled)).squeeze(1)
        return logits

    def parameters_by_rate(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return the parameters of the backbone that learn, and those of the head."""
        trained = [p for p in self.stages.parameters() if p.requires_grad]
        return trained, list(self.head.parameters())


def to_input(pixels: Tensor) -> Tensor:
    """(n, 64, 128, 3) uint8 -> (n, 3, 64, 128) float in [-1, 1], channels last in memory."""
    eyes = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    return eyes.contiguous(memory_format=torch.channels_last)
