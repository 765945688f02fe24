"""Adaptive discriminator augmentation (arXiv 2006.06676, section 3 and appendix B)."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from generators.stylegan2_ada import transforms as tf
from generators.stylegan2_ada.resample import warp


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Which augmentations run, and how strongly; defaults as published.

    The first twelve are factors on the common probability, 0 for never.

    Attributes:
        xflip: Mirror left and right.
        rotate90: Turn by multiples of 90 degrees.
        xint: Shift by whole pixels.
        scale: Scale both axes alike.
        rotate: Turn by any angle, before and after ``aniso``.
        aniso: Scale the axes by a factor and its inverse.
        xfrac: Shift by fractions of pixels.
        brightness: Add to all channels.
        contrast: Multiply all channels.
        lumaflip: Mirror the luminance.
        hue: Turn the colours about grey.
        saturation: Scale the distance from grey.
        xint_max: Largest whole shift, share of the side.
        scale_std: Standard deviation of log2 of the scale.
        rotate_max: Largest angle, share of half a turn.
        aniso_std: Standard deviation of log2 of the factor.
        xfrac_std: Standard deviation of the shift, share of the side.
        brightness_std: Standard deviation of the summand.
        contrast_std: Standard deviation of log2 of the factor.
        hue_max: Largest angle, share of half a turn.
        saturation_std: Standard deviation of log2 of the factor.
    """

    xflip: float = 0.0
    rotate90: float = 0.0
    xint: float = 0.0
    scale: float = 0.0
    rotate: float = 0.0
    aniso: float = 0.0
    xfrac: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    lumaflip: float = 0.0
    hue: float = 0.0
    saturation: float = 0.0
    xint_max: float = 0.125
    scale_std: float = 0.2
    rotate_max: float = 1.0
    aniso_std: float = 0.2
    xfrac_std: float = 0.125
    brightness_std: float = 0.2
    contrast_std: float = 0.5
    hue_max: float = 1.0
    saturation_std: float = 1.0


GEOMETRIC = ("xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac")
COLOUR = ("brightness", "contrast", "lumaflip", "hue", "saturation")

ALL = AugmentConfig(**dict.fromkeys(GEOMETRIC + COLOUR, 1.0))
"""Geometry and colour, the set the paper recommends ("bgc", section 3.1)."""


class _Draws:
    """Random values for a batch, or their value at a fixed percentile."""

    def __init__(
        self,
        count: int,
        *,
        device: torch.device,
        percentile: float | None,
        rng: torch.Generator | None,
    ) -> None:
        self.count = count
        self.device = device
        self.percentile = percentile
        self.rng = rng

    def uniform(self, *, columns: int = 1) -> Tensor:
        """U[0, 1), (N, columns)."""
        if self.percentile is not None:
            return torch.full((self.count, columns), self.percentile, device=self.device)
        return torch.rand(self.count, columns, device=self.device, generator=self.rng)

    def normal(self, *, columns: int = 1) -> Tensor:
        """N(0, 1), (N, columns); at a percentile P it is erfinv(2 P - 1)."""
        if self.percentile is not None:
            return (2 * self.uniform(columns=columns) - 1).erfinv()
        return torch.randn(self.count, columns, device=self.device, generator=self.rng)

    def gate(self, value: Tensor, neutral: float, probability: Tensor) -> Tensor:
        """Keep rows of ``value`` with a probability, put ``neutral`` into the others."""
        chosen = torch.rand(self.count, 1, device=self.device, generator=self.rng) < probability
        return torch.where(chosen, value, torch.full_like(value, neutral))


