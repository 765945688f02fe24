"""Settings of distillations, by name; see generators/distill.py."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from generators.plan import Plan, find_plan
from generators.stylegan2_ada import Discriminator, Generator


@dataclass(frozen=True, kw_only=True)
class Recipe(Plan):
    """Everything that decides how a student learns, but device and seed.

    Styles and mapping network are the teacher's.

    Attributes:
        feature_weight: Weight of the comparison by features; pixels have 1.
        feature_side: Side to which smaller pictures are scaled for it, px.
        adversarial_weight: Weight of the discriminator's verdict; 0 for no discriminator.
        adversarial_from: Pictures after which there is a discriminator: before, anybody could
            tell student and teacher apart.
    """

    w_dim: int = 512
    mapping_layers: int = 8
    learning_rate: float = 0.002
    r1_gamma: float = 1.0
    snapshot_images: int = 10_000
    feature_weight: float = 1.0
    feature_side: int = 64
    adversarial_weight: float = 0.05
    adversarial_from: int = 0

    def generator(self, mapping: dict[str, Tensor]) -> Generator:
        """Return a new generator with a teacher's mapping network."""
        generator = self.new_generator(z_dim=self.w_dim)
        generator.mapping.load_state_dict(mapping)
        return generator

    def discriminator(self) -> Discriminator:
        """Return a new discriminator."""
        return self.new_discriminator()


RECIPES: dict[str, Recipe] = {
    # To see that it works, on one core.
    "cpu-32": Recipe(
        resolution=32,
        batch=16,
        channel_base=1024,
        channel_max=64,
        adversarial_weight=0.0,
        snapshot_images=2000,
    ),
    # As wide as StyleGAN2's own at this size (arXiv 2006.06676, appendix C: half the base).
    "gpu-256": Recipe(
        resolution=256,
        batch=32,
        channel_base=16384,
        channel_max=512,
        feature_side=256,
        adversarial_from=200_000,
        r1_gamma=0.4,  # 0.0002 r^2 / batch, arXiv 2006.06676, appendix C
        num_fp16_res=4,
        conv_clamp=256.0,
        snapshot_images=50_000,
    ),
    # A quarter of the width: a sixteenth of the multiplications, for use without an accelerator.
    "gpu-256-slim": Recipe(
        resolution=256,
        batch=32,
        channel_base=4096,
        channel_max=256,
        feature_side=256,
        adversarial_from=200_000,
        r1_gamma=0.4,
        num_fp16_res=4,
        conv_clamp=256.0,
        snapshot_images=50_000,
    ),
}


def find_recipe(name: str) -> Recipe:
    """Return a recipe.

    Raises:
        InputError: There is none of that name.
    """
    return find_plan(RECIPES, name, kind="recipe")
