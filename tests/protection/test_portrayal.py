"""Both encoders on one face."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.detection.faces import FaceFinder
from anonyface.errors import FaceError
from anonyface.protection.portrayal import Portrayal, Portrayer, resemblance

Picture = NDArray[np.uint8]


def test_both_encoders_tell_people_apart(
    finder: FaceFinder, portray: Portrayer, portraits: list[Picture]
) -> None:
    faces = [portray(p, finder(p)[0].landmarks) for p in portraits]
    mirrored = portraits[0][:, ::-1].copy()
    again = portray(mirrored, finder(mirrored)[0].landmarks)
    first = np.stack([f.first for f in faces])
    second = np.stack([f.second for f in faces if f.second is not None])
    score, both = resemblance(first, second, again)
    assert both.all()
    assert score[0] > 0.8
    assert (score[2:] < 0.6).all()
    # The first two look alike, less than one person does.
    assert score[1] < 0.7


def test_what_is_known_is_not_read_again(
    finder: FaceFinder, portraits: list[Picture], axes: NDArray[np.float32]
) -> None:
    def never(image: Picture, landmarks: NDArray[np.float32], /) -> NDArray[np.float32]:
        raise AssertionError("known already")

    portray = Portrayer(never, threads=1)
    landmarks = finder(portraits[0])[0].landmarks
    known = portray(portraits[0], landmarks, first=axes[0])
    np.testing.assert_array_equal(known.first, axes[0])
    assert known.second is not None


def test_no_model_is_loaded_before_it_is_needed() -> None:
    portray = Portrayer(threads=1)
    assert not {"first", "second"} & set(vars(portray))


def test_a_face_only_the_first_can_read_is_told_by_the_first(axes: NDArray[np.float32]) -> None:
    def fails(image: Picture, landmarks: NDArray[np.float32], /) -> NDArray[np.float32]:
        raise FaceError("no", stage="verification")

    portray = Portrayer(lambda image, landmarks, /: axes[0])
    vars(portray)["second"] = fails
    blank, points = np.zeros((9, 9, 3), np.uint8), np.zeros((5, 2), np.float32)
    assert portray(blank, points).second is None
    with pytest.raises(FaceError):
        Portrayer(fails)(blank, points)


def test_one_encoder_is_not_mixed_with_two(axes: NDArray[np.float32]) -> None:
    nan = np.full((1, 128), np.nan, np.float32)
    second = np.concatenate([axes[1:2], nan])
    score, both = resemblance(axes[[0, 0]], second, Portrayal(axes[0], axes[2]))
    assert both.tolist() == [True, False]
    assert score.tolist() == pytest.approx([0.5, 1])
    score, both = resemblance(axes[:0], axes[:0], Portrayal(axes[0], axes[2]))
    assert len(score) == len(both) == 0
