"""The rules of the coverage benchmark: they must catch a face left as it was, and a stray pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.result import FaceOutcome
from anonyface.types import Action, Face
from benchmarks.contact_sheet import TILE_PX, check_folder, crop_pair, write_sheets
from benchmarks.contract import ROOT
from benchmarks.coverage import changed_outside, core_change

Image = NDArray[np.uint8]
BOX = np.array([40, 40, 60, 60], np.float32)


def outcome(action: Action = "replaced") -> FaceOutcome:
    return FaceOutcome(Face(BOX, np.zeros((5, 2), np.float32), 0.9), action, "")


@pytest.fixture
def photo() -> Image:
    return np.full((100, 100, 3), 90, np.uint8)


def test_nothing_done_is_no_change_in_the_core(photo: Image) -> None:
    assert core_change(photo, photo.copy(), BOX) == 0


def test_a_change_around_the_core_only_does_not_count(photo: Image) -> None:
    after = photo.copy()
    after[40:60, 40:60] += 50
    after[44:56, 44:56] -= 50
    assert core_change(photo, after, BOX) == 0


def test_a_core_outside_the_photo_is_none(photo: Image) -> None:
    assert core_change(photo, photo, np.array([-30, 0, -10, 20], np.float32)) is None


def test_a_pixel_beside_the_face_is_caught(photo: Image) -> None:
    after = photo.copy()
    after[50, 50] += 1
    after[50, 70, 2] += 1
    found = changed_outside(photo, after, (outcome(),))
    assert np.argwhere(found).tolist() == [[50, 70]]


def test_a_kept_face_must_not_change(photo: Image) -> None:
    after = photo.copy()
    after[50, 50] += 1
    assert changed_outside(photo, after, (outcome("kept"),)).sum() == 1


def test_sheets_stay_out_of_the_repository() -> None:
    with pytest.raises(ValueError, match="repository"):
        check_folder(ROOT / "docs" / "sheets")


def test_sheets_hold_24_faces(photo: Image, tmp_path: Path) -> None:
    pair = crop_pair(photo, photo, outcome().face)
    assert pair.shape == (TILE_PX, 2 * TILE_PX, 3)
    assert write_sheets([pair] * 25, tmp_path, "faces") == 2
    assert len(list(tmp_path.glob("faces-*.png"))) == 2
    assert write_sheets([], tmp_path, "none") == 0
