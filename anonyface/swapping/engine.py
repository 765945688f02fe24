"""Level 1: bend the identity's portrait onto the face, light it, soften it, blend it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from anonyface.errors import FaceError
from anonyface.landmarks.occlusion import hidden_part
from anonyface.landmarks.pose import measure_expression
from anonyface.landmarks.skin import fit_bare_skin, fit_skin, to_lab
from anonyface.swapping.clearing import clear_hair
from anonyface.swapping.gaze import match_gaze
from anonyface.swapping.lids import match_lids
from anonyface.swapping.limits import (
    limit_casts,
    limit_colours,
    limit_highlights,
    limit_shadows,
)
from anonyface.swapping.lips import inside_mouth, match_lips
from anonyface.swapping.mask import (
    Regions,
    build_regions,
    cheeks,
    disc,
    face_width,
    leave,
    outline_window,
    smoothstep,
    without_islands,
)
from anonyface.swapping.resolution import swap_at_work_size
from anonyface.swapping.texture import match_texture
from anonyface.swapping.tint import find_tint, grey
from anonyface.swapping.tone import (
    match_cheeks,
    match_contrast,
    match_rim,
    match_shading,
)
from anonyface.swapping.warp import CONTROL, Shares, blend_geometry, warp_portrait
from anonyface.types import Crop, FloatArray, Identity, ImageArray, Mesh, Patch

FEWEST_PX = 4
GLASSES = 0.5
"""Probability from which on an identity is taken to wear glasses."""
AJAR, WIDER, WIDE_SHARE = 0.1, (0.04, 0.14), 0.9
"""Gap over mouth width from which on a portrait shows the inside of a mouth; how much wider open
the original's must be for more of its geometry, and the share of what is left that it gets then."""
SHEEN = 0.05
"""How far what lies in front of a face, a white mask above all, colours the skin beside it: there
nothing is learnt of the light, in face widths."""
STRAND = 0.012
"""Half the width of strands of hair that are kept out of the blend, in face widths."""


@dataclass(frozen=True)
class MeshSwapper:
    """Puts an identity on a face without a learned swap network.

    Attributes:
        shape: Share of the original's geometry kept for eyes, brows, nose and cheeks.
        raised: The same for how high brows and lids are, which is expression.
        mouth: The same for the mouth, which carries the expression.
    """

    shape: float = 0.15
    raised: float = 0.5
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

    def mouth_share(self, mesh: Mesh, identity: Identity) -> float:
        """Share of the original's geometry for the mouth: more if it is open much wider.

        A mouth of the portrait that is closed has no teeth to show, and stays as it is.
        """
        wanted = measure_expression(mesh.points).mouth_open
        have = measure_expression(identity.mesh.points).mouth_open
        if have < AJAR:
            return self.mouth
        more = float(np.interp(wanted - have, WIDER, (0, WIDE_SHARE)))
        return self.mouth + (1 - self.mouth) * more

    def _warp(
        self, pixels: ImageArray, mesh: Mesh, identity: Identity, placed: FloatArray
    ) -> FloatArray:
        """The portrait bent onto the crop, its eyes looking where the original's look."""
        height, width = pixels.shape[:2]
        source = identity.mesh
        points = source.points[CONTROL, :2]
        eyes = match_gaze(mesh, source, placed)
        glasses = wears_glasses(identity)
        lids = match_lids(mesh, source, placed, (width, height), glasses=glasses)
        for more in (eyes, lids):
            if more is not None:
                points = np.concatenate([points, more.source])
                placed = np.concatenate([placed, more.placed])
        shift = None if lids is None else lids.shift
        new = warp_portrait(identity.pixels, points, placed, (width, height), shift=shift)
        return new if lids is None else lids.soften(new)

    def _swap(
        self, pixels: ImageArray, mesh: Mesh, identity: Identity
    ) -> tuple[FloatArray, FloatArray]:
        """New face (h, w, 3) float32 over the whole crop, and alpha (h, w)."""
        (height, width), points = pixels.shape[:2], mesh.points
        shares = Shares(self.shape, self.raised, self.mouth_share(mesh, identity))
        placed = blend_geometry(points, identity.mesh.points, shares)
        tint = find_tint(pixels)
        new = self._warp(pixels, mesh, identity, placed)
        new = new if tint is None else grey(new)
        old = pixels.astype(np.float32)
        size = face_width(points)
        old_lab, new_lab = to_lab(pixels), to_lab(np.clip(new, 0, 255))
        old_model = fit_skin(old_lab, mesh)
        hidden = hidden_part(mesh, pixels)
        regions = build_regions(points, (height, width))
        regions = leave(regions, hidden, points, masked=old_model.masked)
        old_skin = old_model.likelihood(old_lab) * (1 - hidden)
        alone = old_skin * (1 - cv2.dilate(hidden, disc(SHEEN * size)))
        new_model = fit_bare_skin(new_lab, points)
        new_skin = new_model.likelihood(new_lab)
        inside = (regions.edge * regions.soft > 0).astype(np.float32)
        new, new_skin = clear_hair(
            new, new_skin, placed, regions, size, glasses=wears_glasses(identity)
        )
        both = np.minimum(alone, new_skin)
        lit = match_shading(new, old, alone * new_skin * inside, regions, size)
        alpha = blend_alpha(regions, without_islands(old_skin, regions, size), new_skin, size)
        if not np.any(alpha > 0.5):
            raise FaceError("no part of the face lies inside the image", stage="swapping")
        shown = alpha > 0.9
        lit = match_contrast(lit, old, regions.core * regions.bare * shown, size)
        seen = regions.core * regions.bare * shown * both
        lit = limit_colours(lit, old, seen, regions.bare, size)
        here = cheeks(points, (height, width)) * shown * both
        lit = match_cheeks(lit, old, here, regions, size)
        lit = limit_highlights(lit, old, alone * inside, regions.bare)
        lit = limit_shadows(lit, old, regions.core * regions.soft * (1 - hidden), regions)
        mouth = inside_mouth(placed, (height, width))
        lit = limit_casts(lit, old_model.centre, regions.bare, new_lab, new_model.centre, mouth)
        if tint is None:
            lit = match_lips(lit, old, 1 - hidden, points, placed, size)
        # What lies in front has edges of its own.
        lit = match_rim(lit, old + (lit - old) * hidden[..., None], alpha, size)
        out = match_texture(lit, old, alpha, np.random.default_rng(identity.seed), size)
        return out if tint is None else tint(out), alpha


def wears_glasses(identity: Identity) -> bool:
    """Whether an identity is known to wear glasses."""
    return identity.look is not None and identity.look.eyewear >= GLASSES


def blend_alpha(
    regions: Regions, old_skin: FloatArray, new_skin: FloatArray, width: float
) -> FloatArray:
    """Weight of the new face: everything in the core, only skin on skin in the band around it.

    Hair, hat or glasses over the original's forehead and temples stay, and hair of the identity is
    not pasted; the core, which makes a face recognisable, is replaced but for what is seen to lie
    in front of it.

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
