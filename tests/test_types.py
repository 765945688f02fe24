"""The data types refuse wrong shapes and can't be changed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from anonyface.config import Config
from anonyface.errors import AnonyfaceError, FaceError, InputError, WeightsError, WeightsMissing
from anonyface.types import Face, Mesh


def test_shapes_are_checked_and_named() -> None:
    with pytest.raises(ValueError, match=r"box must have shape \(4,\), got \(5,\)"):
        Face(np.zeros(5), np.zeros((5, 2)), 1.0)
    with pytest.raises(ValueError, match="landmarks must have shape"):
        Face(np.zeros(4), np.zeros((4, 2)), 1.0)
    with pytest.raises(ValueError, match="points must have shape"):
        Mesh(np.zeros((478, 3)), 1.0)


def test_a_face_keeps_its_own_copy() -> None:
    box = np.array([0.0, 0.0, 4.0, 3.0])
    face = Face(box, np.zeros((5, 2)), 1.0)
    box[:] = 9
    assert face.size == 4
    with pytest.raises(ValueError, match="read-only"):
        face.box[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        face.score = 0.5  # type: ignore[misc]


def test_the_seed_does_not_leave_the_settings() -> None:
    assert Config(seed=12345).as_dict()["seed"] == "given"
    assert Config().as_dict()["seed"] == "fresh"


@pytest.mark.parametrize("threads", [-1, 1.5])
def test_threads_are_checked(threads: object) -> None:
    with pytest.raises(InputError):
        Config(threads=threads)  # type: ignore[arg-type]


def test_the_error_tree() -> None:
    assert issubclass(InputError, AnonyfaceError)
    assert issubclass(InputError, ValueError)
    assert issubclass(WeightsMissing, WeightsError)
    error = FaceError("no", stage="swapping")
    assert (error.stage, error.face, str(error)) == ("swapping", None, "swapping: no")


def test_an_input_error_is_one_printable_line() -> None:
    assert str(InputError("a\nb\x1b[31m\x85.jpg")) == r"a\nb\x1b[31m\x85.jpg"
    assert str(InputError("Zoë 写真.jpg")) == "Zoë 写真.jpg"
