"""Label generated portraits with the models of the runtime: who, how old, how turned, how open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anonyface.detection.retinaface import RetinaFace
from anonyface.identities.clearness import read_bareness
from anonyface.identities.generator import Generator
from anonyface.identities.people import LOOK_FIELDS, look_row, portrait_face
from anonyface.subjects import SubjectReader
from anonyface.types import FloatArray, ImageArray, Mesh
from anonyface.verification.alignment import align_chip
from anonyface.verification.encoder import DlibEncoder

FIELDS = (*LOOK_FIELDS, "score", "presence", "clear")


@dataclass(frozen=True)
class Labelled:
    """One portrait and what was read off it; ``row`` has the order of `FIELDS`."""

    pixels: ImageArray
    chip: ImageArray
    embedding: FloatArray
    mesh: Mesh
    row: FloatArray


def chip_of(generator: Generator, w: FloatArray) -> ImageArray:
    """The (150, 150, 3) aligned chip of a latent's 256-px portrait."""
    pixels = generator.render(w, size=256)
    return align_chip(pixels, portrait_face(256).landmarks).pixels


class Labeller:
    """Renders latents at 256 px and labels the portraits.

    Args:
        threads: Threads for inference.
    """

    def __init__(self, *, threads: int = 2) -> None:
        self.generator = Generator(threads=threads)
        self.detector = RetinaFace(detail="fast", threads=threads)
        self.encoder = DlibEncoder(threads=threads)
        self.reader = SubjectReader(encoder=self.encoder, threads=threads)

    def __call__(self, w: FloatArray) -> Labelled | None:
        """Label the portrait of one (512,) latent; None where a face can't be found or read."""
        pixels = self.generator.render(w, size=256)
        faces = [f for f in self.detector(pixels) if f.score > 0.9 and f.size > 60]
        if not faces:
            return None
        subject = self.reader(pixels, max(faces, key=lambda f: f.size))
        clear = read_bareness(pixels, subject.mesh).clear
        last = [subject.face.score, subject.mesh.presence, clear]
        row = np.array([*look_row(subject.look), *last], dtype=np.float32)
        if not np.isfinite(row).all():
            return None
        return Labelled(
            pixels=pixels,
            chip=self.encoder.chip(pixels, subject.face.landmarks),
            embedding=subject.embedding,
            mesh=subject.mesh,
            row=row,
        )
