"""The contract: spread, turns, what was asked for, and files that say all they must."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.contract import Asked, data_path, measure, rounded, spread
from benchmarks.records import build_record, check_record, write_record


@pytest.fixture
def record() -> dict[str, Any]:
    return build_record(
        "try",
        settings={"seed": 1, "sheet": Path("somewhere")},
        counts={"photos": 3},
        figures={"time": spread([1.0, 2.0, 4.0], "ms"), "share": np.float32(0.5)},
        asked=[Asked("time, ms", 2.0, "<=", 2.5)],
    )


def test_a_built_record_passes_and_reads_back(record: dict[str, Any], tmp_path: Path) -> None:
    path = write_record(record, tmp_path / "results")
    assert json.loads(path.read_text(encoding="utf-8")) == record
    assert record["figures"]["time"]["median"] == 2.0
    assert record["asked"][0]["met"] is True


def test_paths_stay_out_of_a_record(record: dict[str, Any]) -> None:
    assert record["settings"] == {"seed": 1}


@pytest.mark.parametrize("part", ["schema", "commit", "machine", "versions", "counts", "figures"])
def test_a_missing_part_is_refused(record: dict[str, Any], part: str) -> None:
    del record[part]
    with pytest.raises(ValueError, match=part):
        check_record(record)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32(1), Path("x"), {1: 2}])
def test_what_is_no_json_is_refused(record: dict[str, Any], value: object) -> None:
    record["figures"]["bad"] = [value]
    with pytest.raises(ValueError, match=r"record\.figures\.bad"):
        check_record(record)


def test_no_counts_no_record(record: dict[str, Any]) -> None:
    record["counts"] = {}
    with pytest.raises(ValueError, match="counts is empty"):
        check_record(record)


def test_an_unknown_part_is_refused(record: dict[str, Any]) -> None:
    record["extra"] = 1
    with pytest.raises(ValueError, match="extra"):
        check_record(record)


def test_a_refused_record_leaves_no_file(record: dict[str, Any], tmp_path: Path) -> None:
    record["figures"]["bad"] = float("nan")
    with pytest.raises(ValueError, match="bad"):
        write_record(record, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "sense", "met"),
    [(1.0, "<=", True), (1.1, "<=", False), (1.0, ">=", True), (0.9, ">=", False)],
)
def test_asked_and_met(value: float, sense: Any, met: bool) -> None:
    assert Asked("x", value, sense, 1.0).met is met


def test_not_measured_is_not_met() -> None:
    assert not Asked("x", None, "<=", 1.0).met


def test_measure_takes_turns_and_leaves_the_warm_up_out() -> None:
    calls: list[tuple[str, int]] = []
    taken = measure(
        {"a": lambda n: calls.append(("a", n)), "b": lambda n: calls.append(("b", n))},
        lambda number: number,
        repeats=2,
    )
    assert calls == [("a", -1), ("b", -1), ("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert {name: len(samples) for name, samples in taken.items()} == {"a": 2, "b": 2}


def test_spread_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no measurements"):
        spread([], "ms")


def test_rounded_goes_all_the_way_down() -> None:
    assert rounded({"a": (1.23456, [np.int64(3)])}, digits=2) == {"a": [1.23, [3]]}


def test_missing_data_says_where_it_was_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANONYFACE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="ANONYFACE_DATA"):
        data_path("lfw-dev.zip")
