"""The discriminator (arXiv 1912.04958, figure 7; labels as in arXiv 1802.05637)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from generators.stylegan2_ada.channels import channel_counts, reduced_from, resolutions
from generators.stylegan2_ada.layers import Conv2d, FullyConnected
from generators.stylegan2_ada.mapping import MappingNetwork
from generators.stylegan2_ada.ops import downsample, fir_filter, minibatch_stddev
from generators.stylegan2_ada.synthesis import ARCHITECTURES, Architecture, Precision


class DiscriminatorBlock(nn.Module):
    """All layers at one resolution.

    Args:
        in_channels: Features from the block before; 0 makes it the first.
        mid_channels: Features at this resolution.
        out_channels: Features out, at half the side.
        img_channels: Colours.
        architecture: "skip" reads a down-sampled image in every block, "resnet" has residual
            blocks, "orig" neither.
        conv_clamp: Limit of every convolution's output, None for none.
        reduced: Whether this block may run in half precision.
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        *,
        img_channels: int = 3,
        architecture: Architecture = "resnet",
        conv_clamp: float | None = None,
        reduced: bool = False,
    ) -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise ValueError(f"architecture must be one of {ARCHITECTURES}, got {architecture!r}")
        self.architecture = architecture
        self.reduced = reduced
        self.has_rgb = in_channels == 0 or architecture == "skip"
        self.register_buffer("resample_filter", fir_filter())
        if self.has_rgb:
            self.fromrgb = Conv2d(
                img_channels, mid_channels, kernel=1, activation="lrelu", clamp=conv_clamp
            )
        self.conv0 = Conv2d(
            mid_channels, mid_channels, kernel=3, activation="lrelu", clamp=conv_clamp
        )
        self.conv1 = Conv2d(
            mid_channels,
            out_channels,
            kernel=3,
            activation="lrelu",
            resample="down",
            clamp=conv_clamp,
        )
        if architecture == "resnet":
            self.skip = Conv2d(mid_channels, out_channels, kernel=1, bias=False, resample="down")

    def forward(
        self, x: Tensor | None, image: Tensor | None, *, mixed: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return features and image at half the side; the image is None where nobody reads it."""
        dtype = torch.float16 if self.reduced and mixed else torch.float32
        if x is not None:
            x = x.to(dtype)
        if self.has_rgb and image is not None:
            image = image.to(dtype)
            colours = self.fromrgb(image)
            x = colours if x is None else x + colours
            image = downsample(image, self.resample_filter) if self.architecture == "skip" else None
        if self.architecture == "resnet":
            gain = math.sqrt(0.5)  # two summands of equal variance (section B)
            x = self.conv1(self.conv0(x), gain=gain) + self.skip(x, gain=gain)
        else:
            x = self.conv1(self.conv0(x))
        return x, image


class DiscriminatorEpilogue(nn.Module):
    """The 4x4 end: minibatch deviation, convolution, two fully connected layers.

    Args:
        in_channels: Features in.
        out_features: Width of the output.
        resolution: Side of the input.
        img_channels: Colours.
        architecture: "skip" reads the down-sampled image here too.
        mbstd_group_size: Samples per group, None for the whole batch.
        mbstd_num_channels: Deviation features; 0 for none.
        conv_clamp: Limit of the convolution's output, None for none.
    """

    def __init__(
        self,
        in_channels: int,
        out_features: int,
        *,
        resolution: int = 4,
        img_channels: int = 3,
        architecture: Architecture = "resnet",
        mbstd_group_size: int | None = 4,
        mbstd_num_channels: int = 1,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.group_size = mbstd_group_size
        self.num_channels = mbstd_num_channels
        self.has_rgb = architecture == "skip"
        if self.has_rgb:
            self.fromrgb = Conv2d(img_channels, in_channels, kernel=1, activation="lrelu")
        self.conv = Conv2d(
            in_channels + mbstd_num_channels,
            in_channels,
            kernel=3,
            activation="lrelu",
            clamp=conv_clamp,
        )
        self.fc = FullyConnected(in_channels * resolution**2, in_channels, activation="lrelu")
        self.out = FullyConnected(in_channels, out_features)

    def forward(self, x: Tensor, image: Tensor | None) -> Tensor:
        """Return (N, out_features) from (N, C, side, side) features and the image at that side."""
        x = x.float()
        if self.has_rgb and image is not None:
            x = x + self.fromrgb(image.float())
        if self.num_channels:
            x = minibatch_stddev(x, group_size=self.group_size, channels=self.num_channels)
        y: Tensor = self.out(self.fc(self.conv(x).flatten(1)))
        return y


class Discriminator(nn.Module):
    """Tell real images from generated ones.

    Args:
        c_dim: Width of the labels, 0 for none.
        img_resolution: Side of the image, a power of 2.
        img_channels: Colours.
        channel_base: Features times resolution.
        channel_max: Most features at any resolution.
        architecture: "resnet", "skip" or "orig".
        cmap_dim: Width of the mapped labels; None for the features at 4x4.
        mapping_layers: Depth of the label mapping.
        mbstd_group_size: Samples per deviation group, None for the whole batch.
        mbstd_num_channels: Deviation features; 0 for none.
        conv_clamp: Limit of every convolution's output, None for none.
        num_fp16_res: How many of the highest resolutions may run in half precision.
    """

    def __init__(
        self,
        *,
        c_dim: int = 0,
        img_resolution: int,
        img_channels: int = 3,
        channel_base: int = 32768,
        channel_max: int = 512,
        architecture: Architecture = "resnet",
        cmap_dim: int | None = None,
        mapping_layers: int = 8,
        mbstd_group_size: int | None = 4,
        mbstd_num_channels: int = 1,
        conv_clamp: float | None = None,
        num_fp16_res: int = 0,
    ) -> None:
        super().__init__()
        self.c_dim = c_dim
        self.input_shape = (img_channels, img_resolution, img_resolution)
        channels = channel_counts(
            img_resolution, channel_base=channel_base, channel_max=channel_max
        )
        self.sides = resolutions(img_resolution)[:0:-1]
        for side in self.sides:
            block = DiscriminatorBlock(
                0 if side == img_resolution else channels[side],
                channels[side],
                channels[side // 2],
                img_channels=img_channels,
                architecture=architecture,
                conv_clamp=conv_clamp,
                reduced=side >= reduced_from(img_resolution, num_fp16_res),
            )
            self.add_module(f"b{side}", block)
        width = cmap_dim or channels[4]
        if c_dim:
            self.mapping = MappingNetwork(
                z_dim=0, c_dim=c_dim, w_dim=width, num_layers=mapping_layers, w_avg_beta=None
            )
        self.b4 = DiscriminatorEpilogue(
            channels[4],
            width if c_dim else 1,
            img_channels=img_channels,
            architecture=architecture,
            mbstd_group_size=mbstd_group_size,
            mbstd_num_channels=mbstd_num_channels,
            conv_clamp=conv_clamp,
        )

    def forward(
        self, image: Tensor, c: Tensor | None = None, *, precision: Precision = "auto"
    ) -> Tensor:
        """Score a batch.

        Args:
            image: (N, img_channels, side, side) RGB, nominally in [-1, 1].
            c: Labels, (N, c_dim); ignored where ``c_dim`` is 0.
            precision: As in ``SynthesisNetwork.forward``.

        Returns:
            Logits, (N, 1): high for real. With labels, the output's projection on the mapped
            label over the root of its width (arXiv 1802.05637, equation 3).

        Raises:
            ValueError: The image has another shape.
        """
        if tuple(image.shape[1:]) != self.input_shape:
            raise ValueError(f"image must be (N, *{self.input_shape}), got {tuple(image.shape)}")
        mixed = precision == "mixed" or (precision == "auto" and image.is_cuda)
        x: Tensor | None = None
        rest: Tensor | None = image
        for side in self.sides:
            x, rest = self.get_submodule(f"b{side}")(x, rest, mixed=mixed)
        scores: Tensor = self.b4(x, rest)
        if not self.c_dim:
            return scores
        label: Tensor = self.mapping(None, c)
        return (scores * label).sum(dim=1, keepdim=True) / math.sqrt(label.shape[1])
