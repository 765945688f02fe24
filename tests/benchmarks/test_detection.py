"""The detection benchmark: scores known by hand, misses and empty photos, rules of sheets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonyface.types import Face
from benchmarks.contract import ROOT, Asked
from benchmarks.detection import asked_rows, plain_figures, with_earlier
from benchmarks.detection_peers import above, pack, plain, product
from benchmarks.detection_people import Person, class_of, person_figures, utkface_person
from benchmarks.detection_score import (
    Found,
    average_precision,
    curve,
    figures,
    matches,
    recall,
    taken_at,
    turned_boxes,
    without_agreed,
)
from benchmarks.detection_sheets import DetectionSheets
from benchmarks.records import build_record, check_record, write_record

BOXES = np.array([[0, 0, 10, 10], [50, 0, 90, 60]], np.float32)
NONE = Found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


def found(*rows: tuple[float, float, float, float, float]) -> Found:
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Found(table[:, :4], table[:, 4])


def test_the_best_detection_takes_the_face_and_a_double_is_false() -> None:
    both = found((0, 0, 10, 9, 0.5), (0, 0, 10, 10, 0.9), (200, 0, 210, 10, 0.8))
    assert matches(both, BOXES, 0.4).tolist() == [-1, 0, -1]
    assert matches(both, BOXES[:0], 0.4).tolist() == [-1, -1, -1]


def test_a_perfect_detector_and_one_that_finds_nothing() -> None:
    perfect = Found(BOXES, np.array([0.9, 0.8], np.float32))
    assert average_precision(curve([perfect], [BOXES], 0.5)) == 1
    empty = curve([NONE], [BOXES], 0.5)
    assert average_precision(empty) == 0
    assert recall(empty, taken_at(empty, 1))["all"].hits == 0
    assert recall(empty, 0)["all"].of == 2


def test_a_photo_without_a_find_counts_as_misses() -> None:
    perfect = Found(BOXES, np.array([0.9, 0.8], np.float32))
    of = curve([perfect, NONE], [BOXES, BOXES], 0.5)
    assert average_precision(of) == pytest.approx(0.5)
    assert recall(of, taken_at(of, 0.1))["all"].value == 0.5


def test_false_positives_that_are_surer_cost_precision_and_recall() -> None:
    rows = found((300, 0, 310, 10, 0.95), (300, 50, 310, 60, 0.94), (0, 0, 10, 10, 0.9))
    of = curve([rows], [BOXES], 0.5)
    assert average_precision(of) == pytest.approx(1 / 3 / 2)
    assert taken_at(of, 1) == 1
    assert taken_at(of, 2) == 3
    assert recall(of, 1)["all"].hits == 0


def test_what_another_detector_sees_as_well_is_left_out_but_not_doubles() -> None:
    marked, unmarked, mistake = [0, 0, 50, 50], [100, 0, 150, 50], [200, 0, 250, 50]
    boxes = np.array([marked, [1, 1, 51, 51], unmarked, mistake], np.float32)
    found = Found(boxes, np.array([0.9, 0.8, 0.7, 0.6], np.float32))
    other = Found(boxes[[0, 2]], np.ones(2, np.float32))
    (rest,) = without_agreed([found], [boxes[:1]], [other], 0.4)
    assert rest.scores.tolist() == pytest.approx([0.9, 0.8, 0.6])
    nobody = Found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    (same,) = without_agreed([found], [boxes[:1]], [nobody], 0.4)
    assert len(same.scores) == 4


def test_recall_by_height() -> None:
    got = recall(curve([found((50, 0, 90, 60, 0.9))], [BOXES], 0.5), 1)
    assert (got["<32 px"].hits, got["<32 px"].of) == (0, 1)
    assert (got["32-96 px"].hits, got["32-96 px"].of) == (1, 1)
    assert ">96 px" not in got


def test_figures_go_into_a_record() -> None:
    out = {"find": {"normal": figures([NONE], [BOXES], {"as used": 0.0})}}
    record = build_record(
        "detection", settings={}, counts={"photos": 1}, figures=plain_figures(out), asked=[]
    )
    check_record(record)
    assert record["figures"]["find"]["normal"]["iou 0.4"]["as used"]["recall"]["all"]["of"] == 2


def test_sections_measured_before_stay_unless_the_models_changed(tmp_path: Path) -> None:
    def run(section: str, value: float, manifest: str = "a") -> dict[str, Any]:
        asked = [Asked(section, value, ">=", 0.5)]
        figures = {section: {"value": value}}
        found = build_record(
            "detection", settings={}, counts={"set": 1}, figures=figures, asked=asked
        )
        return with_earlier({**found, "weights_manifest_sha256": manifest}, tmp_path)

    write_record(run("find", 0.4), tmp_path)
    write_record(run("time", 0.6), tmp_path)
    both = run("find", 0.7)
    assert both["figures"] == {"find": {"value": 0.7}, "time": {"value": 0.6}}
    assert {row["what"]: row["met"] for row in both["asked"]} == {"time": True, "find": True}
    assert set(both["counts"]["measured"]) == {"find", "time"}
    assert set(run("find", 0.7, "b")["figures"]) == {"find"}


def test_what_was_not_measured_is_not_asked() -> None:
    assert asked_rows({}) == []


@pytest.mark.parametrize("turns", range(4))
def test_boxes_turn_with_the_image(turns: int) -> None:
    image = np.zeros((40, 100), np.uint8)
    image[5:15, 20:50] = 1
    rows, columns = np.nonzero(np.rot90(image, turns))
    (box,) = turned_boxes(np.array([[20, 5, 50, 15]], np.float32), turns, image.shape)
    assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_contestants_see_the_same_faces(scene: np.ndarray) -> None:
    for contestant in (plain(1, 1), plain(2, 1), product("normal", 1)):
        everything, used = contestant.look(scene)
        assert len(used.scores) == 4
        assert len(everything.scores) >= 4
        assert len(above(everything, 2).scores) == 0


def test_sheets_stay_out_of_the_repository_and_show_misses(tmp_path: Path) -> None:
    sheets = DetectionSheets()
    sheets.add("a", np.full((80, 100, 3), 90, np.uint8), found((20, 20, 40, 40, 0.7)), BOXES, 0.5)
    assert {name: len(shown) for name, shown in sheets.kept.items()} == {
        "a false": 1,
        "a missed": 2,
    }
    with pytest.raises(ValueError, match="repository"):
        sheets.write(ROOT / "docs")
    assert set(sheets.write(tmp_path)) == {"a false", "a missed"}
    assert len(list(tmp_path.glob("*.png"))) == 2


def test_who_is_not_read_is_wrong() -> None:
    read = Person(True, "Black", 2, 40.0, read_female=True, read_years=50.0)
    missed = utkface_person("40_1_1_x.jpg")
    out = person_figures([read, missed])
    assert out["not_read"] == 1
    assert (out["gender"].hits, out["gender"].of) == (1, 2)
    assert out["age_class_by_group"]["Black female"].hits == 1
    assert out["age_error_years"] == {"mean": 10.0, "of": 1}
    assert [class_of(y) for y in (0, 9.9, 10, 59, 60)] == [0, 0, 1, 2, 3]


def test_pack_of_nothing() -> None:
    assert pack([]).boxes.shape == (0, 4)
    assert pack([Face(BOXES[0], np.zeros((5, 2), np.float32), 0.5)]).scores.tolist() == [0.5]
