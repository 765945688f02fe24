"""Resolutions of a network and the features at each of them (arXiv 1912.04958, section B)."""

from __future__ import annotations


def resolutions(img_resolution: int) -> tuple[int, ...]:
    """Return 4, 8, ... up to the image's side.

    >>> resolutions(32)
    (4, 8, 16, 32)
    """
    if img_resolution < 8 or img_resolution & (img_resolution - 1):
        raise ValueError(f"img_resolution must be a power of 2 from 8 on, got {img_resolution}")
    return tuple(2**i for i in range(2, img_resolution.bit_length()))


def channel_counts(img_resolution: int, *, channel_base: int, channel_max: int) -> dict[int, int]:
    """Return the features at each resolution: ``channel_base / resolution``, limited.

    >>> channel_counts(32, channel_base=512, channel_max=64)
    {4: 64, 8: 64, 16: 32, 32: 16}
    """
    return {r: min(channel_base // r, channel_max) for r in resolutions(img_resolution)}


def reduced_from(img_resolution: int, num_fp16_res: int) -> int:
    """Return the lowest resolution that runs in half precision; beyond the image for none.

    The highest ``num_fp16_res`` resolutions do, 4x4 never (arXiv 2006.06676, appendix D).

    >>> reduced_from(256, 4), reduced_from(32, 0), reduced_from(32, 99)
    (32, 64, 8)
    """
    return max(2 * img_resolution >> num_fp16_res, 8)
