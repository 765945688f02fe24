"""Read off a face all that later stages need: its shape, its look and who it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from anonyface.errors import FaceError
from anonyface.identities.looks import LookReader
from anonyface.landmarks import topology as topo
from anonyface.landmarks.iris import IrisLandmarks
from anonyface.landmarks.mesh import FaceMesh, has_strayed
from anonyface.landmarks.occlusion import OcclusionReader, front_share
from anonyface.landmarks.skin import face_skin
from anonyface.protocols import Encoder
from anonyface.types import Face, FloatArray, ImageArray, Look, Mesh
from anonyface.verification.encoder import (
    DlibEncoder,
    SFaceEncoder,
    UpperFace,
    similarity,
    unit,
)
from anonyface.verification.signature import Signature
from anonyface.verification.thresholds import EncoderName

MIN_FACE_PX = 12
"""Smaller faces carry too little to bend a mesh to: they are covered."""
DOUBTFUL = ((0.6, 0.5), (0.5, 0.9))
"""Score of the detector and presence of the mesh: below both of a pair, a detection may be a
pattern rather than a face: covered, not given a face."""
UNSURE_EYES = 0.045
"""Spread of the mesh from which on nobody knows where eyes and brows are: so it is in one of twenty
people in masks, in profile or with the head bowed; of these six looked like nobody's."""
SURE_PRESENCE = 0.5
BEHIND_FROM = 0.3
"""Share of a face that is hidden from which on it is behind what it touches."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One original face and all that was read off it.

    Attributes:
        face: The face as it was found.
        mesh: Its dense landmarks, with what lies in front of the face, and with the irises unless
            it is too small.
        look: What a replacement has to match.
        embedding: (128,) under the built-in encoder.
        second: (128,) under the second encoder, surroundings in view.
        upper: (128,) under the built-in one, of what a medical mask leaves free; None where none
            is worn.
        seen: (128,) each, under the built-in judges of a replacement, by their names.
    """

    face: Face
    mesh: Mesh
    look: Look
    embedding: FloatArray
    recognised: float | None
    second: FloatArray | None = None
    upper: FloatArray | None = None
    seen: Mapping[EncoderName, FloatArray] = field(default_factory=dict)

    @property
    def signature(self) -> Signature:
        """Who it is."""
        return Signature(self.embedding, self.upper)

    @property
    def strayed(self) -> bool:
        """Whether the mesh fits another face than the one detected: one in front of it, mostly."""
        return has_strayed(self.mesh, self.face)

    @property
    def outline(self) -> FloatArray | None:
        """(n, 2) outline of the face, None where the mesh is not sure to be on it."""
        if self.mesh.presence < SURE_PRESENCE or self.strayed:
            return None
        return self.mesh.points[topo.FACE_OVAL, :2]


class SubjectReader:
    """Reads faces.

    Args:
        encoder: Identity encoder.
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(self, *, encoder: Encoder, threads: int = 0) -> None:
        self.encoder = encoder
        # Looks are read with the built-in encoder, whoever decides about identity.
        self.built_in = (
            encoder if isinstance(encoder, DlibEncoder) else DlibEncoder(threads=threads)
        )
        self.upper = UpperFace(self.built_in)
        self.alone = SFaceEncoder(sees="face", threads=threads)
        self.second_upper = SFaceEncoder(sees="upper face", threads=threads)
        self.mesh = FaceMesh(threads=threads, steady=True)
        self.irises = IrisLandmarks(threads=threads)
        self.occlusion = OcclusionReader(threads=threads)
        self.looks = LookReader(threads=threads)

    def __call__(self, image: ImageArray, face: Face, *, others: Sequence[Face] = ()) -> Subject:
        """Read one face.

        Args:
            image: (H, W, 3) RGB uint8.
            face: The face.
            others: The other faces of the photo.

        Raises:
            FaceError: If its landmarks are degenerate.
        """
        mesh = self.irises.complete(image, self.mesh(image, [face], others=others)[0])
        mesh = self.occlusion.complete(image, mesh)
        chip = self.built_in.chip(image, face.landmarks)
        views = self.built_in.views(chip)
        skin = face_skin(image, mesh)
        second = self.looks.second(image, face.landmarks)
        look = self.looks(image, mesh, face.landmarks, chip, views, skin=skin, second=second)
        if self.encoder is self.built_in:
            recognised, embedding = float(similarity(*unit(views))), unit(views.sum(axis=0))
            upper = self.upper(image, face.landmarks) if skin.masked else None
            seen: dict[EncoderName, FloatArray] = (
                {"encoder": embedding, "second-encoder": self.alone(image, face.landmarks)}
                if upper is None
                else {
                    "encoder, upper face": upper,
                    "second-encoder, upper face": self.second_upper(image, face.landmarks),
                }
            )
            return Subject(face, mesh, look, embedding, recognised, second, upper, seen)
        return Subject(face, mesh, look, self.encoder(image, face.landmarks), None, second)

    def read_all(self, image: ImageArray, faces: Sequence[Face]) -> list[Subject | FaceError]:
        """Read every face; an error stands where one can't be read."""
        out: list[Subject | FaceError] = []
        for number, face in enumerate(faces):
            others = [*faces[:number], *faces[number + 1 :]]
            try:
                out.append(self(image, face, others=others))
            except FaceError as error:
                out.append(error)
        return out

    def describe(self, image: ImageArray, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Return the faces with gender and age filled in where they can be read."""
        return tuple(
            face
            if isinstance(read, FaceError)
            else replace(face, p_female=read.look.p_female, age=read.look.age)
            for face, read in zip(faces, self.read_all(image, faces), strict=True)
        )


def require_readable(subject: Subject) -> None:
    """Say whether the mesh of a face can be believed.

    Raises:
        FaceError: Saying why not.
    """
    face = subject.face
    if face.size < MIN_FACE_PX:
        raise FaceError(f"{face.size:.0f} px is too small to replace", stage="swapping", face=face)
    if any(face.score < s and subject.mesh.presence < p for s, p in DOUBTFUL):
        raise FaceError("a doubtful detection, no face to bend", stage="landmarks", face=face)
    if subject.strayed:
        raise FaceError("the mesh does not fit the detection", stage="landmarks", face=face)
    if subject.mesh.spread >= UNSURE_EYES:
        raise FaceError("the mesh is not sure of the eyes", stage="landmarks", face=face)


def outlines_in_front(
    number: int, subjects: Sequence[Subject | FaceError]
) -> tuple[FloatArray, ...]:
    """Return the outlines of the faces that hide part of an unreadable one.

    A face whose own mesh is sure hides nobody's cover: it may be the one in front, unless much of
    it is seen to be hidden. That, or one that can't be read, is behind the larger faces that can.

    Args:
        number: The face that is to be covered.
        subjects: All faces of the photo.
    """
    own = subjects[number] if number < len(subjects) else None
    if not isinstance(own, Subject):
        return ()
    if own.outline is not None and front_share(own.mesh) < BEHIND_FROM:
        return ()
    others = (s for s in subjects if isinstance(s, Subject) and s.face.size > own.face.size)
    return tuple(outline for s in others if (outline := s.outline) is not None)


def outlines_beside(
    number: int | None, subjects: Sequence[Subject | FaceError]
) -> tuple[FloatArray, ...]:
    """Return the outlines of all other faces whose mesh is sure.

    Args:
        number: The face that is to be covered, None if it is none of them.
        subjects: All faces of the photo.
    """
    others = (s for k, s in enumerate(subjects) if k != number and isinstance(s, Subject))
    return tuple(outline for s in others if (outline := s.outline) is not None)
