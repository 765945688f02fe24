"""Replace only a part of a face: the eyes, or the mouth.

The rest of the face stays and identifies people: who asks for a part gets a picture in which the
person will often be recognised.
"""

from __future__ import annotations

from typing import get_args

import cv2
import numpy as np

from anonyface.errors import FaceError, InputError
from anonyface.landmarks import topology as topo
from anonyface.swapping.mask import face_width, smoothstep
from anonyface.types import Crop, FloatArray, Mesh, Patch, Region

MARGIN = 0.04
"""How far a part reaches beyond the hull of its mesh points, in face widths: brows are broader than
their points, and shadows of lids and lips belong to them."""
LEAST_CHANGE = 1.0
"""Mean change in grey levels below which a part still is what it was. Nothing else says so: the
encoders, who see the whole face, recognise it either way."""
RAMP = 0.08
"""Width of the soft edge outside of that, in face widths: the tip of the nose is no farther from
the upper lip."""
_BRIDGE = np.array([168, 6, 8, 9])
_CHIN_FRONT = np.array([topo.CHIN, 148, 377, 176, 400])
_OUTLINES: dict[Region, topo.Indices] = {
    "eyes": np.concatenate(
        [topo.LEFT_EYE, topo.RIGHT_EYE, topo.LEFT_BROW, topo.RIGHT_BROW, _BRIDGE]
    ),
    "mouth": np.concatenate([topo.LIPS_OUTER, topo.MOUSTACHE, topo.CHIN_PATCH, _CHIN_FRONT]),
}
_SUBPIXEL = 4  # bits of sub-pixel precision of cv2.fillConvexPoly


def region_mask(
    points: FloatArray, shape_hw: tuple[int, ...], region: Region, width: float
) -> FloatArray:
    """How much of each pixel belongs to a part of the face.

    Args:
        points: (468, 3) mesh in crop coordinates.
        shape_hw: Height and width of the crop.
        region: "eyes" for both eyes with brows and the bridge between them, "mouth" for lips,
            philtrum and the front of the chin, "face" for everything.
        width: Width of the face in pixels; margin and soft edge are in its measure.

    Returns:
        (h, w) float32 in [0, 1], 1 everywhere for "face".

    Raises:
        InputError: The region is unknown.
    """
    if region not in get_args(Region):
        known = ", ".join(get_args(Region))
        raise InputError(f"region must be one of {known}, not {region!r}")
    if region == "face":
        return np.ones(shape_hw[:2], dtype=np.float32)
    hull = cv2.convexHull(np.asarray(points[_OUTLINES[region], :2], dtype=np.float32))
    outside = np.full(shape_hw[:2], 255, dtype=np.uint8)
    fixed = np.round(hull * (1 << _SUBPIXEL)).astype(np.int32)
    cv2.fillConvexPoly(outside, fixed, 0, shift=_SUBPIXEL)
    if outside.all():  # beside the crop: the distance to nothing would be 0
        return np.zeros(shape_hw[:2], dtype=np.float32)
    away = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    beyond = np.asarray(away, dtype=np.float32) - np.float32(MARGIN * width)
    return smoothstep(np.asarray(1 - beyond / max(1.0, RAMP * width), dtype=np.float32))


def limit_to_region(patch: Patch, crop: Crop, mesh: Mesh, region: Region) -> Patch:
    """Take back what a patch changes outside of a part of the face.

    Args:
        patch: New pixels for the crop.
        crop: The crop.
        mesh: The original's mesh in crop coordinates.
        region: What may change; "face" returns the patch as it is.

    Raises:
        InputError: The region is unknown.
        FaceError: The patch leaves the region as it was, or it lies outside of the image.
    """
    mask = region_mask(mesh.points, crop.pixels.shape, region, face_width(mesh.points))
    if region == "face":
        return patch
    alpha = np.asarray(patch.alpha * mask, dtype=np.float32)
    old = crop.pixels.astype(np.float32)
    # A mask before the mouth, or a swapper that does nothing: it must not pass for replaced.
    change = np.abs(patch.pixels - old)[alpha > 0.5]
    if not change.size or float(change.mean()) < LEAST_CHANGE:
        raise FaceError(f"nothing of the {region} could be replaced", stage="swapping")
    mixed = old + (patch.pixels - old) * mask[..., None]
    return Patch(pixels=np.round(mixed).astype(np.uint8), alpha=alpha)
