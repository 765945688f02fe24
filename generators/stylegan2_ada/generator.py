"""Mapping and synthesis together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from generators.stylegan2_ada.mapping import MappingNetwork
from generators.stylegan2_ada.modulated import NoiseMode
from generators.stylegan2_ada.synthesis import Architecture, Precision, SynthesisNetwork


class Generator(nn.Module):
    """StyleGAN2 generator, optionally class-conditional.

    Args:
        z_dim: Width of the latents.
        c_dim: Width of the labels, 0 for none.
        w_dim: Width of the styles.
        img_resolution: Side of the image, a power of 2.
        img_channels: Colours.
        mapping_layers: Depth of the mapping network.
        channel_base: Features times resolution.
        channel_max: Most features at any resolution.
        architecture: "skip", "resnet" or "orig".
        conv_clamp: Limit of every convolution's output, None for none.
        num_fp16_res: How many of the highest resolutions may run in half precision.
        w_avg_beta: Decay of the running mean of ``w``.
    """

    def __init__(
        self,
        *,
        z_dim: int = 512,
        c_dim: int = 0,
        w_dim: int = 512,
        img_resolution: int,
        img_channels: int = 3,
        mapping_layers: int = 8,
        channel_base: int = 32768,
        channel_max: int = 512,
        architecture: Architecture = "skip",
        conv_clamp: float | None = None,
        num_fp16_res: int = 0,
        w_avg_beta: float = 0.995,
    ) -> None:
        super().__init__()
        self.synthesis = SynthesisNetwork(
            w_dim=w_dim,
            img_resolution=img_resolution,
            img_channels=img_channels,
            channel_base=channel_base,
            channel_max=channel_max,
            architecture=architecture,
            conv_clamp=conv_clamp,
            num_fp16_res=num_fp16_res,
        )
        self.mapping = MappingNetwork(
            z_dim=z_dim,
            c_dim=c_dim,
            w_dim=w_dim,
            num_ws=self.synthesis.num_ws,
            num_layers=mapping_layers,
            w_avg_beta=w_avg_beta,
        )

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        *,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: NoiseMode = "random",
        precision: Precision = "auto",
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Return (N, img_channels, side, side) images of (N, z_dim) latents, (N, c_dim) labels.

        See ``MappingNetwork.forward`` and ``SynthesisNetwork.forward`` for the options.
        """
        ws = self.mapping(z, c, psi=psi, cutoff=cutoff)
        image: Tensor = self.synthesis(ws, noise=noise, precision=precision, rng=rng)
        return image
