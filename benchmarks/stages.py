"""Time of the single stages on one face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from anonyface.detection.faces import FaceFinder
from anonyface.identities.generator import Generator
from anonyface.replacement import Replacer
from anonyface.subjects import Subject, SubjectReader
from anonyface.swapping.crop import cut_crop, paste
from anonyface.types import Crop, Face, FloatArray, Identity, ImageArray, Patch
from anonyface.verification.check import Verifier, built_in_judges
from anonyface.verification.encoder import DlibEncoder
from benchmarks.contract import Spread, measure, spread

FACE_PX = 120
SWAP_PX = (60, 120, 240)
PHOTO_WH = (1280, 886)
NOBODY = np.empty((0, 128), np.float32)


class MakesScene(Protocol):
    """Makes the photo of a repeat."""

    def __call__(
        self, number: int, *, faces: int, size_wh: tuple[int, int], face_px: float
    ) -> ImageArray:
        """Return (H, W, 3) RGB uint8."""
        ...


@dataclass(frozen=True, eq=False)
class OneFace:
    """A photo with one face, and what replaces it.

    Attributes:
        image: (H, W, 3) RGB uint8, writable.
        face: The face in it.
        subject: What was read off it.
        identity: Who is put on.
        replacer: The models, with nothing cached.
        seed: Seed of the choice.
    """

    image: ImageArray
    face: Face
    subject: Subject
    identity: Identity
    replacer: Replacer
    seed: int


Ready: TypeAlias = tuple[OneFace, ImageArray, Crop, Patch]
"""A face, the photo before, the crop and what was put on."""


class Studio:
    """Prepares faces for the clock.

    Args:
        scene: Makes photos.
        threads: Threads for inference.
    """

    def __init__(self, scene: MakesScene, threads: int) -> None:
        self.scene = scene
        self.threads = threads
        self.finder = FaceFinder(threads=threads)
        self.encoder = DlibEncoder(threads=threads)
        self.reader = SubjectReader(encoder=self.encoder, threads=threads)
        self.verifier = Verifier(built_in_judges(self.encoder, threads=threads))

    def one_face(self, number: int, face_px: float) -> OneFace:
        """Make a photo with one face, read it and choose who replaces it.

        Raises:
            RuntimeError: If no face is found or nobody fits in five attempts.
        """
        for attempt in range(5):
            seed = number + 1 + 10_000 * attempt
            image = self.scene(seed, faces=1, size_wh=PHOTO_WH, face_px=face_px)
            faces = self.finder(image)[:1]
            subjects = self.reader.read_all(image, faces)
            plan = self.fresh_replacer().plan(subjects, [seed] * len(faces))
            if plan and plan[0].subject is not None and plan[0].offers:
                subject, identity = plan[0].subject, plan[0].offers[0].render()
                return OneFace(image, faces[0], subject, identity, self.fresh_replacer(), seed)
        raise RuntimeError(f"no usable face of {face_px} px in five scenes")

    def fresh_replacer(self) -> Replacer:
        """Return a replacer that keeps no portrait yet; the models behind it stay loaded."""
        return Replacer(verifier=self.verifier, protected=NOBODY, threads=self.threads)


def time_stages(scene: MakesScene, threads: int, repeats: int) -> dict[str, Spread]:
    """Time mesh, look, embedding, identity, swap and verification of one face.

    Args:
        scene: Makes photos.
        threads: Threads for inference.
        repeats: Measurements, each on another face.
    """
    studio = Studio(scene, threads)
    taken = _reading(studio, repeats) | _identity(studio, repeats)
    for face_px in SWAP_PX:
        taken |= _putting_on(studio, face_px, repeats)
    return {name: spread(samples, "ms") for name, samples in taken.items()}


def _reading(studio: Studio, repeats: int) -> dict[str, list[float]]:
    """Time what is read off the original face, and the choice of who replaces it."""
    reader = studio.reader

    def mesh(one: OneFace) -> object:
        return reader.mesh(one.image, [one.face])

    def embedding(one: OneFace) -> object:
        return studio.encoder(one.image, one.face.landmarks)

    def study(one: OneFace) -> object:
        return reader(one.image, one.face)

    def plan(one: OneFace) -> object:
        return one.replacer.plan([reader(one.image, one.face)], [one.seed])

    def render(one: OneFace) -> object:
        offers = one.replacer.plan([reader(one.image, one.face)], [one.seed])[0].offers
        return offers[0].render()

    def prepare(number: int) -> OneFace:
        return studio.one_face(number, FACE_PX)

    actions: dict[str, Callable[[OneFace], object]] = {
        "mesh": mesh,
        "embedding": embedding,
        "study: mesh, look, embedding": study,
        "study and choice": plan,
        "study, choice, portrait, its mesh": render,
    }
    return measure(actions, prepare, repeats=repeats)


def _identity(studio: Studio, repeats: int) -> dict[str, list[float]]:
    """Time synthesis alone, at both sizes."""
    generator = Generator(threads=studio.threads)
    draw = np.random.default_rng(0).standard_normal((repeats + 1, 512)).astype(np.float32)
    latents = generator.map(draw)

    def small(w: FloatArray) -> object:
        return generator.render(w, size=256)

    def large(w: FloatArray) -> object:
        return generator.render(w, size=1024)

    def prepare(number: int) -> FloatArray:
        return np.asarray(latents[number + 1], np.float32)

    actions: dict[str, Callable[[FloatArray], object]] = {
        "identity, 256 px": small,
        "identity, 1024 px": large,
    }
    return measure(actions, prepare, repeats=repeats)


def _putting_on(studio: Studio, face_px: int, repeats: int) -> dict[str, list[float]]:
    """Time swap, blend and paste of a face, and then the look back at it."""

    def put_on(one: OneFace) -> tuple[Crop, Patch]:
        crop, mesh, window = cut_crop(one.image, one.subject.mesh)
        patch = one.replacer.swapper(crop, mesh, one.identity)
        paste(one.image, patch, window)
        return crop, patch

    def swap(ready: Ready) -> object:
        return put_on(ready[0])

    def verification(ready: Ready) -> object:
        one, original, crop, patch = ready
        return studio.verifier(original, one.subject, patch, crop)

    def prepare(number: int) -> Ready:
        one = studio.one_face(number, face_px)
        original = one.image.copy()
        return one, original, *put_on(one)

    actions: dict[str, Callable[[Ready], object]] = {
        f"swap and blend, {face_px} px": swap,
        f"verification, {face_px} px": verification,
    }
    return measure(actions, prepare, repeats=repeats)
