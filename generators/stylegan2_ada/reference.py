"""Slow twins of the fast operations, written straight from the definitions, for tests."""

from __future__ import annotations

import torch
from torch import Tensor


def convolve(x: Tensor, kernel: Tensor, *, padding: tuple[int, int]) -> Tensor:
    """True 2-D convolution of every channel, one output pixel at a time.

    Args:
        x: (N, C, H, W).
        kernel: (K, K).
        padding: Zeros before and after, on both axes.
    """
    k = kernel.shape[0]
    before, after = padding
    n, c, h, w = x.shape
    wide = x.new_zeros(n, c, h + before + after, w + before + after)
    wide[:, :, before : before + h, before : before + w] = x
    y = x.new_zeros(n, c, wide.shape[2] - k + 1, wide.shape[3] - k + 1)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            window = wide[:, :, i : i + k, j : j + k]
            y[:, :, i, j] = (window * kernel.flip(0, 1)).sum(dim=(2, 3))
    return y


def spread(x: Tensor) -> Tensor:
    """Put a zero after every pixel on both axes, (N, C, H, W) to (N, C, 2 H, 2 W)."""
    n, c, h, w = x.shape
    wide = x.new_zeros(n, c, 2 * h, 2 * w)
    wide[:, :, ::2, ::2] = x
    return wide


def upsample(x: Tensor, taps: Tensor) -> Tensor:
    """Twin of ``ops.upsample``."""
    k = taps.shape[0]
    return convolve(spread(x), 4 * taps, padding=(k // 2, k // 2 - 1))


def downsample(x: Tensor, taps: Tensor) -> Tensor:
    """Twin of ``ops.downsample`` without trimming."""
    k = taps.shape[0]
    return convolve(x, taps, padding=(k // 2 - 1, k // 2 - 1))[:, :, ::2, ::2]


def correlate(x: Tensor, weight: Tensor) -> Tensor:
    """Cross-correlation with (O, C, k, k) weights, k odd, same size; one pixel at a time."""
    k = weight.shape[-1]
    n, c, h, w = x.shape
    wide = x.new_zeros(n, c, h + k - 1, w + k - 1)
    wide[:, :, k // 2 : k // 2 + h, k // 2 : k // 2 + w] = x
    y = x.new_zeros(n, weight.shape[0], h, w)
    for i in range(h):
        for j in range(w):
            window = wide[:, :, i : i + k, j : j + k]
            y[:, :, i, j] = torch.einsum("nckl,ockl->no", window, weight)
    return y


def conv_up(x: Tensor, weight: Tensor, taps: Tensor) -> Tensor:
    """Twin of ``ops.conv_resample`` "up": zeros between pixels, turned kernel, low-pass."""
    k, margin = taps.shape[0], weight.shape[-1]
    wide = torch.nn.functional.pad(spread(x), [margin + k] * 4)
    y = convolve(correlate(wide, weight.flip(2, 3)), 4 * taps, padding=(k // 2, k // 2 - 1))
    inner = slice(margin + k, -margin - k)
    return y[:, :, inner, inner]


def conv_down(x: Tensor, weight: Tensor, taps: Tensor) -> Tensor:
    """Twin of ``ops.conv_resample`` "down": low-pass over a zero border, convolve, drop pixels."""
    k, pad = taps.shape[0], weight.shape[-1] // 2
    y = convolve(x, taps, padding=(k // 2 - 1 + pad, k // 2 - 1 + pad))
    return correlate(y, weight)[:, :, pad:, pad:][:, :, : x.shape[2] : 2, : x.shape[3] : 2]


def modulated_conv(x: Tensor, weight: Tensor, styles: Tensor, *, demodulate: bool) -> Tensor:
    """Twin of ``ops.modulated_conv``: own weights for each sample (equations 1 and 3)."""
    rows = []
    for sample, style in zip(x, styles, strict=True):
        own = weight * style[None, :, None, None]
        if demodulate:
            own = own / (own.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        rows.append(correlate(sample[None], own))
    return torch.cat(rows)


def minibatch_stddev(x: Tensor, *, group_size: int, channels: int) -> Tensor:
    """Twin of ``ops.minibatch_stddev`` in loops."""
    n, c = x.shape[:2]
    count = n // group_size
    extra = x.new_zeros(n, channels, *x.shape[2:])
    for i in range(n):
        group = x[[j for j in range(n) if j % count == i % count]]
        for f in range(channels):
            part = group[:, f * c // channels : (f + 1) * c // channels]
            extra[i, f] = (part.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
    return torch.cat([x, extra], dim=1)
