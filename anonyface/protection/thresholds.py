"""From which similarity on is a face a protected person? Calibrated, per pair of faces.

Three things move the answer, and each is measured by ``benchmarks/calibrate.py``, which writes
``curve.json``: how often a stranger may be taken for somebody, how many pixels the two faces have,
and how many people look like either of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonyface.errors import WeightsMissing
from anonyface.identities.pool import load_pool
from anonyface.types import FloatArray
from anonyface.verification.encoder import unit

CURVE = Path(__file__).with_name("curve.json")

NEAREST = 50
"""Generated people that say how crowded it is around a face; 10 to 100 give the same figures."""
CROWD_WEIGHT = 0.25
"""Share of a face's crowding that its thresholds follow: on lfw-dev the best of 0.1 to 0.4, alike
on both halves of the people; at an FMR of 1e-4 it lifts the TAR from 0.84 to 0.90."""


@dataclass(frozen=True, eq=False)
class Curve:
    """False match and false non-match rates over the similarity, for faces of any size.

    Attributes:
        sizes: (s,) face heights in pixels, ascending; the last one stands for all larger faces.
        rates: (r,) false match rates, descending.
        similarity: (s, s, r) similarity reached by this share of strangers, by the size of the
            reference, the size of the face, and the rate; for faces of ordinary crowding.
        fnmr: (s, s, r) share of the pairs of one person that stay below it.
        crowding_median: Ordinary crowding.
        crowding_low: Crowding below which nothing was seen: lower values count as this.
    """

    sizes: NDArray[np.float64]
    rates: NDArray[np.float64]
    similarity: NDArray[np.float64]
    fnmr: NDArray[np.float64]
    crowding_median: float
    crowding_low: float

    def at_rate(self, rate: float) -> NDArray[np.float64]:
        """Return the (s, s) similarities at a false match rate.

        Between the stored rates the logarithm of the rate is interpolated. Beyond the smallest one
        the line through the last decade goes on: the true curve falls off faster, so the rate there
        is at most the one asked for.

        Args:
            rate: In (0, 1); rates above the largest stored one count as that.
        """
        x = -np.log10(min(rate, float(self.rates[0])))
        known = -np.log10(self.rates)
        if x > known[-1]:
            back = int(np.searchsorted(known, known[-1] - 1))
            slope = (self.similarity[..., -1] - self.similarity[..., back]) / (
                known[-1] - known[back]
            )
            return np.asarray(self.similarity[..., -1] + slope * (x - known[-1]), np.float64)
        i = int(np.clip(np.searchsorted(known, x), 1, len(known) - 1))
        part = (x - known[i - 1]) / (known[i] - known[i - 1])
        low, high = self.similarity[..., i - 1], self.similarity[..., i]
        return np.asarray(low + part * (high - low), np.float64)

    def thresholds(
        self,
        rate: float,
        *,
        reference_px: ArrayLike,
        face_px: float,
        reference_crowding: ArrayLike,
        face_crowding: float,
    ) -> NDArray[np.float64]:
        """Similarity from which on a face counts as the person of a reference.

        Args:
            rate: False match rate of one comparison.
            reference_px: (n,) heights of the faces in the references.
            face_px: Height of the face; below the smallest calibrated size both count as that.
            reference_crowding: (n,) from `crowding`.
            face_crowding: From `crowding`.

        Returns:
            (n,) similarities.
        """
        rows, row_part = self._place(reference_px)
        column, column_part = self._place(face_px)
        grid = self.at_rate(rate)
        by_row = grid[:, column] + column_part * (grid[:, column + 1] - grid[:, column])
        base = by_row[rows] + row_part * (by_row[rows + 1] - by_row[rows])
        return np.asarray(base + self.shift(reference_crowding, face_crowding), np.float64)

    def shift(self, a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
        """What the crowding of two faces adds to their thresholds."""
        low = self.crowding_low
        total = np.maximum(a, low) + np.maximum(b, low) - 2 * self.crowding_median
        return np.asarray(CROWD_WEIGHT * total, np.float64)

    def _place(self, px: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the intervals of the sizes in which heights lie, and where in them, 0 to 1."""
        inside = np.clip(np.asarray(px, np.float64), self.sizes[0], self.sizes[-1])
        index = np.clip(np.searchsorted(self.sizes, inside) - 1, 0, len(self.sizes) - 2)
        part = (inside - self.sizes[index]) / (self.sizes[index + 1] - self.sizes[index])
        return np.asarray(index, np.intp), np.asarray(part, np.float64)


@lru_cache(maxsize=1)
def load_curve() -> Curve:
    """Read the calibration that comes with the package.

    Raises:
        WeightsMissing: If it is not there.
    """
    try:
        record = json.loads(CURVE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsMissing("curve", CURVE) from None
    sizes = np.array(record["sizes_px"], np.float64)
    rates = np.array(record["fmr"], np.float64)
    shape = (len(sizes), len(sizes), len(rates))
    similarity, fnmr = np.zeros(shape), np.zeros(shape)
    for pair in record["pairs"]:
        i, j = (record["sizes_px"].index(px) for px in pair["px"])
        similarity[i, j] = similarity[j, i] = pair["similarity"]
        fnmr[i, j] = fnmr[j, i] = pair["fnmr"]
    crowd = record["crowding"]
    return Curve(sizes, rates, similarity, fnmr, crowd["median"], crowd["low"])


@lru_cache(maxsize=1)
def _crowd() -> FloatArray:
    """The (m, 128) embeddings of the generated people."""
    return unit(load_pool().embeddings)


def crowding(embeddings: FloatArray) -> NDArray[np.float64]:
    """How many people look like a face: its mean similarity to the nearest generated people.

    An encoder trained on some groups of people more than on others crowds the others together;
    there a similarity means less. The generated people, who come from all groups, show where.

    Args:
        embeddings: (n, 128) of length 1.

    Returns:
        (n,) mean similarities to the `NEAREST` nearest.

    Raises:
        WeightsError: If the pool of generated people is missing or corrupt.
    """
    cosine = np.asarray(embeddings, np.float32) @ _crowd().T
    near = np.partition(cosine, cosine.shape[1] - NEAREST, axis=1)[:, -NEAREST:]
    # The distance of points on the unit sphere, by the law of cosines.
    return np.asarray(1 - np.sqrt(np.maximum(2 - 2 * near, 0)).mean(axis=1), np.float64)
