"""Gender, age and appearance group of an aligned face: EfficientNet-lite0 and three linear heads.

Starts from the published ImageNet weights (Apache-2.0), whose first stages stay as they are: they
see edges and colours, which faces are made of as well, and cost half of a step.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from generators.features import POOLED, FeatureNetwork, FixedConv
from training.fairface import GROUPS
from training.occlusion.network import make_trainable
from training.retinaface.ages import AGES

SIDE = 128
"""Side of the aligned face that is read."""
FROZEN_STAGES = 2
"""Stages of the backbone, besides its first convolution, that are not trained."""


@dataclass(frozen=True)
class Answers:
    """Logits: gender (n, 2), male and female; age (n, 9) bins; group (n, 7)."""

    gender: Tensor
    age: Tensor
    group: Tensor


class AttributeNetwork(nn.Module):
    """Reads gender, age and group off aligned faces.

    Args:
        backbone: Its weights are copied: `generators.features.load_features`.
        dropout: Share of the pooled features left out in training.
    """

    def __init__(self, backbone: FeatureNetwork, *, dropout: float = 0.3) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone)
        for module in self.backbone.modules():
            if isinstance(module, FixedConv):
                make_trainable(module)
        self.backbone.stem.requires_grad_(False)
        for stage in list(self.backbone.stages)[:FROZEN_STAGES]:
            stage.requires_grad_(False)
        self.drop = nn.Dropout(dropout)
        self.heads = nn.Linear(POOLED, 2 + len(AGES) + len(GROUPS))

    def forward(self, faces: Tensor) -> Answers:
        """(n, 3, 128, 128) RGB in [-1, 1] -> logits."""
        pooled, _ = self.backbone(faces)
        return Answers(*self.heads(self.drop(pooled)).split((2, len(AGES), len(GROUPS)), dim=1))

    def parameters_by_rate(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return the parameters of the backbone that learn, and those of the heads."""
        trained = [p for p in self.backbone.parameters() if p.requires_grad]
        return trained, list(self.heads.parameters())


def to_input(pixels: Tensor) -> Tensor:
    """(n, 128, 128, 3) uint8 -> (n, 3, 128, 128) float in [-1, 1], channels last in memory."""
    faces = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    return faces.contiguous(memory_format=torch.channels_last)
