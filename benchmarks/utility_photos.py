"""The photos whose utility is measured, before and after, with the mask of every new face.

They are kept where `benchmarks.anonymized` keeps its own, and lie there for it, too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.api import Anonymizer
from anonyface.detection.retinaface import RetinaFace
from anonyface.protocols import Swapper
from anonyface.result import AnonymizeResult, FaceOutcome
from anonyface.swapping.crop import within
from anonyface.types import Action, Crop, Face, FloatArray, Identity, ImageArray, Mesh, Patch
from benchmarks.anonymized import Darkroom, seed_for
from benchmarks.calibrate import subject
from benchmarks.contract import data_path, read_photos
from benchmarks.lfw import load_people, outcome_of

SETS = ("lfw-dev", "groups-dev")


@dataclass(frozen=True, eq=False)
class Mask:
    """Where a new face was put.

    Attributes:
        alpha: (h, w) uint8, 255 times the weight of the new face, above 0 wherever that is.
        corner_xy: Place of its first pixel in the photo.
    """

    alpha: NDArray[np.uint8]
    corner_xy: tuple[int, int]

    @property
    def weight(self) -> FloatArray:
        """(h, w) weight of the new face in [0, 1]."""
        return np.asarray(self.alpha / np.float32(255), np.float32)

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns in the photo."""
        (height, width), (x, y) = self.alpha.shape, self.corner_xy
        return slice(y, y + height), slice(x, x + width)


@dataclass(frozen=True, eq=False)
class Print:
    """A photo after anonymization.

    Attributes:
        image: (H, W, 3) RGB uint8.
        outcomes: What became of each face: face, action and reason, nothing else.
        masks: Of each of them, None where no new face stands or none was seen being put on.
    """

    image: ImageArray
    outcomes: tuple[FaceOutcome, ...]
    masks: tuple[Mask | None, ...]


@dataclass(frozen=True, eq=False)
class Recording:
    """A swapper that notes what another one made.

    Attributes:
        inner: The other one.
        made: Whom it put on, on what, and with what result, every try.
    """

    inner: Swapper
    made: list[tuple[Identity, Crop, Patch]] = field(default_factory=list)

    def __call__(self, crop: Crop, mesh: Mesh, identity: Identity, /) -> Patch:
        """Return what the other one returns."""
        patch = self.inner(crop, mesh, identity)
        self.made.append((identity, crop, patch))
        return patch

    def mask(self, outcome: FaceOutcome) -> Mask | None:
        """Return where the person of an outcome was put on, None if that was not seen."""
        for identity, crop, patch in reversed(self.made):
            if identity is outcome.identity and outcome.action == "replaced":
                alpha = np.ceil(255 * within(patch, outcome.face, crop).alpha)
                x, y = (round(-float(v)) for v in crop.matrix[:, 2])
                return Mask(alpha.astype(np.uint8), (x, y))
        return None


class Album(Darkroom):
    """Anonymizes whole photos, or takes them from a folder where they lie from before."""

    def develop(self, image: ImageArray, seed: int) -> Print:
        """Anonymize a photo, or take it from the folder.

        Args:
            image: (H, W, 3) RGB uint8.
            seed: Of the anonymizer.
        """
        # The name of the file is the darkroom's, so that it finds the photo, too.
        face = subject(self.detector(image), image.shape[:2])
        path = self._path(image, face, seed)
        if path is not None and path.with_suffix(".npz").is_file():
            taken = self._taken(image, face, seed)
            if taken is not None:
                return Print(taken[0], *read_faces(path.with_suffix(".npz")))
        result, recording = expose(image, seed, threads=self.threads)
        masks = tuple(recording.mask(outcome) for outcome in result.faces)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            outcome = outcome_of(result, face)
            said = {
                "action": outcome.action if outcome else "not found",
                "reason": outcome.reason if outcome else "no face found",
            }
            path.with_suffix(".json").write_text(json.dumps(said), encoding="utf-8")
            cv2.imwrite(str(path), cv2.cvtColor(result.image, cv2.COLOR_RGB2BGR))
            write_faces(path.with_suffix(".npz"), result.faces, masks)
        return Print(result.image, result.faces, masks)


