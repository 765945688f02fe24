"""The synthesis network: styles to images (arXiv 1912.04958, figures 2 and 7)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, cast

import torch
from torch import Tensor, nn

from generators.stylegan2_ada.channels import channel_counts, reduced_from, resolutions
from generators.stylegan2_ada.layers import Conv2d
from generators.stylegan2_ada.modulated import NoiseMode, SynthesisLayer, ToRGB
from generators.stylegan2_ada.ops import fir_filter, upsample

Architecture = Literal["orig", "skip", "resnet"]
Precision = Literal["auto", "full", "mixed"]

ARCHITECTURES: tuple[Architecture, ...] = ("orig", "skip", "resnet")


class SynthesisBlock(nn.Module):
    """All layers at one resolution.

    Args:
        in_channels: Features from the block before; 0 makes it the first, which starts from a
            learned constant.
        out_channels: Features out.
        w_dim: Width of ``w``.
        resolution: Side of the output.
        img_channels: Colours.
        last: Whether the image leaves here.
        architecture: "skip" sums up-sampled images of all blocks, "resnet" has residual blocks
            and one output, "orig" neither (figure 7).
        conv_clamp: Limit of every convolution's output, None for none.
        reduced: Whether this block may run in half precision.
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        w_dim: int,
        resolution: int,
        img_channels: int = 3,
        last: bool = False,
        architecture: Architecture = "skip",
        conv_clamp: float | None = None,
        reduced: bool = False,
    ) -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise ValueError(f"architecture must be one of {ARCHITECTURES}, got {architecture!r}")
        self.first = in_channels == 0
        self.residual = architecture == "resnet" and not self.first
        self.has_rgb = last or architecture == "skip"
        self.reduced = reduced
        self.num_conv = 1 if self.first else 2
        self.register_buffer("resample_filter", fir_filter())
        if self.first:
            self.const = nn.Parameter(torch.randn(out_channels, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(
                in_channels,
                out_channels,
                w_dim=w_dim,
                resolution=resolution,
                up=True,
                conv_clamp=conv_clamp,
            )
        self.conv1 = SynthesisLayer(
            out_channels, out_channels, w_dim=w_dim, resolution=resolution, conv_clamp=conv_clamp
        )
        if self.has_rgb:
            self.torgb = ToRGB(out_channels, img_channels, w_dim=w_dim, conv_clamp=conv_clamp)
        if self.residual:
            self.skip = Conv2d(in_channels, out_channels, kernel=1, bias=False, resample="up")

    def forward(
        self,
        x: Tensor | None,
        image: Tensor | None,
        ws: Tensor,
        *,
        noise: NoiseMode,
        mixed: bool,
        rng: torch.Generator | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return features and the image so far.

        Args:
            x: Features of the block before at half the side; None for the first block.
            image: The image so far at half the side, None for none yet.
            ws: (N, num_conv + 1, w_dim); the last one steers the colours.
            noise: Kind of noise.
            mixed: Whether blocks marked ``reduced`` run in half precision.
            rng: Source of random noise.
        """
        dtype = torch.float16 if self.reduced and mixed else torch.float32
        styles = iter(ws.unbind(dim=1))
        if x is None:
            x = self.const.to(dtype).expand(ws.shape[0], -1, -1, -1)
            x = self.conv1(x, next(styles), noise=noise, rng=rng)
        else:
            x = self._convolve(x.to(dtype), styles, noise=noise, rng=rng)
        if image is not None:
            image = upsample(image, self.resample_filter)
        if self.has_rgb:
            rgb = self.torgb(x, next(styles)).float()
            image = rgb if image is None else image + rgb
        return x, image

    def _convolve(
        self,
        x: Tensor,
        styles: Iterator[Tensor],
        *,
        noise: NoiseMode,
        rng: torch.Generator | None,
    ) -> Tensor:
        # Two summands of equal variance: each is scaled to half of it (section B).
        gain = math.sqrt(0.5) if self.residual else 1.0
        y: Tensor = self.conv0(x, next(styles), noise=noise, rng=rng)
        y = self.conv1(y, next(styles), noise=noise, gain=gain, rng=rng)
        if self.residual:
            y = y + self.skip(x, gain=gain)
        return y


class SynthesisNetwork(nn.Module):
    """Render images from styles.

    Args:
        w_dim: Width of ``w``.
        img_resolution: Side of the image, a power of 2.
        img_channels: Colours.
        channel_base: Features times resolution.
        channel_max: Most features at any resolution.
        architecture: See ``SynthesisBlock``.
        conv_clamp: Limit of every convolution's output, None for none.
        num_fp16_res: How many of the highest resolutions may run in half precision.
    """

    def __init__(
        self,
        *,
        w_dim: int,
        img_resolution: int,
        img_channels: int = 3,
        channel_base: int = 32768,
        channel_max: int = 512,
        architecture: Architecture = "skip",
        conv_clamp: float | None = None,
        num_fp16_res: int = 0,
    ) -> None:
        super().__init__()
        self.w_dim = w_dim
        self.img_resolution = img_resolution
        self.sides = resolutions(img_resolution)
        channels = channel_counts(
            img_resolution, channel_base=channel_base, channel_max=channel_max
        )
        self.num_ws = 2 * len(self.sides)  # 1 + 2 (len - 1) convolutions and the last colours
        for side in self.sides:
            block = SynthesisBlock(
                channels.get(side // 2, 0),
                channels[side],
                w_dim=w_dim,
                resolution=side,
                img_channels=img_channels,
                last=side == img_resolution,
                architecture=architecture,
                conv_clamp=conv_clamp,
                reduced=side >= reduced_from(img_resolution, num_fp16_res),
            )
            self.add_module(f"b{side}", block)

    def forward(
        self,
        ws: Tensor,
        *,
        noise: NoiseMode = "random",
        precision: Precision = "auto",
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Render a batch.

        Args:
            ws: Styles, (N, num_ws, w_dim).
            noise: "random" draws it anew, "const" uses the stored pictures, "none" adds none.
            precision: "mixed" runs the resolutions set by ``num_fp16_res`` in half precision,
                "full" none, "auto" is mixed on an accelerator only.
            rng: Source of random noise, on the device of ``ws``; None for torch's own.

        Returns:
            (N, img_channels, side, side) float32, RGB, nominally in [-1, 1].

        Raises:
            ValueError: ``ws`` has another shape.
        """
        if ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(
                f"ws must have shape (N, {self.num_ws}, {self.w_dim}), got {tuple(ws.shape)}"
            )
        mixed = precision == "mixed" or (precision == "auto" and ws.is_cuda)
        x: Tensor | None = None
        image: Tensor | None = None
        start = 0
        for side in self.sides:
            block = cast(SynthesisBlock, self.get_submodule(f"b{side}"))
            # Colours share their w with the first convolution of the next block.
            part = ws[:, start : start + block.num_conv + 1].float()
            x, image = block(x, image, part, noise=noise, mixed=mixed, rng=rng)
            start += block.num_conv
        if image is None:  # unreachable: the last block always has colours
            raise RuntimeError("no image")
        return image
