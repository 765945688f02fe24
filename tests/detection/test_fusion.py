"""Several looks become one list of faces: what they agree on, however the image was turned."""

from __future__ import annotations

import numpy as np
import pytest

from anonyface.detection.fusion import Sightings, fuse, join
from anonyface.detection.passes import Window
from anonyface.detection.retinaface import _view, to_image

HW = (200, 300)
BOX = (100.0, 50.0, 140.0, 100.0)


def look(sight: int, *, turns: int = 0) -> Window:
    return Window(0, 0, 300, 200, (300, 200), sight=sight, turns=turns)


def seen(*rows: tuple[tuple[float, ...], float, int]) -> Sightings:
    boxes = np.array([r[0] for r in rows], np.float32).reshape(-1, 4)
    points = np.repeat(boxes[:, None, :2], 5, axis=1)
    scores = np.array([r[1] for r in rows], np.float32)
    return Sightings(boxes, points, scores, np.array([r[2] for r in rows], np.intp))


def test_nothing_seen_is_nothing_found() -> None:
    assert len(fuse(seen(), [look(0), look(1)], HW).scores) == 0
    assert len(fuse(seen(), [look(0)], HW).scores) == 0


def test_one_look_keeps_its_score() -> None:
    found = fuse(seen((BOX, 0.07, 0)), [look(0)], HW)
    np.testing.assert_allclose(found.scores, [0.07], atol=1e-5)
    np.testing.assert_allclose(found.boxes, [BOX])


def test_looks_that_agree_beat_one_that_is_alone() -> None:
    other = (200.0, 50.0, 240.0, 100.0)
    found = fuse(seen((BOX, 0.8, 0), (BOX, 0.8, 1), (other, 0.95, 1)), [look(0), look(1)], HW)
    np.testing.assert_allclose(found.boxes, [BOX, other])
    np.testing.assert_allclose(found.scores[0], 0.8, atol=1e-3)
    assert 0.2 < found.scores[1] < 0.7


def test_a_look_that_could_not_see_a_face_whole_has_no_vote() -> None:
    half = Window(120, 0, 300, 200, (180, 200), sight=1)
    found = fuse(seen((BOX, 0.8, 0)), [look(0), half], HW)
    np.testing.assert_allclose(found.scores, [0.8], atol=1e-3)


def test_boxes_of_one_face_are_averaged_and_parts_are_not() -> None:
    shifted, part = (102.0, 50.0, 142.0, 100.0), (105.0, 55.0, 120.0, 75.0)
    found = fuse(seen((BOX, 0.9, 0), (shifted, 0.9, 1), (part, 0.5, 1)), [look(0), look(1)], HW)
    np.testing.assert_allclose(found.boxes, [[101, 50, 141, 100]])


def test_turned_looks_do_not_outvote_upright_ones() -> None:
    looks = [look(0), look(1, turns=1), look(2, turns=2)]
    upright = fuse(seen((BOX, 0.9, 0)), looks, HW)
    lying = fuse(seen((BOX, 0.9, 1), (BOX, 0.3, 0)), looks, HW)
    for found in (upright, lying):
        np.testing.assert_allclose(found.scores, [0.9], atol=1e-3)


def test_who_lies_among_standing_people_must_convince_more() -> None:
    looks = [look(0), look(1, turns=1)]
    standing = [((200.0, y, 230.0, y + 40), 0.9, 0) for y in (10.0, 70.0)]
    found = fuse(seen(*standing, (BOX, 0.9, 1)), looks, HW)
    np.testing.assert_allclose(found.scores, [0.9, 0.9, 0.549], atol=1e-3)
    np.testing.assert_allclose(found.boxes[2], BOX)


def test_join_keeps_everything() -> None:
    both = join([seen((BOX, 0.9, 0)), seen(), seen((BOX, 0.3, 1))])
    assert both.scores.tolist() == pytest.approx([0.9, 0.3])
    assert both.sights.tolist() == [0, 1]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_what_is_found_in_a_view_is_turned_back(turns: int, mirrored: bool) -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[60:90, 150:170] = 255
    window = Window(100, 20, 300, 180, (400, 320), mirrored=mirrored, turns=turns)
    rows, columns = np.nonzero(_view(image, window)[:, :, 0] > 127)
    x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1], [x0, y0]], np.float32)
    boxes, points = to_image(np.array([[x0, y0, x1, y1]], np.float32), corners[None], window)
    np.testing.assert_allclose(boxes, [[150, 60, 170, 90]], atol=1)
    np.testing.assert_allclose(points[0].min(axis=0), [150, 60], atol=1)
    np.testing.assert_allclose(points[0].max(axis=0), [170, 90], atol=1)
    if mirrored and not turns:  # left and right change places
        np.testing.assert_allclose(points[0, :2], [[150, 60], [170, 60]], atol=1)
