"""Spoil the light of new faces as a swap can: from another side, of another colour, in blotches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

UNSPOILED, PERFECT = 0.3, 0.5
"""Share of faces that stay as the engine made them, and of those that are the photo's own."""
CAST, LEVEL, SIDE, BLOTCH, TINT, CONTRAST = 0.05, 0.08, 0.16, 0.07, 0.03, 0.15
"""Spreads at full strength: logarithms of gains, and the last a share of what is finer than
light."""
STRONGEST = 2.5
"""Strength is this times the square of an even draw: what is plain to see is learnt from."""
FINEST = 7
"""Blotches are so many to a side at most."""
EXPOSURE, WARMTH, CURVE = 0.25, 0.08, 0.15
"""Spreads of what makes photo and new face together another photo."""
HALF_SIDE = 32
"""Half a window's side: narrower pictures are cut from those that show all around a face."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Faces and the truth, (n, c, 64, 64) float 0-255.

    Attributes:
        photo: RGB, the truth.
        new: RGB, the new face over the whole window.
        masks: Weight of the new face, and where the photo is.
    """

    photo: Tensor
    new: Tensor
    masks: Tensor

    @property
    def alpha(self) -> Tensor:
        """(n, 1, 64, 64) weight of the new face in [0, 1], 0 beyond the photo."""
        return self.masks[:, :1] * self.masks[:, 1:] / 255**2

    def mixed(self, gain: Tensor | None = None) -> Tensor:
        """(n, 3, 64, 64) composed faces, with logarithms of gains for the new one."""
        new = self.new if gain is None else (self.new * gain.exp()).clamp(0, 255)
        return self.photo + (new - self.photo) * self.alpha


def varied(batch: Batch, rng: torch.Generator) -> Batch:
    """Return other photos of the same faces: mirrored, exposed otherwise, cut narrower."""
    n = len(batch.photo)
    flip = torch.rand(n, 1, 1, 1, generator=rng) < 0.5
    photo, new, masks = (
        torch.where(flip, t.flip(3), t) for t in (batch.photo, batch.new, batch.masks)
    )
    gain = EXPOSURE * torch.randn(n, 1, 1, 1, generator=rng)
    gain = (gain + WARMTH * torch.randn(n, 3, 1, 1, generator=rng)).exp()
    power = (CURVE * torch.randn(n, 1, 1, 1, generator=rng)).exp()
    photo, new = ((gain * 128 * (t / 128) ** power).clamp(0, 255) for t in (photo, new))
    # 0 beyond a random distance from the middle, on two sides
    steps = torch.arange(2 * HALF_SIDE) - HALF_SIDE + 0.5
    reach = HALF_SIDE * (0.7 + 0.6 * torch.rand(4, n, 1, 1, 1, generator=rng))
    near_x = (steps < reach[0]) & (steps > -reach[1])
    near_y = (steps[:, None] < reach[2]) & (steps[:, None] > -reach[3])
    return Batch(photo, new, torch.cat([masks[:, :1], masks[:, 1:] * near_x * near_y], dim=1))


def spoiled(batch: Batch, rng: torch.Generator) -> Batch:
    """Return the same faces, new ones in a light that isn't the photo's; many stay as they are."""
    n, side = len(batch.new), batch.new.shape[-1]

    def normal(*shape: int) -> Tensor:
        return torch.randn(n, *shape, generator=rng)

    perfect = torch.rand(n, 1, 1, 1, generator=rng) < PERFECT
    new = torch.where(perfect, batch.photo, batch.new)
    strength = STRONGEST * torch.rand(n, 1, 1, 1, generator=rng) ** 2
    strength = strength * (torch.rand(n, 1, 1, 1, generator=rng) >= UNSPOILED)
    field = LEVEL * normal(1, 1, 1) + CAST * normal(3, 1, 1)
    ramp = torch.linspace(-1, 1, side)
    field = field + SIDE * (normal(1, 1, 1) * ramp + normal(1, 1, 1) * ramp[:, None])
    cells = int(torch.randint(3, FINEST + 1, (), generator=rng))
    blotches = BLOTCH * normal(1, cells, cells) + TINT * normal(3, cells, cells)
    field = field + F.interpolate(blotches, size=(side, side), mode="bicubic")
    smooth = F.interpolate(F.avg_pool2d(new, 4), size=(side, side), mode="bilinear")
    harder = new + CONTRAST * strength * normal(1, 1, 1) * (new - smooth)
    new = (harder.clamp_min(0) * (strength * field).exp()).clamp(0, 255)
    return Batch(batch.photo, new, batch.masks)
