"""The default detector: RetinaFace, and a second look by the mesh at what it is unsure of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anonyface.detection.boxes import area, intersection
from anonyface.detection.retinaface import SURE_SCORE, RetinaFace
from anonyface.errors import FaceError
from anonyface.landmarks.mesh import FaceMesh
from anonyface.types import Detail, Face, ImageArray

SMALL_PX: dict[Detail, float] = {"fast": 24, "normal": 48, "thorough": 48}
"""Longer side below which a face is small, pixels."""
ACCEPTED: dict[Detail, float] = {"fast": SURE_SCORE, "normal": 0.4, "thorough": 0.3}
ACCEPTED_SMALL: dict[Detail, float] = {"fast": 0.65, "normal": 0.3, "thorough": 0.2}
"""Score from which on a detection needs no second look, and the same for small faces.

Several passes that agree say more than the mesh does, above all of tiny, masked and blurred faces:
so the score may be lower, and what is below `SURE_SCORE` is still told as doubtful. Of small faces
the coarse passes see nothing and have voted against them; a wrong one costs the photo a smudge, a
missed one a person. A single pass takes patterns in cloth and leaves for faces of few pixels, and
must be surer. Chosen on groups-dev."""
CONFIRMED, CONFIRMED_LARGE = 0.5, 0.95
"""Presence the mesh must see in a face that the detector alone is not sure of, and in one from
`LARGE_PX` on: of large faces it is sure, and a wrong one spoils half of a picture."""
LARGE_PX = 96
BORROWED = 0.2
"""Share of an unsure box inside a sure one from which on it is taken for a part of it."""


class FaceFinder:
    """Finds faces; a `Detector`.

    Candidates between the detector's noise level and the accepted one count only if the mesh sees a
    face there too: a low threshold finds the turned and half-hidden ones, the second look drops the
    leaves. What has a score below `SURE_SCORE` is doubtful: something to cover rather than to
    replace, unless the mesh fits.

    Args:
        detail: How hard to look, see `anonyface.detection.passes.plan_windows`.
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(self, *, detail: Detail = "normal", threads: int = 0) -> None:
        self.detector = RetinaFace(detail=detail, threads=threads)
        self.mesh = FaceMesh(threads=threads)

    def __call__(self, image: ImageArray, /) -> list[Face]:
        """Return the faces in an (H, W, 3) RGB uint8 image, most confident first."""
        return self.choose(image, self.detector(image))

    def batch(self, images: Sequence[ImageArray]) -> list[list[Face]]:
        """Find faces in (H, W, 3) RGB uint8 images of one size, frames of a video for example.

        Raises:
            InputError: If the images differ in size.
        """
        found = self.detector.batch(images)
        return [self.choose(image, faces) for image, faces in zip(images, found, strict=True)]

    def choose(self, image: ImageArray, found: Sequence[Face]) -> list[Face]:
        """Return those of the detector's candidates that count, in their order.

        Args:
            image: (H, W, 3) RGB uint8.
            found: Candidates, most confident first.
        """
        sure = [f for f in found if is_accepted(f, self.detector.detail)]
        rest = [f for f in found if not is_accepted(f, self.detector.detail)]
        kept = [*sure, *(f for f in rest if self._confirmed(image, f, sure))]
        return sorted(kept, key=lambda face: -face.score)

    def _confirmed(self, image: ImageArray, face: Face, sure: Sequence[Face]) -> bool:
        box = face.box[None]
        if sure:
            common = intersection(box, np.stack([f.box for f in sure]))[0]
            if common.max() > BORROWED * area(box)[0]:
                return False  # the mesh would snap to the sure face beside it
        try:
            (mesh,) = self.mesh(image, [face])
        except FaceError:
            return False
        return mesh.presence >= (CONFIRMED if face.size < LARGE_PX else CONFIRMED_LARGE)


def is_accepted(face: Face, detail: Detail) -> bool:
    """Whether the detector's score alone is enough for a face of this size."""
    levels = ACCEPTED if face.size >= SMALL_PX[detail] else ACCEPTED_SMALL
    return face.score >= levels[detail]
