"""Layers with an equalised learning rate (arXiv 1710.10196, section 4.1).

Weights are stored with unit variance (divided by the learning-rate factor) and scaled by the He
constant on every pass, so that all parameters learn at the same pace.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generators.stylegan2_ada.ops import (
    Activation,
    Resample,
    bias_act,
    conv_resample,
    fir_filter,
)


class FullyConnected(nn.Module):
    """Linear layer, (N, in) to (N, out).

    Args:
        in_features: Width of the input.
        out_features: Width of the output.
        activation: Nonlinearity after the bias.
        bias_init: Initial bias.
        lr_multiplier: Factor on the learning rate of weight and bias.
    """

    bias: Tensor
    weight: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activation: Activation = "linear",
        bias_init: float = 0.0,
        lr_multiplier: float = 1.0,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_multiplier))

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated product."""
        y = F.linear(x, (self.weight * self.weight_gain).to(x.dtype))
        return bias_act(y, self.bias * self.bias_gain, activation=self.activation)


class Conv2d(nn.Module):
    """Convolution that may change the resolution, (N, in, H, W) to (N, out, H', W').

    Args:
        in_channels: Features in.
        out_channels: Features out.
        kernel: Side of the kernel, odd.
        bias: Whether to add one.
        activation: Nonlinearity after the bias.
        resample: Resolution change.
        clamp: Limit of the output, None for none.
    """

    resample_filter: Tensor
    weight: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int,
        bias: bool = True,
        activation: Activation = "linear",
        resample: Resample = "none",
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.resample = resample
        self.clamp = clamp
        self.weight_gain = 1 / math.sqrt(in_channels * kernel**2)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.register_buffer("resample_filter", fir_filter())

    def forward(self, x: Tensor, *, gain: float = 1.0) -> Tensor:
        """Return the activated convolution times ``gain``."""
        weight = self.weight * self.weight_gain
        y = conv_resample(x, weight, self.resample_filter, resample=self.resample)
        return bias_act(y, self.bias, activation=self.activation, gain=gain, clamp=self.clamp)
