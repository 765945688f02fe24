"""Cutting out and pasting back: the limit of what a swapper may change."""

from __future__ import annotations

import numpy as np
import pytest

from anonyface.errors import FaceError
from anonyface.swapping.crop import REACH, paste, within
from anonyface.types import Crop, Face, Patch

FACE = Face(np.array([60, 50, 100, 100]), np.full((5, 2), 75.0), 1.0)


def crop() -> tuple[Crop, tuple[slice, slice]]:
    """A crop of (120, 140) at x 20, y 10 of the image."""
    matrix = np.array([[1, 0, -20], [0, 1, -10]], dtype=np.float64)
    return Crop(np.zeros((120, 140, 3), np.uint8), matrix), (slice(10, 130), slice(20, 160))


def test_a_swapper_that_paints_everything_changes_only_the_reach_of_the_box() -> None:
    piece, window = crop()
    greedy = Patch(np.full((120, 140, 3), 200, np.uint8), np.ones((120, 140), np.float32))
    image = np.zeros((150, 200, 3), np.uint8)
    patch = within(greedy, FACE, piece)
    paste(image, patch, window)
    rows, columns = np.nonzero(image[..., 0])
    half_w, half_h = 20 * REACH, 25 * REACH
    assert abs(columns.min() - (80 - half_w)) <= 1
    assert abs(columns.max() + 1 - (80 + half_w)) <= 1
    assert abs(rows.min() - (75 - half_h)) <= 1
    assert abs(rows.max() + 1 - (75 + half_h)) <= 1
    # What is verified is what is pasted: beyond the reach the patch shows the crop.
    assert patch.pixels[0, 0].tolist() == [0, 0, 0]


def test_an_alpha_of_another_size_is_a_face_error() -> None:
    piece, _ = crop()
    with pytest.raises(FaceError, match="alpha"):
        within(Patch(piece.pixels, np.ones((5, 5), np.float32)), FACE, piece)