def expose(image: ImageArray, seed: int, *, threads: int) -> tuple[AnonymizeResult, Recording]:
    """Anonymize a photo with the default settings, and note what the swapper does."""
    anonymizer = Anonymizer(seed=seed, threads=threads)
    # Wrapped, not passed: whatever the default swapper is, it is the one that is measured.
    recording = Recording(anonymizer._replace.swapper)
    anonymizer._replace.swapper = recording
    return anonymizer(image), recording


def write_faces(
    path: Path, outcomes: tuple[FaceOutcome, ...], masks: tuple[Mask | None, ...]
) -> None:
    """Write what `read_faces` reads."""
    arrays: dict[str, NDArray[np.generic]] = {
        "boxes": np.array([o.face.box for o in outcomes], np.float32).reshape(-1, 4),
        "landmarks": np.array([o.face.landmarks for o in outcomes], np.float32).reshape(-1, 5, 2),
        "scores": np.array([o.face.score for o in outcomes], np.float64),
        "actions": np.array([o.action for o in outcomes], np.str_),
        "reasons": np.array([o.reason for o in outcomes], np.str_),
    }
    for number, mask in enumerate(masks):
        if mask is not None:
            arrays[f"alpha {number}"] = mask.alpha
            arrays[f"corner {number}"] = np.array(mask.corner_xy)
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_faces(path: Path) -> tuple[tuple[FaceOutcome, ...], tuple[Mask | None, ...]]:
    """Return outcomes and masks of a photo."""
    with np.load(path, allow_pickle=False) as data:
        outcomes = tuple(
            FaceOutcome(Face(box, landmarks, float(score)), cast(Action, str(action)), str(reason))
            for box, landmarks, score, action, reason in zip(
                *(data[k] for k in ("boxes", "landmarks", "scores", "actions", "reasons")),
                strict=True,
            )
        )
        masks: list[Mask | None] = []
        for number in range(len(outcomes)):
            if f"alpha {number}" not in data:
                masks.append(None)
                continue
            x, y = (int(v) for v in data[f"corner {number}"])
            masks.append(Mask(data[f"alpha {number}"], (x, y)))
    return outcomes, tuple(masks)


def album(options: argparse.Namespace) -> Album:
    """Return what `benchmarks.anonymized.add_options` asked for."""
    return Album(
        RetinaFace(threads=options.threads),
        threads=options.threads,
        cache=options.cache,
        version=options.cache_version,
    )


def photos(name: str, *, limit: int | None, seed: int) -> Iterator[tuple[ImageArray, int]]:
    """Yield the photos of a set, or a random few of them, each with the anonymizer's seed.

    Photos of lfw-dev get the seeds that the benchmarks of privacy give them.

    Args:
        name: One of `SETS`.
        limit: How many to take, None for all.
        seed: Seed of the draw, and base of the seeds.
    """
    path = data_path(f"{name}.zip")
    if name == "lfw-dev":
        people = load_people(path, limit=None, seed=seed)
        seeds = lfw_seeds(people.pairs, len(people.images), base=seed)
        every = list(zip(people.images, seeds, strict=True))
    else:
        every = [(p, seed_for("A", seed, n)) for n, (_, p) in enumerate(read_photos(path))]
    chosen = set(np.random.default_rng(seed).permutation(len(every))[:limit].tolist())
    yield from (photo for number, photo in enumerate(every) if number in chosen)


def lfw_seeds(pairs: list[tuple[int, int]], count: int, *, base: int) -> list[int]:
    """Return the seed of each photo: the pairs' first, their second, and the lone ones.

    Args:
        pairs: Rows of the people's first and second photos.
        count: Number of photos.
        base: The seed of the run.

    >>> lfw_seeds([(0, 1)], 3, base=1)
    [1, 2000001, 3000001]
    """
    seeds = {}
    for number, (first, second) in enumerate(pairs):
        seeds[first] = seed_for("A", base, number)
        seeds[second] = seed_for("B", base, number)
    lone = [row for row in range(count) if row not in seeds]
    seeds |= {row: seed_for("attacker", base, n) for n, row in enumerate(lone)}
    return [seeds[row] for row in range(count)]
