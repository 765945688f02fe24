"""Which face of a result is the one that was replaced."""

from __future__ import annotations

import numpy as np

from anonyface.types import Face
from benchmarks.lfw import face_there, is_sure
from benchmarks.privacy import tars


def face(x0: float, y0: float, x1: float, y1: float, score: float = 0.9) -> Face:
    return Face(np.array([x0, y0, x1, y1]), np.zeros((5, 2), np.float32), score)


def test_the_face_in_place_counts_not_the_larger_one_beside() -> None:
    original, there, beside = face(10, 10, 30, 30), face(12, 9, 31, 32), face(40, 0, 99, 60)
    assert face_there([beside, there], original) is there


def test_nobody_there() -> None:
    assert face_there([face(40, 0, 99, 60)], face(10, 10, 30, 30)) is None
    assert face_there([], face(0, 0, 9, 9)) is None
    assert face_there([face(0, 0, 9, 9)], None) is None


def test_a_suspicion_is_not_sure() -> None:
    assert is_sure(face(0, 0, 9, 9))
    assert not is_sure(face(0, 0, 9, 9, score=0.3))
    assert not is_sure(None)


def test_not_found_is_counted_both_ways() -> None:
    found = tars({"A',B": np.array([1.0, -4.0, np.nan, 0.9])}, 0.5)
    assert (found["A',B"].hits, found["A',B"].of) == (2, 4)
    assert found["A',B, not found counts as recognised"].hits == 3
    assert "A',B, not found counts as recognised" not in tars({"A',B": np.array([1.0])}, 0.5)
