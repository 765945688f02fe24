"""Whether hair hangs into a portrait's face: it would be worn beside the original's own."""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.landmarks import topology as topo
from anonyface.landmarks.skin import fit_skin, to_lab
from anonyface.swapping.mask import build_regions, face_width
from anonyface.types import ImageArray, Mesh

CLEAR = 0.88
"""Share of bare forehead and temples below which hair hangs over a brow or a cheek. Of 48 portraits
that were looked at, 7 had less; 5 of these had such hair, and one of all others."""
STRANDS, LOCKS = 3.0, 4.0
"""Unevenness of a forehead, and of a woman's temples and cheeks, from which on hair of the colour
of skin is on it, L* units: of 103 portraits that were looked at all seven with so uneven a
forehead below `WRINKLED` had a fringe."""
WRINKLED = 50.0
"""Years from which on wrinkles are as uneven as that."""
FINE = 0.03
"""What is finer than that is uneven, in face widths."""
LOOK_PX = 256
"""Larger portraits are shrunk to this side: skin has pores."""


def hair_in_face(pixels: ImageArray, mesh: Mesh, *, female: bool, age: float) -> bool:
    """Whether hair hangs into the face, dark or of the colour of skin.

    Args:
        pixels: (h, w, 3) RGB uint8 upright portrait.
        mesh: Its mesh.
        female: Whether a woman's: what is uneven on the cheeks may be a beard else.
        age: Years.
    """
    factor = LOOK_PX / max(pixels.shape[:2])
    if factor < 1:
        size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        mesh = mesh.moved(np.array([[factor, 0, 0], [0, factor, 0]]))
    if clearness(pixels, mesh) < CLEAR:
        return True
    forehead, sides = unevenness(pixels, mesh)
    return (age < WRINKLED and forehead > STRANDS) or (female and sides > LOCKS)


def clearness(pixels: ImageArray, mesh: Mesh) -> float:
    """Share of bare skin in the band around the features, or on the forehead if that has less.

    Args:
        pixels: (h, w, 3) RGB uint8 upright portrait.
        mesh: Its mesh.

    Returns:
        0 (hat, fringe, hands) to 1.
    """
    lab = to_lab(pixels)
    regions = build_regions(mesh.points, lab.shape)
    band = regions.soft * regions.band
    skin = fit_skin(lab, mesh).likelihood(lab)
    brows = int(mesh.points[np.concatenate([topo.LEFT_BROW, topo.RIGHT_BROW]), 1].mean())
    parts = [(skin * band)[:brows].sum() / max(float(band[:brows].sum()), 1e-6)]
    parts.append((skin * band).sum() / max(float(band.sum()), 1e-6))
    return float(min(parts))


def unevenness(pixels: ImageArray, mesh: Mesh) -> tuple[float, float]:
    """Standard deviation of what is fine on the forehead, and on the more uneven side of the face.

    Args:
        pixels: (h, w, 3) RGB uint8 upright portrait.
        mesh: Its mesh.

    Returns:
        L* units; 0 of what is not in view.
    """
    light = to_lab(pixels)[..., 0]
    fine = light - cv2.GaussianBlur(light, (0, 0), FINE * face_width(mesh.points))
    regions = build_regions(mesh.points, light.shape)
    band = regions.soft * regions.band > 0.5
    brows = mesh.points[np.concatenate([topo.LEFT_BROW, topo.RIGHT_BROW]), 1].mean()
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    beside = band & (y >= brows) & (y < mesh.points[topo.CHIN_PATCH, 1].mean())
    middle = mesh.points[topo.NOSE_TIP, 0]
    parts = (band & (y < brows), beside & (x < middle), beside & (x >= middle))
    forehead, left, right = (float(fine[part].std()) if part.any() else 0.0 for part in parts)
    return forehead, max(left, right)
