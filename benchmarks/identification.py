"""Face identification in numbers: thresholds at a false accept rate, TAR, rank-1, intervals.

Scores grow with likeness; a NaN score belongs to a face that was not found and matches nobody.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonyface.types import BoolArray, FloatArray

Metric: TypeAlias = Literal["euclidean", "cosine"]
Z_95 = 1.959964
"""Half width of the central 95 % of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Share:
    """A share with its count and its 95 % interval (Wilson 1927, "Probable inference", eq. 5)."""

    value: float
    hits: int
    of: int
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.hits}/{self.of})"

    @property
    def interval(self) -> str:
        """The interval for a table."""
        return f"{self.low:.4f}-{self.high:.4f}"


def share(hits: ArrayLike) -> Share:
    """Summarise yes and no answers.

    Args:
        hits: (n,) booleans, n >= 1.

    Raises:
        ValueError: If there are none.

    >>> share([True, False, False, False])
    Share(value=0.25, hits=1, of=4, low=0.0456, high=0.6994)
    """
    answers = np.asarray(hits, bool)
    n, k = answers.size, int(answers.sum())
    if n == 0:
        raise ValueError("a share of nothing")
    p, z2 = k / n, Z_95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Share(round(p, 6), k, n, round(low, 4), round(high, 4))


def threshold_at_far(impostors: ArrayLike, rate: float) -> float | None:
    """Return the score that only this share of the impostor pairs reaches.

    Args:
        impostors: (n,) scores of pairs of different people, none NaN.
        rate: False accept rate.

    Returns:
        Halfway between the last impostor let in and the first one kept out; None if there are too
        few pairs to let a single one in.

    >>> threshold_at_far([0.1, 0.2, 0.3, 0.9], 0.25)
    0.6
    >>> threshold_at_far([0.1, 0.2, 0.3, 0.9], 1e-3) is None
    True
    """
    scores = np.asarray(impostors, np.float64).ravel()
    allowed = int(rate * scores.size)
    if allowed < 1 or allowed >= scores.size:
        return None
    ranked = np.partition(scores, (scores.size - allowed - 1, scores.size - allowed))
    inside, outside = ranked[scores.size - allowed], ranked[scores.size - allowed - 1]
    return float((inside + outside) / 2)


def accepted(scores: ArrayLike, threshold: float) -> BoolArray:
    """(n,) whether each score counts as the same person; a NaN does not."""
    return np.asarray(np.asarray(scores) >= threshold, bool)


def rank1(scores: ArrayLike) -> BoolArray:
    """(n,) whether probe i finds entry i of the gallery first.

    Args:
        scores: (n, m) probes against gallery, n <= m; probe i and entry i are one person. A tie
            counts as found; a probe of NaN, or one whose own entry is NaN, finds nobody.

    >>> rank1([[0.9, 0.1], [0.8, 0.2]]).tolist()
    [True, False]
    """
    table = np.asarray(scores, np.float64)
    own = table[np.arange(len(table)), np.arange(len(table))]
    best = np.where(np.isnan(table), -np.inf, table).max(axis=1, initial=-np.inf)
    return np.asarray(own >= best, bool)


def place(scores: ArrayLike) -> FloatArray:
    """(n,) share of the gallery that probe i finds more likely than its own entry i.

    Where nothing tells who it is the places are spread evenly between 0 and 1, and their median is
    0.5. Beyond, the least likely are the likelier: somebody was moved away from too far.

    Args:
        scores: As for `rank1`; probes of NaN, or whose own entry is NaN, are left out.

    >>> place([[0.9, 0.1, 0.2], [0.8, 0.2, 0.1]]).tolist()
    [0.0, 0.5]
    """
    table = np.asarray(scores, np.float64)
    own = table[np.arange(len(table)), np.arange(len(table))]
    known = ~np.isnan(own)
    table, own = table[known], own[known]
    above = (table > own[:, None]).sum(axis=1)
    return np.asarray(above / np.maximum((~np.isnan(table)).sum(axis=1) - 1, 1), np.float32)


@dataclass(frozen=True)
class Difference:
    """A difference of two shares of the same people, with its 95 % interval."""

    value: float
    of: int
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.4f} ({self.low:+.4f} to {self.high:+.4f}, n={self.of})"


def gain(after: ArrayLike, before: ArrayLike, *, resamples: int = 4000) -> Difference:
    """Compare two answers about the same people: percentile bootstrap over the people.

    Args:
        after: (n,) booleans, n >= 1.
        before: (n,) booleans.
        resamples: How often the people are drawn anew.

    Raises:
        ValueError: If there are none.

    >>> gain([True, True], [False, False])
    Difference(value=1.0, of=2, low=1.0, high=1.0)
    """
    steps = np.asarray(after, bool).astype(np.int8) - np.asarray(before, bool).astype(np.int8)
    if steps.size == 0:
        raise ValueError("a difference of nothing")
    # Only how many people changed to which side matters: draw those counts.
    counts = [int((steps == step).sum()) for step in (-1, 0, 1)]
    drawn = np.random.default_rng(0).multinomial(
        steps.size, np.array(counts) / steps.size, size=resamples
    )
    means = (drawn[:, 2] - drawn[:, 0]) / steps.size
    low, high = (float(v) for v in np.percentile(means, [2.5, 97.5]))
    return Difference(round(float(steps.mean()), 6), steps.size, round(low, 4), round(high, 4))


def strangers(scores: ArrayLike) -> NDArray[np.float64]:
    """Return all but the diagonal of (n, m) scores, NaN left out: pairs of different people.

    >>> strangers([[0.9, 0.1], [float("nan"), 0.8]]).tolist()
    [0.1]
    """
    table = np.asarray(scores, np.float64)
    others = table[np.eye(*table.shape) == 0]
    return np.asarray(others[~np.isnan(others)])


def roc(
    genuine: ArrayLike, impostors: ArrayLike, fars: Sequence[float]
) -> list[tuple[float, float]]:
    """Return (FAR, TAR) at each false accept rate that there are enough impostor pairs for.

    Args:
        genuine: (n,) scores of pairs of one person; a NaN is not accepted.
        impostors: (m,) scores of pairs of different people, none NaN.
        fars: False accept rates below 1.

    >>> roc([0.95, 0.5], [0.1, 0.2, 0.3, 0.9], [0.25, 0.001])
    [(0.25, 0.5)]
    """
    points = []
    for far in fars:
        threshold = threshold_at_far(impostors, far)
        if threshold is not None:
            points.append((far, float(accepted(genuine, threshold).mean())))
    return points


def compare(a: FloatArray, b: FloatArray, metric: Metric) -> FloatArray:
    """(n, m) scores of every row of ``a`` against every row of ``b``.

    Args:
        a: (n, d) embeddings; a row of NaN is a face that was not found.
        b: (m, d) embeddings.
        metric: "euclidean" gives 1 minus the distance, "cosine" the cosine.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if metric == "cosine":
        a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
        return np.asarray(a @ b.T, np.float32)
    square = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return np.asarray(1 - np.sqrt(np.maximum(square, 0)), np.float32)


def impostor_scores(
    people: Sequence[str], embeddings: FloatArray, metric: Metric
) -> NDArray[np.float32]:
    """Return the scores of all pairs of different people, faces not found left out."""
    names = np.array(people)
    table = compare(embeddings, embeddings, metric)
    first, second = np.triu_indices(len(names), k=1)
    scores = table[first, second][names[first] != names[second]]
    return np.asarray(scores[~np.isnan(scores)], np.float32)
