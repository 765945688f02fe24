"""Scenes and the line through their times."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.scenes import make_group
from benchmarks.speed import slope


def test_slope_of_a_line() -> None:
    assert slope([1, 3, 6, 12], [0.5, 0.9, 1.5, 2.7]) == pytest.approx((0.2, 0.3))


def test_slope_needs_two_places() -> None:
    with pytest.raises(ValueError, match="two different"):
        slope([3, 3], [1, 2])


def test_a_scene_has_its_size_and_its_seed() -> None:
    portraits = [np.full((64, 64, 3), 200, np.uint8)] * 3
    scene = make_group(portraits, (320, 200), 40, seed=1)
    assert scene.shape == (200, 320, 3)
    assert scene.dtype == np.uint8
    assert np.array_equal(scene, make_group(portraits, (320, 200), 40, seed=1))
    assert not np.array_equal(scene, make_group(portraits, (320, 200), 40, seed=2))


def test_faces_that_do_not_fit_are_an_error() -> None:
    portraits = [np.zeros((64, 64, 3), np.uint8)] * 12
    with pytest.raises(ValueError, match="do not fit"):
        make_group(portraits, (320, 200), 120, seed=1)
