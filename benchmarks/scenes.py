"""Group photos of generated people: faces of any number and size, on a busy ground."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.types import ImageArray

FACE_SHARE = 0.58
"""Height of the face box in a generated portrait, in sides of the portrait."""
GRAIN = 3.0
"""Standard deviation of the noise over the whole photo, grey levels: a phone indoors."""
STRETCH = 12
"""Length of the ground's texture along the rows over its height."""
FEATHER = 0.08
"""Width of the portrait's soft edge, in its sides: a hard one looks like a window."""


def make_group(
    portraits: Sequence[ImageArray], size_wh: tuple[int, int], face_px: float, seed: int
) -> ImageArray:
    """Put people side by side into one photo, jittered, in rows if one does not hold them.

    Args:
        portraits: Square RGB uint8 portraits, one a person.
        size_wh: Width and height of the photo.
        face_px: Height of the faces in it.
        seed: Seed of ground, noise, places and mirroring.

    Returns:
        (H, W, 3) RGB uint8.

    Raises:
        ValueError: If the faces do not fit.
    """
    rng = np.random.default_rng(seed)
    scene = _ground(size_wh, rng)
    side = round(face_px / FACE_SHARE)
    for portrait, (x, y) in zip(
        portraits, _places(len(portraits), size_wh, side, rng), strict=True
    ):
        if rng.random() < 0.5:
            portrait = portrait[:, ::-1]
        small = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
        alpha = _soft_square(side)[..., None]
        part = scene[y : y + side, x : x + side]
        part += alpha * (small.astype(np.float32) - part)
    scene += GRAIN * rng.standard_normal(scene.shape, np.float32)
    return np.clip(scene.round(), 0, 255).astype(np.uint8)


def _places(
    count: int, size_wh: tuple[int, int], side: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Return x, y of the top-left corner of every portrait, none over another.

    Raises:
        ValueError: If the faces do not fit.
    """
    width, height = size_wh
    columns = max(1, min(count, math.ceil(math.sqrt(count * width / height))))
    rows = -(-count // columns)
    free_x, free_y = width // columns - side, height // rows - side
    if free_x < 0 or free_y < 0:
        raise ValueError(f"{count} portraits of {side} px do not fit into {width}x{height}")
    return [
        (
            (i % columns) * (width // columns) + int(rng.integers(free_x + 1)),
            (i // columns) * (height // rows) + int(rng.integers(free_y + 1)),
        )
        for i in range(count)
    ]


def _ground(size_wh: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W, 3) like planks: noise in octaves, drawn out along the rows.

    Round clouds were tried first: the detector sees faces in them.
    """
    width, height = size_wh
    out = np.full((height, width, 3), 120, np.float32)
    for octave in range(4, 10):
        rows = max(2, height * 2**octave // 1280)
        columns = max(2, width * 2**octave // (STRETCH * 1280))
        noise = rng.standard_normal((rows, columns, 3), np.float32)
        noise = noise.mean(axis=2, keepdims=True) + 0.2 * noise
        smooth = cv2.resize(noise, size_wh, interpolation=cv2.INTER_CUBIC)
        out += np.float32(30 * 0.85 ** (octave - 4)) * smooth
    return out


def _soft_square(side: int) -> NDArray[np.float32]:
    """(side, side) weight of a portrait: 1 inside, falling to 0 at the edge."""
    distance = np.minimum(np.arange(side), np.arange(side)[::-1]) / max(1.0, FEATHER * side)
    ramp = np.clip(distance, 0, 1).astype(np.float32)
    return np.asarray(np.minimum(ramp[:, None], ramp[None]), np.float32)
