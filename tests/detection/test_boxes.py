"""Box arithmetic and suppression."""

from __future__ import annotations

import numpy as np

from anonyface.detection.boxes import area, group_overlapping, intersection, iou


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


def test_nothing_in_nothing_out() -> None:
    none = boxes()
    assert area(none).shape == (0,)
    assert iou(none, none).shape == (0, 0)
    assert group_overlapping(none, np.zeros(0, np.float32), iou=0.4).leaders.shape == (0,)


def test_areas_and_overlaps() -> None:
    a, b = boxes((0, 0, 4, 2), (3, 3, 1, 1)), boxes((2, 1, 6, 5))
    np.testing.assert_array_equal(area(a), [8, 0])
    np.testing.assert_array_equal(intersection(a, b), [[2], [0]])
    np.testing.assert_allclose(iou(a, b), [[2 / 22], [0]])


def test_the_better_of_two_overlapping_boxes_stays() -> None:
    found = boxes((0, 0, 10, 10), (1, 0, 11, 10), (30, 30, 40, 40))
    keep = group_overlapping(found, np.array([0.5, 0.9, 0.7], np.float32), iou=0.4).leaders
    assert keep.tolist() == [1, 2]


def test_a_part_of_a_face_is_not_a_second_face() -> None:
    found = boxes((0, 0, 100, 100), (0, 10, 60, 60))  # 0.3 IoU, but inside
    keep = group_overlapping(found, np.array([0.9, 0.8], np.float32), iou=0.4).leaders
    assert keep.tolist() == [0]


def test_a_small_face_on_a_big_ones_shirt_is_a_second_face() -> None:
    found = boxes((0, 0, 100, 100), (40, 80, 55, 95))
    keep = group_overlapping(found, np.array([0.9, 0.8], np.float32), iou=0.4).leaders
    assert keep.tolist() == [0, 1]
