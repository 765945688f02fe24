"""Who is still recognisable in a photo that somebody anonymized, with whatever tool."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from anonyface.detection.boxes import iou
from anonyface.errors import FaceError, InputError
from anonyface.landmarks.mesh import FaceMesh
from anonyface.landmarks.occlusion import OcclusionReader, is_masked
from anonyface.media.images import ImageLike, load_image
from anonyface.protocols import Detector
from anonyface.types import Face, FloatArray, ImageArray
from anonyface.verification.check import Judge
from anonyface.verification.comparison import (
    Comparison,
    Elsewhere,
    FaceComparison,
    FaceVerdict,
    Score,
)
from anonyface.verification.leftovers import embedded_pictures
from anonyface.verification.pair import PhotoPair, face_change, pair_up
from anonyface.verification.thresholds import FalseMatchRate, match_threshold

SAME_PLACE = 0.3
"""Overlap from which on two boxes are one place: a blurred face is boxed less exactly."""
TELL_FACE_PX = 24.0
"""The smallest size with calibrated thresholds; below it encoders can't tell people apart."""
ELSEWHERE_RATE: FalseMatchRate = "1e-4"
"""False match rate of a match at another place: with n faces there are n * n pairs of them."""


class _Row:
    """A face of one of the photos; each judge encodes it when it is first asked."""

    def __init__(self, image: ImageArray, face: Face) -> None:
        self.image, self.face = image, face
        self._known: dict[str, FloatArray | None] = {}

    def embedding(self, judge: Judge) -> FloatArray | None:
        """Return what a judge's encoder says, None if it can't encode the face."""
        if judge.name not in self._known:
            try:
                self._known[judge.name] = judge.encoder(self.image, self.face.landmarks)
            except FaceError:
                self._known[judge.name] = None
        return self._known[judge.name]


def compare_photos(
    before: ImageLike,
    after: ImageLike,
    *,
    detector: Detector,
    judges: Sequence[Judge],
    masked: Sequence[Judge] = (),
    rate: FalseMatchRate = "1e-3",
    keep: Sequence[int] = (),
) -> Comparison:
    """Say of every face in a photo whether it is still recognisable in another version of it.

    The second photo may come from any tool. Each face is compared with what stands in its place,
    aligned once by its own landmarks and once by those of a face found there now, and with every
    other face of the second photo (somebody moved, mirrored or swapped). Faces the detector sees
    only in the second photo count as faces of the first if they stood there before.

    Args:
        before: The original, as for `load_image`.
        after: What was made of it; scaled if it has another size of the same proportions.
        detector: Finds the faces in both; should look hard.
        judges: The encoders that compare; a face is recognisable if one of them recognises it.
        masked: The same for faces that wear a medical mask in the first photo; empty: the same as
            for everybody.
        rate: False match rate of the verdicts.
        keep: Numbers of faces that stay, in the detector's order: they don't count as exposed.

    Raises:
        InputError: A photo or option is not usable, or the photos differ in their proportions.
        BackendError: The inference engine failed.
    """
    if not judges:
        raise InputError("comparing photos needs at least one encoder")
    if rate not in get_args(FalseMatchRate):
        raise InputError(f"rate must be one of {', '.join(get_args(FalseMatchRate))}, not {rate!r}")
    first, second = load_image(before), load_image(after)
    photos = pair_up(first.pixels, second.pixels)
    originals = list(detector(photos.before))
    now = list(detector(photos.after))
    for index in keep:
        if not 0 <= index < len(originals):
            raise InputError(f"keep: there is no face {index}, {len(originals)} were found")
    new = [_Row(photos.after, face) for face in now]
    court = _Court(judges, masked)
    faces, only_in_after = _compare(photos, originals, new, court, rate, frozenset(keep))
    return Comparison(
        faces=faces,
        only_in_after=only_in_after,
        rate=rate,
        encoders=tuple(dict.fromkeys([j.name for j in judges] + _used(faces))),
        before_hw=first.image_hw,
        after_hw=second.image_hw,
        before_sha256=first.sha256,
        after_sha256=second.sha256,
        embedded_pictures=_embedded(after),
        metadata_found=second.found,
    )


def _embedded(image: ImageLike) -> tuple[str, ...]:
    """List the pictures inside the file of a picture; none if it did not come as a file.

    Raises:
        InputError: If the file can't be read any more.
    """
    if isinstance(image, bytes):
        return embedded_pictures(image)
    if not isinstance(image, str | os.PathLike):
        return ()
    try:
        return embedded_pictures(Path(image).read_bytes())
    except OSError as error:
        raise InputError(f"{image}: {error.strerror or error}") from error


class _Court:
    """Who judges a face: depends on whether it wears a mask."""

    def __init__(self, judges: Sequence[Judge], masked: Sequence[Judge]) -> None:
        self.judges, self.masked = judges, masked
        self.mesh = FaceMesh() if masked else None
        self.occlusion = OcclusionReader() if masked else None

    def of(self, image: ImageArray, face: Face) -> Sequence[Judge]:
        """Return the judges of a face of the first photo."""
        if self.mesh is None or self.occlusion is None:
            return self.judges
        try:
            (mesh,) = self.mesh(image, [face])
            seen = self.occlusion.complete(image, mesh)
            return self.masked if is_masked(seen) else self.judges
        except FaceError:
            return self.judges


def _used(faces: Sequence[FaceComparison]) -> list[str]:
    return [score.encoder for face in faces for score in face.scores]


