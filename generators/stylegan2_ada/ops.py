"""The operations StyleGAN2 is built from, as plain torch convolutions (arXiv 1912.04958).

Every resampling here is a true convolution with an even number of taps, so that low and high
resolution grids share their outer border: with symmetric taps, high-resolution pixel ``n`` lies at
``(n + 0.5) / 2 - 0.5``.
The slow twins are in ``reference.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Activation = Literal["linear", "lrelu"]
Resample = Literal["none", "up", "down"]

GAINS: dict[Activation, float] = {"linear": 1.0, "lrelu": math.sqrt(2.0)}
"""Factor that keeps the variance of unit-normal input through the activation (He et al. 2015)."""

LEAK = 0.2
"""Slope of the leaky ReLU below 0 (arXiv 1812.04948, section C)."""

BINOMIAL = (1.0, 3.0, 3.0, 1.0)
"""Taps of the bilinear resampling filter (arXiv 1912.04958, section B)."""


def fir_filter(taps: Sequence[float] = BINOMIAL) -> Tensor:
    """Return the separable 2-D filter of some 1-D taps, (K, K) float32 with sum 1.

    >>> fir_filter([1, 1])
    tensor([[0.2500, 0.2500],
            [0.2500, 0.2500]])
    """
    if len(taps) % 2:
        raise ValueError(f"a filter needs an even number of taps, got {len(taps)}")
    line = torch.tensor(taps, dtype=torch.float32)
    square = torch.outer(line, line)
    return square / square.sum()


def bias_act(
    x: Tensor,
    bias: Tensor | None = None,
    *,
    activation: Activation = "linear",
    gain: float = 1.0,
    clamp: float | None = None,
) -> Tensor:
    """Add a bias, apply the activation with its variance-keeping gain, and limit the result.

    Args:
        x: Features, (N, C, ...).
        bias: (C,), or None for none.
        activation: Which nonlinearity.
        gain: Further factor, applied to the limit too.
        clamp: Results stay within plus or minus ``clamp * gain``; keeps half precision from
            overflowing (arXiv 2006.06676, appendix D). None for no limit.
    """
    if bias is not None:
        x = x + bias.to(x.dtype).reshape(1, -1, *([1] * (x.ndim - 2)))
    if activation == "lrelu":
        x = F.leaky_relu(x, LEAK)
    factor = GAINS[activation] * gain
    if factor != 1:
        x = x * factor
    return x if clamp is None else x.clamp(-clamp * gain, clamp * gain)


def blur(x: Tensor, taps: Tensor, *, padding: int = 0) -> Tensor:
    """Convolve every channel with one filter.

    Args:
        x: Features, (N, C, H, W).
        taps: Filter, (K, K).
        padding: Zeros added on each side first.

    Returns:
        (N, C, H + 2 * padding - K + 1, same for W).
    """
    return _per_channel(x, taps, stride=1, padding=padding)


def downsample(x: Tensor, taps: Tensor, *, trim: int = 0) -> Tensor:
    """Low-pass and drop every second pixel.

    Args:
        x: Features, (N, C, H, W), sides even after trimming.
        taps: Filter, (K, K), K even.
        trim: High-resolution pixels dropped at each border once they served the filter; with
            ``K // 2 - 1`` or more, no zero from outside enters.

    Returns:
        (N, C, H / 2 - trim, W / 2 - trim).
    """
    padding = taps.shape[-1] // 2 - 1 - trim
    if padding < 0:
        x = x[..., -padding : x.shape[-2] + padding, -padding : x.shape[-1] + padding]
        padding = 0
    return _per_channel(x, taps, stride=2, padding=padding)


def upsample(x: Tensor, taps: Tensor) -> Tensor:
    """Put zeros between the pixels and low-pass; (N, C, H, W) to (N, C, 2 H, 2 W).

    The filter is scaled by 4 to make up for the zeros. ``taps`` is (K, K) with K even.
    """
    padding = taps.shape[-1] // 2 - 1
    return _alike(F.conv_transpose2d, x, 4 * taps, stride=2, padding=padding)


def conv_resample(
    x: Tensor, weight: Tensor, taps: Tensor | None = None, *, resample: Resample = "none"
) -> Tensor:
    """Convolve at the same, twice or half the resolution (arXiv 1912.04958, appendix B).

    Args:
        x: Features, (N, C, H, W).
        weight: (O, C, k, k), k odd. Cross-correlated as in every deep-learning library, but the
            "up" form is a transposed convolution, which turns the kernel by 180 degrees.
        taps: Resampling filter (K, K), K even; only for "up" and "down".
        resample: "up" doubles H and W, "down" halves them.

    Returns:
        (N, O, H', W').
    """
    weight = weight.to(x.dtype)
    pad = weight.shape[-1] // 2
    if resample == "none":
        return F.conv2d(x, weight, padding=pad)
    if taps is None:
        raise ValueError(f"resample={resample!r} needs a filter")
    if resample == "up":
        if pad == 0:
            return upsample(F.conv2d(x, weight), taps)
        y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        return blur(y, 4 * taps, padding=taps.shape[-1] // 2 - pad)
    if pad == 0:
        return F.conv2d(downsample(x, taps), weight)
    return F.conv2d(blur(x, taps, padding=taps.shape[-1] // 2 - 1 + pad), weight, stride=2)


def modulated_conv(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    *,
    taps: Tensor | None = None,
    resample: Resample = "none",
    demodulate: bool = True,
    eps: float = 1e-8,
) -> Tensor:
    """Convolve with weights scaled per sample by a style (arXiv 1912.04958, equations 1 and 3).

    Scaling input and output channels of the activations gives what scaling the weights would,
    and keeps one kernel for the whole batch.

    Args:
        x: Features, (N, C, H, W); half precision allowed.
        weight: (O, C, k, k).
        styles: Scale of each input channel, (N, C).
        taps: Resampling filter for ``resample`` other than "none".
        resample: Resolution change, see ``conv_resample``.
        demodulate: Divide each output channel by the norm of its scaled weights.
        eps: Added to the squared norm.

    Returns:
        (N, O, H', W').
    """
    scale = None
    if demodulate:
        if x.dtype == torch.float16:
            # Demodulation undoes these factors; without them sums leave the range of float16
            # (arXiv 2006.06676, appendix D).
            weight = weight / weight.abs().amax(dim=(1, 2, 3), keepdim=True)
            weight = weight / math.sqrt(weight[0].numel())
            styles = styles / styles.abs().amax(dim=1, keepdim=True)
        energy = styles.square() @ weight.square().sum(dim=(2, 3)).T  # (N, O), equation 3
        scale = (energy + eps).rsqrt()
    x = x * styles.to(x.dtype)[:, :, None, None]
    x = conv_resample(x, weight, taps, resample=resample)
    return x if scale is None else x * scale.to(x.dtype)[:, :, None, None]


def normalize_second_moment(x: Tensor, *, eps: float = 1e-8) -> Tensor:
    """Scale each row of (N, C) to mean square 1 (pixel norm, arXiv 1710.10196, section 4.2)."""
    return x * (x.square().mean(dim=1, keepdim=True) + eps).rsqrt()


def minibatch_stddev(x: Tensor, *, group_size: int | None, channels: int = 1) -> Tensor:
    """Append the standard deviation over groups of samples (arXiv 1710.10196, section 3).

    Args:
        x: Features, (N, C, H, W).
        group_size: Samples per group, at most N are used; None for the whole batch. Sample ``i``
            belongs to group ``i % (N / group_size)``.
        channels: Features appended; C must be a multiple.

    Returns:
        (N, C + channels, H, W); the appended features are constant over the image.

    Raises:
        ValueError: The group size does not divide N.
    """
    n, c, h, w = x.shape
    size = n if group_size is None else min(group_size, n)
    if n % size:
        raise ValueError(f"groups of {size} don't divide a batch of {n}")
    groups = x.float().reshape(size, n // size, channels, c // channels, h, w)
    deviation = (groups.var(dim=0, unbiased=False) + 1e-8).sqrt()
    mean = deviation.mean(dim=(2, 3, 4))  # (N / size, channels)
    extra = mean.repeat(size, 1)[:, :, None, None].expand(n, channels, h, w)
    return torch.cat([x, extra.to(x.dtype)], dim=1)


def _per_channel(x: Tensor, taps: Tensor, *, stride: int, padding: int) -> Tensor:
    return _alike(F.conv2d, x, taps.flip(0, 1), stride=stride, padding=padding)  # it correlates


def _alike(
    convolve: Callable[..., Tensor], x: Tensor, taps: Tensor, *, stride: int, padding: int
) -> Tensor:
    """Apply one (K, K) filter to every channel.

    As a depthwise convolution, which is far faster than channels counted as a batch; those are for
    exporters, who take the number of channels for a variable.
    """
    kernel = taps.to(x.dtype)[None, None]
    n, c, h, w = x.shape
    if torch.jit.is_tracing():
        y = convolve(x.reshape(n * c, 1, h, w), kernel, stride=stride, padding=padding)
        return y.reshape(n, c, *y.shape[2:])
    kernel = kernel.expand(c, 1, -1, -1)
    return convolve(x, kernel, stride=stride, padding=padding, groups=c)
