"""What lies in front of a face: first stages of EfficientNet-lite0 and a small decoder.

The coarse map says what is there, finer ones add where it ends (U-Net, arXiv 1505.04597). The first
stages keep their ImageNet weights (Apache-2.0).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generators.features import FeatureNetwork, FixedConv

STAGES, FROZEN_STAGES = 5, 2
"""Stages of the backbone that are used, to 1/16 of the side, and those of them that don't learn."""
CHANNELS = (16, 24, 40, 112)
"""Of the maps at 1/2, 1/4, 1/8 and 1/16 of the side."""
WIDTHS = (24, 32, 48, 64)
"""Of the decoder at the same sizes."""
CLASSES = 3
"""Bare face, in front, worn."""


class OcclusionNetwork(nn.Module):
    """Says of each point of an upright face what is seen there.

    Args:
        features: The backbone; its stages become parts of the network.
    """

    def __init__(self, features: FeatureNetwork) -> None:
        super().__init__()
        self.stem, self.stages = features.stem, features.stages[:STAGES]
        for stage in list(self.stages)[FROZEN_STAGES:]:
            for module in stage.modules():
                if isinstance(module, FixedConv):
                    make_trainable(module)
        self.across = nn.ModuleList(
            _unit(c, w, kernel=1) for c, w in zip(CHANNELS, WIDTHS, strict=True)
        )
        self.narrow = nn.ModuleList(nn.Conv2d(above, w, 1) for w, above in pairwise(WIDTHS))
        self.mix = nn.ModuleList(_separable(w) for w in WIDTHS[:-1])
        self.last = nn.Conv2d(WIDTHS[0], CLASSES, 1)

    def forward(self, faces: Tensor) -> Tensor:
        """(n, 3, 128, 128) RGB in [-1, 1] -> (n, 3, 64, 64) logits: bare, in front, worn."""
        x, maps = self.stem(faces), []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in (0, 1, 2, 4):
                maps.append(x)
        sides = [across(m) for across, m in zip(self.across, maps, strict=True)]
        out = sides[3]
        for level in (2, 1, 0):
            wide = F.interpolate(self.narrow[level](out), scale_factor=2.0, mode="bilinear")
            out = self.mix[level](sides[level] + wide)
        logits: Tensor = self.last(out)
        return logits

    def parameters_by_rate(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return the parameters of the backbone that learn, and those of the decoder."""
        decoder = (self.across, self.narrow, self.mix, self.last)
        return (
            [p for p in self.stages.parameters() if p.requires_grad],
            [p for part in decoder for p in part.parameters()],
        )


class Exported(nn.Module):
    """The network as it is shipped: from grey levels to shares.

    Args:
        network: In evaluation mode.
    """

    def __init__(self, network: OcclusionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """(n, 3, 128, 128) RGB 0-255 -> (n, 3, 64, 64) shares: bare, in front, worn."""
        return self.network(image / 127.5 - 1).softmax(1)


def make_trainable(conv: FixedConv) -> None:
    """Turn the constants of a convolution into parameters."""
    for name in ("weight", "bias"):
        value = conv._buffers.pop(name)
        assert value is not None  # noqa: S101
        conv.register_parameter(name, nn.Parameter(value.clone()))


def _unit(channels: int, out: int, *, kernel: int, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(channels, out, kernel, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU6())


def _separable(width: int) -> nn.Sequential:
    return nn.Sequential(
        _unit(width, width, kernel=5, groups=width),
        _unit(width, width, kernel=1),
        _unit(width, width, kernel=3, groups=width),
        _unit(width, width, kernel=1),
    )


def to_input(pixels: Tensor) -> Tensor:
    """(n, 128, 128, 3) uint8 -> (n, 3, 128, 128) float in [-1, 1], channels last in memory."""
    faces = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    return faces.contiguous(memory_format=torch.channels_last)
