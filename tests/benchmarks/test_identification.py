"""Thresholds, true accept rates and ranks: on numbers small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.identification import (
    accepted,
    compare,
    gain,
    impostor_scores,
    place,
    rank1,
    roc,
    share,
    strangers,
    threshold_at_far,
)


@pytest.mark.parametrize("far", [1e-1, 1e-2, 1e-3])
def test_only_the_share_allowed_passes_the_threshold(far: float) -> None:
    scores = np.random.default_rng(1).normal(size=20_000)
    threshold = threshold_at_far(scores, far)
    assert threshold is not None
    assert accepted(scores, threshold).sum() == round(far * 20_000)


def test_too_few_impostors_give_no_threshold() -> None:
    assert threshold_at_far(np.linspace(0, 1, 999), 1e-3) is None
    assert threshold_at_far([], 1e-3) is None


def test_a_face_not_found_is_not_accepted() -> None:
    assert accepted([0.9, np.nan, 0.1], 0.5).tolist() == [True, False, False]


def test_rank1_wants_the_own_entry_first() -> None:
    scores = [[0.9, 0.1, 0.2], [0.8, 0.7, 0.1], [0.3, 0.3, 0.3]]
    assert rank1(scores).tolist() == [True, False, True]


def test_the_place_tells_both_who_is_found_and_who_was_fled_from() -> None:
    nan = float("nan")
    table = np.random.default_rng(0).random((400, 400))
    assert np.median(place(table)) == pytest.approx(0.5, abs=0.07)
    assert place(table + np.eye(400)).max() == 0
    assert place(table - np.eye(400)).min() == 1
    assert place([[nan, 1.0], [0.2, 0.3]]).tolist() == [0]
    assert place([[0.1, nan, 1.0]]).tolist() == [1]


def test_rank1_without_a_face_finds_nobody() -> None:
    nan = np.nan
    assert rank1([[nan, nan], [0.1, 0.9]]).tolist() == [False, True]
    assert rank1([[nan, 0.2], [nan, 0.9]]).tolist() == [False, True]


def test_euclidean_is_one_minus_the_distance() -> None:
    a, b = np.array([[0.0, 3.0]]), np.array([[4.0, 0.0], [0.0, 3.0]])
    assert compare(a, b, "euclidean") == pytest.approx(np.array([[-4.0, 1.0]]), abs=1e-5)


def test_cosine_ignores_length() -> None:
    a, b = np.array([[2.0, 0.0]]), np.array([[5.0, 0.0], [0.0, 1.0]])
    assert compare(a, b, "cosine") == pytest.approx(np.array([[1.0, 0.0]]), abs=1e-6)


def test_impostors_are_pairs_of_different_people_with_faces() -> None:
    embeddings = np.array([[0.0], [9.0], [1.0], [np.nan]], np.float32)
    scores = impostor_scores(["a", "a", "b", "c"], embeddings, "euclidean")
    assert sorted(scores.tolist()) == pytest.approx([-7.0, 0.0], abs=1e-5)


def test_share_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing"):
        share([])


@pytest.mark.parametrize("hits", [0, 3, 10])
def test_the_interval_holds_the_share(hits: int) -> None:
    found = share([True] * hits + [False] * (10 - hits))
    assert (found.hits, found.of) == (hits, 10)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


def test_strangers_are_all_pairs_but_the_own_ones() -> None:
    table = np.arange(6.0).reshape(2, 3)
    assert strangers(table).tolist() == [1.0, 2.0, 3.0, 5.0]


def test_a_gain_is_of_the_same_people() -> None:
    before = np.array([True, False, False, False] * 25)
    after = np.array([False, True, True, False] * 25)
    found = gain(after, before)
    assert (found.value, found.of) == (0.25, 100)
    assert 0 < found.low < 0.25 < found.high
    nothing = gain(before, before)
    assert (nothing.value, nothing.low, nothing.high) == (0.0, 0.0, 0.0)


def test_a_small_gain_may_be_none() -> None:
    found = gain([True, *[False] * 99], [False] * 100)
    assert found.low <= 0 < found.high


def test_a_gain_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing"):
        gain([], [])


def test_the_curve_of_strangers_is_chance_and_of_twins_is_one() -> None:
    scores = np.random.default_rng(1).normal(size=(2, 20_000))
    for far, tar in roc(scores[0], scores[1], [0.1, 0.01]):
        assert tar == pytest.approx(far, rel=0.2)
    assert roc(scores[0] + 99, scores[1], [0.1, 0.01]) == [(0.1, 1.0), (0.01, 1.0)]


def test_the_curve_ends_where_impostors_are_too_few() -> None:
    assert [far for far, _ in roc([1.0], np.arange(50.0), [0.5, 0.1, 0.001])] == [0.5, 0.1]
