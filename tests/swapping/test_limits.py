"""No highlight, hole or colour on the new face that the photo's light would not give it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.landmarks import topology as topo
from anonyface.landmarks.skin import to_lab
from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.limits import (
    COLDER,
    FOOTROOM,
    GREY_TINT,
    OVERSHOOT,
    YELLOWER,
    limit_casts,
    limit_colours,
    limit_shadows,
)
from anonyface.swapping.mask import Regions, fill_polygon
from anonyface.types import FloatArray, Identity, Mesh

from .faces import SIDE, disc, opened, piece


def rgb(*colour: float) -> FloatArray:
    return np.full((4, 4, 3), colour, np.float32)


SKIN, GREY_SKIN = to_lab(rgb(190, 140, 115))[0, 0], to_lab(rgb(150, 150, 150))[0, 0]


def chroma(image: FloatArray) -> float:
    return float(np.hypot(*to_lab(image)[0, 0, 1:]))


def test_a_tongue_stays_red_and_teeth_do_not_take_a_colour() -> None:
    opening = np.zeros((4, 4), np.float32)
    tongue, teeth, cyan = rgb(150, 70, 70), rgb(215, 205, 195), rgb(120, 230, 235)
    kept = limit_casts(tongue, SKIN, opening, to_lab(tongue), SKIN, 1 - opening)
    assert chroma(kept) > 0.6 * chroma(tongue)
    white = limit_casts(cyan, SKIN, opening, to_lab(teeth), SKIN, 1 - opening)
    assert chroma(white) < 0.6 * chroma(cyan)


def test_what_is_grey_turns_no_colder_than_grey_but_blue_eyes_stay_blue() -> None:
    eye = np.zeros((4, 4), np.float32)
    greenish, white, blue = rgb(165, 185, 180), rgb(225, 200, 185), rgb(90, 110, 150)
    around, iris = (
        to_lab(limit_casts(new, SKIN, eye, to_lab(portrait), SKIN, eye))[0, 0]
        for new, portrait in ((greenish, white), (blue, blue))
    )
    grey = GREY_TINT * SKIN[1:]
    assert to_lab(greenish)[0, 0, 1] < grey[0] - 10
    assert (around[1:] >= grey - COLDER - 0.5).all()  # Lab there and back
    assert iris[2] < -8


@pytest.mark.parametrize("colour", [(40, 150, 40), (120, 115, 60), (110, 90, 190)])
def test_teeth_that_are_green_olive_or_purple_in_the_portrait_are_not(
    colour: tuple[int, int, int],
) -> None:
    mouth = np.ones((4, 4), np.float32)
    teeth = rgb(*colour)
    seen = to_lab(limit_casts(teeth, SKIN, mouth, to_lab(teeth), SKIN, mouth))[0, 0, 1:]
    grey = GREY_TINT * SKIN[1:]
    assert grey[0] - 0.5 <= seen[0]
    assert grey[1] - COLDER - 0.5 <= seen[1] <= seen[0] + YELLOWER + 0.5


def test_a_green_mouth_of_a_portrait_is_not_put_on(
    people: list[NDArray[np.uint8]], meshes: list[Mesh]
) -> None:
    crop, mesh = piece(people, meshes)
    mesh, shouting, pixels = opened(mesh, 0.4), opened(meshes[1], 0.4), people[1].copy()
    pixels[fill_polygon(shouting.points[topo.LIPS_INNER, :2], pixels.shape[:2]) > 0] = (40, 150, 40)
    identity = Identity(
        pixels, shouting, np.zeros(512), "female", 30.0, np.eye(128)[0], seed=1, source="test"
    )
    new = MeshSwapper()(crop, mesh, identity).pixels
    inside = fill_polygon(mesh.points[topo.LIPS_INNER, :2], new.shape[:2])
    inside = cv2.erode(inside, np.ones((3, 3), np.uint8)) > 0
    assert inside.sum() > 50
    assert np.percentile(to_lab(new)[inside][:, 1], 10) > -2


def features(darkest: float) -> FloatArray:
    """Skin, and on it what is dark: brows and eyes."""
    out = np.full((SIDE, SIDE, 3), 180, np.float32)
    out[50:60, 30:90] = darkest
    return out


@pytest.mark.parametrize("darkest", [60.0, 20.0])
def test_eyes_are_no_holes_in_a_photo_without_black(darkest: float) -> None:
    core, none = disc(50), np.zeros((SIDE, SIDE), np.float32)
    regions = Regions(edge=none, soft=core, core=core, band=1 - core, bare=none)
    out = limit_shadows(features(darkest), features(60), core, regions)
    limit = FOOTROOM * 60
    np.testing.assert_array_equal(out[core == 0], features(darkest)[core == 0])
    if darkest > limit:
        np.testing.assert_allclose(out, features(darkest), atol=1e-3)
    else:
        wanted = darkest + (1 - OVERSHOOT) * (limit - darkest)
        assert out[55, 60].mean() == pytest.approx(wanted, abs=0.5)


def test_in_a_black_and_white_photo_a_tongue_is_grey() -> None:
    tongue = rgb(150, 70, 70)
    mouth = np.ones((4, 4), np.float32)
    grey = limit_casts(tongue, GREY_SKIN, 1 - mouth, to_lab(tongue), SKIN, mouth)
    assert chroma(grey) < 16


def test_skin_keeps_its_colour() -> None:
    red = rgb(220, 120, 110)
    bare = np.ones((4, 4), np.float32)
    out = limit_casts(red, SKIN, bare, to_lab(red), SKIN, 1 - bare)
    np.testing.assert_array_equal(out, red)


def test_skin_is_no_more_blotched_than_the_photo() -> None:
    """White spots on red skin become cyan by the gain that makes it pale: that is damped."""
    where = disc(40)
    old = np.broadcast_to(np.float32([190, 160, 150]), (SIDE, SIDE, 3)).copy()
    new = old.copy()
    new[50:54, 50:54] = (190, 230, 230)
    out = limit_colours(new, old, where, where, 100)
    spot = (slice(50, 54), slice(50, 54))
    before, after = (np.abs(to_lab(x)[spot] - to_lab(old)[spot]) for x in (new, out))
    assert after[..., 1:].mean() < 0.5 * before[..., 1:].mean()
    np.testing.assert_allclose(after[..., 0], before[..., 0], atol=0.5)  # a light spot it stays
    np.testing.assert_array_equal(limit_colours(old, new, where, where, 100), old)
    kept = limit_colours(new, old, where, 0 * where, 100)  # an eye, a mouth
    np.testing.assert_allclose(kept, new, atol=0.5)
