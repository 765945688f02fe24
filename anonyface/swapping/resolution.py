"""The size at which a face is worked on: never more than the portrait has to give."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from anonyface.swapping.mask import face_width
from anonyface.types import Crop, FloatArray, ImageArray, Mesh, Patch

WORK_PX = 420
"""Wider faces are worked on at this width and enlarged: the portrait has no more to give."""


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
    mixed = pixels + (new - pixels) * alpha[..., None]
    return Patch(pixels=np.round(mixed).astype(np.uint8), alpha=alpha)
