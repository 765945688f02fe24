"""A face without features: the cover of who wears a mask and can by nobody be replaced.

It ends where the face ends, and what lies in front of it stays: masks, hands, hats. Of the face
less survives than of any blurred cover, see `anonyface.redaction`.
"""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.errors import FaceError
from anonyface.landmarks import topology as topo
from anonyface.landmarks.occlusion import hidden_part, is_masked
from anonyface.redaction import MIN_CELL_PX, grain_of
from anonyface.swapping.mask import build_regions, face_width, fill_polygon, leave
from anonyface.types import Crop, FloatArray, Mesh, Patch

CELLS = 4
"""Mean colours along the longer side: shading, and nothing of eyes or mouth."""
GROWTH = 1.02
"""The mesh's outline lies inside of the face's."""
FEATHER = 0.06
"""Blur of the cover's outer edge, in face widths; what lies in front has edges of its own."""
SHARE_OF_ALL = 0.02
"""Weight of the colour of the whole face in a cell: what fills cells in which no face is seen."""


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
    alpha = np.maximum(soft, inside > 0) * (1 - hidden)
    if not np.any(alpha > 0.5):
        raise FaceError("no part of the face lies inside the image", stage="swapping")
    rows, columns = (np.flatnonzero((alpha > 0).any(axis=axis)) for axis in (1, 0))
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    old = crop.pixels[window].astype(np.float32)
    plain = _few_colours(old, alpha[window])
    plain += rng.standard_normal((*plain.shape[:2], 1), np.float32) * np.float32(
        grain_of(crop.pixels[window])
    )
    pixels = crop.pixels.copy()
    mixed = np.rint(old + alpha[window][..., None] * (np.clip(plain, 0, 255) - old))
    pixels[window] = np.clip(mixed, 0, 255).astype(np.uint8)
    return Patch(pixels, alpha.astype(np.float32))


def _few_colours(pixels: FloatArray, weight: FloatArray) -> FloatArray:
    """(h, w, 3) float32: means of coarse cells, smoothly enlarged; of what has weight alone.

    Args:
        pixels: (h, w, 3) float32.
        weight: (h, w) float32 in [0, 1].
    """
    height, width = weight.shape
    longer = max(height, width)
    rows, columns = (
        max(1, min(round(CELLS * side / longer), side // MIN_CELL_PX)) for side in (height, width)
    )
    part = weight[..., None]
    mean = (pixels * part).sum(axis=(0, 1)) / max(float(weight.sum()), 1e-6)
    size_wh = (columns, rows)
    sums = cv2.resize(pixels * part, size_wh, interpolation=cv2.INTER_AREA)
    shares = cv2.resize(weight, size_wh, interpolation=cv2.INTER_AREA).reshape(rows, columns, 1)
    cells = (sums.reshape(rows, columns, 3) + SHARE_OF_ALL * mean) / (shares + SHARE_OF_ALL)
    smooth = cv2.resize(cells.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth, np.float32).reshape(height, width, 3)
