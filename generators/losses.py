"""What the two networks are trained on (arXiv 1912.04958, 2006.06676).

The adversarial terms are functions of logits; what the discriminator saw is up to the caller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from generators.stylegan2_ada.mapping import MappingNetwork

PATH_WEIGHT = 2.0
"""Weight of the path-length penalty.

arXiv 1912.04958, appendix B: ln 2 / (r^2 (ln r - ln 2)) for side r, unnormalised noise and the sum
over all layers. Here the noise is divided by r and the layers are averaged; there are
2 (ln r - ln 2) / ln 2 of them, which leaves 2 at every resolution.
"""

PATH_DECAY = 0.99
"""Decay of the running mean of path lengths (arXiv 1912.04958, appendix B)."""

MIXING = 0.9
"""Share of generated images made from two latents (arXiv 1812.04948, section 3.1)."""


def generator_loss(fake_logits: Tensor) -> Tensor:
    """Non-saturating loss: -log sigmoid of the logits for generated images, (N, 1) to a scalar."""
    return F.softplus(-fake_logits).mean()


def discriminator_loss(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """Logistic loss of (N, 1) logits for generated and for real images, a scalar."""
    return F.softplus(fake_logits).mean() + F.softplus(-real_logits).mean()


def r1_penalty(real_logits: Tensor, real_images: Tensor, *, gamma: float) -> Tensor:
    """Return gamma / 2 times the mean squared gradient norm (arXiv 1801.04406, equation 9).

    Args:
        real_logits: (N, 1), computed from ``real_images`` with a graph.
        real_images: (N, C, H, W) that require a gradient. Give the images before augmentation to
            penalise the discriminator and what is augmented in front of it as one function.
        gamma: Strength.

    Returns:
        A scalar with a graph to the discriminator's parameters.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real_images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean() * (gamma / 2)


@dataclass(eq=False)
class PathLength:
    """Path-length regulariser: steps of one size in ``w`` change every image as much.

    Attributes:
        mean: Running mean of the lengths, a scalar tensor; 0 before the first.
    """

    mean: Tensor

    def penalty(self, images: Tensor, ws: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
        """Return the mean squared deviation from the mean length, and move that mean.

        Args:
            images: (N, C, H, W), computed from ``ws`` with a graph.
            ws: (N, num_ws, w_dim).
            rng: Source of the directions, on the images' device; None for torch's own.

        Returns:
            A scalar with a graph to the generator's parameters (arXiv 1912.04958, equation 4).
        """
        direction = torch.randn(images.shape, device=images.device, generator=rng)
        projected = (images * direction).sum() / math.sqrt(images.shape[2] * images.shape[3])
        (gradient,) = torch.autograd.grad(projected, ws, create_graph=True)
        # The root has no slope at 0; a length of 1e-4 is far below any that occurs.
        lengths = (gradient.square().sum(dim=2).mean(dim=1) + 1e-8).sqrt()
        self.mean = lengths.detach().mean().lerp(self.mean, PATH_DECAY)
        return (lengths - self.mean).square().mean()


def mixed_styles(
    mapping: MappingNetwork,
    c: Tensor,
    *,
    probability: float,
    rng: torch.Generator,
    update_average: bool = False,
) -> Tensor:
    """Map fresh latents to styles; some images get two, split at a random layer.

    Args:
        mapping: Mapping network with ``num_ws``.
        c: Labels, (N, c_dim), on the network's device; c_dim 0 for an unconditional one.
        probability: Share of images with two latents.
        rng: Source of randomness, on the CPU, so that every device draws the same.
        update_average: Fold the styles into the mapping's running mean.

    Returns:
        (N, num_ws, w_dim).
    """
    count, device = c.shape[0], c.device
    z = torch.randn(2, count, mapping.z_dim, generator=rng).to(device)
    ws: Tensor = mapping(z[0], c, update_average=update_average)
    if not probability:
        return ws
    layers = ws.shape[1]
    cut = torch.randint(1, layers, (count,), generator=rng)
    cut[torch.rand(count, generator=rng) >= probability] = layers
    second = (torch.arange(layers) >= cut[:, None]).to(device)  # (N, num_ws)
    return torch.where(second[:, :, None], mapping(z[1], c), ws)


def lazy_adam(
    *, learning_rate: float, betas: tuple[float, float], interval: int
) -> tuple[float, tuple[float, float]]:
    """Return learning rate and betas for a network with one more step every ``interval`` steps.

    With c = k / (k + 1): the rate times c, each beta to the power of c, so that a round of k + 1
    steps moves as far as k did (arXiv 1912.04958, appendix B). An interval of 0 changes nothing.

    >>> lazy_adam(learning_rate=0.002, betas=(0.0, 0.81), interval=1)
    (0.001, (0.0, 0.9))
    """
    if not interval:
        return learning_rate, betas
    c = interval / (interval + 1)
    return learning_rate * c, (betas[0] ** c, betas[1] ** c)
