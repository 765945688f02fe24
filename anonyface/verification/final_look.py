"""The last look at the finished picture: is somebody still there, was somebody missed at first?

A detector that missed a face misses it again on the same pixels. So the last look goes over the
mirror image, in which other anchors meet the face and the network's asymmetries fall the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anonyface.detection.boxes import area, intersection
from anonyface.detection.retinaface import MIRROR_ORDER, SURE_SCORE
from anonyface.errors import FaceError
from anonyface.landmarks.mesh import FaceMesh, has_strayed
from anonyface.protocols import Detector, Encoder
from anonyface.types import Face, ImageArray
from anonyface.verification.signature import Signature
from anonyface.verification.thresholds import FalseMatchRate

SAME_PLACE = 0.6
"""Share of the smaller of two boxes inside the other from which on they are one face: less, and a
child's face beside its mother's would count as hers."""
SURE_PRESENCE = 0.5
"""What only this look found must also convince the mesh: a wrong cover spoils a picture."""
BETWEEN = 0.8
"""Share of a box inside those of two faces that were found at first from which on what is seen may
be made of both: two new faces cheek to cheek."""
AN_EYE, ORIGINAL = 0.08, 0.1
"""Half the side of a square around an eye, in face sizes, and the share of its pixels that may be
the photo's: with more, it is somebody's own eye."""
COMPARE_FROM_PX = 24
"""Below this the encoder can't tell people apart."""
OWN_RATE: FalseMatchRate = "1e-3"
OTHERS_RATE: FalseMatchRate = "1e-4"
"""Each new face meets one person who was there, and all the others who were elsewhere."""


@dataclass(frozen=True, eq=False)
class Finding:
    """Something that must not stay in the finished picture.

    Attributes:
        face: Where it is.
        index: Number of the replaced face in whose place it stands, None for a face that was not
            found at first.
        reason: What is wrong, in a short sentence.
    """

    face: Face
    index: int | None
    reason: str


class FinalLook:
    """Searches a finished picture.

    Args:
        find: Finds faces; the built-in one is a fast detector and looks into a mirror.
        encoder: Compares them with the originals.
        upper: Compares people in medical masks by what these leave bare; None if the encoder can't.
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(
        self, *, find: Detector, encoder: Encoder, upper: Encoder | None = None, threads: int = 0
    ) -> None:
        self.find, self.encoder, self.upper = find, encoder, upper
        self.mesh = FaceMesh(threads=threads)

    def __call__(
        self,
        image: ImageArray,
        original: ImageArray,
        faces: Sequence[Face],
        replaced: Sequence[bool],
        gone: Sequence[Signature | None],
    ) -> list[Finding]:
        """Look for original faces.

        Args:
            image: (H, W, 3) RGB uint8, the finished picture.
            original: (H, W, 3) RGB uint8, the photo as it was.
            faces: The faces found at first, in the same coordinates.
            replaced: Of each of them, whether a new face was put on; kept and covered ones are not
                looked at again.
            gone: Of each of them, who must not be there any more; None if the person stays or
                could not be read.

        Returns:
            What was found, most confident first.
        """
        findings: list[Finding] = []
        for face in self.find(image):
            index = place_of(face, faces)
            if index is None:
                made = is_between(face, faces) and has_no_own_eye(image, original, face)
                if not made and self._is_face(image, face):
                    findings.append(Finding(face, None, "found only by the last look"))
            elif replaced[index] and face.size >= COMPARE_FROM_PX:
                if reason := self._recognises(image, face, gone, index):
                    findings.append(Finding(face, index, reason))
        return findings

    def _is_face(self, image: ImageArray, face: Face) -> bool:
        """Whether something only this look found is sure enough to be covered."""
        if face.score < SURE_SCORE or face.size < COMPARE_FROM_PX:
            return False
        try:
            (mesh,) = self.mesh(image, [face])
        except FaceError:
            return False
        return mesh.presence >= SURE_PRESENCE and not has_strayed(mesh, face)

    def _recognises(
        self, image: ImageArray, face: Face, gone: Sequence[Signature | None], index: int
    ) -> str:
        """Say whom a new face is taken for: who was there, or somebody else; nothing if nobody."""
        try:
            new = self._signature(image, face, gone[index])
        except FaceError:  # no alignment, nobody to recognise by it
            return ""
        for k, old in enumerate(gone):
            rate = OWN_RATE if k == index else OTHERS_RATE
            if old is None:
                continue
            if old.matches(new, rate, face_px=face.size):
                score, _ = old.resemblance(new)
                who = "" if k == index else f" as the person of face {k}"
                return f"still recognisable in the finished picture{who} (similarity {score:.2f})"
        return ""

    def _signature(self, image: ImageArray, face: Face, before: Signature | None) -> Signature:
        """Who a new face is: above the mask, too, where the original wore one that stays on."""
        whole = self.encoder(image, face.landmarks)
        if self.upper is None or before is None or before.upper is None:
            return Signature(whole)
        return Signature(whole, self.upper(image, face.landmarks))


def mirrored_faces(detector: Detector, image: ImageArray) -> list[Face]:
    """Find faces in the mirror image; in coordinates of the image itself.

    Args:
        detector: Finds faces.
        image: (H, W, 3) RGB uint8.
    """
    right = image.shape[1] - 1
    out = []
    for face in detector(np.ascontiguousarray(image[:, ::-1])):
        x0, y0, x1, y1 = face.box
        points = face.landmarks[list(MIRROR_ORDER)]
        flipped = np.column_stack([right - points[:, 0], points[:, 1]])
        out.append(Face(np.array([right - x1, y0, right - x0, y1]), flipped, face.score))
    return out


def place_of(face: Face, faces: Sequence[Face]) -> int | None:
    """Return the number of the face in whose place another one stands, None if in nobody's."""
    if not faces:
        return None
    boxes = np.stack([f.box for f in faces])
    common = intersection(face.box[None], boxes)[0]
    share = common / np.maximum(np.minimum(area(face.box[None])[0], area(boxes)), 1e-6)
    best = int(share.argmax())
    return best if share[best] >= SAME_PLACE else None


def is_between(face: Face, faces: Sequence[Face]) -> bool:
    """Whether nearly all of a box lies in those of two other faces."""
    if len(faces) < 2:
        return False
    (x0, y0, x1, y1), boxes = face.box, np.stack([f.box for f in faces])
    inside = np.clip(boxes, [x0, y0, x0, y0], [x1, y1, x1, y1])
    shares = area(inside)
    one, other = np.argsort(shares)[:-3:-1]
    twice = float(intersection(inside[[one]], inside[[other]])[0, 0])
    both = float(shares[one] + shares[other]) - twice
    return both >= BETWEEN * float(area(face.box[None])[0])


def has_no_own_eye(image: ImageArray, original: ImageArray, face: Face) -> bool:
    """Whether at both eyes of a face hardly a pixel of the photo is left.

    Args:
        image: (H, W, 3) RGB uint8, the finished picture.
        original: (H, W, 3) RGB uint8, the photo as it was.
        face: What was found in the picture.
    """
    reach = max(1, round(AN_EYE * face.size))
    for x, y in face.landmarks[:2].round().astype(int):
        window = (
            slice(max(0, y - reach), max(0, y + reach + 1)),
            slice(max(0, x - reach), max(0, x + reach + 1)),
        )
        same = (image[window] == original[window]).all(axis=-1)
        if not same.size or same.mean() > ORIGINAL:
            return False
    return True
