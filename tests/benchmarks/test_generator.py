"""Statistics of the identity source's benchmark, on made-up input whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonyface.types import FloatArray
from anonyface.verification.encoder import unit
from anonyface.verification.thresholds import match_threshold
from benchmarks import generator_artefacts
from benchmarks.fairface import Labelled
from benchmarks.generator_artefacts import random_wishes, with_broken
from benchmarks.generator_distance import distances, diversity
from benchmarks.generator_grid import (
    AGES,
    CELLS,
    Cell,
    accuracy_on_photos,
    agreement,
    by_age_class,
    by_cell,
    cell_wishes,
    tone_errors,
)
from benchmarks.generator_lab import BROAD, Wish, draw_wish
from benchmarks.generator_leak import halves, leak, nearest
from benchmarks.generator_pairs import Bar, alike, compared, mixed_job, pair_table
from benchmarks.generator_pose import by_band, errors, pose_wishes, shares
from benchmarks.generator_sheets import CAPTION_PX, TILE_PX, lay_out, write_numbered
from benchmarks.generator_speed import as_request
from benchmarks.generator_teachers import Said, Together, fit_classes, said_by
from benchmarks.judges import Judge
from benchmarks.readers import AGES_FROM
from benchmarks.regression import apply_map


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(8)


def rows(rng: np.random.Generator, n: int, d: int = 128) -> FloatArray:
    return unit(rng.normal(size=(n, d)).astype(np.float32))


def fake_judge(name: str = "built-in") -> Judge:
    return Judge(name, lambda image, points: image[0, 0].astype(np.float32), 3, "euclidean", True)


def test_wishes_are_drawn_from_the_whole_range_and_never_twice(rng: np.random.Generator) -> None:
    wishes = [draw_wish(rng, seed=n) for n in range(400)]
    assert len(set(wishes)) == 400
    for name, (low, high) in BROAD.items():
        values = [getattr(w, name) for w in wishes]
        assert low <= min(values) < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < max(values) <= high
    assert 0.4 < np.mean([w.gender == "female" for w in wishes]) < 0.6
    assert 0.05 < np.mean([w.glasses for w in wishes]) < 0.3


def test_seeds_of_all_requests_differ() -> None:
    every = [w for cell in CELLS for w in cell_wishes(cell, count=10, seed=1)]
    every += pose_wishes(200, seed=1) + random_wishes(200, seed=1)
    every += [w for n in range(5) for w in mixed_job(n, count=50, seed=1)]
    assert len({w.seed for w in every}) == len(every)


def test_the_grid_is_balanced_and_its_ages_lie_in_their_classes() -> None:
    assert len(set(CELLS)) == 2 * 4 * 3
    for cell in CELLS:
        for wish in cell_wishes(cell, count=6, seed=1):
            assert wish.age is not None
            assert np.searchsorted(AGES_FROM, wish.age, side="right") == cell.age_class
            assert (wish.gender, wish.skin_tone) == (cell.gender, cell.tone)
    assert {w.age for w in cell_wishes(CELLS[0], count=3, seed=1)} == set(AGES[0])


def test_agreement_counts_what_cannot_be_read() -> None:
    asked = [Cell("female", 2, 5), Cell("female", 2, 5), Cell("male", 0, 55), Cell("male", 0, 55)]
    said = [Said(True, 2), Said(False, 2), Said(False, 1), None]
    found = agreement(asked, said)
    assert (found["gender"].hits, found["gender"].of) == (2, 4)
    assert (found["age class"].hits, found["age class"].of) == (2, 4)
    classes = by_age_class(asked, said)
    assert {k: (c["gender"].hits, c["age class"].hits) for k, c in classes.items()} == {
        "<10": (1, 0),
        "30-59": (1, 2),
    }
    cells = by_cell(asked, said)
    assert cells["female, 30-59, ITA 5"]["gender"].hits == 1
    assert cells["male, <10, ITA 55"]["age class"].hits == 0
    assert cells["male, <10, ITA 55"]["gender"].of == 2


def test_accuracy_on_photos_gives_every_cell_the_same_weight() -> None:
    # Nine women of class 2, all read right; one man of class 0, read wrong.
    labelled = Labelled(
        [np.zeros((1, 1, 3), np.uint8)] * 10,
        np.array([True] * 9 + [False]),
        np.array([2] * 9 + [0]),
        np.zeros(10, int),
    )
    found = accuracy_on_photos(labelled, [Said(True, 2)] * 10)
    assert found["gender"]["photos"].value == 0.9
    assert found["gender"]["mix of the grid"] == 0.5
    assert found["age class"]["mix of the grid"] == 0.5
    assert found["gender"]["by age class"] == {"<10": 0.0, "30-59": 1.0}
    assert accuracy_on_photos(labelled, [None] * 10)["gender"]["photos"].hits == 0


def test_tone_errors_are_by_tone_and_leave_out_what_was_not_read() -> None:
    asked = [Cell("male", 1, 5)] * 3 + [Cell("male", 1, 55)] * 2
    found = tone_errors(asked, [8.0, 1.0, None, 45.0, 53.0])
    assert found["ITA 5"] == {"median_error": 3.5, "median_signed": -0.5, "of": 2}
    assert found["ITA 55"] == {"median_error": 6.0, "median_signed": -6.0, "of": 2}
    assert found["all"] == {"median_error": 3.5, "of": 4}
    assert tone_errors(asked[:1], [None])["all"]["median_error"] is None


def test_a_fit_finds_classes_and_gives_rare_ones_a_voice(rng: np.random.Generator) -> None:
    pytest.importorskip("sklearn")
    labels = np.concatenate([np.zeros(300, int), np.ones(30, int), np.full(30, 2)])
    x = rng.normal(size=(360, 6)).astype(np.float32)
    x[np.arange(360), labels] += 2
    # Units differ, and where zero is says nothing.
    x = (x * [1, 100, 0.1, 1, 10, 0.01] + [50, 0, 3, 1, 0, 1]).astype(np.float32)
    matrix = fit_classes(x, labels, seed=1)
    right = np.argmax(apply_map(matrix, x), axis=1) == labels
    assert matrix.shape == (7, 3)
    assert min(right[labels == k].mean() for k in range(3)) > 0.7
    gender = fit_classes(x, (labels > 0).astype(int), seed=1)
    assert gender.shape == (7, 2)
    fit = {"gender": gender, "age class": matrix}
    sure = np.array([48, 0, 3.4, 1, 0, 1], np.float32)
    assert said_by(fit, sure) == Said(True, 2)
    assert said_by(fit, np.full(6, np.nan, np.float32)) is None


def test_encoders_together_say_all_that_each_says(tmp_path: Path) -> None:
    def judge(name: str, vector: list[float], *, inside: bool = False) -> Judge:
        values = np.array(vector, np.float32)
        return Judge(name, lambda image, points: values, len(vector), "cosine", inside, version="1")

    every = [judge("a", [3, 4]), judge("b", [0, 2, 0])]
    both = Together.of(every)
    every.append(both)
    image, points = np.zeros((9, 9, 3), np.uint8), np.ones((5, 2), np.float32)
    want = [0.6, 0.8, 0, 1, 0]
    assert both(image, points).tolist() == pytest.approx(want)
    table = both.all([image, image], [points, None], tmp_path)
    assert table[0].tolist() == pytest.approx(want)
    assert np.isnan(table[1]).all()
    assert not both.used_inside
    assert Together.of([judge("a", [1]), judge("b", [1], inside=True)]).used_inside


def test_pose_shares_want_five_degrees_of_each() -> None:
    asked = [(10.0, 0.0), (10.0, 0.0), (-25.0, 5.0), (0.0, 0.0)]
    read = [(14.9, 5.1), (15.1, 0.0), (-20.1, 1.0), None]
    found = shares(asked, read)
    assert (found["yaw"].hits, found["pitch"].hits, found["both"].hits) == (2, 2, 1)
    assert found["both"].of == 4


def test_pose_errors_say_how_far_a_turn_falls_short() -> None:
    found = errors([(-20.0, 0.0), (20.0, 0.0), (20.0, 0.0)], [(-17.0, 1.0), (17.0, -2.0), None])
    assert found["yaw_short_median"] == 3.0
    assert (found["yaw"]["median"], found["pitch"]["median"], found["of"]) == (3.0, 1.5, 2)
    assert errors([(1.0, 1.0)], [None]) == {"of": 0}


def test_bands_hold_everybody_once() -> None:
    asked = [(0.0, 0.0), (-10.0, 0.0), (19.9, 0.0), (-30.0, 0.0)]
    found = by_band(asked, [(0.0, 0.0), (0.0, 0.0), (19.9, 0.0), (-30.0, 0.0)])
    counts = {name: (b["within"]["yaw"].hits, b["within"]["yaw"].of) for name, b in found.items()}
    assert counts == {"all": (3, 4), "0-10": (1, 1), "10-20": (1, 2), "20-30": (1, 1)}


def test_a_pair_above_the_threshold_or_missing_is_alike(rng: np.random.Generator) -> None:
    judge = fake_judge()
    job = rows(rng, 10)
    job[1] = job[0]
    clean = pair_table(job, judge)
    assert clean.shape == (45,)
    assert (alike([clean], 0.99).hits, alike([clean], 0.99).of) == (1, 45)
    job[5] = np.nan
    assert alike([pair_table(job, judge)], 0.99).hits == 1 + 9
    assert alike([clean, clean], -2.0).value == 1.0


def test_jobs_are_compared_within_and_not_across(rng: np.random.Generator) -> None:
    one = rows(rng, 6)
    found = compared({"a": one, "b": one}, Bar(fake_judge(), 0.99, None))
    assert (found["all jobs"].hits, found["all jobs"].of) == (0, 30)
    twins = np.concatenate([one[:3], one[:3]])
    found = compared({"a": one, "b": twins}, Bar(fake_judge(), 0.99, 0.1))
    assert (found["all jobs"].hits, found["jobs"]["b"].hits) == (3, 3)
    assert found["highest"] == pytest.approx(1.0, abs=1e-3)
    assert compared({"a": one}, Bar(fake_judge(), None, None))["all jobs"] is None


def test_a_wish_becomes_what_the_search_gets(rng: np.random.Generator) -> None:
    wish = Wish(seed=4, gender="male", age=50.0, yaw=-12.0, glasses=True)
    asked = as_request(wish, avoid=rows(rng, 3))
    assert (asked.look.p_female, asked.look.age, asked.look.yaw) == (0.0, 50.0, -12.0)
    assert asked.look.eyewear == 1.0
    assert np.isnan([asked.look.skin_tone, asked.look.smile, *asked.look.groups]).all()
    assert (len(asked.avoid), len(asked.taken), asked.seed) == (3, 0, 4)


def test_the_count_of_broken_ones_is_put_in() -> None:
    figures = {"portraits": 200, "digest": "x", "broken": None}
    (row,) = generator_artefacts.asked_rows(figures)
    assert (row.value, row.met) == (None, False)
    counted = with_broken(figures, 3)
    assert counted["broken"]["value"] == 0.015
    assert counted["digest"] == "x"
    assert generator_artefacts.asked_rows(counted)[0].met
    assert not generator_artefacts.asked_rows(with_broken(figures, 5))[0].met
    with pytest.raises(ValueError, match="201 of 200"):
        with_broken(figures, 201)


def test_a_sheet_has_room_for_twenty(tmp_path: Path) -> None:
    portraits = [np.full((256, 256, 3), n, np.uint8) for n in range(21)]
    sheets = [np.asarray(Image.open(path)) for path in write_numbered(portraits, tmp_path, "a")]
    assert [len(sheet) // (TILE_PX + CAPTION_PX) for sheet in sheets] == [4, 1]
    assert (sheets[0][-1, -1, 0], sheets[1][-1, 0, 0], sheets[1][-1, -1, 0]) == (19, 20, 255)
    laid = lay_out([np.full((4, 3, 3), n, np.uint8) for n in range(3)], 2)
    assert laid.shape == (8, 6, 3)
    assert (laid[0, 0, 0], laid[0, 3, 0], laid[4, 0, 0], laid[4, 3, 0]) == (0, 1, 2, 255)
    with pytest.raises(ValueError, match="nothing"):
        lay_out([], 2)


def test_nearest_is_the_highest_similarity(rng: np.random.Generator) -> None:
    gallery = rows(rng, 30)
    probes = np.concatenate([gallery[[7]], rows(rng, 1)])
    found = nearest(probes, gallery)
    assert found[0] == pytest.approx(1.0, abs=1e-3)
    by_hand = 1 - np.linalg.norm(gallery - probes[1], axis=1).min()
    assert found[1] == pytest.approx(by_hand, abs=1e-5)


def test_halves_share_nobody(rng: np.random.Generator) -> None:
    one, other = halves(11, rng)
    assert (len(one), len(other), len({*one, *other})) == (5, 5, 10)


def test_a_leak_shows_and_a_stranger_does_not(rng: np.random.Generator) -> None:
    real = rows(rng, 200)
    clean = leak(rows(rng, 100), real, rng)
    assert clean["gallery"] == 100
    assert clean["strangers"]["of"] == clean["generated"]["of"] == 200
    assert clean["generated"]["over"]["1e-3"].hits == 0
    medians = [clean[k]["quantiles"]["0.5"] for k in ("generated", "strangers")]
    assert medians[0] == pytest.approx(medians[1], abs=0.02)
    copies = rows(rng, 100)
    copies[:7] = real[:7]
    found = leak(copies, real, rng)
    assert found["generated, all"]["over"]["1e-4"].hits == 7
    # Every copy has its original in one of the two halves.
    assert found["generated"]["over"]["1e-4"].hits == 7
    assert found["generated"]["quantiles"]["1"] > found["strangers"]["quantiles"]["1"] + 0.3


def test_distance_of_the_same_draws_is_small_and_of_shifted_ones_is_not(
    rng: np.random.Generator,
) -> None:
    pytest.importorskip("torch")
    one, other, same = (rng.normal(size=(400, 8)).astype(np.float32) for _ in range(3))
    found = distances(same, (one, other))
    assert found["requested_to_fresh"] < 0.3
    assert found["fresh_to_fresh"] < 0.3
    assert distances(same + 3, (one, other))["requested_to_fresh"] == pytest.approx(72, rel=0.1)


def test_diversity_tells_twins_from_strangers(rng: np.random.Generator) -> None:
    judge = fake_judge()
    apart = rows(rng, 20)
    near = unit(apart[:1] + 0.02 * rows(rng, 20))
    assert diversity(near, judge)["mean_similarity"] > 0.9 > match_threshold("1e-3")
    assert diversity(near, judge)["pairs_of_one_person"].value == 1.0
    assert diversity(apart, judge)["pairs_of_one_person"].hits == 0
    apart[:3] = np.nan
    found = diversity(apart, judge)
    assert (found["without_a_face"], found["pairs_of_one_person"].of) == (3, 17 * 16 // 2)
