"""Cover who wears a mask, and can by nobody be replaced: what the mask leaves bare, and no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from anonyface.errors import FaceError
from anonyface.landmarks.occlusion import is_masked
from anonyface.redaction import cover_face
from anonyface.subjects import Subject, require_readable
from anonyface.swapping.crop import cut_crop, paste, within
from anonyface.swapping.faceless import faceless
from anonyface.types import Crop, ImageArray, Patch
from anonyface.verification.check import VERIFY_FACE_PX, Verdict, Verifier

MORE = 0.03
"""How much more similar to the original such a cover may be found than an ellipse over the whole
head. By hair, clothes and light that stay, an encoder recognises people in their own photo even
then: what is asked is that the cover gives away no more."""


def cover_bare_part(
    out: ImageArray, original: ImageArray, subject: Subject, verifier: Verifier, *, seed: int
) -> bool:
    """Cover what a mask leaves bare in ``out``, in place, if that hides as much as an ellipse.

    A face without a mask and without features is uncanny: an ellipse over the head is none.

    Args:
        out: (H, W, 3) the running output.
        original: (H, W, 3) the untouched photo.
        subject: Who it is.
        verifier: Compares original and cover.
        seed: Of the grain.

    Returns:
        Whether it is covered. It is not, and the whole head must be, if no mask is worn, the mesh
        can't be believed, the face is too small to compare, or more is given away.
    """
    face = subject.face
    if face.size < VERIFY_FACE_PX or not is_masked(subject.mesh):
        return False
    try:
        require_readable(subject)
        crop, mesh, window = cut_crop(out, subject.mesh)
        patch = within(faceless(crop, mesh, rng=np.random.default_rng(seed)), face, crop)
        verdict = verifier(original, subject, patch, crop)
        if not all(check.passed for check in verdict.checks):
            ellipse = verifier(original, subject, _ellipse(crop, subject, seed), crop)
            if gives_away_more(verdict, ellipse):
                return False
    except FaceError:
        return False
    paste(out, patch, window)
    return True


def gives_away_more(cover: Verdict, ellipse: Verdict) -> bool:
    """Whether the judge who recognises somebody under a cover does so less under an ellipse.

    If the ellipse failed before an earlier judge, that judge did not recognise the cover.
    """
    last = cover.checks[-1]
    others = {check.encoder: check.after for check in ellipse.checks}
    return last.encoder in others and last.after > others[last.encoder] + MORE


def _ellipse(crop: Crop, subject: Subject, seed: int) -> Patch:
    """The crop with the whole head covered."""
    shift = crop.matrix[:, 2].astype(np.float32)
    face = subject.face
    moved = replace(face, box=face.box + np.tile(shift, 2), landmarks=face.landmarks + shift)
    pixels = crop.pixels.copy()
    cover_face(pixels, moved, "blur", rng=np.random.default_rng(seed))
    return Patch(pixels, np.ones(pixels.shape[:2], dtype=np.float32))
