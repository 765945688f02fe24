"""Scores of a detector: average precision, recall at a rate of false positives, by face height."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonyface.detection.boxes import iou
from anonyface.types import BoolArray, FloatArray
from benchmarks.identification import share

RATES = (0.1, 1.0)
"""False positives an image at which recall is stated."""
HEIGHTS = {"<32 px": (0.0, 32.0), "32-96 px": (32.0, 96.001), ">96 px": (96.001, np.inf)}
"""Name -> heights of annotated faces, the second one not included."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a detector says of one photo: (n, 4) boxes x0 y0 x1 y1 and (n,) scores."""

    boxes: FloatArray
    scores: FloatArray


@dataclass(frozen=True, eq=False)
class Curve:
    """All detections of all photos, best first.

    Attributes:
        scores: (n,) descending.
        heights: (n,) height of the annotated face each one found; NaN for a false positive.
        there: (m,) heights of all annotated faces, found or not.
        photos: Number of photos, those without a find among them.
    """

    scores: FloatArray
    heights: FloatArray
    there: FloatArray
    photos: int

    @property
    def hits(self) -> BoolArray:
        """(n,) whether each detection found an annotated face."""
        return ~np.isnan(self.heights)


def matches(found: Found, truth: FloatArray, least: float) -> NDArray[np.intp]:
    """(n,) number of the annotated face each detection finds, -1 for none.

    The best detection chooses first, the face it overlaps most among those still free.

    Args:
        found: Detections of a photo.
        truth: (m, 4) annotated boxes.
        least: Intersection over union that is needed.
    """
    out = np.full(len(found.scores), -1, np.intp)
    if not len(truth) or not len(out):
        return out
    overlaps = iou(found.boxes, truth)
    for i in np.argsort(-found.scores, kind="stable"):
        best = int(overlaps[i].argmax())
        if overlaps[i, best] >= least:
            out[i] = best
            overlaps[:, best] = -1
    return out


def without_agreed(
    found: Sequence[Found], truth: Sequence[FloatArray], other: Sequence[Found], least: float
) -> list[Found]:
    """Leave out what matches no annotated face but is seen by a detector of another kind as well.

    Annotators leave faces out: far, blurred, half hidden ones. A detection that they did not mark
    and that two unlike networks report is rather such a face than a mistake; it counts neither for
    nor against.

    Args:
        found: Detections of each photo.
        truth: (m, 4) annotated boxes of each photo.
        other: What the other detector is sure of.
        least: Intersection over union from which on two boxes are one face.
    """
    out = []
    for one, boxes, seen in zip(found, truth, other, strict=True):
        # Not by `matches`: a second detection of a face that is marked stays a mistake.
        marked = _overlaps(one.boxes, boxes) >= least
        kept = marked | (_overlaps(one.boxes, seen.boxes) < least)
        out.append(Found(one.boxes[kept], one.scores[kept]))
    return out


def _overlaps(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """(n,) intersection over union of each box with the other that it overlaps most."""
    if not len(boxes) or not len(others):
        return np.zeros(len(boxes), np.float32)
    return np.asarray(iou(boxes, others).max(axis=1), np.float32)


def curve(found: Sequence[Found], truth: Sequence[FloatArray], least: float) -> Curve:
    """Match all photos; every photo counts, whatever was found in it."""
    scores, heights = [np.zeros(0, np.float32)], [np.zeros(0, np.float32)]
    for one, boxes in zip(found, truth, strict=True):
        number = matches(one, boxes, least)
        tall = np.append(boxes[:, 3] - boxes[:, 1], np.nan)  # -1 is the last: no face
        scores.append(one.scores)
        heights.append(tall[number])
    there = np.concatenate([b[:, 3] - b[:, 1] for b in truth])
    joined = np.concatenate(scores)
    order = np.argsort(-joined, kind="stable")
    return Curve(joined[order], np.concatenate(heights)[order], there, len(truth))


def average_precision(of: Curve) -> float:
    """Area under precision over recall, precision made monotonic (PASCAL VOC 2010, all points).

    >>> average_precision(Curve(np.array([0.9, 0.8, 0.7]), np.array([50, np.nan, 60]),
    ...                         np.array([50, 60]), 1))
    0.8333333333333333
    """
    if not len(of.scores):
        return 0.0
    hits = np.cumsum(of.hits)
    precision = hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(precision[of.hits].sum() / len(of.there))


def taken_at(of: Curve, rate: float) -> int:
    """Return how many detections to take, best first, for at most so many false ones a photo."""
    return int(np.searchsorted(np.cumsum(~of.hits), rate * of.photos + 0.5))


def recall(of: Curve, count: int) -> dict[str, Any]:
    """Return the share of faces among the best detections, of all and by height."""
    heights = of.heights[:count]
    out: dict[str, Any] = {}
    for name, (low, high) in ({"all": (0.0, np.inf)} | HEIGHTS).items():
        there = int(((of.there >= low) & (of.there < high)).sum())
        if there:
            got = int(((heights >= low) & (heights < high)).sum())
            out[name] = share(np.arange(there) < got)
    return out


def figures(
    found: Sequence[Found], truth: Sequence[FloatArray], levels: Mapping[str, float]
) -> dict[str, Any]:
    """Return all figures of one detector.

    Args:
        found: What it says of each photo, down to scores that mean nothing.
        truth: (m, 4) annotated boxes of each photo.
        levels: Name -> score from which on it is used: recall and false positives there.
    """
    out: dict[str, Any] = {}
    for least in (0.4, 0.5):
        of = curve(found, truth, least)
        entry: dict[str, Any] = {"ap": average_precision(of)}
        for rate in RATES:
            count = taken_at(of, rate)
            entry[f"recall at {rate:g} fp"] = recall(of, count)
            entry[f"score at {rate:g} fp"] = float(of.scores[count - 1]) if count else None
        for name, level in levels.items():
            count = int((of.scores >= level).sum())
            false = int((~of.hits[:count]).sum())
            entry[name] = {"recall": recall(of, count), "fp_an_image": false / of.photos}
        out[f"iou {least}"] = entry
    return out


def turned_boxes(boxes: FloatArray, turns: int, image_hw: tuple[int, ...]) -> FloatArray:
    """(n, 4) boxes of an image after ``np.rot90(image, turns)``.

    >>> turned_boxes(np.array([[0.0, 0, 2, 1]]), 1, (10, 20)).tolist()
    [[0.0, 18.0, 1.0, 20.0]]
    """
    height, width = image_hw[:2]
    for _ in range(turns % 4):
        x0, y0, x1, y1 = boxes.T
        boxes = np.stack([y0, width - x1, y1, width - x0], axis=1)
        height, width = width, height
    return boxes
