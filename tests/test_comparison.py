"""Panels to compare a photo before and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anonyface.comparison import (
    GAP_PX,
    GROUND,
    HEADER_PX,
    OUTLINE,
    side_by_side,
    triple,
    write_comparison,
)
from anonyface.errors import InputError
from anonyface.result import AnonymizeResult

Picture = NDArray[np.uint8]
SHAPE = (90, 120, 3)


@pytest.fixture
def before() -> Picture:
    return np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


@pytest.fixture
def after(before: Picture) -> Picture:
    out = before.copy()
    out[30:60, 40:70] = np.clip(out[30:60, 40:70].astype(int) + 9, 0, 255)
    return out


def panel(sheet: Picture, number: int, size_hw: tuple[int, ...] = SHAPE[:2]) -> Picture:
    x = GAP_PX + number * (size_hw[1] + GAP_PX)
    return sheet[HEADER_PX : HEADER_PX + size_hw[0], x : x + size_hw[1]]


def test_two_panels_show_the_pictures_bit_by_bit(before: Picture, after: Picture) -> None:
    sheet = side_by_side(before, after)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (90 + HEADER_PX + GAP_PX, 2 * 120 + 3 * GAP_PX, 3)
    np.testing.assert_array_equal(panel(sheet, 0), before)
    np.testing.assert_array_equal(panel(sheet, 1), after)
    for start in (GAP_PX, 2 * GAP_PX + 120):  # each has a name above it
        header = sheet[:HEADER_PX, start : start + 120]
        assert 0.005 < (header.mean(axis=2) < 128).mean() < 0.5


def test_the_third_panel_is_the_difference(before: Picture, after: Picture) -> None:
    sheet = triple(before, after)
    assert sheet.shape[1] == 3 * 120 + 4 * GAP_PX
    np.testing.assert_array_equal(panel(sheet, 1), after)
    wanted = np.clip(4 * np.abs(before.astype(int) - after), 0, 255)
    np.testing.assert_array_equal(panel(sheet, 2), wanted)
    assert panel(sheet, 2)[31, 41].any()
    assert not panel(sheet, 2)[:30].any()


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_third_panel_shows_who_was_put_on(count: int, before: Picture, after: Picture) -> None:
    colours = np.random.default_rng(count).integers(0, 200, (count, 3))
    portraits = [np.full((64, 64, 3), c, np.uint8) for c in colours]
    people = panel(triple(before, after, portraits=portraits), 2)
    areas = [(people == c).all(axis=2).sum() for c in colours]
    assert min(areas) == max(areas)  # all of them, equally large
    assert min(areas) * count > 0.3 * people.shape[0] * people.shape[1]
    rest = ~np.any([(people == c).all(axis=2) for c in colours], axis=0)
    assert (people[rest] == GROUND).all()


def test_no_portrait_says_so(before: Picture) -> None:
    people = panel(triple(before, before, portraits=[]), 2)
    assert 0.005 < (people.mean(axis=2) < 128).mean() < 0.2


def test_more_people_than_pixels_is_no_crash() -> None:
    tiny = np.zeros((2, 2, 3), np.uint8)
    assert triple(tiny, tiny, portraits=[tiny] * 50).dtype == np.uint8


def test_boxes_and_outlines_are_drawn_in_both(before: Picture, after: Picture) -> None:
    was = before.copy()
    box, outline = np.array([10, 20, 50, 80]), np.array([[90, 10], [110, 30], [70, 30]], float)
    sheet = side_by_side(before, after, outlines=[box, outline])
    for number in (0, 1):
        marked = (panel(sheet, number) == OUTLINE).all(axis=2)
        assert marked[20, 12:48].all()
        assert marked[80, 12:48].all()
        assert marked[22:78, 10].all()
        assert marked[22:78, 50].all()
        assert marked[30, 72:108].all()
        assert not marked[40:60, 20:40].any()
    side_by_side(before, after, outlines=[np.array([-1e300, 0, 1e300, 9])])
    np.testing.assert_array_equal(before, was)  # the photo itself is not drawn into


def test_large_photos_are_shrunk_and_lines_with_them() -> None:
    large = np.zeros((400, 800, 3), np.uint8)
    sheet = side_by_side(large, large, outlines=[np.array([100, 100, 500, 300])], panel_px=200)
    marked = (panel(sheet, 0, (100, 200)) == OUTLINE).all(axis=2)
    rows, columns = np.nonzero(marked)
    np.testing.assert_allclose([rows.min(), rows.max()], [25, 75], atol=2)
    np.testing.assert_allclose([columns.min(), columns.max()], [25, 125], atol=2)
    whole = side_by_side(large, large, panel_px=0)
    assert whole.shape[1] == 2 * 800 + 3 * GAP_PX


BAD: dict[str, tuple[Callable[[Picture], object], str]] = {
    "another size": (lambda p: side_by_side(p, p[:-1]), "differ in size"),
    "grey": (lambda p: side_by_side(p[..., 0], p[..., 0]), "before must be"),
    "floats": (lambda p: triple(p, p / 255), "after must be"),
    "empty": (lambda p: side_by_side(p[:0], p[:0]), "before must be"),
    "half an outline": (lambda p: side_by_side(p, p, outlines=[np.zeros(3)]), "outline"),
    "no place": (lambda p: side_by_side(p, p, outlines=[np.full(4, np.nan)]), "outline"),
    "grey portrait": (lambda p: triple(p, p, portraits=[p[..., 0]]), "portrait 0"),
    "negative side": (lambda p: side_by_side(p, p, panel_px=-1), "panel_px"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_pictures_are_refused_in_one_line(kind: str, before: Picture) -> None:
    call, problem = BAD[kind]
    with pytest.raises(InputError, match=problem) as error:
        call(before)
    assert "\n" not in str(error.value)


def test_a_result_can_be_shown(scene: Picture, result: AnonymizeResult) -> None:
    boxes = [outcome.face.box for outcome in result.faces]
    portraits = [outcome.identity.pixels for outcome in result.faces if outcome.identity]
    assert portraits
    sheet = triple(scene, result.image, portraits=portraits, outlines=boxes)
    assert sheet.shape[1] == 3 * scene.shape[1] + 4 * GAP_PX


def test_it_is_written_into_a_folder_and_replaces_nothing(
    tmp_path: Path, scene: Picture, result: AnonymizeResult
) -> None:
    Image.fromarray(scene).save(tmp_path / "street.png")
    folder = tmp_path / "new" / "folder"
    first, second = (write_comparison(tmp_path / "street.png", result, folder) for _ in range(2))
    assert (first.name, second.name) == ("street.compare.jpg", "street.compare-2.jpg")
    with Image.open(first) as picture:
        assert picture.width == 3 * scene.shape[1] + 4 * GAP_PX
        shown = panel(np.asarray(picture), 0, scene.shape[:2]).astype(int)
    unmarked = np.abs(shown - scene).max(axis=2)
    assert np.median(unmarked) < 4  # a JPEG of the photo as it was


def test_a_photo_that_is_another_one_now_is_refused(
    tmp_path: Path, result: AnonymizeResult
) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "street.png")
    with pytest.raises(InputError, match="differ in size"):
        write_comparison(tmp_path / "street.png", result, tmp_path)
