"""Settings of training runs, by name.

The figures beside a preset come from runs; a preset without figures has not been run.
"""

from __future__ import annotations

from dataclasses import dataclass

from generators.plan import Plan, find_plan
from generators.stylegan2_ada import Discriminator, Generator
from generators.stylegan2_ada.modulated import NoiseMode
from generators.stylegan2_ada.synthesis import Architecture


@dataclass(frozen=True, kw_only=True)
class Preset(Plan):
    """Everything that decides how a generator is trained, but data, device and seed.

    Attributes:
        z_dim: Width of latents.
        d_architecture: Architecture of the discriminator.
        path_interval: Steps from one path-length step to the next; 0 for none.
        path_shrink: The path-length step uses the batch divided by this.
        mixing: Share of generated images with two latents.
        noise: Whether training adds noise to the features. "none" leaves its strengths at 0, so
            that the finished generator has none either.
        ema_ramp: Most of the half-life as share of the images shown.
        ada_target: Mean sign of the logits for real images that is aimed at.
        ada_ramp_images: Images within which the augmentation can go from 0 to 1.
        ada_interval: Steps from one change of the augmentation to the next.
        metric_images: Images on either side of the Frechet distance.
        metric_side: Side to which they are resized for the feature network, px.
    """

    z_dim: int
    d_architecture: Architecture
    path_interval: int = 4
    path_shrink: int = 2
    mixing: float = 0.9
    noise: NoiseMode = "random"
    ema_ramp: float = 0.05
    ada_target: float = 0.6
    ada_ramp_images: int = 500_000
    ada_interval: int = 4
    metric_images: int
    metric_side: int

    def generator(self, *, c_dim: int) -> Generator:
        """Return a new generator; c_dim is the number of classes, 0 for none."""
        return self.new_generator(z_dim=self.z_dim, c_dim=c_dim)

    def discriminator(self, *, c_dim: int) -> Discriminator:
        """Return a new discriminator; c_dim is the number of classes, 0 for none."""
        return self.new_discriminator(c_dim=c_dim, architecture=self.d_architecture)


def _gamma(resolution: int, batch: int) -> float:
    """R1's strength by the rule of arXiv 2006.06676, appendix C: 0.0002 r^2 / batch."""
    return 0.0002 * resolution**2 / batch


PRESETS: dict[str, Preset] = {
    # One core: Frechet distance 847 untrained, 159 after 180,000 images of generated people, with a
    # floor of 40 (benchmarks/results/generator_training_cpu32.json).
    "cpu-32": Preset(
        resolution=32,
        batch=32,
        channel_base=512,
        channel_max=64,
        z_dim=64,
        w_dim=64,
        mapping_layers=2,
        d_architecture="resnet",
        learning_rate=0.0025,
        r1_gamma=0.01,  # arXiv 2006.06676, table for CIFAR-10 (32 px)
        noise="none",  # a run this short turns noise into speckles
        snapshot_images=20_000,
        metric_images=1000,
        metric_side=128,
    ),
    "cpu-64": Preset(
        resolution=64,
        batch=32,
        channel_base=2048,
        channel_max=64,
        z_dim=128,
        w_dim=128,
        mapping_layers=2,
        d_architecture="resnet",
        learning_rate=0.0025,
        r1_gamma=_gamma(64, 32),
        snapshot_images=10_000,
        metric_images=1000,
        metric_side=128,
    ),
    # Starting points from the papers, for one accelerator.
    "gpu-128": Preset(
        resolution=128,
        batch=64,
        channel_base=16384,
        channel_max=512,
        z_dim=512,
        w_dim=512,
        mapping_layers=2,
        d_architecture="resnet",
        learning_rate=0.0025,
        r1_gamma=_gamma(128, 64),
        ema_images=20_000,
        num_fp16_res=4,
        conv_clamp=256.0,
        snapshot_images=100_000,
        metric_images=10_000,
        metric_side=224,
    ),
    "gpu-256": Preset(
        resolution=256,
        batch=64,
        channel_base=16384,
        channel_max=512,
        z_dim=512,
        w_dim=512,
        mapping_layers=8,
        d_architecture="resnet",
        learning_rate=0.0025,
        r1_gamma=_gamma(256, 64),
        ema_images=20_000,
        num_fp16_res=4,
        conv_clamp=256.0,
        snapshot_images=100_000,
        metric_images=10_000,
        metric_side=224,
    ),
}


def find_preset(name: str) -> Preset:
    """Return a preset.

    Raises:
        InputError: There is none of that name.
    """
    return find_plan(PRESETS, name, kind="preset")
