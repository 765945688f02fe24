"""The data types refuse wrong shapes and can't be changed."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest

from anonyface.config import Config
from anonyface.errors import (
    AnonyfaceError,
    FaceError,
    InputError,
    NobodyLeft,
    WeightsCorrupt,
    WeightsError,
    WeightsMissing,
)
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


def through_a_pool(error: AnonyfaceError) -> AnonyfaceError:
    """What of an error raised in another process arrives in this one."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 -- pickled the line before
    assert isinstance(again, AnonyfaceError)
    return again


def test_errors_get_out_of_a_pool_of_processes_with_what_they_carry() -> None:
    face = Face(np.array([0.0, 0, 9, 9]), np.ones((5, 2)), 0.5)
    errors: list[AnonyfaceError] = [
        FaceError("no mesh", stage="landmarks", face=face),
        WeightsMissing("pool", Path("weights")),
        WeightsCorrupt("pool", Path("weights"), expected="a" * 64, actual="b" * 64),
        NobodyLeft([], 2),
        InputError("no photo"),
    ]
    for error in errors:
        again = through_a_pool(error)
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert again.__dict__.keys() == error.__dict__.keys()
    again = through_a_pool(errors[0])
    assert isinstance(again, FaceError)
    assert again.stage == "landmarks"
    assert again.face is not None
    assert again.face.score == 0.5
    again = through_a_pool(errors[2])
    assert isinstance(again, WeightsCorrupt)
    assert again.expected == "a" * 64


def test_an_input_error_is_one_printable_line() -> None:
    assert str(InputError("a\nb\x1b[31m\x85.jpg")) == r"a\nb\x1b[31m\x85.jpg"
    assert str(InputError("Zoë 写真.jpg")) == "Zoë 写真.jpg"
