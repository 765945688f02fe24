"""Frechet distance between two sets of images in a fixed feature space (arXiv 1706.08500).

The feature network is `features.py`, not the one the literature uses: figures compare with each
other where feature side and number of images are the same, and with nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from generators.features import FeatureNetwork

BATCH = 50

Draw = Callable[[int], Tensor]
"""Gives the next n images, (n, 3, H, W) in [-1, 1]."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of features.

    Attributes:
        mean: (D,) float64.
        covariance: (D, D) float64.
    """

    mean: Tensor
    covariance: Tensor


def moments(features: Tensor) -> Moments:
    """Return mean and covariance of (N, D) features, N 2 or more."""
    values = features.detach().cpu().double()
    return Moments(values.mean(dim=0), torch.cov(values.T))


def frechet_distance(a: Moments, b: Moments) -> float:
    """Return the squared Wasserstein-2 distance of two normal distributions.

    |mean difference|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2)  (arXiv 1706.08500, equation 6)

    0 for equal moments, up to rounding; never negative.
    """
    root = _root(a.covariance)
    cross = torch.linalg.eigvalsh(root @ b.covariance @ root).clamp(min=0).sqrt().sum()
    spread = a.covariance.trace() + b.covariance.trace() - 2 * cross
    return max(float((a.mean - b.mean).square().sum() + spread), 0.0)


@torch.no_grad()
def describe(draw: Draw, network: FeatureNetwork, *, count: int, side: int) -> Moments:
    """Return the moments of images' features.

    Args:
        draw: Gives the images.
        network: Feature network, on the images' device.
        count: Number of images.
        side: Side to which they are resized first, px.
    """
    rows: list[Tensor] = []
    for start in range(0, count, BATCH):
        images = draw(min(BATCH, count - start)).clamp(-1, 1)
        # Antialiased, so that a smaller side shows no artefacts that are not in the image.
        images = F.interpolate(images, (side, side), mode="bilinear", antialias=True)
        rows.append(network(images)[0].cpu())
    return moments(torch.cat(rows))


def _root(matrix: Tensor) -> Tensor:
    """Symmetric square root of a positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root
