"""A face without features: the cover of who wears a mask and can by nobody be replaced.

It ends where the face ends, and what lies in front of it stays: masks, hands, hats; but not what
seems to lie before eyes and brows, by which people are known above a mask. Of the face less
survives than of any blurred cover, see `anonyface.redaction`.
"""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.errors import FaceError
from anonyface.landmarks import topology as topo
from anonyface.landmarks.occlusion import hidden_part, is_masked
from anonyface.redaction import blurred, mixed
from anonyface.swapping.mask import (
    build_regions,
    face_width,
    fill_polygon,
    leave,
)
from anonyface.types import Crop, Mesh, Patch

CELLS = 4
"""Mean colours along the longer side: shading, and nothing of eyes or mouth."""
GROWTH = 1.02
"""The mesh's outline lies inside of the face's."""
FEATHER = 0.06
"""Blur of the cover's outer edge, in face widths; what lies in front has edges of its own."""


def faceless(crop: Crop, mesh: Mesh, *, rng: np.random.Generator) -> Patch:
    """Return the crop with the bare part of a face blurred to at most 4x4 mean colours.

    Args:
        crop: The face and its surroundings.
        mesh: Its mesh in crop coordinates, with what lies in front of it.
        rng: Source of the grain.

    Raises:
        FaceError: If more of the face is hidden than may stay as it is, or none of it is in view.
    """
    points, shape = mesh.points, crop.pixels.shape[:2]
    hidden = hidden_part(mesh, crop.pixels)
    leave(build_regions(points, shape), hidden, points, masked=is_masked(mesh))
    outline = points[topo.FACE_OVAL, :2]
    middle = outline.mean(axis=0)
    inside = fill_polygon(middle + (outline - middle) * np.float32(GROWTH), shape)
    sigma = max(0.8, FEATHER * face_width(points))
    soft = cv2.GaussianBlur(inside, (0, 0), sigma).astype(np.float32) / 255
    eyes = cv2.convexHull(points[topo.EYES_AND_BROWS, :2])[:, 0]
    hidden = np.where(fill_polygon(np.asarray(eyes, np.float32), shape) > 0, 0, hidden)
    alpha = (np.maximum(soft, inside > 0) * (1 - hidden)).astype(np.float32)
    if not np.any(alpha > 0.5):
        raise FaceError("no part of the face lies inside the image", stage="swapping")
    rows, columns = (np.flatnonzero((alpha > 0).any(axis=axis)) for axis in (1, 0))
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    old, part = crop.pixels[window], alpha[window]
    pixels = crop.pixels.copy()
    pixels[window] = mixed(old, blurred(old, rng, cells=CELLS, weight=part), part)
    return Patch(pixels, alpha)
