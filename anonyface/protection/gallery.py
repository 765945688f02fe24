"""A gallery: named people, several references each, in one file without pictures."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from anonyface.errors import InputError
from anonyface.media.files import check_target, replace_file
from anonyface.protection.photos import display_name, read_reference
from anonyface.protection.portrayal import Portrayer
from anonyface.protection.vault import MAX_BYTES, is_gallery, pack, unpack
from anonyface.protocols import Detector, Encoder
from anonyface.types import Face, FloatArray, freeze
from anonyface.verification.encoder import EMBEDDING_DIMS

MAX_NAME = 200
"""Characters of a name: it is shown on one line."""
OWNER_ONLY = 0o600
"""Mode of the file: what is in it tells who somebody is."""
UNIT_TOLERANCE = 1e-3
"""How far the length of a stored embedding may be from 1: float32 rounding is far below."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One reference of a person.

    Attributes:
        embedding: (128,) float32 of length 1, from the first encoder.
        second: (128,) likewise, from the second encoder; NaN where it is not known.
        face_px: Height of the face it was made from, in pixels; infinite where it is not known.
    """

    embedding: FloatArray
    second: FloatArray
    face_px: float

    def __post_init__(self) -> None:
        for name in ("embedding", "second"):
            row = freeze(getattr(self, name), np.float32, (EMBEDDING_DIMS,), name)
            object.__setattr__(self, name, row)


class Gallery:
    """People who stay, by name. Holds embeddings and names, never pictures or names of files.

    >>> gallery = Gallery()                                # doctest: +SKIP
    >>> gallery.add("Anna", "anna1.jpg", "anna2.jpg")      # doctest: +SKIP
    >>> gallery.save("family.gallery", passphrase="...")   # doctest: +SKIP
    >>> Anonymizer(protect=gallery)                        # doctest: +SKIP

    Args:
        detector: Finds the faces in references; the built-in one is loaded when it is needed.
        encoder: The first encoder, as `detector`; must use the built-in one's scale of similarity.
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(
        self,
        *,
        detector: Detector | None = None,
        encoder: Encoder | None = None,
        threads: int = 0,
    ) -> None:
        self._detector, self._threads = detector, threads
        self._portray = Portrayer(encoder, threads=threads)
        self._people: dict[str, tuple[Entry, ...]] = {}
        self._path: Path | None = None
        self._passphrase: str | None = None

    def __repr__(self) -> str:
        return f"<Gallery of {len(self)} people>"

    def __len__(self) -> int:
        return len(self._people)

    def __contains__(self, name: object) -> bool:
        return name in self._people

    @property
    def names(self) -> tuple[str, ...]:
        """Who is in it, in the order in which they came."""
        return tuple(self._people)

    @property
    def passphrase(self) -> str | None:
        """What the file it was loaded from or saved to is encrypted with, None for nothing."""
        return self._passphrase

    def entries(self) -> Mapping[str, tuple[Entry, ...]]:
        """Return the references of each person."""
        return dict(self._people)

    def add(self, name: str, *references: Any) -> tuple[str, ...]:
        """Add references of a person, new or known; all of them or, after an error, none.

        Args:
            name: The person's name, one line.
            *references: Photos that show only this person, in any form `load_image` reads, or
                embeddings: (n, 128) of the first encoder, or (n, 256) of both side by side.

        Returns:
            What is wrong with references that were accepted all the same; also logged.

        Raises:
            SeveralFaces: A photo shows several people.
            InputError: The name is not usable, there is no reference, or one is not usable.
        """
        _check_name(name)
        if not references:
            raise InputError("a person in a gallery needs at least one reference")
        detector = self._finder(references)
        entries: list[Entry] = []
        notes: list[str] = []
        for number, item in enumerate(references):
            reading = read_reference(
                item, display_name(item, number), detector=detector, portray=self._portray
            )
            px = np.inf if reading.face_px is None else reading.face_px
            rows = zip(reading.embeddings, reading.second, strict=True)
            entries.extend(Entry(first, second, px) for first, second in rows)
            notes.extend(reading.notes)
        for note in notes:
            logging.getLogger("anonyface").warning("gallery: %s", note)
        self._people[name] = (*self._people.get(name, ()), *entries)
        return tuple(notes)

    def forget(self, name: str) -> None:
        """Remove a person; a gallery that was loaded or saved rewrites its file at once.

        Copies and backups of the file are beyond its reach.

        Raises:
            InputError: Nobody has this name, or the file can't be written; the person is out of the
                memory then, but not of the file.
        """
        if name not in self._people:
            raise InputError(f"there is nobody named {str(name)[:MAX_NAME]!r} in the gallery")
        del self._people[name]
        if self._path is not None:
            self.save(self._path, passphrase=self._passphrase)

    def save(self, path: str | PathLike[str], *, passphrase: str | None = None) -> Path:
        """Write the gallery to one file, which appears whole or not at all, for its owner alone.

        Args:
            path: Where to; an existing gallery is replaced.
            passphrase: Encrypts the file with AES-256-GCM under a key made by scrypt.

        Raises:
            InputError: The folder or the file can't be written, something else than a gallery is
                there, the passphrase is empty, or the package for encryption is not installed.
        """
        target = check_target(Path(path))
        if target.exists() and target.stat().st_size and not is_gallery(_read(target)):
            raise InputError(f"refusing to replace {target}: it is no gallery")
        people = [
            {"name": name, "references": [_write_entry(entry) for entry in entries]}
            for name, entries in self._people.items()
        ]
        replace_file(target, pack({"people": people}, passphrase), mode=OWNER_ONLY)
        self._path, self._passphrase = target.absolute(), passphrase
        return target

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        passphrase: str | None = None,
        detector: Detector | None = None,
        encoder: Encoder | None = None,
        threads: int = 0,
    ) -> Gallery:
        """Read a gallery.

        Args:
            path: The file.
            passphrase: What it was encrypted with, None if it was not.
            detector: See `Gallery`, as for the following two.
            encoder: The first encoder, for references added later.
            threads: Threads for inference.

        Raises:
            InputError: The file can't be read, is no gallery, is damaged, was made with another
                version or encoder, or the passphrase is wrong, missing or not needed.
        """
        source = Path(path)
        content = unpack(_read(source), passphrase, name=str(source))
        gallery = cls(detector=detector, encoder=encoder, threads=threads)
        try:
            gallery._people = _read_people(content)
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise InputError(f"{source}: the gallery is damaged") from None
        gallery._path, gallery._passphrase = source.absolute(), passphrase
        return gallery

    def _finder(self, references: tuple[Any, ...]) -> Detector:
        """Return the detector, loaded on demand: embeddings need none."""
        from anonyface.detection.faces import FaceFinder

        if self._detector is None:
            if all(isinstance(item, np.ndarray) and item.dtype.kind == "f" for item in references):
                return _no_detector
            self._detector = FaceFinder(threads=self._threads)
        return self._detector


