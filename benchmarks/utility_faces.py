"""One face before and after: every measure of it, or why it could not be taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from anonyface.detection.boxes import iou
from anonyface.detection.faces import FaceFinder
from anonyface.errors import FaceError
from anonyface.identities.looks import cheek_colours
from anonyface.landmarks.occlusion import is_masked
from anonyface.redaction import ellipse_alpha
from anonyface.subjects import Subject, SubjectReader
from anonyface.types import BoolArray, Face, ImageArray
from anonyface.verification.encoder import DlibEncoder
from benchmarks import utility_measures as measures
from benchmarks.readers import FEMALE_FROM, AttributeReader, Reading
from benchmarks.utility_photos import Mask, Print

SMALLEST_PX = 48
"""Faces below are not measured: their eyes are a few pixels wide. The longer side of the box."""
AGAIN_IOU = 0.4
"""Overlap with the original box from which on a face counts as found again."""
TONES = ((10.0, "dark"), (28.0, "tan"), (41.0, "intermediate"), (np.inf, "light"))
"""Upper ends of the individual typology angle, degrees (Chardon et al. 1991), the two darkest and
the two lightest of its six classes put together."""

Value: TypeAlias = float | str
"""A measurement, or why there is none."""


@dataclass(frozen=True)
class Measure:
    """What a value means.

    Attributes:
        unit: Of the value.
        worst: Which values are the worst: the largest, or those furthest from 1 either way.
    """

    unit: str
    worst: Literal["largest", "furthest from 1"] = "largest"


MESH_MEASURES = {
    "yaw error": Measure("degrees"),
    "pitch error": Measure("degrees"),
    "roll error": Measure("degrees"),
    "mouth opening error": Measure("mouth widths"),
    "mouth mesh error": Measure("eye distances"),
    "eye mesh error": Measure("eye distances"),
    "gaze error": Measure("eye widths"),
    "skin tone difference, ITA": Measure("degrees"),
    "skin colour difference, CIE76": Measure("L*a*b* units"),
}
"""Read off the mesh of the original and that of the face found again."""
PIXEL_MEASURES = {
    "seam visibility": Measure("new over old", "furthest from 1"),
    "sharpness": Measure("new over old", "furthest from 1"),
}
"""Read off the pixels at the new face's mask, found again or not."""
MEASURES = MESH_MEASURES | PIXEL_MEASURES


@dataclass(frozen=True, eq=False)
class Compared:
    """A replaced face and what was measured.

    Attributes:
        face: The original.
        again: The face found where it stood, None if there is none.
        groups: Kind of group -> the one the original reads as.
        values: Name in `MEASURES` -> value, or why there is none.
        readings: Name of a reader -> what original and result read as.
    """

    face: Face
    again: Face | None
    groups: Mapping[str, str]
    values: Mapping[str, Value]
    readings: Mapping[str, tuple[Reading | None, Reading | None]]


class Examiner:
    """Measures the replaced faces of photos.

    Args:
        readers: Who reads gender and age.
        threads: Threads for inference.
    """

    def __init__(self, readers: Sequence[AttributeReader], *, threads: int) -> None:
        self.readers = readers
        self.find = FaceFinder(threads=threads)
        self.read = SubjectReader(encoder=DlibEncoder(threads=threads), threads=threads)

    def __call__(self, before: ImageArray, after: Print) -> list[Compared]:
        """Return what was measured of every replaced face of `SMALLEST_PX` and more.

        Args:
            before: (H, W, 3) RGB uint8.
            after: The same photo with faces replaced.
        """
        chosen = [
            number
            for number, outcome in enumerate(after.outcomes)
            if outcome.action == "replaced" and outcome.face.size >= SMALLEST_PX
        ]
        if not chosen:
            return []
        found = self.find(after.image)
        out = []
        for number in chosen:
            face, mask = after.outcomes[number].face, after.masks[number]
            again = found_again(found, face)
            free = ~touched(after, (before.shape[0], before.shape[1]), but=number)
            out.append(self.compare(before, after.image, face, again, mask=mask, free=free))
        return out

    def compare(
        self,
        before: ImageArray,
        after: ImageArray,
        face: Face,
        again: Face | None,
        *,
        mask: Mask | None,
        free: BoolArray,
    ) -> Compared:
        """Measure one face.

        Args:
            before: (H, W, 3) RGB uint8.
            after: The result.
            face: The original face.
            again: The face found in the result.
            mask: Where the new face was put, None if that is not known.
            free: (H, W) pixels that no other face's replacement or cover has touched.
        """
        old = self._subject(before, face)
        new = None if again is None else self._subject(after, again)
        masked = old is not None and is_masked(old.mesh)
        values = pixel_values(before, after, mask, free)
        if old is None:
            values |= dict.fromkeys(MESH_MEASURES, "the original can't be read")
        elif new is None:
            why = "not found again" if again is None else "the result can't be read"
            values |= dict.fromkeys(MESH_MEASURES, why)
        else:
            values |= mesh_values(before, after, old, new, masked=masked)
        where = (face.landmarks, None if again is None else again.landmarks)
        return Compared(
            face,
            again,
            groups={} if old is None else groups_of(old, masked=masked),
            values=values,
            readings={r.name: (r(before, where[0]), r(after, where[1])) for r in self.readers},
        )

    def _subject(self, image: ImageArray, face: Face) -> Subject | None:
        try:
            return self.read(image, face)
        except FaceError:
            return None