def _compare(
    photos: PhotoPair,
    originals: Sequence[Face],
    new: Sequence[_Row],
    court: _Court,
    rate: FalseMatchRate,
    keep: frozenset[int],
) -> tuple[tuple[FaceComparison, ...], tuple[Face, ...]]:
    """Compare every original face with what became of it.

    Returns:
        The comparisons, and the faces that stand only in the second photo.
    """
    overlaps = _overlaps(originals, new)
    stays = overlaps[sorted(keep)].max(axis=0, initial=0) >= SAME_PLACE
    compared = []
    for index, face in enumerate(originals):
        place = int(overlaps[index].argmax()) if len(new) else -1
        found = place >= 0 and overlaps[index, place] >= SAME_PLACE
        others = [
            (row, bool(kept))
            for column, (row, kept) in enumerate(zip(new, stays, strict=True))
            if overlaps[index, column] < SAME_PLACE
        ]
        at_place = (new[place], float(overlaps[index, place])) if found else None
        compared.append(
            _judge(photos, face, at_place, others, court, rate, kept=index in keep, late=False)
        )
    only_in_after = []
    for column, row in enumerate(new):
        if overlaps[:, column].max(initial=0) < SAME_PLACE:
            late = _judge(photos, row.face, (row, 1.0), [], court, rate, kept=False, late=True)
            if late.verdict in ("unchanged", "recognisable"):
                compared.append(late)
            else:
                only_in_after.append(row.face)
    return tuple(compared), tuple(only_in_after)


def _overlaps(faces: Sequence[Face], new: Sequence[_Row]) -> FloatArray:
    """(n, m) intersection over union of original faces and those of the second photo."""
    if not faces or not new:
        return np.zeros((len(faces), len(new)), np.float32)
    return iou(np.stack([f.box for f in faces]), np.stack([row.face.box for row in new]))


def _judge(
    photos: PhotoPair,
    face: Face,
    at_place: tuple[_Row, float] | None,
    others: Sequence[tuple[_Row, bool]],
    court: _Court,
    rate: FalseMatchRate,
    *,
    kept: bool,
    late: bool,
) -> FaceComparison:
    """Compare one original face with what stands in its place and with all other faces."""
    size = face.size * photos.scale
    change, same = face_change(photos, face)
    scores: tuple[Score, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    if size >= TELL_FACE_PX:
        judges = court.of(photos.before, face)
        original, there = _Row(photos.before, face), _Row(photos.after, face)
        found = None if at_place is None else at_place[0]
        scores = _scores(original, there, found, judges, size)
        elsewhere = _elsewhere(original, others, judges, size, photos.scale)
    verdict, reason = _verdict(scores, elsewhere, rate, size=size, same=same)
    return FaceComparison(
        face=face,
        size=size,
        verdict=verdict,
        reason=reason,
        change=change,
        found=None if at_place is None else at_place[0].face,
        overlap=None if at_place is None else at_place[1],
        scores=scores,
        elsewhere=elsewhere,
        kept=kept,
        seen_only_after=late,
    )


def _scores(
    original: _Row, there: _Row, found: _Row | None, judges: Sequence[Judge], size: float
) -> tuple[Score, ...]:
    """Return what each judge gives the original against what stands in its place."""
    return tuple(
        Score(
            encoder=judge.name,
            at_original=_similarity(judge, original, there),
            at_found=None if found is None else _similarity(judge, original, found),
            thresholds={
                r: match_threshold(r, face_px=size, encoder=judge.name)
                for r in get_args(FalseMatchRate)
            },
        )
        for judge in judges
    )


def _similarity(judge: Judge, first: _Row, second: _Row) -> float | None:
    """Return a similarity on the judge's own scale, None if one of the two is not known."""
    a, b = first.embedding(judge), second.embedding(judge)
    return None if a is None or b is None else float(judge.similarity(a, b))


def _elsewhere(
    original: _Row,
    others: Sequence[tuple[_Row, bool]],
    judges: Sequence[Judge],
    size: float,
    scale: float,
) -> tuple[Elsewhere, ...]:
    """Return where else an original face is recognised, by whom; the clearest judge of each."""
    places = []
    for row, kept in others:
        smaller = min(size, row.face.size * scale)
        if smaller < TELL_FACE_PX:
            continue
        matches = []
        for judge in judges:
            value = _similarity(judge, original, row)
            limit = match_threshold(ELSEWHERE_RATE, face_px=smaller, encoder=judge.name)
            if value is not None and value >= limit:
                matches.append(Elsewhere(row.face, judge.name, value, limit, ELSEWHERE_RATE, kept))
        places += sorted(matches, key=lambda m: m.threshold - m.similarity)[:1]
    return tuple(places)


def _verdict(
    scores: Sequence[Score],
    elsewhere: Sequence[Elsewhere],
    rate: FalseMatchRate,
    *,
    size: float,
    same: bool,
) -> tuple[FaceVerdict, str]:
    """Return the verdict on a face and why."""
    said = [(score.encoder, score.recognised(rate)) for score in scores]
    seen_by = [name for name, recognised in said if recognised]
    if same and (seen_by or not any(recognised is False for _, recognised in said)):
        return "unchanged", "the pixels are the original's but for compression"
    if size < TELL_FACE_PX:
        return "too small to tell", f"{size:.0f} px, an encoder needs {TELL_FACE_PX:.0f}"
    if seen_by:
        return "recognisable", f"by {' and '.join(seen_by)}"
    moved = [place for place in elsewhere if not place.kept]
    if moved:
        where = [round(float(value)) for value in moved[0].face.box]
        return "recognisable", f"stands elsewhere, at {where}"
    if any(recognised is None for _, recognised in said):
        blind = [name for name, recognised in said if recognised is None]
        return "not measurable", f"{' and '.join(blind)} could not compare it"
    return "not recognisable", "no encoder takes it for the same person"
