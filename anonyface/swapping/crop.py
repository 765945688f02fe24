"""Cut a face out of the photo without resampling, and paste the new one back."""

from __future__ import annotations

import numpy as np

from anonyface.errors import FaceError
from anonyface.types import Crop, Face, ImageArray, Mesh, Patch

REACH = 1.35
"""Size of the region that may change, in sizes of the face's box."""
CROP_MARGIN = 0.35
"""Surroundings in the crop, in sizes of the mesh, on each side."""


def cut_crop(image: ImageArray, mesh: Mesh) -> tuple[Crop, Mesh, tuple[slice, slice]]:
    """Cut a face with its surroundings out of an image, without resampling.

    Returns:
        The crop (a copy), the mesh in crop coordinates, and rows and columns in the image.

    Raises:
        FaceError: If the face lies outside of the image.
    """
    low, high = mesh.points[:, :2].min(axis=0), mesh.points[:, :2].max(axis=0)
    margin = CROP_MARGIN * (high - low).max()
    height, width = image.shape[:2]
    x0, y0 = np.clip(np.floor(low - margin), 0, [width, height]).astype(int)
    x1, y1 = np.clip(np.ceil(high + margin) + 1, 0, [width, height]).astype(int)
    if x1 - x0 < 4 or y1 - y0 < 4:
        raise FaceError("the face lies outside of the image", stage="swapping")
    window = (slice(y0, y1), slice(x0, x1))
    matrix = np.array([[1, 0, -x0], [0, 1, -y0]], dtype=np.float64)
    return Crop(image[window].copy(), matrix), mesh.moved(matrix), window


def within(patch: Patch, face: Face, crop: Crop) -> Patch:
    """Take back what a patch changes beyond `REACH` times the face's box.

    A mesh that outgrows its face, as on profiles, must not touch what is beside it.

    Args:
        patch: New pixels for the crop.
        face: The face, in image coordinates.
        crop: The crop.

    Raises:
        FaceError: If patch and crop differ in size.
    """
    if patch.alpha.shape != crop.pixels.shape[:2]:
        raise FaceError(
            f"the swapper's alpha is {patch.alpha.shape}, expected {crop.pixels.shape[:2]}",
            stage="swapping",
        )
    shift = np.tile(crop.matrix[:, 2], 2)
    centre, half = face.box.reshape(2, 2).mean(axis=0), (face.box[2:] - face.box[:2]) / 2 * REACH
    x0, y0, x1, y1 = np.concatenate([centre - half, centre + half]) + shift
    inside = np.zeros_like(patch.alpha)
    rows, columns = (
        slice(max(0, round(y0)), max(0, round(y1))),
        slice(max(0, round(x0)), max(0, round(x1))),
    )
    inside[rows, columns] = 1
    pixels = np.where(inside[..., None] > 0, patch.pixels, crop.pixels)
    return Patch(pixels.astype(np.uint8, copy=False), patch.alpha * inside)


def paste(out: ImageArray, patch: Patch, window: tuple[slice, slice]) -> None:
    """Write a patch into the image, in place, only where its alpha is above 0.

    Raises:
        FaceError: If the swapper returned a patch of another size or type.
    """
    target = out[window]
    if patch.pixels.shape != target.shape or patch.pixels.dtype != np.uint8:
        raise FaceError(
            f"the swapper returned {patch.pixels.shape}, expected {target.shape}", stage="swapping"
        )
    np.copyto(target, patch.pixels, where=(patch.alpha > 0)[..., None])
