"""What remains: links between results, traits that can still be read, plain covers beside them."""

from __future__ import annotations

import numpy as np
import pytest

from anonyface.types import Face
from anonyface.verification.encoder import unit
from benchmarks.attributes import learned, most_frequent
from benchmarks.covers import mosaic, paint
from benchmarks.linkability import links
from benchmarks.readers import Reading, agreement
from benchmarks.regression import apply_map, best_ridge, ridge

DIMS = 32


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def rows(rng: np.random.Generator, n: int, d: int = DIMS) -> np.ndarray:
    return unit(rng.normal(size=(n, d)).astype(np.float32))


def test_ridge_finds_a_linear_map(rng: np.random.Generator) -> None:
    x, matrix = rows(rng, 200), rng.normal(size=(DIMS, 5))
    y = (x @ matrix + 3).astype(np.float32)
    assert apply_map(ridge(x, y, 1e-6), x) == pytest.approx(y, abs=1e-2)
    assert np.abs(ridge(x, y, 1e9)[:-1]).max() < 1e-3


def test_ridge_of_few_rows_is_that_of_the_equations(rng: np.random.Generator) -> None:
    x, y = rows(rng, 12), rows(rng, 12, 4)
    centred = (x - x.mean(axis=0)).astype(np.float64)
    shrink = 0.5 * (centred**2).sum() / DIMS * np.eye(DIMS)
    wanted = np.linalg.solve(centred.T @ centred + shrink, centred.T @ (y - y.mean(axis=0)))
    assert ridge(x, y, 0.5)[:-1] == pytest.approx(wanted, abs=1e-5)
    assert apply_map(ridge(x, y, 0.5), x.mean(axis=0)[None])[0] == pytest.approx(y.mean(axis=0))


def test_the_penalty_is_chosen_by_the_score(rng: np.random.Generator) -> None:
    x, y = rows(rng, 60), rows(rng, 60)
    small = best_ridge(x, y, lambda matrix: -float(np.abs(matrix[:-1]).sum()))
    large = best_ridge(x, y, lambda matrix: float(np.abs(matrix[:-1]).sum()))
    assert np.abs(small[:-1]).sum() < np.abs(large[:-1]).sum()


def test_a_painted_face_is_flat_and_nothing_else_changes(rng: np.random.Generator) -> None:
    photo = rng.integers(0, 255, (60, 60, 3), dtype=np.uint8)
    face = Face(np.array([10.0, 12.0, 40.0, 52.0]), np.zeros((5, 2), np.float32), 0.9)
    painted = paint(photo, face)
    assert (painted[20:44, 16:34] == painted[32, 25]).all()
    changed = (painted != photo).any(axis=2)
    assert changed.sum() > 0.7 * 30 * 40
    changed[11:54, 9:42] = False
    assert not changed.any()
    assert (paint(photo, None) == photo).all()


def test_a_mosaic_covers_the_face_and_nothing_else(rng: np.random.Generator) -> None:
    photo = rng.integers(0, 255, (60, 60, 3), dtype=np.uint8)
    face = Face(np.array([10.0, 12.0, 40.0, 52.0]), np.zeros((5, 2), np.float32), 0.9)
    covered = mosaic(photo, face)
    outside = np.ones((60, 60), bool)
    outside[12:52, 10:40] = False
    assert (covered[outside] == photo[outside]).all()
    assert len(np.unique(covered[12:52, 10:40].reshape(-1, 3), axis=0)) <= 100
    assert covered[12:52, 10:40].std() < photo[12:52, 10:40].std() / 2


def test_links_of_strangers_are_chance_and_of_twins_are_all(rng: np.random.Generator) -> None:
    first, second = rows(rng, 200), rows(rng, 200)
    apart, same = links(first, second, "cosine", 0.7), links(first, first, "cosine", 0.7)
    assert apart["linked"].hits == 0
    assert (same["strangers linked"].hits, same["strangers linked"].of) == (0, 200 * 199)
    assert links(first, first, "cosine", -2.0)["strangers linked"].value == 1.0
    assert apart["rank-1"].value < 0.03
    for name in ("linked", "linked, threshold of these photos", "rank-1"):
        assert same[name].value == 1.0


def test_a_face_not_found_is_counted_and_not_linked(rng: np.random.Generator) -> None:
    first = rows(rng, 50)
    first[:5] = np.nan
    found_here = links(first, rows(rng, 50), "cosine", -2.0)
    assert found_here["face not found"] == 5
    assert (found_here["linked"].hits, found_here["linked"].of) == (45, 50)
    assert found_here["linked, not found counts as linked"].hits == 50


def test_a_trained_reader_finds_what_is_there(rng: np.random.Generator) -> None:
    labels = rng.integers(0, 3, 300)
    signal = rows(rng, 300)
    signal[:, :3] += np.eye(3)[labels] * 2
    assert learned(signal, labels, seed=1).value > 0.95
    assert learned(rows(rng, 300), labels, seed=1).value < most_frequent(labels) + 0.1
    assert most_frequent(np.array([0, 1, 1, 2])) == 0.5


def test_what_cannot_be_read_counts_as_disagreement() -> None:
    she, he = Reading(True, 33.0, glasses=True, group=2), Reading(False, 29.9)
    found_here = agreement([she, she, he, None], [she, None, she, he], used_inside=False)
    assert (found_here["gender_agreement"].hits, found_here["gender_agreement"].of) == (1, 4)
    assert found_here["age_class_agreement"].hits == 1
    assert found_here["glasses_agreement"].hits == 1
    assert found_here["age_difference_years"]["of"] == 2


@pytest.mark.parametrize(
    ("years", "number"), [(0, 0), (9.9, 0), (10, 1), (30, 2), (59, 2), (60, 3)]
)
def test_age_classes(years: float, number: int) -> None:
    assert Reading(True, years).age_class == number
