"""Is a reference good enough to recognise somebody by? Size, sharpness and turn of the face."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from anonyface.types import Face, ImageArray
from anonyface.verification.alignment import CHIP_TEMPLATE, align_chip, fit_similarity

# ``python -m benchmarks.protect``, references from lfw-dev made worse, the other photo as it is:
# with faces of 68, 52, 40, 32 px in the references 0.99, 0.99, 0.99, 0.98 of the people are kept,
# and of the few of 24 px that pass 0.92. Below that nothing was calibrated. Under 48 px the share
# falls once many people are protected.
MIN_FACE_PX, GOOD_FACE_PX = 24.0, 48.0
# The same, blurred with a sigma of 2, 3, 4, 6, 8 px in the encoder's chip of 150 px: 0.99, 0.99,
# 0.97, 0.68, 0.17 of those accepted. A sigma of 3 is where more than half get a note, 8 where half
# are refused; of the photos as they are 1 in 100 gets a note.
MIN_SHARPNESS, GOOD_SHARPNESS = 0.06, 0.25
# About 37 and 55 degrees. Too few people in lfw-dev turn that far to measure it: at 0.5 the nose
# tip stands in front of the far eye, at 1.0 that eye is hardly seen.
GOOD_TURN, MAX_TURN = 0.5, 1.0

SHARPNESS_PX = 50
"""Side of the chip in which sharpness is measured: noise and compression are averaged away, and a
face of 24 px still fills it by half."""
POOR_PX = 24.0
"""Height in pixels that a blurred reference counts as. Strangers come closer to it than to a sharp
one; under the thresholds of faces of this height no more of them get through than elsewhere."""


@dataclass(frozen=True)
class Quality:
    """What limits a reference.

    Attributes:
        face_px: Height of the face in pixels.
        sharpness: Variance of the Laplacian over the variance of the grey values, of the middle of
            the face in a chip of `SHARPNESS_PX`; 0.8 is usual, 0 is a flat surface.
        turn: Sideways offset of the nose tip in distances of the eyes; 0 is frontal, 0.4 some 30
            degrees, 0.6 some 40.
    """

    face_px: float
    sharpness: float
    turn: float

    @property
    def effective_px(self) -> float:
        """Height in pixels whose thresholds hold for the reference."""
        return min(self.face_px, POOR_PX) if self.sharpness < GOOD_SHARPNESS else self.face_px


def measure_quality(image: ImageArray, face: Face) -> Quality:
    """Measure size, sharpness and turn of a face.

    Args:
        image: (H, W, 3) RGB uint8.
        face: The face in it.

    Raises:
        FaceError: If the landmarks are degenerate or outside of the image.
    """
    chip = align_chip(image, face.landmarks, SHARPNESS_PX).pixels
    middle = chip[SHARPNESS_PX // 5 : -SHARPNESS_PX // 6, SHARPNESS_PX // 5 : -SHARPNESS_PX // 5]
    grey = cv2.cvtColor(middle, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    matrix = fit_similarity(face.landmarks, CHIP_TEMPLATE)
    left_eye, right_eye, nose, *mouth = face.landmarks @ matrix[:, :2].T + matrix[:, 2]
    middle_x = np.mean([left_eye[0], right_eye[0], mouth[0][0], mouth[1][0]])
    eyes = max(float(right_eye[0] - left_eye[0]), 1.0)
    return Quality(
        face_px=face.size,
        sharpness=detail / max(float(grey.var()), 1.0),
        turn=float(nose[0] - middle_x) / eyes,
    )


def refusal(quality: Quality) -> str | None:
    """Return why nobody can be recognised by a reference, None if one can."""
    if quality.face_px < MIN_FACE_PX:
        return f"the face is {quality.face_px:.0f} px high, at least {MIN_FACE_PX:.0f} are needed"
    if quality.sharpness < MIN_SHARPNESS:
        return "the face is too blurred to recognise anybody by"
    if abs(quality.turn) > MAX_TURN:
        return "the face is turned away too far to recognise anybody by"
    return None


def weakness(quality: Quality) -> str | None:
    """Return why a reference will often miss its person, None if it is good."""
    if quality.face_px < GOOD_FACE_PX:
        return f"face is {quality.face_px:.0f} px high; expect misses"
    if quality.sharpness < GOOD_SHARPNESS:
        return "face is blurred; expect misses"
    if abs(quality.turn) > GOOD_TURN:
        return "face is turned to the side; expect misses"
    return None
