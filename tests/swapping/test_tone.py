"""Contrast, colours of openings, and the liveliness of the edge."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.landmarks import topology as topo
from anonyface.landmarks.skin import to_lab
from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.mask import Regions
from anonyface.swapping.resolution import mix
from anonyface.swapping.tone import (
    COLDER,
    FOOTROOM,
    GREY_TINT,
    OVERSHOOT,
    YELLOWER,
    limit_casts,
    limit_colours,
    limit_shadows,
    match_contrast,
    match_rim,
)
from anonyface.types import FloatArray, Identity, Mesh
from benchmarks.utility_measures import edge_ring, gradient_energy

SIDE = 120


def disc(radius: float) -> FloatArray:
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    return np.asarray(np.hypot(x, y) < radius, np.float32)


def waves(strength: float) -> FloatArray:
    x = np.arange(SIDE, dtype=np.float32)
    row = 120 + strength * np.sin(x / 3)
    return np.broadcast_to(row[None, :, None], (SIDE, SIDE, 3)).astype(np.float32)


def test_contrast_is_that_of_the_face_whatever_lies_beside_it() -> None:
    """A black mask or a white wall beside the face is no contrast of the face."""
    where = disc(40)
    plain = match_contrast(waves(6), waves(6), where, 100)
    beside = waves(6) * disc(44)[..., None]
    np.testing.assert_allclose(plain[where > 0], waves(6)[where > 0], atol=1)
    np.testing.assert_allclose(match_contrast(waves(6), beside, where, 100), plain, atol=1)
    louder = match_contrast(waves(6), waves(8), where, 100)
    assert np.std(louder[where > 0]) == pytest.approx(np.std(waves(8)[where > 0]), rel=0.08)


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


def test_wrinkles_that_the_photo_has_not_fade_at_the_edge() -> None:
    out = match_rim(waves(20), waves(3), disc(45), 100)
    lively = np.abs(out - 120).mean(axis=(0, 2))
    assert lively[SIDE // 2 - 44 : SIDE // 2 - 38].mean() < 0.6 * 20 * 2 / np.pi
    middle = slice(SIDE // 2 - 8, SIDE // 2 + 8)
    assert np.abs(out - waves(20))[middle, middle].max() < 6


@pytest.mark.parametrize("strength", [(6, 9), (9, 8), (8, 8)])
def test_the_edge_is_as_lively_as_the_photo(strength: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    grain = (cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE)), (0, 0), 0.7) for _ in strength)
    old, new = (
        np.asarray(120 + s * g[..., None].repeat(3, axis=2), np.float32)
        for s, g in zip(strength, grain, strict=True)
    )
    alpha = np.asarray(cv2.GaussianBlur(disc(40), (0, 0), 4), np.float32)
    ring = edge_ring(alpha, np.ones((SIDE, SIDE), bool))
    mixed = mix(old, new, alpha)
    assert 0.8 < gradient_energy(mixed, ring) / gradient_energy(old, ring) < 1.25


def opened(mesh: Mesh, by: float) -> Mesh:
    """The same face, its lower lip lowered by a share of the mouth's width."""
    points = mesh.points.copy()
    width = np.ptp(points[topo.LIPS_OUTER, 0])
    points[[14, 87, 178, 88, 317, 402, 318, 17, 84, 181, 314, 405], 1] += by * width
    return Mesh(points, mesh.presence)


def test_a_mouth_open_much_wider_is_followed_more(
    people: list[NDArray[np.uint8]], meshes: list[Mesh]
) -> None:
    swapper = MeshSwapper()

    def share(by: float, portrait: float) -> float:
        own = opened(meshes[1], portrait)
        identity = Identity(
            people[1], own, np.zeros(512), "female", 30.0, np.eye(128)[0], seed=1, source="test"
        )
        return swapper.mouth_share(opened(meshes[1], by), identity)

    assert share(0.2, 0.2) == pytest.approx(swapper.mouth)
    assert share(0.5, 0.2) > 0.9
    shut = share(0.5, -0.05)
    assert shut == pytest.approx(swapper.mouth) or shut > 0.9  # shut only if the portrait's is
