"""Building blocks: a convolution with its norm and slope, MobileNet and ResNet blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MOBILENET_SLOPE = 0.1
"""Of the leaky ReLU in the small network, where the shipped weights were trained with it."""


class ConvUnit(nn.Module):
    """Convolution, batch norm, leaky ReLU.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        kernel: Side of the kernel; borders are padded with zeros.
        stride: Step.
        groups: Groups of channels.
        slope: Of the leaky ReLU for negative values, 0 for a plain ReLU, None for none.
        norm: False where the norm is folded into weight and bias.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        slope: float | None = 0.0,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=not norm
        )
        self.norm: nn.BatchNorm2d | None = nn.BatchNorm2d(outputs) if norm else None
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h / stride, w / stride)."""
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        if self.slope is None:
            return x
        return F.relu(x) if self.slope == 0 else F.leaky_relu(x, self.slope)

    @torch.no_grad()
    def fold(self) -> None:
        """Put the norm, as it is in evaluation, into weight and bias."""
        if self.norm is None:
            return
        norm, conv = self.norm, self.conv
        assert norm.running_mean is not None  # noqa: S101
        assert norm.running_var is not None  # noqa: S101
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        conv.weight.mul_(scale[:, None, None, None])
        conv.bias = nn.Parameter(norm.bias - norm.running_mean * scale)
        self.norm = None


class DepthwiseBlock(nn.Module):
    """Depthwise and pointwise convolution (MobileNet, arXiv 1704.04861)."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, norm: bool) -> None:
        super().__init__()
        slope = MOBILENET_SLOPE
        self.depthwise = ConvUnit(
            inputs, inputs, 3, stride=stride, groups=inputs, slope=slope, norm=norm
        )
        self.pointwise = ConvUnit(inputs, outputs, 1, slope=slope, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h / stride, w / stride)."""
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


class Bottleneck(nn.Module):
    """Residual block with four times as many channels out as inside (arXiv 1512.03385).

    The 3x3 convolution takes the step, as in the ResNet-50 most checkpoints are of.
    """

    expansion = 4

    def __init__(self, inputs: int, inside: int, *, stride: int, norm: bool) -> None:
        super().__init__()
        outputs = inside * self.expansion
        self.reduce = ConvUnit(inputs, inside, 1, norm=norm)
        self.middle = ConvUnit(inside, inside, 3, stride=stride, norm=norm)
        self.expand = ConvUnit(inside, outputs, 1, slope=None, norm=norm)
        self.shortcut: ConvUnit | None = None
        if stride != 1 or inputs != outputs:
            self.shortcut = ConvUnit(inputs, outputs, 1, stride=stride, slope=None, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, 4 * inside, h / stride, w / stride)."""
        rest = x if self.shortcut is None else self.shortcut(x)
        return F.relu(self.expand(self.middle(self.reduce(x))) + rest)
