"""Photos after anonymization, kept in a folder between runs if one is named."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np

import anonyface
from anonyface.api import Anonymizer
from anonyface.detection.retinaface import RetinaFace
from anonyface.types import Face, FloatArray, ImageArray
from anonyface.weights import weights_dir
from benchmarks.calibrate import subject
from benchmarks.lfw import face_there, outcome_of

Role: TypeAlias = Literal["A", "A again", "B", "attacker"]
SEEDS_APART: dict[Role, int] = {"A": 0, "A again": 1, "B": 2, "attacker": 3}
"""Role of a photo -> which block of seeds it draws from: no two roles share one by chance."""
SEED_BLOCK = 1_000_000
PROGRESS_EVERY = 50


@dataclass(frozen=True, eq=False)
class Replaced:
    """One photo after anonymization.

    Attributes:
        image: (H, W, 3) RGB uint8.
        face: The face found where the original's stood, None if there is none.
        action: What became of the original face: an action, or "not found".
        reason: Why.
    """

    image: ImageArray
    face: Face | None
    action: str
    reason: str

    @property
    def landmarks(self) -> FloatArray | None:
        """(5, 2) landmarks of the face found, None if there is none."""
        return self.face.landmarks if self.face else None


def points(faces: Sequence[Face | None]) -> list[FloatArray | None]:
    """Return the (5, 2) landmarks of each face, None where there is none."""
    return [face.landmarks if face else None for face in faces]


def seed_for(role: Role, base: int, number: int) -> int:
    """Return the seed of photo ``number`` in a role.

    >>> seed_for("A", 1, 7), seed_for("B", 1, 7)
    (8, 2000008)
    """
    return base + number + SEED_BLOCK * SEEDS_APART[role]


def fingerprint() -> str:
    """Return a hash of the package's code and settings and of the manifest of its models."""
    digest = hashlib.sha256((weights_dir() / "manifest.json").read_bytes())
    for path in sorted(Path(anonyface.__file__).parent.rglob("*")):
        if path.suffix in (".py", ".json"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class Darkroom:
    """Anonymizes photos one by one, or takes them from a folder where they lie from before.

    Args:
        detector: Searches the results from scratch.
        threads: Threads for inference.
        cache: Folder for the results, None to keep nothing. It holds changed photos of real people:
            keep it outside of the repository.
        version: What the results depend on besides photo and seed; results of another version are
            made anew.
    """

    def __init__(
        self, detector: RetinaFace, *, threads: int, cache: Path | None, version: str | None = None
    ) -> None:
        self.detector, self.threads, self.cache = detector, threads, cache
        self.version = fingerprint() if version is None else version

    def __call__(self, image: ImageArray, face: Face | None, seed: int) -> Replaced:
        """Anonymize one photo.

        Args:
            image: (H, W, 3) RGB uint8.
            face: The face of interest, None if there is none.
            seed: Of the anonymizer.
        """
        pixels, action, reason = self._taken(image, face, seed) or self._made(image, face, seed)
        return Replaced(pixels, face_there(self.detector(pixels), face), action, reason)

    def subjects(self, images: Sequence[ImageArray]) -> list[Face | None]:
        """Return the face each photo is of, None where there is none."""
        return [subject(self.detector(image), image.shape[:2]) for image in images]

    def all(
        self, images: Sequence[ImageArray], faces: Sequence[Face | None], seeds: Sequence[int]
    ) -> list[Replaced]:
        """Anonymize photos, each with a seed of its own, and say how far it is."""
        out = []
        for image, face, seed in zip(images, faces, seeds, strict=True):
            out.append(self(image, face, seed))
            if len(out) % PROGRESS_EVERY == 0:
                print(f"{len(out)} of {len(images)} anonymized", flush=True)
        return out

    def _made(self, image: ImageArray, face: Face | None, seed: int) -> tuple[ImageArray, str, str]:
        """Anonymize, and keep the result."""
        result = Anonymizer(seed=seed, threads=self.threads)(image)
        outcome = outcome_of(result, face)
        action = outcome.action if outcome else "not found"
        reason = outcome.reason if outcome else "no face found"
        if path := self._path(image, face, seed):
            path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"action": action, "reason": reason})
            path.with_suffix(".json").write_text(text, encoding="utf-8")
            cv2.imwrite(str(path), cv2.cvtColor(result.image, cv2.COLOR_RGB2BGR))
        return result.image, action, reason

    def _taken(
        self, image: ImageArray, face: Face | None, seed: int
    ) -> tuple[ImageArray, str, str] | None:
        """Take the result from the folder, None if it is not there."""
        path = self._path(image, face, seed)
        if path is None or not path.is_file():
            return None
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if pixels is None or pixels.shape != image.shape:
            return None
        said = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return pixels.astype(np.uint8, copy=False), said["action"], said["reason"]

    def _path(self, image: ImageArray, face: Face | None, seed: int) -> Path | None:
        """Return where the result lies or will lie, None if nothing is kept."""
        if self.cache is None:
            return None
        digest = hashlib.sha256(np.ascontiguousarray(image).tobytes())
        digest.update(b"" if face is None else np.asarray(face.box, np.float32).round(2).tobytes())
        return self.cache / self.version / f"{digest.hexdigest()[:24]}-{seed}.png"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every benchmark of privacy shares."""
    parser.add_argument("--seed", type=int, default=1, help="seed of the draw and the identities")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="folder that keeps anonymized photos")
    parser.add_argument(
        "--cache-version", help="take photos of this version from it, whatever the code is: a try"
    )


def darkroom(options: argparse.Namespace) -> Darkroom:
    """Return what `add_options` asked for."""
    detector = RetinaFace(threads=options.threads)
    return Darkroom(
        detector, threads=options.threads, cache=options.cache, version=options.cache_version
    )
