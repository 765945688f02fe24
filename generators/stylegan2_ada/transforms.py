"""Matrices of the augmentations (arXiv 2006.06676, appendix B), one for each sample of a batch.

Geometric matrices are (N, 3, 3) and act on pixel offsets from the image's centre, x right and y
down; colour matrices are (N, 4, 4) and act on (r, g, b, 1).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LUMA_AXIS = (1 / math.sqrt(3), 1 / math.sqrt(3), 1 / math.sqrt(3), 0.0)
"""Direction of grey in RGB, the axis of the colour transforms (appendix B)."""


def translate_2d(x: Tensor, y: Tensor) -> Tensor:
    """Shift by (x, y), each (N,)."""
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    return _stack([[one, zero, x], [zero, one, y], [zero, zero, one]])


def scale_2d(x: Tensor, y: Tensor) -> Tensor:
    """Scale the axes by x and y, each (N,)."""
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    return _stack([[x, zero, zero], [zero, y, zero], [zero, zero, one]])


def rotate_2d(angle: Tensor) -> Tensor:
    """Turn by (N,) angles in radians, clockwise as seen (y points down)."""
    cos, sin = angle.cos(), angle.sin()
    one, zero = torch.ones_like(cos), torch.zeros_like(cos)
    return _stack([[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]])


def shift_colour(amount: Tensor) -> Tensor:
    """Add (N,) amounts to all channels."""
    matrix = _identity(amount)
    matrix[:, :3, 3] = amount[:, None]
    return matrix


def scale_colour(factor: Tensor) -> Tensor:
    """Multiply all channels by (N,) factors."""
    matrix = _identity(factor)
    matrix[:, :3, :3] *= factor[:, None, None]
    return matrix


def flip_luma(flag: Tensor) -> Tensor:
    """Mirror at the plane across the grey axis where the (N,) flags are 1, not where 0."""
    return _identity(flag) - 2 * _grey(flag) * flag[:, None, None]


def rotate_hue(angle: Tensor) -> Tensor:
    """Turn about the grey axis by (N,) angles in radians (Rodrigues' formula)."""
    grey = _grey(angle)
    cross = torch.zeros_like(grey)
    a = LUMA_AXIS[0]
    for row, column in ((1, 0), (2, 1), (0, 2)):
        cross[:, row, column] = a
        cross[:, column, row] = -a
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    homogeneous = torch.zeros_like(grey)
    homogeneous[:, 3, 3] = 1
    rgb = _identity(angle) - homogeneous
    return homogeneous + cos * rgb + sin * cross + (1 - cos) * grey


def scale_saturation(factor: Tensor) -> Tensor:
    """Multiply the part across the grey axis by (N,) factors."""
    grey = _grey(factor)
    rest = _identity(factor) - grey
    scaled = grey + rest * factor[:, None, None]
    scaled[:, 3, 3] = 1
    return scaled


def _identity(like: Tensor) -> Tensor:
    return torch.eye(4, device=like.device).repeat(like.shape[0], 1, 1)


def _grey(like: Tensor) -> Tensor:
    axis = torch.tensor(LUMA_AXIS, device=like.device)
    return torch.outer(axis, axis).repeat(like.shape[0], 1, 1)


def _stack(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
