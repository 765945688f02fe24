"""Protected people and strangers of lfw-dev: references as users give them, and who stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.detection.faces import FaceFinder
from anonyface.errors import FaceError, InputError
from anonyface.protection.matching import compare, decide
from anonyface.protection.photos import SeveralFaces, cut_face
from anonyface.protection.portrayal import Portrayal, Portrayer
from anonyface.protection.references import References, load_references
from anonyface.protocols import Detector
from anonyface.types import BoolArray, Face, ImageArray
from anonyface.verification.alignment import CHIP_PX, CHIP_TEMPLATE
from benchmarks.calibrate import subject

REFERENCE_CROPS = (1.5, 1.2)
"""Sides of reference pictures in sizes of the face: cropped closer and closer around the person, as
users do who were told that their photo shows several."""
RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Probe:
    """One photo as the product sees it.

    Attributes:
        person: Who it is of.
        faces: All faces found.
        portrayals: Of each face, None where it can't be read.
        subject: Number of the face the photo is of, None if no face was found.
    """

    person: str
    faces: list[Face]
    portrayals: list[Portrayal | None]
    subject: int | None


class Reader:
    """The models in the roles they have in `Anonymizer`."""

    def __init__(self, *, threads: int) -> None:
        self.detector: Detector = FaceFinder(threads=threads)
        self.portray = Portrayer(threads=threads)

    def probe(self, person: str, image: ImageArray) -> Probe:
        """Find and encode all faces of a photo."""
        faces = list(self.detector(image))
        best = subject(faces, image.shape[:2])
        number = None if best is None else next(k for k, f in enumerate(faces) if f is best)
        return Probe(person, faces, [self._read(image, face) for face in faces], number)

    def reference(self, image: ImageArray) -> tuple[References | None, str]:
        """Load one reference as a user would: the photo, or else crops of it.

        Returns:
            The reference, None if all was refused; and what was accepted or why not.
        """
        try:
            return self._load(image), "whole photo"
        except SeveralFaces:
            face = subject(self.detector(image), image.shape[:2])
        except InputError:
            return None, "not usable"
        if face is None:
            return None, "not usable"
        for factor in REFERENCE_CROPS:
            try:
                return self._load(cut_face(image, face, factor)), f"crop of {factor} faces"
            except SeveralFaces:
                continue
            except InputError:
                return None, "not usable"
        return None, "several faces"

    def _load(self, image: ImageArray) -> References:
        return load_references([image], detector=self.detector, portray=self.portray)

    def _read(self, image: ImageArray, face: Face) -> Portrayal | None:
        try:
            return self.portray(image, face.landmarks)
        except FaceError:
            return None


def shrink_photo(image: ImageArray, face: Face, face_px: float) -> ImageArray:
    """Return the photo scaled down until the face has this height."""
    factor = min(1.0, face_px / face.size)
    size_wh = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def blur_photo(image: ImageArray, face: Face, sigma: float) -> ImageArray:
    """Blur a photo; sigma in pixels of the encoder's chip, whose side is `CHIP_PX`."""
    eyes = float(np.linalg.norm(face.landmarks[1] - face.landmarks[0]))
    in_chip = float(CHIP_TEMPLATE[1, 0] - CHIP_TEMPLATE[0, 0]) * CHIP_PX / 150
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma * eyes / in_chip), np.uint8)


def join(singles: Iterable[References]) -> References:
    """Put references of one person each into one gallery; person k is called "k"."""
    all_of_them = list(singles)
    names = tuple(str(k) for k in range(len(all_of_them)))
    return References(
        np.concatenate([r.embeddings for r in all_of_them]),
        names,
        names,
        face_px=np.concatenate([r.face_px for r in all_of_them]),
        second=np.concatenate([r.second for r in all_of_them]),
    )


def take(references: References, rows: Sequence[int]) -> References:
    """Return some of the references."""
    index = list(rows)
    names = tuple(references.names[k] for k in index)
    return References(
        references.embeddings[index],
        names,
        names,
        face_px=references.face_px[index],
        second=references.second[index],
    )


def stays(probe: Probe, references: References) -> str:
    """What becomes of the person of a photo: "keep", "unsure", "replace", or "not compared".

    A face kept as somebody else counts as kept: the person stays in the photo.
    """
    if probe.subject is None:
        return "not compared"
    matches = decide(probe.portrayals, probe.faces, references, allow_repeats=False)
    match = matches[probe.subject]
    return "not compared" if match is None else match.verdict


