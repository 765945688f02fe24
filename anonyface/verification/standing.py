"""Does a new face stand as the old one did: its head turned alike, its eyes in place, its gender?

A portrait that fits may not, once it is bent, lit and partly hidden: what low brows above a mask
are taken for, nobody sees before they are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from anonyface.identities.face_gender import load_face_gender
from anonyface.identities.fit import eyes_asked, gender_share
from anonyface.identities.showing import beyond
from anonyface.landmarks import topology as topo
from anonyface.landmarks.mesh import FaceMesh
from anonyface.landmarks.occlusion import is_masked
from anonyface.landmarks.pose import estimate_pose
from anonyface.swapping.mask import face_width
from anonyface.types import Crop, FloatArray, Look, Mesh, Patch
from anonyface.verification.encoder import DlibEncoder, UpperFace

if TYPE_CHECKING:
    from anonyface.subjects import Subject

MOST_TURNED = 5.0
"""Degrees of yaw or pitch by which the mesh may see a new face turned otherwise: 1 in 12 bare faces
was, and nearly half of those above a mask, most of these with brows so low that they frown."""
MOST_MOVED = 0.04
"""How far eyes or mouth may lie from those of the original, face widths: 1 in 26 bare faces. Of the
40 eyes that lay farthest every second pair was torn or on somebody else."""
EYES_STAND = {True: 3.0, False: 0.0}
"""Log odds with which eyes and brows of a woman, and of a man, are to read as theirs at least; see
`anonyface.identities.fit.EYES_READ`."""
EYES = np.concatenate([topo.LEFT_EYE, topo.RIGHT_EYE])
STANDS_BADLY = 3.0
"""Sum of faults from which on a new face is refused though nobody else is left: a cover is better.
One just seen counts 0.5, eyes twice as far off as they may be 2.5."""


class Standing:
    """Says how badly a new face stands.

    Args:
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(self, *, threads: int = 0) -> None:
        self._mesh = FaceMesh(threads=threads)
        self._upper = UpperFace(DlibEncoder(threads=threads))

    def before(self, crop: Crop, mesh: Mesh) -> FloatArray:
        """(468, 3) mesh of the original in crop coordinates, fitted as those of new faces are.

        Not the steadier mesh it was bent by: so the square makes no difference.

        Args:
            crop: The original face and its surroundings.
            mesh: Its mesh in crop coordinates.

        Raises:
            FaceError: If the mesh collapsed.
        """
        return self._mesh.again(crop.pixels, mesh.points)

    def __call__(
        self,
        before: FloatArray,
        subject: Subject,
        crop: Crop,
        mesh: Mesh,
        patch: Patch,
        upper: FloatArray | None,
    ) -> float:
        """How badly a new face stands: 0 well, from `STANDS_BADLY` on it is not to be seen.

        Args:
            before: What `before` says of the original.
            subject: The original face.
            crop: It and its surroundings.
            mesh: Its mesh in crop coordinates, with what lies in front of it.
            patch: The crop with the new face.
            upper: (128,) the new face's upper part under the built-in encoder, None if nobody
                asked yet.

        Raises:
            FaceError: If the new face can't be aligned, or its mesh collapsed.
        """
        after = self._mesh.again(patch.pixels, mesh.points)
        total = sum(moved_faults(before, after, masked=is_masked(mesh)))
        if gender_share(subject.look):
            landmarks = subject.face.landmarks + crop.matrix[:, 2].astype(np.float32)
            seen = self._upper(patch.pixels, landmarks) if upper is None else upper
            total += sum(gender_faults(subject.look, seen))
        return total


def moved_faults(before: FloatArray, after: FloatArray, *, masked: bool) -> Iterator[float]:
    """Yield how bad each way is in which a face sits otherwise, see `STANDS_BADLY`.

    Args:
        before: (468, 3) mesh of the original.
        after: The same of the new face.
        masked: Whether a mask hides the mouth, of which nothing is said then.
    """
    old, new = estimate_pose(before), estimate_pose(after)
    yield beyond(max(abs(old.yaw - new.yaw), abs(old.pitch - new.pitch)), MOST_TURNED, 1.0)
    for part in (EYES,) if masked else (EYES, topo.LIPS_OUTER):
        off = np.linalg.norm(after[part, :2] - before[part, :2], axis=1).mean()
        yield beyond(float(off) / face_width(before), MOST_MOVED, 2.0)


def gender_faults(look: Look, upper: FloatArray) -> Iterator[float]:
    """Yield how bad it is how a new face's eyes and brows read.

    Args:
        look: What was read off the original.
        upper: (128,) the new face's upper part under the built-in encoder.
    """
    share = gender_share(look)
    have = float(load_face_gender().of_eyes(upper[None])[0]) * float(np.sign(share))
    less = eyes_asked(look, EYES_STAND) - have
    if less > 0:
        yield 0.25 + 0.5 * less
