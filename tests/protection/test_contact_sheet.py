"""The sheet that shows what is going to happen."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.contact_sheet import (
    GAP_PX,
    KEPT,
    REPLACED,
    TILE_PX,
    UNSURE,
    crop_sheet,
    describe,
    review_sheet,
    verdict,
)
from anonyface.protection.photos import SeveralFaces
from anonyface.protection.selection import Decision
from anonyface.result import Match

from .made import face

IMAGE = np.random.default_rng(1).integers(0, 256, (400, 600, 3)).astype(np.uint8)
FACES = [
    face(10, 10, 80),
    face(150, 60, 200),
    face(420, 20, 40),
    face(300, 330, 300),
    face(0, 0, 1),
]
MAYBE = Match("unsure", 0.6, "Anna", 0.62, 0.58, 1e-3)
DECISIONS = [
    Decision(False, ""),
    Decision(True, "protected person (similarity 0.81)", Match("keep", 0.81, "A", 0.6, 0.5, 1e-3)),
    Decision(False, "might be a protected person (similarity 0.60, sure from 0.62)", MAYBE),
    Decision(True, "kept as asked"),
    Decision(False, "x" * 500),
]


def corner(sheet: NDArray[np.uint8], number: int) -> tuple[int, ...]:
    """Colour of the upper right corner of a tile's frame."""
    height = (sheet.shape[0] - GAP_PX) // 2
    x = GAP_PX + (number % 4) * (TILE_PX + GAP_PX) + TILE_PX - 2
    y = GAP_PX + (number // 4) * height + 1
    return tuple(sheet[y, x].tolist())


def test_every_face_has_a_tile_in_the_colour_of_its_decision() -> None:
    sheet = review_sheet(IMAGE, FACES, DECISIONS)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 4 * (TILE_PX + GAP_PX) + GAP_PX
    colours = [corner(sheet, k) for k in range(5)]
    assert colours == [REPLACED, KEPT, UNSURE, KEPT, REPLACED]
    assert corner(sheet, 5) not in (REPLACED, KEPT, UNSURE)


def test_the_picture_is_the_face() -> None:
    image = np.zeros((400, 600, 3), np.uint8)
    image[60:260, 150:310] = (10, 200, 250)
    sheet = review_sheet(image, [FACES[1]], [Decision(False, "")])
    middle = sheet[GAP_PX + TILE_PX // 2, GAP_PX + TILE_PX // 2]
    np.testing.assert_allclose(middle, (10, 200, 250), atol=3)


def test_the_numbers_differ() -> None:
    faces, decisions = [FACES[0]] * 12, [DECISIONS[0]] * 12
    sheet = review_sheet(IMAGE, faces, decisions)
    height = (sheet.shape[0] - GAP_PX) // 3
    labels = set()
    for k in range(12):
        x, y = GAP_PX + (k % 4) * (TILE_PX + GAP_PX), GAP_PX + (k // 4) * height
        labels.add(sheet[y : y + 36, x : x + 40].tobytes())
    assert len(labels) == 12


def test_the_faces_of_a_refused_reference_are_shown() -> None:
    error = SeveralFaces("group.jpg", FACES[:3], IMAGE)
    sheet = crop_sheet(error)
    assert sheet.shape[1] == 3 * (TILE_PX + GAP_PX) + GAP_PX
    assert sheet[GAP_PX : GAP_PX + TILE_PX].std() > 30


def test_no_face_is_said() -> None:
    sheet = review_sheet(IMAGE, [], [])
    assert sheet.std() > 0


def test_words_say_what_happens_and_why() -> None:
    assert [verdict(d) for d in DECISIONS[:4]] == ["replace", "keep", "unsure: replace", "keep"]
    assert verdict(Decision(True, "might be a protected person", MAYBE)) == "unsure: keep"
    assert verdict(Decision(True, "kept as asked", MAYBE)) == "keep"
    text = describe(FACES[2], DECISIONS[2])
    assert "Anna: 0.60, sure from 0.62, unsure from 0.58" in text
    assert "40 px" in text
    assert "kept as asked" in describe(FACES[3], DECISIONS[3])


def test_faces_and_decisions_belong_together() -> None:
    with pytest.raises(ValueError, match="zip"):
        review_sheet(IMAGE, FACES, DECISIONS[:2])
