"""What `compare_photos` found: per face a verdict and its figures, as JSON and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

from anonyface.media.metadata import software
from anonyface.report import number, utc_text, whole_box
from anonyface.types import Face
from anonyface.verification.thresholds import FalseMatchRate

SCHEMA = "anonyface.verify/1"

FaceVerdict: TypeAlias = Literal[
    "unchanged", "recognisable", "not recognisable", "too small to tell", "not measurable"
]
EXPOSED: frozenset[FaceVerdict] = frozenset({"unchanged", "recognisable", "not measurable"})
"""Verdicts with which a photo does not pass; what can't be measured counts as not done."""
MAY_SHOW = frozenset(
    {"thumbnail", "preview", "mpo-frames", "motion", "depth", "gain-map", "auxiliary"}
)
"""Kinds of metadata (see `anonyface.media.inventory`) in which an original face may be seen."""


@dataclass(frozen=True)
class Score:
    """What one encoder gives an original face against what stands in its place.

    Attributes:
        encoder: Name of the encoder.
        at_original: Similarity, aligned at the landmarks of the original; None if not measurable.
        at_found: The same at the landmarks of the face found there now; None if there is none.
        thresholds: False match rate -> similarity from which on two faces of this size count as
            one person.
    """

    encoder: str
    at_original: float | None
    at_found: float | None
    thresholds: Mapping[FalseMatchRate, float]

    @property
    def similarity(self) -> float | None:
        """The higher one: what an attacker would take."""
        return max((s for s in (self.at_original, self.at_found) if s is not None), default=None)

    def recognised(self, rate: FalseMatchRate) -> bool | None:
        """Whether the encoder takes the two for one person; None if it could not compare them."""
        return None if self.similarity is None else self.similarity >= self.thresholds[rate]


@dataclass(frozen=True, eq=False)
class Elsewhere:
    """Another place in the second photo where an original face is recognised.

    Attributes:
        face: The face that stands there.
        encoder: Name of the encoder that recognises it.
        similarity: What it gives the two.
        threshold: Similarity from which on two faces count as one person here.
        false_match_rate: That of the threshold.
        kept: Whether this is the place of somebody who stays.
    """

    face: Face
    encoder: str
    similarity: float
    threshold: float
    false_match_rate: FalseMatchRate
    kept: bool


