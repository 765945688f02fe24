"""Ridge regression: the simplest thing that can learn what one table says of another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from anonyface.types import FloatArray

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Of the ridge regression, times the mean variance of what it reads."""


def ridge(x: FloatArray, y: FloatArray, penalty: float) -> FloatArray:
    """(d + 1, e) least squares map from (n, d) to (n, e) with a bias in the last row.

    The penalty is on all but the bias (Hoerl and Kennard 1970, eq. 2.3), times the mean variance
    of a column and the number of rows.
    """
    x64, y64 = x.astype(np.float64), y.astype(np.float64)
    x_mean, y_mean = x64.mean(axis=0), y64.mean(axis=0)
    centred = x64 - x_mean
    shrink = penalty * (centred**2).sum() / x.shape[1]
    if len(x) < x.shape[1]:
        # The same map from the smaller system: X'(XX' + cI)^-1 Y = (X'X + cI)^-1 X'Y.
        inner = centred @ centred.T + shrink * np.eye(len(x))
        matrix = centred.T @ np.linalg.solve(inner, y64 - y_mean)
    else:
        gram = centred.T @ centred + shrink * np.eye(x.shape[1])
        matrix = np.linalg.solve(gram, centred.T @ (y64 - y_mean))
    return np.concatenate([matrix, (y_mean - x_mean @ matrix)[None]]).astype(np.float32)


def best_ridge(x: FloatArray, y: FloatArray, score: Callable[[FloatArray], float]) -> FloatArray:
    """Return the map of the penalty that scores best, on rows kept from ``x``."""
    return max((ridge(x, y, penalty) for penalty in PENALTIES), key=score)


def apply_map(matrix: FloatArray, x: FloatArray) -> FloatArray:
    """(n, e) of (n, d) rows through a map of `ridge`."""
    return np.asarray(x @ matrix[:-1] + matrix[-1], np.float32)
