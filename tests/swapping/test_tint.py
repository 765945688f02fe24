"""Photos in one ink get new faces in that ink."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.landmarks.skin import to_lab
from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.tint import MOST_OFF, find_tint, grey
from anonyface.types import Crop, Identity, Mesh

from .faces import core_of, piece

Image = NDArray[np.uint8]
PAPER, SEPIA = (1.0, 1.0, 1.0), (1.0, 0.86, 0.66)


def printed(pixels: Image, ink: tuple[float, float, float]) -> Image:
    """A picture without colours on paper of some colour."""
    luma = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)
    return np.round(luma[..., None] * np.array(ink, np.float32)).astype(np.uint8)


@pytest.mark.parametrize("ink", [PAPER, SEPIA])
@pytest.mark.parametrize("quality", [100, 70])
def test_one_ink_is_told_from_colours(
    people: list[Image], ink: tuple[float, float, float], quality: int
) -> None:
    for person in people:
        small = np.asarray(cv2.resize(person, (200, 200), interpolation=cv2.INTER_AREA), np.uint8)
        assert find_tint(small) is None
        file = cv2.imencode(".jpg", printed(small, ink), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        assert find_tint(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)) is not None


def test_a_few_pixels_tell_nothing() -> None:
    assert find_tint(np.zeros((3, 5, 3), np.uint8)) is None


@pytest.mark.parametrize("ink", [PAPER, SEPIA])
def test_a_new_face_has_the_ink_of_the_photo(
    people: list[Image], meshes: list[Mesh], ink: tuple[float, float, float]
) -> None:
    crop, mesh = piece(people, meshes)
    crop = Crop(printed(crop.pixels, ink), crop.matrix)
    portrait = np.asarray(people[1])
    # Red light from one side: its colours must not become lightness of other places either.
    portrait = np.clip(portrait * np.array([1.2, 0.8, 0.8]), 0, 255).astype(np.uint8)
    assert find_tint(portrait) is None
    identity = Identity(
        portrait, meshes[1], np.zeros(512), "male", 30.0, np.eye(128)[0], seed=1, source="test"
    )
    patch = MeshSwapper()(crop, mesh, identity)
    core = core_of(crop, mesh, patch)
    changed = np.abs(patch.pixels.astype(float) - crop.pixels)[core]
    assert changed.mean() > 3
    lab = to_lab(patch.pixels)[core]
    share = float(np.array([0.299, 0.587, 0.114]) @ ink)  # how much darker the ink is than a grey
    wanted = to_lab(printed((patch.pixels / share).clip(0, 255).astype(np.uint8), ink))[core]
    # Half the distance at which a photo counts as one in colours; grain has the photo's own.
    assert np.hypot(*(lab - wanted)[:, 1:].T).mean() < MOST_OFF / 2


def test_grey_is_grey_and_as_light() -> None:
    colours = np.random.default_rng(0).uniform(0, 255, (8, 8, 3)).astype(np.float32)
    out = grey(colours)
    np.testing.assert_array_equal(out[..., 0], out[..., 1])
    np.testing.assert_array_equal(out[..., 0], out[..., 2])
    luma = colours @ np.array([0.299, 0.587, 0.114], np.float32)
    np.testing.assert_allclose(out[..., 0], luma, atol=0.1)
