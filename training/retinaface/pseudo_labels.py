"""Let a teacher label faces: ``python -m training.retinaface.pseudo_labels FOLDER OUT.txt``.

FOLDER holds pictures annotated as `training.retinaface.wider` says, such as WIDER FACE. The teacher
is the package's own reader. Faces that are too small to read, that have no landmarks or that can't
be aligned stay without; those labelled already are never changed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from anonyface.errors import AnonyfaceError, FaceError
from anonyface.identities.looks import LookReader
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.encoder import DlibEncoder
from training.retinaface.wider import (
    LABELS,
    Annotation,
    LabelledFace,
    read_labels,
    read_picture,
    write_labels,
)

SMALLEST = 32.0
"""Height of a face, pixels, from which on the teacher is asked."""

Teacher = Callable[[ImageArray, FloatArray], tuple[float, float]]
"""Picture (H, W, 3) RGB uint8 and landmarks (5, 2) -> probability of female and years."""


def built_in(*, threads: int = 1) -> Teacher:
    """Return the package's own reader as a teacher."""
    encoder, looks = DlibEncoder(threads=threads), LookReader(threads=threads)

    def ask(image: ImageArray, landmarks: FloatArray) -> tuple[float, float]:
        chip = encoder.chip(image, landmarks)
        traits = looks.traits(image, landmarks, chip, encoder.views(chip))
        return traits.p_female, traits.age

    return ask


def label(annotation: Annotation, pixels: ImageArray, teacher: Teacher) -> Annotation:
    """Fill in gender and age of the faces of one picture, where neither is known.

    Args:
        annotation: Of the picture.
        pixels: (H, W, 3) RGB uint8.
        teacher: Who is asked.
    """
    return Annotation(
        annotation.name, tuple(_labelled(f, pixels, teacher) for f in annotation.faces)
    )


def _labelled(face: LabelledFace, pixels: ImageArray, teacher: Teacher) -> LabelledFace:
    small = float(face.box[3] - face.box[1]) < SMALLEST
    if small or face.p_female >= 0 or face.years >= 0 or not np.isfinite(face.landmarks).all():
        return face
    try:
        female, years = teacher(pixels, face.landmarks)
    except FaceError:
        return face
    return replace(face, p_female=female, years=years)


def main() -> None:
    """Label a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, help="a new label.txt")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    try:
        teacher = built_in(threads=args.threads)
        annotations = read_labels(args.folder / LABELS)
        done = [
            label(a, read_picture(args.folder, a), teacher)
            for a in tqdm(annotations, unit="picture", disable=None)
        ]
    except AnonyfaceError as error:
        raise SystemExit(f"error: {error}") from error
    write_labels(args.out, done)
    known = sum(f.p_female >= 0 for a in done for f in a.faces)
    print(f"{known} of {sum(len(a.faces) for a in done)} faces have a gender and an age")


if __name__ == "__main__":
    main()
