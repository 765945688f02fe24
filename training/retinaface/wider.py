"""Pictures with faces in the annotation format that RetinaFace's authors made for WIDER FACE.

A folder holds ``label.txt`` and ``images/``. In label.txt a line ``# path`` begins a picture and
each following line is a face::

    x y w h  x0 y0 f0 ... x4 y4 f4  blur  [p_female years]

five landmarks with a flag each, -1 where not known. Only the first four numbers have to be there.
The last two are ours: the probability that the face reads as female, 0 or 1 where it is labelled,
and its age in years; -1 where not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.errors import InputError
from anonyface.types import ImageArray

LABELS, IMAGES = "label.txt", "images"
POINTS_FROM, POINTS_TO, TRAITS_FROM = 4, 19, 20
UNKNOWN = -1.0


@dataclass(frozen=True, eq=False)
class LabelledFace:
    """One face of a picture.

    Attributes:
        box: (4,) x0 y0 x1 y1, pixels.
        landmarks: (5, 2) x y, pixels; NaN where not known.
        p_female: 0 to 1, or -1.
        years: Age, or -1.
    """

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32] = field(
        default_factory=lambda: np.full((5, 2), np.nan, np.float32)
    )
    p_female: float = UNKNOWN
    years: float = UNKNOWN


@dataclass(frozen=True)
class Annotation:
    """A picture's place below ``images/``, and its faces."""

    name: str
    faces: tuple[LabelledFace, ...]


def read_labels(path: Path) -> list[Annotation]:
    """Read a ``label.txt``.

    Raises:
        InputError: It is missing, or a line is not as it should be.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"no annotation at {path}") from error
    out: list[tuple[str, list[LabelledFace]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#"):
            name = line[1:].strip()
            if not name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise InputError(f"{path}, line {number}: {name!r} is no path below {IMAGES}/")
            out.append((name, []))
        elif line.strip():
            if not out:
                raise InputError(f"{path}, line {number}: a face before the first picture")
            face = _face(line.split(), f"{path}, line {number}")
            if face is not None:
                out[-1][1].append(face)
    return [Annotation(name, tuple(faces)) for name, faces in out]


def _face(words: list[str], where: str) -> LabelledFace | None:
    try:
        values = [float(w) for w in words]
    except ValueError as error:
        raise InputError(f"{where}: {' '.join(words)[:40]!r} are no numbers") from error
    if len(values) not in (4, 20, 22):
        raise InputError(f"{where}: {len(values)} numbers, expected 4, 20 or 22")
    if not np.isfinite(values).all():
        raise InputError(f"{where}: a number is not finite")
    x, y, w, h = values[:POINTS_FROM]
    if w < 1 or h < 1:
        return None  # the set marks some faces nobody can box by a size of 0
    points = np.full((5, 2), np.nan, np.float32)
    if len(values) > POINTS_FROM:
        marks = np.array(values[POINTS_FROM:POINTS_TO], np.float32).reshape(5, 3)
        if (marks[:, :2] >= 0).all():
            points = marks[:, :2].copy()
    female, years = values[TRAITS_FROM:] if len(values) > TRAITS_FROM else (UNKNOWN, UNKNOWN)
    if female > 1:
        raise InputError(f"{where}: probability of female is {female}")
    return LabelledFace(np.array([x, y, x + w, y + h], np.float32), points, female, years)


def write_labels(path: Path, annotations: Iterable[Annotation]) -> None:
    """Write a ``label.txt`` with all 22 numbers a face."""
    lines = []
    for annotation in annotations:
        lines.append(f"# {annotation.name}")
        for face in annotation.faces:
            x0, y0, x1, y1 = (float(v) for v in face.box)
            known = bool(np.isfinite(face.landmarks).all())
            marks = [v for p in face.landmarks for v in (*p, 0.0)] if known else [-1.0] * 15
            values = [x0, y0, x1 - x0, y1 - y0, *marks, 0.0, face.p_female, face.years]
            lines.append(" ".join(f"{v:.2f}" for v in values))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_picture(folder: Path, annotation: Annotation) -> ImageArray:
    """(H, W, 3) RGB uint8.

    Raises:
        InputError: The picture is missing or damaged.
    """
    path = folder / IMAGES / annotation.name
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise InputError(f"no picture at {path}")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def read_folder(folder: Path) -> Iterator[tuple[Annotation, ImageArray]]:
    """Yield annotations and pictures of a folder, one after the other."""
    for annotation in read_labels(folder / LABELS):
        yield annotation, read_picture(folder, annotation)
