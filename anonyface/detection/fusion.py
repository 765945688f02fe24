"""Several looks at one image become one list of faces: boxes are averaged, looks vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anonyface.detection.boxes import Groups, group_overlapping
from anonyface.detection.passes import Window
from anonyface.types import FloatArray

GROUP_IOU = 0.4
"""Overlap with a better box from which on a box is the same face."""
SEEN_IOU = 0.3
"""Overlap with a group's best box from which on a look has seen that face, and not a part of it."""
VOTE_IOU = 0.5
"""Overlap from which on a box takes part in the mean."""
MISSED_SCORE = 0.1
"""What counts for a look that did not see a face: the network's scores have little meaning below,
and a face too small for two of three looks must not be drowned by them."""
CERTAIN_SCORE = 0.9999
"""Scores are cut here, so that one look that is certain does not outvote all others."""
LYING_ODDS = 2.0
"""Log odds taken from faces that lie otherwise than most of the photo's faces do."""
UPRIGHT_FROM = 0.5
"""Scores from which on a face counts when the photo's orientation is told."""
MOST_BOXES = 20_000
"""Boxes of which the best are looked at: bounds the time on pictures of noise."""


@dataclass(frozen=True, eq=False)
class Sightings:
    """What the network reported, in image coordinates.

    Attributes:
        boxes: (n, 4) x0 y0 x1 y1.
        landmarks: (n, 5, 2).
        scores: (n,).
        sights: (n,) number of the pass.
    """

    boxes: FloatArray
    landmarks: FloatArray
    scores: FloatArray
    sights: NDArray[np.intp]

    def __getitem__(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Sightings:
        """Return some of them."""
        return Sightings(
            self.boxes[chosen], self.landmarks[chosen], self.scores[chosen], self.sights[chosen]
        )


def join(parts: Sequence[Sightings]) -> Sightings:
    """Return all parts as one, at least one given."""
    return Sightings(
        np.concatenate([p.boxes for p in parts]),
        np.concatenate([p.landmarks for p in parts]),
        np.concatenate([p.scores for p in parts]),
        np.concatenate([p.sights for p in parts]),
    )


def fuse(seen: Sightings, windows: Sequence[Window], image_hw: tuple[int, ...]) -> Sightings:
    """Merge what was seen of each face.

    Looks of one orientation vote: the score is the mean of their log odds, over the looks that
    could have seen the face whole. A face is one way up, so the orientations do not outvote each
    other: of what they report in one place, the better one stays. Most people are the same way up
    as the others in the photo: a face that is not must convince more, or trees would be full of
    faces that lie on their side.

    Args:
        seen: All that was reported.
        windows: What was run.
        image_hw: Height and width of the image.

    Returns:
        One entry a face, best first.
    """
    turns = {w.sight: w.turns for w in windows}
    merged = []
    for turn in sorted(set(turns.values())):
        sights = [s for s, t in turns.items() if t == turn]
        own = seen[np.isin(seen.sights, sights)]
        views = [[w for w in windows if w.sight == s] for s in sights]
        merged.append(_vote(own, views, image_hw))
    weight = [m.scores[m.scores >= UPRIGHT_FROM].sum() for m in merged]
    up = int(np.argmax(weight))  # the first of equals: upright
    found = join([m if i == up else _doubted(m) for i, m in enumerate(merged)])
    groups = group_overlapping(found.boxes, found.scores, iou=GROUP_IOU)
    return found[groups.leaders]


def _doubted(found: Sightings) -> Sightings:
    """Return the same with scores lowered by `LYING_ODDS`."""
    scores = found.scores / (found.scores + (1 - found.scores) * np.float32(np.exp(LYING_ODDS)))
    return replace(found, scores=np.asarray(scores, dtype=np.float32))


def _vote(seen: Sightings, looks: Sequence[Sequence[Window]], hw: tuple[int, ...]) -> Sightings:
    """Merge looks of one orientation, each of them a list of windows."""
    seen = seen[np.argsort(-seen.scores, kind="stable")[:MOST_BOXES]]
    groups = group_overlapping(seen.boxes, seen.scores, iou=GROUP_IOU)
    boxes, landmarks = _means(seen, groups)
    scores = _agreement(seen, groups, looks, boxes, hw)
    return Sightings(boxes, landmarks, scores, seen.sights[groups.leaders])


def _means(seen: Sightings, groups: Groups) -> tuple[FloatArray, FloatArray]:
    """(g, 4) boxes and (g, 5, 2) landmarks, means over each group weighted by score."""
    count = len(groups.leaders)
    weights = np.where(groups.overlap >= VOTE_IOU, seen.scores, 0).astype(np.float32)
    total = np.bincount(groups.member, weights, minlength=count)
    points = np.concatenate([seen.boxes, seen.landmarks.reshape(-1, 10)], axis=1)
    sums = [np.bincount(groups.member, weights * column, minlength=count) for column in points.T]
    means = (np.stack(sums, axis=1) / np.maximum(total, 1e-9)[:, None]).astype(np.float32)
    return means[:, :4], means[:, 4:].reshape(-1, 5, 2)


def _agreement(
    seen: Sightings,
    groups: Groups,
    looks: Sequence[Sequence[Window]],
    boxes: FloatArray,
    hw: tuple[int, ...],
) -> FloatArray:
    """(g,) mean log odds of the looks that could have seen each of the (g, 4) boxes, as scores."""
    count = len(boxes)
    lowest = MISSED_SCORE if len(looks) > 1 else 1e-6  # one look alone keeps the score it gives
    odds, votes = np.zeros(count), np.zeros(count)
    near = groups.overlap >= SEEN_IOU
    for windows in looks:
        mine = near & (seen.sights == windows[0].sight)
        best = np.zeros(count, dtype=np.float32)
        np.maximum.at(best, groups.member[mine], seen.scores[mine])
        could = best > 0
        for window in windows:
            could |= window.owns(boxes, hw)
        clipped = np.clip(best, lowest, CERTAIN_SCORE)
        odds += np.where(could, np.log(clipped / (1 - clipped)), 0)
        votes += could
    scores = 1 / (1 + np.exp(-odds / np.maximum(votes, 1)))
    return np.asarray(scores, dtype=np.float32)
