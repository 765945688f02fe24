"""How much of a portrait's forehead and temples is bare: hair over them would be worn, too."""

from __future__ import annotations

import numpy as np

from anonyface.landmarks import topology as topo
from anonyface.landmarks.skin import fit_skin, to_lab
from anonyface.swapping.mask import build_regions
from anonyface.types import ImageArray, Mesh


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