@dataclass(frozen=True, eq=False)
class FaceComparison:
    """One face of the original photo, and what became of it.

    Attributes:
        face: The face, in pixels of the first photo.
        size: Longer side of its box in pixels of the smaller of both photos.
        verdict: Whether the person is still recognisable.
        reason: Why, in a short sentence.
        change: Mean absolute change in the inner part of the box, grey levels.
        found: The face found at this place in the second photo, None if there is none.
        overlap: Intersection over union of the two boxes, None if there is none.
        scores: One per encoder; empty where the face is too small.
        elsewhere: Other places where the person is recognised.
        kept: Whether the caller said that this person stays.
        seen_only_after: Whether the detector saw the face only in the second photo, though it was
            there before.
    """

    face: Face
    size: float
    verdict: FaceVerdict
    reason: str
    change: float
    found: Face | None
    overlap: float | None
    scores: tuple[Score, ...]
    elsewhere: tuple[Elsewhere, ...]
    kept: bool
    seen_only_after: bool

    @property
    def exposed(self) -> bool:
        """Whether a person who was to go can still be recognised, or may be."""
        return self.verdict in EXPOSED and not self.kept


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two photos compared.

    Attributes:
        faces: The faces of the first photo, in the detector's order; those that were seen only in
            the second photo come last.
        only_in_after: Faces that stand only in the second photo, in pixels of the first.
        rate: False match rate of the verdicts.
        encoders: Names of the encoders used.
        before_hw: Height and width of the first photo.
        after_hw: Height and width of the second one, before it was scaled.
        before_sha256: Of the first file, None if it came as pixels.
        after_sha256: Of the second file, None if it came as pixels.
        embedded_pictures: Whole pictures found inside the second file, such as thumbnails.
        metadata_found: Kinds of metadata found in the second file.
    """

    faces: tuple[FaceComparison, ...]
    only_in_after: tuple[Face, ...]
    rate: FalseMatchRate
    encoders: tuple[str, ...]
    before_hw: tuple[int, int]
    after_hw: tuple[int, int]
    before_sha256: str | None
    after_sha256: str | None
    embedded_pictures: tuple[str, ...]
    metadata_found: tuple[str, ...]

    @property
    def scaled(self) -> bool:
        """Whether the photos differ in size."""
        return self.before_hw != self.after_hw

    @property
    def passed(self) -> bool:
        """Whether nobody but the kept is exposed, and nothing in the file may show a face."""
        hidden = self.embedded_pictures or MAY_SHOW & set(self.metadata_found)
        return not hidden and not any(face.exposed for face in self.faces)

    def as_dict(
        self,
        *,
        before_name: str | None = None,
        after_name: str | None = None,
        created: datetime | None = None,
    ) -> dict[str, Any]:
        """Return a strict JSON document, see ``schemas/verify.schema.json``.

        Args:
            before_name: What to call the first photo; names can be personal, so by default none.
            after_name: What to call the second one.
            created: When it was made, with a time zone; None for now.

        Raises:
            InputError: If ``created`` has no time zone.
        """
        counts = Counter(face.verdict for face in self.faces)
        return {
            "schema": SCHEMA,
            "software": software(),
            "created": utc_text(created),
            "before": _photo(before_name, self.before_sha256, self.before_hw),
            "after": _photo(after_name, self.after_sha256, self.after_hw),
            "scaled": self.scaled,
            "false_match_rate": self.rate,
            "encoders": list(self.encoders),
            "passed": self.passed,
            "counts": {verdict: counts[verdict] for verdict in get_args(FaceVerdict)},
            "faces": [
                {"index": index, **_face(face, self.rate)} for index, face in enumerate(self.faces)
            ],
            "only_in_after": [
                {"box": whole_box(face), "score": number(face.score, digits=3)}
                for face in self.only_in_after
            ],
            "embedded_pictures": list(self.embedded_pictures),
            "metadata_found": list(self.metadata_found),
        }


def _photo(name: str | None, sha256: str | None, image_hw: tuple[int, int]) -> dict[str, Any]:
    return {"file": name, "sha256": sha256, "width": image_hw[1], "height": image_hw[0]}


def _face(face: FaceComparison, rate: FalseMatchRate) -> dict[str, Any]:
    return {
        "box": whole_box(face.face),
        "score": number(face.face.score, digits=3),
        "size": number(face.size, digits=1),
        "kept": face.kept,
        "seen_only_after": face.seen_only_after,
        "verdict": face.verdict,
        "reason": face.reason,
        "change": number(face.change, digits=2),
        "found_after": face.found is not None,
        "overlap": number(face.overlap, digits=3),
        "scores": [
            {
                "encoder": score.encoder,
                "at_original": number(score.at_original, digits=4),
                "at_found": number(score.at_found, digits=4),
                "similarity": number(score.similarity, digits=4),
                "thresholds": {r: number(t, digits=4) for r, t in score.thresholds.items()},
                "recognised": score.recognised(rate),
            }
            for score in face.scores
        ],
        "elsewhere": [
            {
                "box": whole_box(place.face),
                "encoder": place.encoder,
                "similarity": number(place.similarity, digits=4),
                "threshold": number(place.threshold, digits=4),
                "false_match_rate": place.false_match_rate,
                "kept": place.kept,
            }
            for place in face.elsewhere
        ],
    }


def comparison_table(comparison: Comparison) -> str:
    """Return the comparison as a table for a terminal; no line break at the end."""
    lines = [_summary(comparison)]
    if comparison.scaled:
        (h0, w0), (h1, w1) = comparison.before_hw, comparison.after_hw
        lines.append(f"the second photo, {w1}x{h1}, was scaled to {w0}x{h0}")
    if comparison.faces:
        encoder = max(map(len, (*comparison.encoders, "encoder")))
        lines.append(
            f"{'#':>4} {'x0':>6} {'y0':>6} {'x1':>6} {'y1':>6} {'encoder':{encoder}} {'score':>6} "
            f"{'limit':>6}  verdict"
        )
        lines += [
            f"{index:4d} {_row(face, comparison.rate, encoder)}"
            for index, face in enumerate(comparison.faces)
        ]
    for face in comparison.only_in_after:
        lines.append(f"only in the second photo: a face at {whole_box(face)}")
    for picture in comparison.embedded_pictures:
        lines.append(f"inside the second file: {picture}, may show the original")
    if comparison.metadata_found:
        lines.append(f"metadata of the second file: {', '.join(comparison.metadata_found)}")
    if hidden := MAY_SHOW & set(comparison.metadata_found):
        lines.append(f"of these, may show the original: {', '.join(sorted(hidden))}")
    return "\n".join(lines)


def _summary(comparison: Comparison) -> str:
    """Return a line such as "4 faces: 1 unchanged, 3 not recognisable"."""
    counts = Counter(face.verdict for face in comparison.faces)
    parts = [f"{counts[v]} {v}" for v in get_args(FaceVerdict) if counts[v]]
    total = len(comparison.faces)
    if not total:
        return "no faces found in the first photo: nothing was compared"
    return (
        f"{total} face{'s' * (total != 1)}: {', '.join(parts)} (false match rate {comparison.rate})"
    )


def _row(face: FaceComparison, rate: FalseMatchRate, width: int) -> str:
    """Return the row of a face, with the score that is closest to or farthest above its limit."""
    measured = [(s, score) for score in face.scores if (s := score.similarity) is not None]
    box = " ".join(f"{value:6d}" for value in whole_box(face.face))
    name = value = limit = "-"
    if measured:
        similarity, score = max(measured, key=lambda pair: pair[0] - pair[1].thresholds[rate])
        name, value = score.encoder, f"{similarity:.2f}"
        limit = f"{score.thresholds[rate]:.2f}"
    kept = ", kept as asked" if face.kept else ""
    return f"{box} {name:{width}} {value:>6} {limit:>6}  {face.verdict}: {face.reason}{kept}"