def _read(path: Path) -> bytes:
    """Return the bytes of a file that may be a gallery.

    Raises:
        InputError: It can't be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: too large for a gallery")
    return data


def _no_detector(image: Any, /) -> list[Face]:
    """Find nothing: embeddings show no faces, and nobody looks for any in them."""
    return []


def _check_name(name: Any) -> None:
    """Check a person's name.

    Raises:
        InputError: If it is no text of one line, with something to see in it.
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise InputError(f"a name in a gallery must be one line of text, not {str(name)[:40]!r}")
    if len(name) > MAX_NAME:
        raise InputError(f"a name in a gallery may have {MAX_NAME} characters, got {len(name)}")


def _read_people(content: Mapping[str, Any]) -> dict[str, tuple[Entry, ...]]:
    """Check and convert what a file says.

    Raises:
        KeyError, TypeError, ValueError: If something is missing or wrong.
    """
    people: dict[str, tuple[Entry, ...]] = {}
    for person in content["people"]:
        name = person["name"]
        _check_name(name)
        if name in people or not person["references"]:
            raise ValueError(name)
        people[name] = tuple(_read_entry(reference) for reference in person["references"])
    return people


def _write_entry(entry: Entry) -> dict[str, Any]:
    """Return one reference as it stands in a file."""
    return {
        "embedding": _encode_row(entry.embedding),
        "second": _encode_row(entry.second) if np.isfinite(entry.second).all() else None,
        "face_px": float(entry.face_px) if np.isfinite(entry.face_px) else None,
    }


def _read_entry(reference: Mapping[str, Any]) -> Entry:
    """Check and convert one reference.

    Raises:
        KeyError, TypeError, ValueError: If something is missing or wrong.
    """
    row, second = reference["embedding"], reference["second"]
    unknown = np.full(EMBEDDING_DIMS, np.nan, np.float32)
    px = reference["face_px"]
    size = np.inf if px is None else float(px)
    if not size > 0:
        raise ValueError("face_px")
    return Entry(_decode_row(row), unknown if second is None else _decode_row(second), size)


def _encode_row(row: FloatArray) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


def _decode_row(text: Any) -> FloatArray:
    """Return the embedding in a file.

    Raises:
        TypeError, ValueError: If it is none, or not of length 1.
    """
    row = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
    if row.shape != (EMBEDDING_DIMS,) or not abs(np.linalg.norm(row) - 1) <= UNIT_TOLERANCE:
        raise ValueError("embedding")
    return np.asarray(row, np.float32)