@dataclass(frozen=True, eq=False)
class Table:
    """Photos' subjects against references.

    Attributes:
        sure: (f, r) whether the face counts as the person of the reference.
        unsure: (f, r) whether it counts as sure or unsure.
        score: (f, r) similarities, NaN where there is no face.
    """

    sure: BoolArray
    unsure: BoolArray
    score: NDArray[np.float64]


def tabulate(probes: Sequence[Probe], references: References, *, among: int) -> Table:
    """Compare the subject of every photo with every reference, ``among`` of them protected."""
    shape = (len(probes), len(references))
    sure, unsure = np.zeros(shape, bool), np.zeros(shape, bool)
    score = np.full(shape, np.nan)
    for k, probe in enumerate(probes):
        row = None if probe.subject is None else probe.portrayals[probe.subject]
        if row is None or probe.subject is None:
            continue
        face = probe.faces[probe.subject]
        found = compare(row, face, references, among=among)
        sure[k], unsure[k] = found.score >= found.sure, found.score >= found.unsure
        score[k] = found.score
    return Table(sure, unsure, score)


def strangers(probes: Sequence[Probe], owners: Sequence[str]) -> BoolArray:
    """(f, r) whether photo and reference show different people."""
    return np.array([p.person for p in probes])[:, None] != np.array(owners)[None]


def group_errors(
    hits: BoolArray, different: BoolArray, *, size: int, rounds: int, seed: int
) -> NDArray[np.float64]:
    """Protect random groups of people and count the strangers that are taken for one of them.

    Args:
        hits: (f, r) whether a face counts as the person of a reference.
        different: (f, r) from `strangers`.
        size: People protected at a time.
        rounds: How often all people are dealt into groups.
        seed: Seed of the deal.

    Returns:
        (f, 2) false hits and trials of each face.
    """
    rng = np.random.default_rng(seed)
    counts = np.zeros((len(hits), 2))
    n = hits.shape[1]
    for _ in range(rounds):
        order = rng.permutation(n)
        for start in range(0, n - size + 1, size):
            group = order[start : start + size]
            stranger = different[:, group].all(axis=1)
            counts[:, 0] += stranger & hits[:, group].any(axis=1)
            counts[:, 1] += stranger
    return counts


def rate_with_interval(
    counts: NDArray[np.float64], people: Sequence[str], *, seed: int
) -> Mapping[str, float | int]:
    """Return a rate of errors and its 95 % interval over people, by the bootstrap.

    Trials with one face or one gallery depend on each other, so people are drawn, not trials
    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8).

    Args:
        counts: (f, 2) errors and trials.
        people: (f,) who is in each photo.
        seed: Seed of the resampling.
    """
    names, index = np.unique(np.array(people), return_inverse=True)
    by_person = np.zeros((len(names), 2))
    np.add.at(by_person, index, counts)
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(names), (RESAMPLES, len(names)))
    sums = by_person[draws].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / np.maximum(sums[:, 1], 1), [2.5, 97.5])
    errors, trials = counts.sum(axis=0)
    return {
        "value": float(errors / max(trials, 1)),
        "errors": int(errors),
        "of": int(trials),
        "low": float(low),
        "high": float(high),
    }


def held_out(
    score: NDArray[np.float64], probes: Sequence[Probe], owners: Sequence[str], rate: float
) -> dict[str, float]:
    """Calibrate on one half of the people, test on the other, both ways.

    Args:
        score: (f, r) from `tabulate`.
        probes: The photos; each reference's own photo is left out before.
        owners: (r,) person of each reference.
        rate: False match rate of one comparison.

    Returns:
        Shares of genuine and of impostor comparisons accepted.
    """
    names = sorted({p.person for p in probes})
    first = set(names[::2])
    face_half = np.array([p.person in first for p in probes])
    owner_half = np.array([o in first for o in owners])
    different = strangers(probes, owners)
    kept, of, false_kept, false_of = 0, 0, 0, 0
    for half in (True, False):
        here = (face_half == half)[:, None] & (owner_half == half)[None] & ~np.isnan(score)
        there = (face_half != half)[:, None] & (owner_half != half)[None] & ~np.isnan(score)
        threshold = np.quantile(score[here & different], 1 - rate)
        kept += int((score[there & ~different] >= threshold).sum())
        of += int((there & ~different).sum())
        false_kept += int((score[there & different] >= threshold).sum())
        false_of += int((there & different).sum())
    return {
        "kept": kept / of,
        "kept_of": of,
        "false": false_kept / false_of,
        "false_of": false_of,
    }
