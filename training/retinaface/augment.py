"""A training crop of a picture: a square part, mirrored or not, in other light."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from anonyface.types import FloatArray, ImageArray
from training.retinaface.ages import soft_bins
from training.retinaface.degrade import add_noise, blur, compress, relight
from training.retinaface.losses import Targets
from training.retinaface.wider import LabelledFace

SCALES = (0.3, 1.0)
"""Side of the crop as a share of the picture's shorter side, as the paper has it."""
MIRRORED = (1, 0, 2, 4, 3)
"""Order of the landmarks in a mirrored picture."""
SMALLEST = 6.0
"""Faces that are smaller in the crop, pixels, are left out: no anchor fits them."""
TRIES = 20


def training_crop(
    pixels: ImageArray, faces: Sequence[LabelledFace], side: int, rng: np.random.Generator | None
) -> tuple[ImageArray, Targets]:
    """Cut a training example out of a picture.

    Args:
        pixels: (H, W, 3) RGB uint8.
        faces: Of the picture.
        side: Of the example, pixels; a multiple of 32.
        rng: Randomness; None for the whole picture as it is, scaled to fit.

    Returns:
        (side, side, 3) RGB uint8 and its faces.
    """
    boxes = np.array([f.box for f in faces], np.float32).reshape(-1, 4)
    points = np.array([f.landmarks for f in faces], np.float32).reshape(-1, 5, 2)
    x, y, size = 0, 0, max(pixels.shape[:2])
    if rng is not None:
        x, y, size = _square(pixels.shape[:2], boxes, rng)
    factor = side / size
    out = _cut(pixels, x, y, size, side)
    boxes = (boxes - np.array([x, y, x, y], np.float32)) * factor
    points = (points - np.array([x, y], np.float32)) * factor
    if rng is not None:
        out = _disturb(out, rng)
        if rng.random() < 0.5:
            out = np.ascontiguousarray(out[:, ::-1])
            boxes = boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [side, 0, side, 0]
            points = (points * [-1, 1] + [side, 0])[:, MIRRORED]
    return out, _targets(faces, boxes.astype(np.float32), points.astype(np.float32), side)


def _square(
    image_hw: tuple[int, ...], boxes: FloatArray, rng: np.random.Generator
) -> tuple[int, int, int]:
    """A random square, one that holds the middle of a face if one is found."""
    height, width = image_hw
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    square = (0, 0, min(height, width))
    for _ in range(TRIES):
        size = max(1, round(min(height, width) * float(rng.uniform(*SCALES))))
        x = int(rng.integers(0, width - size + 1))
        y = int(rng.integers(0, height - size + 1))
        square = (x, y, size)
        if ((middles > (x, y)) & (middles < (x + size, y + size))).all(axis=1).any():
            break
    return square


def _cut(pixels: ImageArray, x: int, y: int, size: int, side: int) -> NDArray[np.uint8]:
    part = pixels[y : y + size, x : x + size]
    below, right = size - part.shape[0], size - part.shape[1]
    if below or right:
        grey = (123, 117, 104)
        part = np.asarray(
            cv2.copyMakeBorder(part, 0, below, 0, right, cv2.BORDER_CONSTANT, value=grey), np.uint8
        )
    method = cv2.INTER_AREA if size > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (side, side), interpolation=method), dtype=np.uint8)


def _disturb(pixels: ImageArray, rng: np.random.Generator) -> ImageArray:
    if rng.random() < 0.7:
        pixels = relight(pixels, rng)
    if rng.random() < 0.1:
        pixels = blur(pixels, rng)
    if rng.random() < 0.15:
        pixels = add_noise(pixels, rng)
    if rng.random() < 0.15:
        pixels = compress(pixels, int(rng.integers(30, 90)))
    return pixels


def _targets(
    faces: Sequence[LabelledFace], boxes: FloatArray, points: FloatArray, side: int
) -> Targets:
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = ((middles > 0) & (middles < side)).all(axis=1)
    inside &= (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) >= SMALLEST
    kept = np.flatnonzero(inside)
    female = torch.tensor([faces[i].p_female for i in kept])
    years = torch.tensor([faces[i].years for i in kept])
    gender = torch.stack([1 - female, female], dim=-1).reshape(-1, 2)
    gender[female < 0] = torch.nan
    age = soft_bins(years)
    age[years < 0] = torch.nan
    return Targets(
        torch.from_numpy(np.clip(boxes[kept], 0, side)),
        torch.from_numpy(points[kept]),
        gender,
        age,
    )
