"""What spoils a portrait: hair that hangs into the face, a mouth of a colour that no mouth has."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from anonyface.landmarks import topology as topo
from anonyface.landmarks.skin import fit_skin, to_lab
from anonyface.swapping.mask import build_regions, face_width, fill_polygon
from anonyface.types import ImageArray, Mesh

CLEAR = 0.88
"""Share of bare forehead and temples below which hair hangs over a brow or a cheek. Of 48 portraits
that were looked at, 8 had less, 4 of them such hair; most such hair of the others is fair: see
`STRANDS`."""
STRANDS, LOCKS = 3.0, 4.0
"""Unevenness of a forehead, and of a woman's temples and cheeks, from which on hair of the colour
of skin is on it, L* units: of 103 portraits that were looked at all seven with so uneven a
forehead below `WRINKLED` had a fringe."""
SHARP_LOCKS = 5.0
"""The same of temples and cheeks in a portrait of 1024 px, where strands are sharper. Of 90 women
who had passed as sketches two had more, both old and wrinkled; strands across a cheek have 6."""
WRINKLED = 50.0
"""Years from which on wrinkles are as uneven as that."""
FINE = 0.03
"""What is finer than that is uneven, in face widths."""
GREENISH, BLUISH = -6.0, -5.0
"""The a* and b* of the tenth part of an open mouth that is greenest and bluest, below which it is
discoloured: of 500 open mouths of the pool 3 and 4, greenish and purple ones."""
LIT = 25.0
"""L* from which on the inside of a mouth has a colour."""
LOOK_PX = 256
"""Larger portraits are shrunk to this side: skin has pores."""


@dataclass(frozen=True)
class Bareness:
    """How bare of hair a portrait's face is.

    Attributes:
        clear: Share of bare skin in the band around the features, or on the forehead if that has
            less: 0 (hat, fringe, hands) to 1.
        forehead: Standard deviation of what is fine on the forehead, L* units; 0 if none is in
            view.
        sides: The same beside the features, on the more uneven side.
    """

    clear: float
    forehead: float
    sides: float


def hair_in_face(pixels: ImageArray, mesh: Mesh, *, female: bool, age: float) -> bool:
    """Whether hair hangs into the face, dark or of the colour of skin.

    Args:
        pixels: (h, w, 3) RGB uint8 upright portrait.
        mesh: Its mesh.
        female: Whether a woman's: what is uneven on the cheeks may be a beard else.
        age: Years.
    """
    seen = read_bareness(*_looked_at(pixels, mesh))
    fringe = age < WRINKLED and seen.forehead > STRANDS
    return seen.clear < CLEAR or fringe or (female and seen.sides > LOCKS)


def strands_on_cheeks(pixels: ImageArray, mesh: Mesh, *, female: bool, age: float) -> bool:
    """Whether a portrait of 1024 px shows hair on a young woman's cheeks that its sketch hid.

    Arguments are those of `hair_in_face`.
    """
    if not female or age >= WRINKLED:
        return False
    return read_bareness(*_looked_at(pixels, mesh)).sides > SHARP_LOCKS


def _looked_at(pixels: ImageArray, mesh: Mesh) -> tuple[ImageArray, Mesh]:
    """A portrait and its mesh no larger than `LOOK_PX`."""
    factor = LOOK_PX / max(pixels.shape[:2])
    if factor >= 1:
        return pixels, mesh
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small, mesh.moved(np.array([[factor, 0, 0], [0, factor, 0]]))


def read_bareness(pixels: ImageArray, mesh: Mesh) -> Bareness:
    """Measure how bare of hair the forehead and the sides of a face are.

    Args:
        pixels: (h, w, 3) RGB uint8 upright portrait.
        mesh: Its mesh.
    """
    lab, points = to_lab(pixels), mesh.points
    regions = build_regions(points, lab.shape)
    band = regions.soft * regions.band
    brows = float(points[np.concatenate([topo.LEFT_BROW, topo.RIGHT_BROW]), 1].mean())
    skin = fit_skin(lab, mesh).likelihood(lab) * band
    parts = (slice(int(brows)), slice(None))
    clear = min(float(skin[p].sum()) / max(float(band[p].sum()), 1e-6) for p in parts)
    fine = lab[..., 0] - cv2.GaussianBlur(lab[..., 0], (0, 0), FINE * face_width(points))
    y, x = np.mgrid[: lab.shape[0], : lab.shape[1]]
    inside, middle = band > 0.5, points[topo.NOSE_TIP, 0]
    beside = inside & (y >= brows) & (y < points[topo.CHIN_PATCH, 1].mean())
    forehead, left, right = (
        float(fine[part].std()) if part.any() else 0.0
        for part in (inside & (y < brows), beside & (x < middle), beside & (x >= middle))
    )
    return Bareness(clear, forehead, max(left, right))


def mouth_is_discoloured(pixels: ImageArray, mesh: Mesh) -> bool:
    """Whether what an open mouth shows is green, blue or purple: so are some made-up teeth.

    Args:
        pixels: (h, w, 3) RGB uint8.
        mesh: The face in it.
    """
    inside = fill_polygon(mesh.points[topo.LIPS_INNER, :2], pixels.shape) > 0
    lab = to_lab(pixels[inside][None])[0]
    lit = lab[lab[:, 0] > LIT]
    if 2 * len(lit) < len(lab) or not len(lit):  # dark: nothing is seen of its colour
        return False
    green, blue = np.percentile(lit[:, 1:], 10, axis=0)
    return bool(green < GREENISH or blue < BLUISH)
