"""The counting of benchmarks/protect.py."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.galleries import (
    Probe,
    group_errors,
    held_out,
    join,
    rate_with_interval,
    stays,
    strangers,
    tabulate,
    take,
)

from .made import alike, face, protected, seen

Axes = NDArray[np.float32]


def probe(person: str, row: NDArray[np.float32] | None) -> Probe:
    return Probe(person, [face()], [seen(row)], 0)


def test_own_photos_are_no_strangers(axes: Axes) -> None:
    probes = [probe("a", axes[0]), probe("b", axes[1]), probe("c", axes[2])]
    table = strangers(probes, ["a", "b"])
    assert table.tolist() == [[False, True], [True, False], [True, True]]


def test_everybody_known_is_kept_nobody_else(axes: Axes) -> None:
    references = join([protected([axes[0]]), protected([axes[1]])])
    assert references.names == ("0", "1")
    assert stays(probe("a", axes[0]), references) == "keep"
    assert stays(probe("a", axes[0]), take(references, [1])) == "replace"
    assert stays(probe("a", None), references) == "not compared"
    assert stays(Probe("a", [], [], None), references) == "not compared"
    table = tabulate([probe("a", axes[0]), probe("c", axes[2])], references, among=2)
    assert table.sure.tolist() == [[True, False], [False, False]]
    assert (table.unsure >= table.sure).all()


def test_a_stranger_is_counted_once_a_group() -> None:
    # Face 0 is person 0; face 1 is nobody protected and looks like persons 1 and 2.
    hits = np.array([[True, False, False, False], [False, True, True, False]])
    different = np.array([[False, True, True, True], [True] * 4])
    one = group_errors(hits, different, size=1, rounds=1, seed=0)
    assert one.tolist() == [[0, 3], [2, 4]]
    everybody = group_errors(hits, different, size=4, rounds=3, seed=0)
    # In a group with person 0 the face of person 0 is no stranger.
    assert everybody.tolist() == [[0, 0], [3, 3]]


def test_the_interval_is_over_people() -> None:
    counts = np.array([[10.0, 10.0]] + [[0.0, 10.0]] * 99)
    rate = rate_with_interval(counts, [str(k) for k in range(100)], seed=0)
    assert rate["value"] == pytest.approx(0.01)
    assert rate["low"] == 0
    assert 0.015 < rate["high"] < 0.05
    assert (rate["errors"], rate["of"]) == (10, 1000)


def test_held_out_people_are_judged_by_the_others() -> None:
    names = [f"p{k:02d}" for k in range(40)]
    rng = np.random.default_rng(0)
    score = rng.normal(0, 1, (40, 40)) + 10 * np.eye(40)
    probes = [Probe(name, [], [], None) for name in names]
    result = held_out(score, probes, names, 0.05)
    assert result["kept"] == 1
    assert result["kept_of"] == 40
    assert result["false"] == pytest.approx(0.05, abs=0.03)
    # Noise is told from noise at the rate it was calibrated to: nothing leaks across the halves.
    noise = held_out(rng.normal(0, 1, (40, 40)), probes, names, 0.05)
    assert noise["kept"] < 0.2


def test_likeness_decides_the_table(axes: Axes) -> None:
    references = join([protected([axes[0]])])
    table = tabulate(
        [probe("a", alike(axes[0], axes[1], s)) for s in (0.9, 0.7, 0.3)], references, among=1
    )
    assert table.sure[:, 0].tolist() == [True, True, False]
    assert (np.diff(table.score[:, 0]) < 0).all()
