"""What a student is shown, and how its pictures are compared with the teacher's."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generators.reference import ReferenceGenerator

Features = nn.Module
"""Network that gives (pooled, list of maps), see generators/features.py."""


class Teacher(Protocol):
    """Pairs of styles and pictures."""

    def pairs(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return (count, w_dim) styles and the (count, 3, side, side) pictures in [-1, 1]."""
        ...


class ReferenceTeacher:
    """The shipped generator.

    Args:
        resolution: Side of the pictures, a power of 2 up to 256.
        device: Where it runs.
        psi: Range of the truncation, drawn evenly for every picture.
    """

    def __init__(
        self, *, resolution: int, device: torch.device, psi: tuple[float, float] = (0.4, 1.0)
    ) -> None:
        self.generator = ReferenceGenerator().requires_grad_(False).to(device)
        self.device = device
        self.psi = psi
        self.factor = self.generator.resolution // resolution

    @torch.no_grad()
    def pairs(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Render fresh styles; ``rng`` is on the CPU."""
        z = torch.randn(count, self.generator.z_dim, generator=rng).to(self.device)
        low, high = self.psi
        psi = low + (high - low) * torch.rand(count, 1, generator=rng).to(self.device)
        w = self.generator.truncate(self.generator.map(z), psi)
        parts = [
            F.avg_pool2d(self.generator.render(part), self.factor) for part in torch.split(w, 16)
        ]
        return w, torch.cat(parts).clamp(-1, 1)


class Bank:
    """Pairs of another teacher made once and used again: where it is slower than the student.

    Args:
        teacher: Makes them.
        size: How many.
        seed: Seed of the choice.
    """

    def __init__(self, teacher: Teacher, *, size: int, seed: int) -> None:
        self.w, self.images = teacher.pairs(size, torch.Generator().manual_seed(seed))

    def pairs(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw pairs, each one as likely; ``rng`` is on the CPU."""
        rows = torch.randint(len(self.w), (count,), generator=rng).to(self.w.device)
        return self.w[rows], self.images[rows]


def feature_distance(features: Features, a: Tensor, b: Tensor, *, side: int) -> Tensor:
    """Compare pictures by what a fixed network sees in them (after arXiv 1801.03924, section 3).

    Args:
        features: Gives (pooled, list of maps).
        a: (N, 3, H, W) in [-1, 1].
        b: The same of others.
        side: Pictures are scaled to this side first, where they are smaller.

    Returns:
        Mean absolute difference of the maps, each feature vector scaled to length 1, averaged over
        the maps; a scalar.
    """
    if a.shape[-1] < side:
        a, b = (
            F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
            for x in (a, b)
        )
    maps_a = features(a)[1]
    with torch.no_grad():
        maps_b = features(b)[1]
    # Times the root of the width: the mean entry of a unit vector shrinks with it.
    distances = [
        (F.normalize(x, dim=1) - F.normalize(y, dim=1)).abs().mean() * math.sqrt(x.shape[1])
        for x, y in zip(maps_a, maps_b, strict=True)
    ]
    return torch.stack(distances).mean()