class AugmentPipe(nn.Module):
    """Augment images with probability ``p``, so that the generator never sees the augmentation.

    Args:
        config: What may happen, and how strongly.
        p: Probability of each augmentation; change it with ``set_probability``.
    """

    p: Tensor

    def __init__(self, config: AugmentConfig = ALL, *, p: float = 1.0) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("p", torch.tensor(float(p)))

    def set_probability(self, p: float) -> None:
        """Set the common probability, 0 to 1."""
        self.p.fill_(p)

    def forward(
        self,
        images: Tensor,
        *,
        debug_percentile: float | None = None,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Augment a batch, each image on its own.

        Args:
            images: (N, C, H, W) float32, nominally in [-1, 1], C 1 or 3.
            debug_percentile: Replace every random strength by its value at this fraction of its
                distribution; whether an augmentation runs stays random.
            rng: Source of randomness, on the images' device; None for torch's own.

        Returns:
            (N, C, H, W), unchanged where ``p`` is 0.

        Raises:
            ValueError: Colours are to change and C is neither 1 nor 3.
        """
        if not self.p:
            return images
        draws = _Draws(images.shape[0], device=images.device, percentile=debug_percentile, rng=rng)
        inverse = self.inverse_geometry(draws, image_hw=(images.shape[2], images.shape[3]))
        if inverse is not None:
            images = warp(images.float(), inverse)
        matrix = self.colour(draws)
        return images if matrix is None else apply_colour(images.float(), matrix)

    def inverse_geometry(self, draws: _Draws, *, image_hw: tuple[int, int]) -> Tensor | None:
        """Return (N, 3, 3) matrices from output to input offsets, None for no augmentation."""
        config, (h, w) = self.config, image_hw
        size = torch.tensor([w, h], device=draws.device)
        steps: list[Tensor] = []  # the inverse of each augmentation, first to last
        if config.xflip:
            flip = draws.gate((2 * draws.uniform()).floor(), 0, self.p * config.xflip)[:, 0]
            steps.append(tf.scale_2d(1 - 2 * flip, torch.ones_like(flip)))
        if config.rotate90:
            turns = draws.gate((4 * draws.uniform()).floor(), 0, self.p * config.rotate90)[:, 0]
            steps.append(tf.rotate_2d(math.pi / 2 * turns))
        if config.xint:
            shift = (2 * draws.uniform(columns=2) - 1) * config.xint_max
            shift = (draws.gate(shift, 0, self.p * config.xint) * size).round()
            steps.append(tf.translate_2d(-shift[:, 0], -shift[:, 1]))
        if config.scale:
            factor = (draws.normal() * config.scale_std).exp2()
            factor = draws.gate(factor, 1, self.p * config.scale)[:, 0]
            steps.append(tf.scale_2d(1 / factor, 1 / factor))
        if config.rotate:
            steps.append(self._inverse_rotation(draws))
        if config.aniso:
            factor = (draws.normal() * config.aniso_std).exp2()
            factor = draws.gate(factor, 1, self.p * config.aniso)[:, 0]
            steps.append(tf.scale_2d(1 / factor, factor))
        if config.rotate:
            steps.append(self._inverse_rotation(draws, second=True))
        if config.xfrac:
            shift = draws.normal(columns=2) * config.xfrac_std
            shift = draws.gate(shift, 0, self.p * config.xfrac) * size
            steps.append(tf.translate_2d(-shift[:, 0], -shift[:, 1]))
        return _product(steps)

    def _inverse_rotation(self, draws: _Draws, *, second: bool = False) -> Tensor:
        # Two rotations, each with a probability that makes "either" happen with p
        # (appendix B: p_rot = 1 - sqrt(1 - p)).
        probability = 1 - (1 - (self.p * self.config.rotate).clamp(0, 1)).sqrt()
        angle = (2 * draws.uniform() - 1) * math.pi * self.config.rotate_max
        if second and draws.percentile is not None:
            angle = torch.zeros_like(angle)  # one rotation is enough to look at
        return tf.rotate_2d(draws.gate(angle, 0, probability)[:, 0])

    def colour(self, draws: _Draws) -> Tensor | None:
        """Return (N, 4, 4) colour matrices, None for no augmentation."""
        config = self.config
        steps: list[Tensor] = []
        if config.brightness:
            value = draws.normal() * config.brightness_std
            steps.append(tf.shift_colour(draws.gate(value, 0, self.p * config.brightness)[:, 0]))
        if config.contrast:
            value = (draws.normal() * config.contrast_std).exp2()
            steps.append(tf.scale_colour(draws.gate(value, 1, self.p * config.contrast)[:, 0]))
        if config.lumaflip:
            value = (2 * draws.uniform()).floor()
            steps.append(tf.flip_luma(draws.gate(value, 0, self.p * config.lumaflip)[:, 0]))
        if config.hue:
            value = (2 * draws.uniform() - 1) * math.pi * config.hue_max
            steps.append(tf.rotate_hue(draws.gate(value, 0, self.p * config.hue)[:, 0]))
        if config.saturation:
            value = (draws.normal() * config.saturation_std).exp2()
            gated = draws.gate(value, 1, self.p * config.saturation)[:, 0]
            steps.append(tf.scale_saturation(gated))
        return _product(steps[::-1])


def apply_colour(images: Tensor, matrix: Tensor) -> Tensor:
    """Transform (N, C, H, W) images by (N, 4, 4) colour matrices; grey ones by the mean row."""
    channels = images.shape[1]
    if channels == 3:
        linear, shift = matrix[:, :3, :3], matrix[:, :3, 3]
        mixed = torch.einsum("nij,njhw->nihw", linear, images)
        return mixed + shift[:, :, None, None]
    if channels == 1:
        row = matrix[:, :3].mean(dim=1)
        factor, shift = row[:, :3].sum(dim=1), row[:, 3]
        return images * factor[:, None, None, None] + shift[:, None, None, None]
    raise ValueError(f"colours need 1 or 3 channels, got {channels}")


def _product(matrices: list[Tensor]) -> Tensor | None:
    return functools.reduce(torch.matmul, matrices) if matrices else None
