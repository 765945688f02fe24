"""Layers steered by a style (arXiv 1912.04958, section 2)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from generators.stylegan2_ada.layers import FullyConnected
from generators.stylegan2_ada.ops import bias_act, fir_filter, modulated_conv

NoiseMode = Literal["const", "random", "none"]


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias and leaky ReLU (figure 2d).

    Args:
        in_channels: Features in.
        out_channels: Features out.
        w_dim: Width of ``w``.
        resolution: Side of the output.
        up: Whether the input is half as large.
        conv_clamp: Limit of the output, None for none.
    """

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        w_dim: int,
        resolution: int,
        up: bool = False,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.up = up
        self.conv_clamp = conv_clamp
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("resample_filter", fir_filter())
        self.register_buffer("noise_const", torch.randn(resolution, resolution))

    def forward(
        self,
        x: Tensor,
        w: Tensor,
        *,
        noise: NoiseMode = "random",
        gain: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Return (N, out, resolution, resolution) from (N, in, H, W) features, (N, w_dim) ``w``."""
        x = modulated_conv(
            x,
            self.weight,
            self.affine(w),
            taps=self.resample_filter,
            resample="up" if self.up else "none",
        )
        if noise == "random":
            shape = (x.shape[0], 1, self.resolution, self.resolution)
            drawn = torch.randn(shape, device=x.device, generator=rng)
            x = x + (drawn * self.noise_strength).to(x.dtype)
        elif noise == "const":
            x = x + (self.noise_const * self.noise_strength).to(x.dtype)
        return bias_act(x, self.bias, activation="lrelu", gain=gain, clamp=self.conv_clamp)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to colours, without demodulation (figure 7)."""

    def __init__(
        self, in_channels: int, out_channels: int, *, w_dim: int, conv_clamp: float | None = None
    ) -> None:
        super().__init__()
        self.conv_clamp = conv_clamp
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Return (N, out, H, W) colours from (N, in, H, W) features and (N, w_dim) ``w``."""
        styles = self.affine(w) * self.weight_gain
        x = modulated_conv(x, self.weight, styles, demodulate=False)
        return bias_act(x, self.bias, clamp=self.conv_clamp)
