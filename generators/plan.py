"""What every training run needs to know, whether a generator learns from images or from another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from anonyface.errors import InputError
from generators.stylegan2_ada import Discriminator, Generator
from generators.stylegan2_ada.synthesis import Architecture


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The networks, the optimiser and what is kept; never data, device or seed.

    Attributes:
        resolution: Side of the images, px.
        batch: Images a step.
        channel_base: Features times resolution, both networks.
        channel_max: Most features at any resolution.
        w_dim: Width of styles.
        mapping_layers: Depth of the mapping network.
        learning_rate: Of Adam, before the correction for lazy regularisers.
        r1_gamma: Strength of R1.
        r1_interval: Steps from one R1 step to the next; 0 for no R1.
        ema_images: Half-life of the weight average, images.
        num_fp16_res: Resolutions in half precision on CUDA.
        conv_clamp: Limit of convolutions' outputs, None for none.
        snapshot_images: Images from one snapshot to the next.
    """

    resolution: int
    batch: int
    channel_base: int
    channel_max: int
    w_dim: int
    mapping_layers: int
    learning_rate: float
    r1_gamma: float
    r1_interval: int = 16
    ema_images: int = 10_000
    num_fp16_res: int = 0
    conv_clamp: float | None = None
    snapshot_images: int

    def new_generator(self, *, z_dim: int, c_dim: int = 0) -> Generator:
        """Return a new generator.

        Args:
            z_dim: Width of latents.
            c_dim: Number of classes, 0 for none.
        """
        return Generator(
            z_dim=z_dim,
            c_dim=c_dim,
            w_dim=self.w_dim,
            img_resolution=self.resolution,
            mapping_layers=self.mapping_layers,
            channel_base=self.channel_base,
            channel_max=self.channel_max,
            conv_clamp=self.conv_clamp,
            num_fp16_res=self.num_fp16_res,
        )

    def new_discriminator(
        self, *, c_dim: int = 0, architecture: Architecture = "resnet"
    ) -> Discriminator:
        """Return a new discriminator.

        Args:
            c_dim: Number of classes, 0 for none.
            architecture: Of its blocks.
        """
        return Discriminator(
            c_dim=c_dim,
            img_resolution=self.resolution,
            channel_base=self.channel_base,
            channel_max=self.channel_max,
            architecture=architecture,
            mapping_layers=self.mapping_layers,  # of the labels: none are made without classes
            conv_clamp=self.conv_clamp,
            num_fp16_res=self.num_fp16_res,
        )

    def facts(self) -> dict[str, Any]:
        """Return all settings as plain values, for JSON."""
        return asdict(self)


AnyPlan = TypeVar("AnyPlan", bound=Plan)


def find_plan(plans: Mapping[str, AnyPlan], name: str, *, kind: str) -> AnyPlan:
    """Return the plan of that name.

    Args:
        plans: By name.
        name: The name.
        kind: What to call a plan in the error.

    Raises:
        InputError: There is none of that name.
    """
    if name not in plans:
        raise InputError(f"unknown {kind} {name!r}; there are {', '.join(plans)}")
    return plans[name]
