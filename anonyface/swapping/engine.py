"""Level 1: bend the identity's portrait onto the face, light it, soften it, blend it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from anonyface.errors import FaceError
from anonyface.landmarks.skin import fit_bare_skin, fit_skin, to_lab
from anonyface.swapping.gaze import match_gaze
from anonyface.swapping.mask import (
    Regions,
    build_regions,
    cheeks,
    face_width,
    leave,
    outline_window,
    smoothstep,
)
from anonyface.swapping.resolution import swap_at_work_size
from anonyface.swapping.texture import match_texture
from anonyface.swapping.tone import (
    limit_casts,
    limit_highlights,
    match_cheeks,
    match_contrast,
    match_shading,
)
from anonyface.swapping.warp import CONTROL, blend_geometry, warp_portrait
from anonyface.types import Crop, FloatArray, Identity, ImageArray, Mesh, Patch

FEWEST_PX = 4
STRAND = 0.012
"""Half the width of strands of hair that are kept out of the blend, in face widths."""


@dataclass(frozen=True)
class MeshSwapper:
    """Puts an identity on a face without a learned swap network.

    Attributes:
        shape: Share of the original's geometry kept for eyes, brows, nose and cheeks.
        mouth: The same for the mouth, which carries the expression.
    """

    shape: float = 0.15
    mouth: float = 0.65

    def __call__(self, crop: Crop, mesh: Mesh, identity: Identity, /) -> Patch:
        """Return the crop with the new face in it.

        Args:
            crop: The face and its surroundings, in the photo's own pixels.
            mesh: The original's mesh in crop coordinates.
            identity: Who to put on.

        Raises:
            FaceError: If the geometry can't be solved.
        """
        return swap_at_work_size(crop, mesh, partial(self._in_window, identity=identity))

    def _in_window(
        self, pixels: ImageArray, mesh: Mesh, identity: Identity
    ) -> tuple[FloatArray, FloatArray]:
        """`_swap` where the face is; the rest of the crop is worth no work."""
        (y0, y1), (x0, x1) = outline_window(mesh.points, pixels.shape)
        rows, columns = slice(y0, y1), slice(x0, x1)
        if y1 - y0 < FEWEST_PX or x1 - x0 < FEWEST_PX:
            raise FaceError("no part of the face lies inside the image", stage="swapping")
        shift = np.array([[1, 0, -x0], [0, 1, -y0]], dtype=np.float64)
        new, alpha = pixels.astype(np.float32), np.zeros(pixels.shape[:2], dtype=np.float32)
        found = self._swap(pixels[rows, columns], mesh.moved(shift), identity)
        new[rows, columns], alpha[rows, columns] = found
        return new, alpha

    def _warp(
        self, pixels: ImageArray, mesh: Mesh, identity: Identity, placed: FloatArray
    ) -> FloatArray:
        """The portrait bent onto the crop, its eyes looking where the original's look."""
        height, width = pixels.shape[:2]
        source = identity.mesh
        points = source.points[CONTROL, :2]
        if eyes := match_gaze(mesh, source, placed):
            points = np.concatenate([points, eyes.source])
            placed = np.concatenate([placed, eyes.placed])
        return warp_portrait(identity.pixels, points, placed, (width, height))

    def _swap(
        self, pixels: ImageArray, mesh: Mesh, identity: Identity
    ) -> tuple[FloatArray, FloatArray]:
        """New face (h, w, 3) float32 over the whole crop, and alpha (h, w)."""
        (height, width), points = pixels.shape[:2], mesh.points
        placed = blend_geometry(points, identity.mesh.points, shape=self.shape, mouth=self.mouth)
        new = self._warp(pixels, mesh, identity, placed)
        old = pixels.astype(np.float32)
        size = face_width(points)
        old_lab, new_lab = to_lab(pixels), to_lab(np.clip(new, 0, 255))
        old_model = fit_skin(old_lab, mesh)
        regions = leave(build_regions(points, (height, width)), old_model.worn)
        old_skin = old_model.likelihood(old_lab)
        new_skin = fit_bare_skin(new_lab, points).likelihood(new_lab)
        inside = (regions.edge * regions.soft > 0).astype(np.float32)
        lit = match_shading(new, old, old_skin * new_skin * inside, regions, size)
        alpha = blend_alpha(regions, old_skin, new_skin, size)
        if not np.any(alpha > 0.5):
            raise FaceError("no part of the face lies inside the image", stage="swapping")
        shown = regions.core * (alpha > 0.9)
        lit = match_contrast(lit, old, shown * regions.bare, size)
        here = cheeks(points, (height, width)) * (alpha > 0.9) * np.minimum(old_skin, new_skin)
        lit = match_cheeks(lit, old, here, regions, size)
        lit = limit_highlights(lit, old, old_skin * inside, regions.bare)
        lit = limit_casts(lit, old_model.centre, regions.bare)
        return match_texture(lit, old, shown, np.random.default_rng(identity.seed)), alpha


def blend_alpha(
    regions: Regions, old_skin: FloatArray, new_skin: FloatArray, width: float
) -> FloatArray:
    """Weight of the new face: everything in the core, only skin on skin in the band around it.

    Hair, hat or glasses over the original's forehead and temples stay, and hair of the identity is
    not pasted; the core, which makes a face recognisable, is replaced whatever is there.

    Args:
        regions: Masks of the crop.
        old_skin: (h, w) skin likelihood of the original.
        new_skin: (h, w) skin likelihood of the warped portrait.
        width: Face width in pixels.
    """
    # Eroded: a strand of hair across the portrait's forehead takes the skin beside it along.
    reach = 2 * max(1, round(STRAND * width)) + 1
    solid = cv2.erode(new_skin, np.ones((reach, reach), np.uint8))
    both = np.minimum(old_skin, solid)
    sigma = max(0.6, 0.015 * width)
    open_skin = smoothstep(np.asarray(cv2.GaussianBlur(both, (0, 0), sigma)) * 1.6 - 0.3)
    return np.asarray(regions.soft * (regions.core + regions.band * open_skin), dtype=np.float32)
