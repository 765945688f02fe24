"""The calibration, and what thresholds follow from it."""

from __future__ import annotations

import numpy as np
import pytest

from anonyface.protection.thresholds import Judged, load_curve, thresholds
from benchmarks.calibrate import CURVE_RATES

BOTH: tuple[Judged, ...] = ("both", "first")


def threshold(
    rate: float = 1e-3, *, a: float = 200, b: float = 200, judged: Judged = "both"
) -> float:
    by_both = np.array([judged == "both"])
    px = np.array([a], np.float32)
    return float(thresholds(rate, both=by_both, reference_px=px, face_px=b)[0])


@pytest.mark.parametrize("judged", BOTH)
def test_the_curve_holds_error_rates_of_every_pair_of_sizes(judged: Judged) -> None:
    curve = load_curve(judged)
    assert curve.rates.tolist() == list(CURVE_RATES)
    assert curve.similarity.shape == (len(curve.sizes), len(curve.sizes), len(curve.rates))
    assert (np.diff(curve.rates) < 0).all()
    assert (np.diff(curve.similarity, axis=2) > 0).all()
    assert (np.diff(curve.fnmr, axis=2) >= 0).all()
    at = curve.rates.tolist().index(1e-3)
    assert 0 < curve.fnmr[-1, -1, at] <= 0.05 < curve.fnmr[0, 0, at]


def test_two_encoders_miss_fewer_people_than_one() -> None:
    both, first = (load_curve(judged).fnmr for judged in BOTH)
    at = [CURVE_RATES.index(rate) for rate in (1e-3, 1e-4, 1e-5)]
    assert (both[..., at] < first[..., at]).all()


def test_each_row_has_the_thresholds_of_those_who_judge_it() -> None:
    px = np.array([30, 30, 90], np.float32)
    mixed = thresholds(1e-4, both=np.array([True, False, True]), reference_px=px, face_px=50)
    assert mixed[0] == threshold(1e-4, a=30, b=50)
    assert mixed[1] == threshold(1e-4, a=30, b=50, judged="first")
    assert mixed[2] == threshold(1e-4, a=90, b=50)
    assert len(set(mixed.tolist())) == 3


@pytest.mark.parametrize("judged", BOTH)
def test_fewer_false_matches_ask_for_more_similarity_even_beyond_the_curve(judged: Judged) -> None:
    rates = (0.5, 0.1, 0.02, 1e-3, 3.3e-4, 1e-5, 1e-6, 1e-7)
    values = [threshold(rate, judged=judged) for rate in rates]
    assert values[0] == values[1]
    assert (np.diff(values[1:]) > 0).all()
    # One more decade costs no less than the last one measured, or rates would be exceeded.
    assert values[-1] - values[-2] == pytest.approx(values[-2] - values[-3])


def test_stored_rates_give_stored_similarities() -> None:
    curve = load_curve("both")
    for k in (0, 7, len(curve.rates) - 1):
        at = curve.at_rate(float(curve.rates[k]))
        np.testing.assert_allclose(at, curve.similarity[..., k], atol=1e-6)


def test_small_faces_ask_for_more_similarity() -> None:
    values = [threshold(a=px, b=px) for px in (10, 24, 30, 40, 60, 77, 500, np.inf)]
    assert values == sorted(values, reverse=True)
    assert values[0] == values[1] > values[2]
    assert values[-1] == values[-2]
    assert threshold(a=30, b=60) == pytest.approx(threshold(a=60, b=30))
