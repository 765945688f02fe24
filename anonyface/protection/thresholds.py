"""From which similarity on is a face a protected person? Calibrated, per pair of faces.

Three things move the answer, and each is measured by ``benchmarks/calibrate.py``, which writes
``curve.json``: how often a stranger may be taken for somebody, how many pixels the two faces have,
and whether both encoders compare them or only the first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonyface.errors import WeightsMissing
from anonyface.types import BoolArray, FloatArray

CURVE = Path(__file__).with_name("curve.json")

Judged: TypeAlias = Literal["both", "first"]
"""By which encoders faces are compared: both of them, or the first one alone."""


@dataclass(frozen=True, eq=False)
class Curve:
    """False match and false non-match rates over the similarity, for faces of any size.

    Attributes:
        sizes: (s,) face heights in pixels, ascending; the last one stands for all larger faces.
        rates: (r,) false match rates, descending.
        similarity: (s, s, r) similarity reached by this share of strangers, by the size of the
            reference, the size of the face, and the rate.
        fnmr: (s, s, r) share of the pairs of one person that stay below it.
    """

    sizes: NDArray[np.float64]
    rates: NDArray[np.float64]
    similarity: NDArray[np.float64]
    fnmr: NDArray[np.float64]

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
        self, rate: float, *, reference_px: ArrayLike, face_px: float
    ) -> NDArray[np.float64]:
        """Similarity from which on a face counts as the person of a reference.

        Args:
            rate: False match rate of one comparison.
            reference_px: (n,) heights of the faces in the references.
            face_px: Height of the face; below the smallest calibrated size both count as that.

        Returns:
            (n,) similarities.
        """
        rows, row_part = self._place(reference_px)
        column, column_part = self._place(face_px)
        grid = self.at_rate(rate)
        by_row = grid[:, column] + column_part * (grid[:, column + 1] - grid[:, column])
        between = by_row[rows] + row_part * (by_row[rows + 1] - by_row[rows])
        return np.asarray(between, np.float64)

    def _place(self, px: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Return the intervals of the sizes in which heights lie, and where in them, 0 to 1."""
        inside = np.clip(np.asarray(px, np.float64), self.sizes[0], self.sizes[-1])
        index = np.clip(np.searchsorted(self.sizes, inside) - 1, 0, len(self.sizes) - 2)
        part = (inside - self.sizes[index]) / (self.sizes[index + 1] - self.sizes[index])
        return np.asarray(index, np.intp), np.asarray(part, np.float64)


@lru_cache(maxsize=2)
def load_curve(judged: Judged) -> Curve:
    """Read a calibration that comes with the package.

    Args:
        judged: By which encoders faces are compared.

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
    for pair in record[judged]:
        i, j = (record["sizes_px"].index(px) for px in pair["px"])
        similarity[i, j] = similarity[j, i] = pair["similarity"]
        fnmr[i, j] = fnmr[j, i] = pair["fnmr"]
    return Curve(sizes, rates, similarity, fnmr)


def thresholds(
    rate: float, *, both: BoolArray, reference_px: FloatArray, face_px: float
) -> NDArray[np.float64]:
    """Similarity from which on a face counts as the person of each reference.

    Args:
        rate: False match rate of one comparison.
        both: (n,) whether both encoders judge, or the first one alone.
        reference_px: (n,) heights of the faces in the references.
        face_px: Height of the face.

    Returns:
        (n,) similarities on the scale of `portrayal.resemblance`.

    Raises:
        WeightsMissing: The calibration is not there.
    """
    out = np.zeros(len(both), np.float64)
    for judged, where in (("both", both), ("first", ~both)):
        if where.any():
            curve = load_curve(judged)
            out[where] = curve.thresholds(rate, reference_px=reference_px[where], face_px=face_px)
    return out
