"""The calibration, and what thresholds follow from it."""

from __future__ import annotations

import numpy as np
import pytest

from anonyface.protection.thresholds import crowding, load_curve
from anonyface.weights import manifest
from benchmarks.calibrate import CURVE_RATES


def threshold(rate: float = 1e-3, *, a: float = 200, b: float = 200, crowd: float = 0.6) -> float:
    return float(
        load_curve().thresholds(
            rate, reference_px=[a], face_px=b, reference_crowding=[crowd], face_crowding=crowd
        )[0]
    )


def test_the_curve_holds_error_rates_of_every_pair_of_sizes() -> None:
    curve = load_curve()
    assert curve.rates.tolist() == list(CURVE_RATES)
    assert curve.similarity.shape == (len(curve.sizes), len(curve.sizes), len(curve.rates))
    assert (np.diff(curve.rates) < 0).all()
    assert (np.diff(curve.similarity, axis=2) > 0).all()
    assert (np.diff(curve.fnmr, axis=2) >= 0).all()
    at = curve.rates.tolist().index(1e-3)
    assert 0 < curve.fnmr[-1, -1, at] <= 0.05 < curve.fnmr[0, 0, at]


def test_the_curve_was_made_with_the_generated_people_that_ship() -> None:
    import json

    from anonyface.protection.thresholds import CURVE

    record = json.loads(CURVE.read_text(encoding="utf-8"))
    assert record["pool_sha256"] == manifest()["pool"].sha256, "run benchmarks.calibrate again"


def test_fewer_false_matches_ask_for_more_similarity_even_beyond_the_curve() -> None:
    rates = (0.5, 0.1, 0.02, 1e-3, 3.3e-4, 1e-5, 1e-6, 1e-7)
    values = [threshold(rate) for rate in rates]
    assert values[0] == values[1]
    assert (np.diff(values[1:]) > 0).all()
    # One more decade costs no less than the last one measured, or rates would be exceeded.
    assert values[-1] - values[-2] == pytest.approx(values[-2] - values[-3])


def test_stored_rates_give_stored_similarities() -> None:
    curve = load_curve()
    for k in (0, 7, len(curve.rates) - 1):
        at = curve.at_rate(float(curve.rates[k]))
        np.testing.assert_allclose(at, curve.similarity[..., k], atol=1e-6)


def test_small_faces_ask_for_more_similarity() -> None:
    values = [threshold(a=px, b=px) for px in (10, 24, 30, 40, 60, 77, 500, np.inf)]
    assert values == sorted(values, reverse=True)
    assert values[0] == values[1] > values[2]
    assert values[-1] == values[-2]
    assert threshold(a=30, b=60) == pytest.approx(threshold(a=60, b=30))


def test_crowded_faces_ask_for_more_similarity() -> None:
    low = load_curve().crowding_low
    assert threshold(crowd=0.7) - threshold(crowd=0.6) == pytest.approx(0.05)
    assert threshold(crowd=low - 0.5) == pytest.approx(threshold(crowd=low))


def test_crowding_counts_the_nearest_only(axes: np.ndarray) -> None:
    from anonyface.identities.pool import load_pool

    nobody = load_pool().embeddings[:3]
    assert (crowding(nobody) > 0.55).all()
    assert (crowding(axes) < 0.3).all()
