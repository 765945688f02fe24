"""The size at which a face is worked on: never more than the portrait has to give."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from anonyface.swapping.mask import face_width
from anonyface.types import BoolArray, Crop, FloatArray, ImageArray, Mesh, Patch

WORK_PX = 420
"""Wider faces are worked on at this width and enlarged: the portrait has no more to give."""

FINE_SIGMA = 1.0
"""Texture is what a blur of so many pixels takes away."""
LOUDER = 0.7
"""Share of the lost energy that is given back where the edge is too short to tell: lines that both
pictures have lose nothing."""
LEAST, MOST = -0.8, 1.6
"""Smallest and largest share: below 0 the edge is smoothed."""
FEWEST_PX = 64
"""Pixels along the edge from which on it can be told."""


def swap_at_work_size(
    crop: Crop, mesh: Mesh, swap: Callable[[ImageArray, Mesh], tuple[FloatArray, FloatArray]]
) -> Patch:
    """Let a function make the new face of a crop, shrunk where the face is wider than `WORK_PX`.

    Args:
        crop: The face and its surroundings.
        mesh: The original's mesh in crop coordinates.
        swap: From (h, w, 3) pixels and the mesh in them to the new face, (h, w, 3) float32 RGB
            0-255 over all of it, and its weight, (h, w) float32 in [0, 1].
    """
    pixels = crop.pixels
    factor = WORK_PX / face_width(mesh.points)
    if factor >= 1:
        new, alpha = swap(pixels, mesh)
    else:
        height, width = pixels.shape[:2]
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        x, y = size[0] / width, size[1] / height
        # Pixel centres are whole numbers.
        shrink = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])
        new, alpha = swap(small, mesh.moved(shrink))
        large = cv2.resize(new, (width, height), interpolation=cv2.INTER_CUBIC)
        new = np.clip(large, 0, 255).astype(np.float32)
        alpha = np.asarray(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR))
    mixed = mix(pixels.astype(np.float32), new, alpha)
    return Patch(pixels=np.round(mixed).astype(np.uint8), alpha=alpha)


def mix(old: FloatArray, new: FloatArray, alpha: FloatArray) -> FloatArray:
    """Blend two pictures without losing grain where they meet.

    Two textures that have nothing to do with each other lose half of their energy where half of
    each is shown: an edge that is softer than the photo. So what is finer than `FINE_SIGMA` gets
    some of it back, as much as makes the edge as lively as the photo is there.

    Args:
        old: (h, w, 3) float32 RGB 0-255.
        new: (h, w, 3) float32 RGB 0-255.
        alpha: (h, w) float32 weight of the new one.

    Returns:
        (h, w, 3) float32 RGB 0-255; where alpha is 0, the old one.
    """
    share = alpha[..., None]
    mixed = old + (new - old) * share
    lost = 1 / np.sqrt(alpha**2 + (1 - alpha) ** 2) - 1
    fine = (mixed - cv2.GaussianBlur(mixed, (0, 0), FINE_SIGMA)) * lost[..., None]
    louder = _louder(old, mixed, np.asarray(fine), alpha)
    return np.asarray(np.clip(mixed + fine * louder, 0, 255), dtype=np.float32)


def _louder(old: FloatArray, mixed: FloatArray, fine: FloatArray, alpha: FloatArray) -> float:
    """The k for which mixed + k fine has the gradient energy of the photo along the edge."""
    inside = (alpha >= 0.5).astype(np.uint8)
    square = np.ones((3, 3), np.uint8)
    edge = cv2.dilate(inside - cv2.erode(inside, square), square) > 0
    if int(edge.sum()) < FEWEST_PX:
        return LOUDER
    before, now, more = (_slopes(image, edge) for image in (old, mixed, fine))
    # a k^2 + 2 b k + c = 0
    a, b = float((more * more).sum()), float((now * more).sum())
    c = float((now * now).sum() - (before * before).sum())
    if a < 1e-6:
        return LOUDER
    root = np.sqrt(max(0.0, b * b - a * c))
    return float(np.clip((root - b) / a, LEAST, MOST))


def _slopes(image: FloatArray, where: BoolArray) -> FloatArray:
    """(2, n) gradient of the lightness at some pixels."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    both = (cv2.Sobel(luma, cv2.CV_32F, x, y, ksize=1)[where] for x, y in ((1, 0), (0, 1)))
    return np.stack(list(both))
