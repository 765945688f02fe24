"""Gains that let a new face fit into its surroundings: a small U-Net (arXiv 1505.04597).

Its answer is coarse, smoothed and bounded, so it changes light and colour and nothing else.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (16, 32, 48, 80)
"""Channels at the side of what it sees, and at 1/2, 1/4 and 1/8 of it."""
LIMIT = 0.25
"""Largest logarithm of a gain."""
SHRUNK = 2
"""The input is made smaller by this factor: light is coarse."""
FLOOR = 8.0
"""Grey levels added before a logarithm is taken: darker ones are all but noise."""
UNIT, FARTHEST = 0.2, 8.0
"""Of differences from the face's mean, logarithms; how many of them still differ."""
NEAR, FLAT = 9, 0.01
"""Pixels over which an edge is seen, and a variance of weights that is none."""
BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)
"""Smooths the field: nothing finer than two of its cells, a tenth of a face's width, is left."""


class BlendNetwork(nn.Module):
    """Looks at a composed face and says how its light and colour should change."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = _unit(11, WIDTHS[0])
        self.down = nn.ModuleList(
            nn.Sequential(_unit(a, b, stride=2), _unit(b, b)) for a, b in pairwise(WIDTHS)
        )
        self.wide = nn.Linear(WIDTHS[3], WIDTHS[3])
        self.narrow = nn.ModuleList(nn.Conv2d(WIDTHS[i + 1], WIDTHS[i], 1) for i in (2, 1))
        self.mix = nn.ModuleList(_unit(WIDTHS[i], WIDTHS[i]) for i in (2, 1))
        self.last = nn.Conv2d(WIDTHS[1], 3, 1)
        nn.init.zeros_(self.last.weight)  # it begins with doing nothing
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        line = torch.tensor(BINOMIAL) / sum(BINOMIAL)
        self.register_buffer("kernel", (line[:, None] * line).repeat(3, 1, 1, 1), persistent=False)

    def forward(self, seen: Tensor) -> Tensor:
        """Return the field.

        Args:
            seen: (n, 11, 64, 64) of `to_input`.

        Returns:
            (n, 3, 32, 32) logarithms of gains, RGB, within `LIMIT`.
        """
        x = self.stem(seen)
        maps = []
        for block in self.down:
            x = block(x)
            maps.append(x)
        # What the whole picture says, the colour of its light above all, is known everywhere.
        x = x + F.relu(self.wide(x.mean((2, 3))))[:, :, None, None]
        for narrow, mix, side in zip(self.narrow, self.mix, (maps[1], maps[0]), strict=True):
            x = mix(F.interpolate(narrow(x), scale_factor=2.0, mode="bilinear") + side)
        field = F.pad(LIMIT * torch.tanh(self.last(x)), (2, 2, 2, 2), mode="replicate")
        return F.conv2d(field, self.kernel, groups=3)


class Exported(nn.Module):
    """The network as it is shipped: from grey levels to the field.

    Args:
        network: In evaluation mode.
    """

    def __init__(self, network: BlendNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """(n, 5, 128, 128) RGB and both masks 0-255 -> (n, 3, 32, 32) logarithms of gains."""
        small = F.avg_pool2d(image, SHRUNK)
        field: Tensor = self.network(to_input(small[:, :3], small[:, 3:]))
        return field


def to_input(mixed: Tensor, masks: Tensor) -> Tensor:
    """Return what the network sees.

    Args:
        mixed: (n, 3, h, w) composed faces, RGB 0-255.
        masks: (n, 2, h, w) 0-255, weight of the new face and where the photo is.

    Returns:
        (n, 11, h, w): logarithms of the colours against the new face's mean, in units of `UNIT`, 0
        beyond the photo; both masks in [0, 1]; that mean; and `steps`. Faces differ in colour by
        far more than a face and the skin beside it, which is what counts.
    """
    shares, colours = masks / 255, to_log(mixed)
    weight = shares[:, :1] * shares[:, 1:]
    total = weight.sum((2, 3), keepdim=True) + 1e-3
    mean = (colours * weight).sum((2, 3), keepdim=True) / total
    off = ((colours - mean) * shares[:, 1:] / UNIT).clamp(-FARTHEST, FARTHEST)
    return torch.cat([off, shares, mean.expand_as(colours), steps(off, weight)], dim=1)


def steps(colours: Tensor, alpha: Tensor) -> Tensor:
    """How much colours change where the new face begins: slopes of local regressions on its weight.

    Args:
        colours: (n, 3, h, w).
        alpha: (n, 1, h, w) in [0, 1].

    Returns:
        (n, 3, h, w): from the old to the new side in squares of `NEAR` pixels, 0 far from an edge.
    """

    def around(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, NEAR, 1, NEAR // 2, count_include_pad=False)

    here = around(alpha)
    spread = around(alpha * alpha) - here * here
    return (around(colours * alpha) - around(colours) * here) / (spread + FLAT)


def to_log(rgb: Tensor) -> Tensor:
    """Logarithms of grey levels 0-255, 0 at a medium one."""
    return torch.log((rgb + FLOOR) / 100)


def enlarge(field: Tensor, side: int) -> Tensor:
    """(n, 3, 32, 32) -> (n, 3, side, side)."""
    return F.interpolate(field, size=(side, side), mode="bilinear")


def _unit(width: int, out: int, *, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(width, out, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU())