def found_again(found: Sequence[Face], original: Face) -> Face | None:
    """Return the face that overlaps the original's box most, None if none does by `AGAIN_IOU`."""
    if not found:
        return None
    overlap = iou(original.box[None], np.stack([face.box for face in found]))[0]
    best = int(overlap.argmax())
    return found[best] if overlap[best] >= AGAIN_IOU else None


def groups_of(subject: Subject, *, masked: bool) -> dict[str, str]:
    """Return the groups an original counts to, by how it reads.

    Args:
        subject: What was read off it.
        masked: Whether a mask or scarf covers mouth and cheeks.
    """
    look = subject.look
    return {
        "sex": "female" if look.p_female >= FEMALE_FROM else "male",
        "skin tone": next(name for end, name in TONES if look.skin_tone < end),
        "mouth": "covered" if masked else "bare",
    }


def mesh_values(
    before: ImageArray, after: ImageArray, old: Subject, new: Subject, *, masked: bool
) -> dict[str, Value]:
    """Return `MESH_MEASURES` of a face.

    Args:
        before: (H, W, 3) RGB uint8.
        after: The result.
        old: What was read off the original face.
        new: What was read off the face found again.
        masked: Whether a mask or scarf covers the original's mouth and cheeks.
    """
    if new.strayed:
        return dict.fromkeys(MESH_MEASURES, "the result's mesh strayed")
    points = old.mesh.points, new.mesh.points
    values: dict[str, Value] = {
        f"{name} error": measures.angle_error(getattr(old.look, name), getattr(new.look, name))
        for name in ("yaw", "pitch", "roll")
    }
    values["eye mesh error"] = measures.eyes_error(*points)
    values["gaze error"] = measures.gaze_hidden(old.look) or gaze_value(old, new)
    names = tuple(name for name in MESH_MEASURES if name.startswith(("mouth", "skin")))
    if masked:
        return values | dict.fromkeys(names, "covered by a mask or scarf")
    colours = [
        np.mean(cheek_colours(*pair), axis=0) for pair in ((before, old.mesh), (after, new.mesh))
    ]
    return values | {
        "mouth opening error": measures.mouth_opening_error(*points),
        "mouth mesh error": measures.mouth_error(*points),
        "skin tone difference, ITA": measures.tone_error(*colours),
        "skin colour difference, CIE76": measures.colour_error(*colours),
    }


def gaze_value(old: Subject, new: Subject) -> Value:
    """Return the gaze error, or why there is none."""
    error = measures.gaze_error(old.look, new.look)
    return "eyes too small" if np.isnan(error) else error


def pixel_values(
    before: ImageArray, after: ImageArray, mask: Mask | None, free: BoolArray
) -> dict[str, Value]:
    """Return `PIXEL_MEASURES` of a face.

    Args:
        before: (H, W, 3) RGB uint8.
        after: The result.
        mask: Where the new face was put, None if that is not known.
        free: (H, W) pixels that no other face's replacement or cover has touched.
    """
    if mask is None:
        return dict.fromkeys(PIXEL_MEASURES, "no mask known")
    window = mask.window
    alpha = mask.weight
    old, new, own = before[window], after[window], free[window]
    seam = measures.seam_ratio(old, new, measures.edge_ring(alpha, own))
    sharp = measures.sharpness_ratio(old, new, measures.well_inside(alpha) & own)
    return {
        "seam visibility": "too few free pixels" if seam is None else seam,
        "sharpness": "too few free pixels" if sharp is None else sharp,
    }


def touched(after: Print, image_hw: tuple[int, int], *, but: int) -> BoolArray:
    """(H, W) pixels that other faces' replacements or covers have touched.

    Args:
        after: The result.
        image_hw: Height and width of the photo.
        but: Number of the face that does not count.
    """
    out = np.zeros(image_hw, bool)
    for number, (outcome, mask) in enumerate(zip(after.outcomes, after.masks, strict=True)):
        if number == but:
            continue
        if mask is not None:
            out[mask.window] |= mask.alpha > 0
        elif outcome.action == "redacted":
            found = ellipse_alpha(outcome.face.box, image_hw)
            if found is not None:
                out[found[:2]] |= found[2] > 0
    return out
