"""People who stay: embeddings from whatever the caller gives."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from anonyface.protection.gallery import Gallery
from anonyface.protection.photos import SeveralFaces, display_name, listed, read_reference
from anonyface.protection.portrayal import Portrayal, Portrayer, resemblance
from anonyface.protection.thresholds import thresholds
from anonyface.protocols import Detector
from anonyface.types import FloatArray, freeze
from anonyface.verification.encoder import EMBEDDING_DIMS

__all__ = ["MARGIN", "SURE_RATE", "References", "SeveralFaces", "load_references"]

SURE_RATE = 1e-3
"""Share of strangers' faces that may be taken for any of the protected people."""
MARGIN = 0.8
"""Share of a rate that thresholds are taken at: the calibration is a sample, and other people come
out somewhat higher."""


@dataclass(frozen=True, eq=False)
class References:
    """The protected people, as the encoders see them.

    Attributes:
        embeddings: (n, 128) float32 of length 1, one a reference, from the first encoder; n is 0
            where nobody is protected.
        names: What to call each reference: its file's name, or the person's in a gallery.
        people: Which person each reference shows; references of one person share the name.
        notes: What is wrong with references that were accepted all the same, e.g.
            ``"me.jpg: face is 41 px high; expect misses"``.
        face_px: (n,) float32 heights of the faces in the references; empty stands for large ones.
        second: (n, 128) float32 of length 1 from the second encoder, NaN in the rows where it is
            not known; empty stands for none known.
    """

    embeddings: FloatArray
    names: tuple[str, ...]
    people: tuple[str, ...]
    notes: tuple[str, ...] = ()
    face_px: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    second: FloatArray = field(default_factory=lambda: np.zeros((0, EMBEDDING_DIMS), np.float32))

    def __post_init__(self) -> None:
        rows = freeze(self.embeddings, np.float32, (None, EMBEDDING_DIMS), "embeddings")
        n = len(rows)
        sizes = self.face_px if len(self.face_px) else np.full(n, np.inf)
        second = self.second if len(self.second) else np.full_like(rows, np.nan)
        if not n == len(self.names) == len(self.people) == len(sizes):
            raise ValueError(f"{n} embeddings need as many names, people and face_px")
        object.__setattr__(self, "embeddings", rows)
        object.__setattr__(self, "face_px", freeze(sizes, np.float32, (n,), "face_px"))
        seconds = freeze(second, np.float32, (n, EMBEDDING_DIMS), "second")
        object.__setattr__(self, "second", seconds)

    def __len__(self) -> int:
        return len(self.embeddings)


@dataclass(frozen=True, eq=False)
class _Row:
    """One reference on its way into `References`; ``person`` is None where it is not said."""

    embedding: FloatArray
    second: FloatArray
    face_px: float
    name: str
    person: str | None


def load_references(
    protect: Sequence[Any] | Any, *, detector: Detector, portray: Portrayer
) -> References:
    """Turn the caller's references into embeddings.

    Photos of one person are recognised as such, people of a `Gallery` are told apart by name. What
    is wrong with references that still work is logged as a warning and noted.

    Args:
        protect: One or several of: anything `load_image` reads, showing exactly one face; a float
            array of embeddings from large faces, (128,) or (n, 128) of the first built-in encoder,
            or (256,) or (n, 256) of both side by side; a `Gallery`.
        detector: Finds the face in a reference photo.
        portray: Encodes it.

    Raises:
        SeveralFaces: A photo shows several people; the error carries their boxes and crops.
        InputError: A reference can't be read, shows no face, or one too small, blurred or turned to
            recognise anybody by; or has a wrong shape.
    """
    rows: list[_Row] = []
    notes: list[str] = []
    for number, item in enumerate(listed(protect)):
        if isinstance(item, Gallery):
            for name, entries in item.entries().items():
                rows.extend(_Row(e.embedding, e.second, e.face_px, name, name) for e in entries)
            continue
        name = display_name(item, number)
        reading = read_reference(item, name, detector=detector, portray=portray)
        short = Path(item).name if isinstance(item, (str, PathLike)) else name
        px = np.inf if reading.face_px is None else reading.face_px
        rows.extend(
            _Row(first, second, px, short, None)
            for first, second in zip(reading.embeddings, reading.second, strict=True)
        )
        notes.extend(reading.notes)
    for note in notes:
        logging.getLogger("anonyface").warning("%s", note)
    if not rows:
        return References(np.zeros((0, EMBEDDING_DIMS), np.float32), (), ())
    references = References(
        embeddings=np.stack([row.embedding for row in rows]),
        names=tuple(row.name for row in rows),
        people=tuple(row.name for row in rows),
        notes=tuple(notes),
        face_px=np.array([row.face_px for row in rows], np.float32),
        second=np.stack([row.second for row in rows]),
    )
    return replace(references, people=_group(references, [row.person for row in rows]))


def _group(references: References, known: Sequence[str | None]) -> tuple[str, ...]:
    """Name the person of each reference: the one said, else that of an earlier one alike.

    A person may be in a photo once, so it matters that two references show the same one. Two people
    taken for one by mistake can't stay in the same photo: it fails to the safe side.
    """
    taken = {name for name in known if name is not None}
    people: list[str] = []
    for k, name in enumerate(known):
        if name is None:
            alike = _alike(references, k)
            name = people[alike] if alike is not None else _free(references.names[k], taken)
        taken.add(name)
        people.append(name)
    return tuple(people)


def _alike(references: References, k: int) -> int | None:
    """Return the earlier reference that most surely shows the person of reference k, if any."""
    if k == 0:
        return None
    this = Portrayal(references.embeddings[k], references.second[k])
    score, both = resemblance(references.embeddings[:k], references.second[:k], this)
    needed = thresholds(
        MARGIN * SURE_RATE / k,
        both=both,
        reference_px=references.face_px[:k],
        face_px=float(references.face_px[k]),
    )
    margin = score - needed
    best = int(margin.argmax())
    return best if margin[best] >= 0 else None


def _free(name: str, taken: set[str]) -> str:
    """Return the name, numbered if somebody else has it."""
    number, candidate = 2, name
    while candidate in taken:
        number, candidate = number + 1, f"{name} ({number})"
    return candidate
