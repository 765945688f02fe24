"""Label generated portraits with the models of the runtime: who, how old, how turned, how open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anonyface.detection.retinaface import RetinaFace
from anonyface.identities.generator import Generator
from anonyface.identities.people import LOOK_FIELDS, look_row, portrait_face
from anonyface.landmarks import topology as topo
from anonyface.landmarks.skin import fit_skin, to_lab
from anonyface.subjects import SubjectReader
from anonyface.swapping.mask import build_regions
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


def clearness(pixels: ImageArray, mesh: Mesh) -> float:
    """Share of bare skin in the band around the features, or on the forehead if that has less.

    Args:
        pixels: (h, w, 3) RGB uint8 upright portrait.
        mesh: Its mesh.

    Returns:
        0 (hat, fringe, hands) to 1.
    """
    lab = to_lab(pixels)
    regions = build_regions(mesh.points, lab.shape)
    band = regions.soft * regions.band
    skin = fit_skin(lab, mesh).likelihood(lab)
    brows = int(mesh.points[np.concatenate([topo.LEFT_BROW, topo.RIGHT_BROW]), 1].mean())
    parts = [(skin * band)[:brows].sum() / max(float(band[:brows].sum()), 1e-6)]
    parts.append((skin * band).sum() / max(float(band.sum()), 1e-6))
    return float(min(parts))


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
        clear = clearness(pixels, subject.mesh)
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
