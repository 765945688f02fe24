"""Warp images by 3x3 matrices without aliasing (arXiv 2006.06676, appendix B.2).

Reflect, up-sample by 2 with a wavelet low-pass, sample bilinearly, low-pass and drop every second
pixel. Twice differentiable, which R1 through the augmentations needs.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from generators.stylegan2_ada.ops import downsample, fir_filter, upsample

SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
"""Taps of the least asymmetric Daubechies wavelet with six vanishing moments (Daubechies 1992)."""

REACH = len(SYM6) // 4
"""Pixels the low-pass filter reaches beyond the image's border, at the image's resolution."""


class _Sample(torch.autograd.Function):
    """Bilinear sampling with zeros outside; linear in the image, so its gradient is ``_Scatter``.

    torch's own has no second derivative.
    """

    @staticmethod
    def forward(ctx, image: Tensor, grid: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(grid)
        ctx.side = image.shape[2:]
        return F.grid_sample(
            image, grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        (grid,) = ctx.saved_tensors
        return _scatter(gradient, grid, ctx.side), None


class _Scatter(torch.autograd.Function):
    """The transpose of ``_Sample``: put values back where they were read."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, values: Tensor, grid: Tensor, side: torch.Size
    ) -> Tensor:
        ctx.save_for_backward(grid)
        with torch.enable_grad():
            image = values.new_zeros(*values.shape[:2], *side).requires_grad_()
            sampled = F.grid_sample(
                image, grid, mode="bilinear", padding_mode="zeros", align_corners=False
            )
        (result,) = torch.autograd.grad(sampled, image, values)
        return result

    @staticmethod
    def backward(  # type: ignore[no-untyped-def]
        ctx, gradient: Tensor
    ) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _sample(gradient, grid), None, None


def _sample(image: Tensor, grid: Tensor) -> Tensor:
    return cast(Tensor, _Sample.apply(image, grid))  # type: ignore[no-untyped-call]


def _scatter(values: Tensor, grid: Tensor, side: torch.Size) -> Tensor:
    return cast(Tensor, _Scatter.apply(values, grid, side))  # type: ignore[no-untyped-call]


def margins(inverse: Tensor, *, image_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return how far to extend the images so that no sample falls outside.

    Args:
        inverse: Output to input offsets from the centre in pixels, (N, 3, 3).
        image_hw: Height and width.

    Returns:
        Pixels on the left, right, top and bottom, at most one less than the side (the most a
        reflection can give), the same for the whole batch.
    """
    h, w = image_hw
    half = torch.tensor([(w - 1) / 2, (h - 1) / 2], device=inverse.device)
    signs = torch.tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]], device=inverse.device)
    corners = torch.cat([signs * half, torch.ones(4, 1, device=inverse.device)], dim=1)
    reached = (corners @ inverse.transpose(1, 2))[..., :2].reshape(-1, 2)
    low = -reached.amin(dim=0) - half + 2 * REACH
    high = reached.amax(dim=0) - half + 2 * REACH
    left, top = (int(v) for v in low.ceil().tolist())
    right, bottom = (int(v) for v in high.ceil().tolist())
    return (
        min(max(left, 0), w - 1),
        min(max(right, 0), w - 1),
        min(max(top, 0), h - 1),
        min(max(bottom, 0), h - 1),
    )


def warp(images: Tensor, inverse: Tensor) -> Tensor:
    """Move the pixels of images.

    Args:
        images: (N, C, H, W) float32.
        inverse: Maps offsets from the centre of the output to the input's, pixels, (N, 3, 3).

    Returns:
        (N, C, H, W).
    """
    h, w = images.shape[2:]
    left, right, top, bottom = margins(inverse, image_hw=(h, w))
    padded = F.pad(images, (left, right, top, bottom), mode="reflect")
    taps = fir_filter(SYM6).to(images.device)
    fine = upsample(padded, taps)

    # Offsets from the image's centre of the fine output pixels.
    ys, xs = _fine_offsets(h, images.device), _fine_offsets(w, images.device)
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], dim=-1)  # (2 H', 2 W', 3)
    source = torch.einsum("nij,hwj->nhwi", inverse[:, :2], points)
    # Offset from the image's centre => fine pixel index => [-1, 1] between the fine borders.
    origin = torch.tensor([(w - 1) / 2 + left, (h - 1) / 2 + top], device=images.device)
    size = torch.tensor([fine.shape[3], fine.shape[2]], device=images.device)
    index = 2 * (source + origin)
    sampled = _sample(fine, (2 * index + 1) / size - 1)
    # The transpose of the up-sampling filter takes back its phase.
    return downsample(sampled, taps.flip(0, 1), trim=2 * REACH)


def _fine_offsets(side: int, device: torch.device) -> Tensor:
    """Offsets in pixels from the image's centre of a fine row with ``2 * REACH`` extra each end.

    The filter's largest tap (the 6th of 12) lies on the pixel itself, so fine pixel ``2 i`` is
    pixel ``i``, not a quarter to its left as with a symmetric filter of even length.
    """
    index = torch.arange(-2 * REACH, 2 * (side + REACH), device=device)
    return index / 2 - (side - 1) / 2
