"""Several looks at one image become one list of faces: boxes are averaged, looks vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonyface.detection.boxes import group_overlapping
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
    other: of what they report in one place, the better one stays.

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
    found = join(merged)
    groups = group_overlapping(found.boxes, found.scores, iou=GROUP_IOU)
    return found[groups.leaders]


def _vote(seen: Sightings, looks: Sequence[Sequence[Window]], hw: tuple[int, ...]) -> Sightings:
    """Merge looks of one orientation, each of them a list of windows."""
    seen = seen[np.argsort(-seen.scores, kind="stable")[:MOST_BOXES]]
    groups = group_overlapping(seen.boxes, seen.scores, iou=GROUP_IOU)
    count = len(groups.leaders)
    boxes, landmarks = seen.boxes[groups.leaders], seen.landmarks[groups.leaders]
    if len(looks) == 1 and not count:
        return seen[groups.leaders]
    weights = np.where(groups.overlap >= VOTE_IOU, seen.scores, 0).astype(np.float32)
    total = np.bincount(groups.member, weights, minlength=count)
    points = np.concatenate([seen.boxes, seen.landmarks.reshape(-1, 10)], axis=1)
    sums = [np.bincount(groups.member, weights * column, minlength=count) for column in points.T]
    means = (np.stack(sums, axis=1) / np.maximum(total, 1e-9)[:, None]).astype(np.float32)
    boxes, landmarks = means[:, :4], means[:, 4:].reshape(-1, 5, 2)
    odds, votes = np.zeros(count), np.zeros(count)
    near = groups.overlap >= SEEN_IOU
    for windows in looks:
        mine = near & (seen.sights == windows[0].sight)
        best = np.zeros(count, dtype=np.float32)
        np.maximum.at(best, groups.member[mine], seen.scores[mine])
        could = best > 0
        for window in windows:
            could |= window.owns(boxes, hw)
        clipped = np.clip(best, MISSED_SCORE if len(looks) > 1 else 1e-6, CERTAIN_SCORE)
        odds += np.where(could, np.log(clipped / (1 - clipped)), 0)
        votes += could
    scores = (1 / (1 + np.exp(-odds / np.maximum(votes, 1)))).astype(np.float32)
    sights = np.zeros(count, dtype=np.intp)
    return Sightings(boxes, landmarks, scores, sights)
