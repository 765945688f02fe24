"""Level 1: bend the identity's portrait onto the face, light it, soften it, blend it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from anonyface.errors import FaceError
from anonyface.landmarks.iris import IrisLandmarks
from anonyface.landmarks.skin import fit_skin, to_lab
from anonyface.swapping.gaze import match_gaze
from anonyface.swapping.mask import (
    Regions,
    build_regions,
    exempt,
    face_width,
    lower_face,
    smoothstep,
)
from anonyface.swapping.texture import match_texture
from anonyface.swapping.tone import limit_casts, limit_highlights, match_contrast, match_shading
from anonyface.swapping.warp import CONTROL, blend_geometry, warp_portrait
from anonyface.types import Crop, FloatArray, Identity, ImageArray, Mesh, Patch

WORK_PX = 420
"""Wider faces are worked on at this width and enlarged: the portrait has no more to give."""

GAZE_PX = 40
"""Width of a face from which one sees where it looks."""
STRAND = 0.012
"""Half the width of strands of hair that are kept out of the blend, in face widths."""


@dataclass(frozen=True)
class MeshSwapper:
    """Puts an identity on a face without a learned swap network.

    Attributes:
        shape: Share of the original's geometry kept for eyes, brows, nose and cheeks.
        mouth: The same for the mouth, which carries the expression.
        irises: Finds the original's irises, so that its gaze is kept; None leaves the identity's.
    """

    shape: float = 0.15
    mouth: float = 0.65
    irises: IrisLandmarks | None = None

    def __call__(self, crop: Crop, mesh: Mesh, identity: Identity, /) -> Patch:
        """Return the crop with the new face in it.

        Args:
            crop: The face and its surroundings, in the photo's own pixels.
            mesh: The original's mesh in crop coordinates.
            identity: Who to put on.

        Raises:
            FaceError: If the geometry can't be solved.
        """
        factor = min(1.0, WORK_PX / face_width(mesh.points))
        if factor == 1.0:
            new, alpha = self._swap(crop.pixels, mesh, identity)
        else:
            new, alpha = self._swap_large(crop.pixels, mesh, identity, factor)
        weight = alpha[..., None]
        mixed = crop.pixels + (new - crop.pixels) * weight
        return Patch(pixels=np.round(mixed).astype(np.uint8), alpha=alpha)

    def _swap_large(
        self, pixels: ImageArray, mesh: Mesh, identity: Identity, factor: float
    ) -> tuple[FloatArray, FloatArray]:
        height, width = pixels.shape[:2]
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        scale = np.array([size[0] / width, size[1] / height, factor], dtype=np.float32)
        new, alpha = self._swap(small, Mesh(mesh.points * scale, mesh.presence), identity)
        large = cv2.resize(new, (width, height), interpolation=cv2.INTER_CUBIC)
        mask = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.clip(large, 0, 255).astype(np.float32), np.asarray(mask, dtype=np.float32)

    def _warp(
        self, pixels: ImageArray, mesh: Mesh, identity: Identity, placed: FloatArray
    ) -> FloatArray:
        """The portrait bent onto the crop, its eyes looking where the original's look."""
        height, width = pixels.shape[:2]
        source = identity.mesh.points
        points = source[CONTROL, :2]
        if self.irises and identity.irises is not None and face_width(mesh.points) >= GAZE_PX:
            target = mesh.points, self.irises(pixels, mesh)
            if eyes := match_gaze(target, (source, identity.irises), placed):
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
        regions = build_regions(points, (height, width))
        size = face_width(points)
        old_lab, new_lab = to_lab(pixels), to_lab(np.clip(new, 0, 255))
        old_model = fit_skin(old_lab, mesh)
        old_skin = old_model.likelihood(old_lab)
        new_skin = fit_skin(new_lab, Mesh(points, 1.0)).likelihood(new_lab)
        if old_model.masked:  # a medical mask or a scarf stays on: below the nose, only bare skin
            regions = exempt(regions, lower_face(points, (height, width)))
        inside = (regions.edge > 0).astype(np.float32)
        lit = match_shading(new, old, old_skin * new_skin * inside, regions, size)
        alpha = blend_alpha(regions, old_skin, new_skin, size)
        if not np.any(alpha > 0.5):
            raise FaceError("no part of the face lies inside the image", stage="swapping")
        shown = regions.core * (alpha > 0.9)
        lit = match_contrast(lit, old, shown * regions.bare, size)
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
