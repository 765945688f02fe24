"""Each measure of utility on made-up input with a known answer."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.demo import make_people
from anonyface.detection.retinaface import RetinaFace
from anonyface.identities.generator import Generator
from anonyface.landmarks import topology as topo
from anonyface.types import Look
from benchmarks import utility_measures as measures
from benchmarks.utility_faces import (
    MEASURES,
    Examiner,
    found_again,
    pixel_values,
    touched,
)
from benchmarks.utility_photos import Mask, Print

from .made import Image, face_at, outcome

PLAIN = Look(0.9, 30, 30, 0, 0, 0, 0, 0.5, 0.3, 0, 0.1, 10, 0, (1.0,), 0.0, 0.0)


@pytest.fixture
def points(rng: np.random.Generator) -> NDArray[np.float32]:
    """A (468, 3) mesh with eye corners 100 px apart and a mouth 40 px wide, open by 4."""
    mesh = rng.uniform(0, 100, (468, 3)).astype(np.float32)
    mesh[[topo.LEFT_EYE_OUTER, topo.RIGHT_EYE_OUTER]] = [[0, 30, 0], [100, 30, 0]]
    mesh[[topo.MOUTH_LEFT, topo.MOUTH_RIGHT]] = [[30, 80, 0], [70, 80, 0]]
    mesh[[topo.LIP_UPPER_INNER, topo.LIP_LOWER_INNER]] = [[50, 78, 0], [50, 82, 0]]
    return mesh


def test_angles_go_the_short_way_round() -> None:
    assert measures.angle_error(10, 4) == 6
    assert measures.angle_error(170, -170) == 20


def test_no_values_have_no_tail() -> None:
    assert measures.tail([]).median is None
    assert measures.tail(range(101)) == measures.Tail(50, 90, 95, 101)


def test_a_mouth_that_closes(points: NDArray[np.float32]) -> None:
    closed = points.copy()
    closed[topo.LIP_LOWER_INNER] = closed[topo.LIP_UPPER_INNER]
    assert measures.mouth_opening_error(points, points) == 0
    assert measures.mouth_opening_error(points, closed) == pytest.approx(4 / 40)
    # Over the original's width: a mouth that also shrinks does not hide it.
    closed[topo.MOUTH_RIGHT, 0] -= 20
    assert measures.mouth_opening_error(points, closed) == pytest.approx(4 / 40)


def test_a_feature_may_move_but_not_change(points: NDArray[np.float32]) -> None:
    moved = points + np.array([5, -3, 9], np.float32)
    assert measures.mouth_error(points, moved) == pytest.approx(0, abs=1e-6)
    assert measures.eyes_error(points, moved) == pytest.approx(0, abs=1e-6)
    wider = points.copy()
    middle = wider[measures.MOUTH, 0].mean()
    wider[measures.MOUTH, 0] = middle + 1.1 * (wider[measures.MOUTH, 0] - middle)
    off = 0.1 * np.abs(points[measures.MOUTH, 0] - middle).mean() / 100
    assert measures.mouth_error(points, wider) == pytest.approx(off, rel=1e-4)
    assert measures.eyes_error(points, wider) == 0


def test_each_eye_may_move_for_itself(points: NDArray[np.float32]) -> None:
    apart = points.copy()
    apart[topo.LEFT_EYE, 0] -= 4
    assert measures.eyes_error(points, apart) == pytest.approx(0, abs=1e-6)
    apart[topo.LEFT_EYE[::2], 1] += 10  # half of the points: each is then 5 px off the middle
    assert measures.eyes_error(points, apart) == pytest.approx(0.05 / 2, rel=1e-4)


def test_gaze_is_compared_where_it_can_be_seen() -> None:
    away = replace(PLAIN, gaze_across=0.3, gaze_down=-0.4)
    assert measures.gaze_error(PLAIN, away) == pytest.approx(0.5)
    hidden = {
        "": (PLAIN, replace(PLAIN, eyewear=0.9, shade=25), replace(PLAIN, eyewear=0.2, shade=50)),
        "eyes closed": (replace(PLAIN, eyes_open=0.17),),
        "dark glasses": (replace(PLAIN, eyewear=0.9, shade=40),),
        "eyes too small": (replace(PLAIN, gaze_across=math.nan),),
    }
    for why, looks in hidden.items():
        assert [measures.gaze_hidden(look) for look in looks] == [why] * len(looks)


def test_skin_tone_and_colour_differences() -> None:
    at_45, at_0 = (np.array(lab, np.float32) for lab in ((70, 10, 20), (50, 10, 20)))
    assert measures.tone_error(at_45, at_0) == pytest.approx(45)
    assert measures.tone_error(at_45, at_45) == 0
    assert measures.colour_error(at_45, at_0) == pytest.approx(20)


def test_the_ring_is_three_pixels_along_the_edge() -> None:
    alpha, free = np.zeros((40, 40), np.float32), np.ones((40, 40), bool)
    alpha[10:30, 10:] = 1
    alpha[20, 20] = 0.6
    ring = measures.edge_ring(alpha, free)
    assert np.flatnonzero(ring[:, 30]).tolist() == [9, 10, 11, 28, 29, 30]
    assert np.flatnonzero(ring[20]).tolist() == [9, 10, 11]  # the photo's border is no edge
    free[9:12] = False
    assert np.flatnonzero(measures.edge_ring(alpha, free)[:, 30]).tolist() == [28, 29, 30]


def test_a_seam_raises_the_energy_in_the_ring_and_one_elsewhere_does_not() -> None:
    ramp = np.repeat((2 * np.arange(60, dtype=np.uint8))[None, :, None], 60, axis=0)
    before = np.repeat(ramp, 3, axis=2)
    alpha = np.zeros((60, 60), np.float32)
    alpha[:, :30] = 1
    ring = measures.edge_ring(alpha, np.ones((60, 60), bool))
    assert measures.gradient_energy(before, ring) == pytest.approx(3 * 2**2)
    assert measures.seam_ratio(before, before, ring) == 1
    stepped = before.copy()
    stepped[:, :30] += 10  # at the last column inside and the first outside the slope is 2 - 5
    wanted = (3 * (2 * 3**2 + 2**2) / 3 + 1 / 12) / (12 + 1 / 12)
    assert measures.seam_ratio(before, stepped, ring) == pytest.approx(wanted)
    elsewhere = before.copy()
    elsewhere[:, :15] += 10
    assert measures.seam_ratio(before, elsewhere, ring) == 1


def test_a_seam_between_hues_counts() -> None:
    before = np.full((40, 40, 3), 120, np.uint8)
    after = before.copy()
    after[:, :20] = (140, 110, 120)
    alpha = np.zeros((40, 40), np.float32)
    alpha[:, :20] = 1
    ratio = measures.seam_ratio(before, after, measures.edge_ring(alpha, np.ones((40, 40), bool)))
    assert ratio is not None
    assert ratio > 100


def test_blur_lowers_sharpness_and_contrast_does_not(texture: Image) -> None:
    where = np.zeros((96, 96), bool)
    where[8:-8, 8:-8] = True
    # Noise of Gaussian spectrum: the quotient is inverse to the blur's width, 1 then 2 px.
    soft = cv2.GaussianBlur(texture, (0, 0), math.sqrt(2**2 - 1**2))
    assert measures.sharpness_ratio(texture, soft, where) == pytest.approx(0.5, abs=0.02)
    pale = (100 + 0.5 * texture.astype(np.float32)).round().astype(np.uint8)
    assert measures.sharpness_ratio(texture, pale, where) == pytest.approx(1, abs=0.02)
    noise = np.random.default_rng(1).normal(0, 8, texture.shape[:2])[..., None]
    grainy = np.clip(texture + noise, 0, 255).astype(np.uint8)
    ratio = measures.sharpness_ratio(texture, grainy, where)
    assert ratio is not None
    assert ratio > 1.05
    assert measures.sharpness_ratio(texture, soft, where & False) is None


def test_psnr_is_infinite_only_if_nothing_differs(texture: Image) -> None:
    after, where = texture.copy(), np.ones((96, 96), bool)
    assert measures.psnr(texture, after, where) == math.inf
    after[0] += 1
    assert measures.psnr(texture, after, where) == pytest.approx(10 * math.log10(255**2 * 96))
    where[0] = False
    assert measures.psnr(texture, after, where) == math.inf


def test_found_again_wants_an_overlap_of_four_tenths() -> None:
    original = face_at(0, 0, 100)
    assert found_again([], original) is None
    near, better, far = (face_at(x, 0, 100) for x in (40, 20, 45))
    assert found_again([near, better], original) is better
    assert found_again([far], original) is None


def test_what_neighbours_touched_does_not_count(texture: Image) -> None:
    own, other, covered = face_at(20, 20, 60), face_at(30, 30, 30), face_at(70, 70, 20)
    whole = Mask(np.full((60, 60), 255, np.uint8), (20, 20))
    small = Mask(np.full((10, 10), 255, np.uint8), (30, 30))
    after = Print(
        texture,
        (outcome(own), outcome(other), outcome(covered, "redacted")),
        (whole, small, None),
    )
    found = touched(after, (96, 96), but=0)
    assert found[30:40, 30:40].all()
    assert found[80, 80]
    assert not found[20:30].any()
    assert touched(after, (96, 96), but=1)[20:80, 20:80].all()


def test_pixels_are_compared_at_the_mask(texture: Image) -> None:
    mask, free = Mask(np.full((50, 50), 255, np.uint8), (20, 20)), np.ones((96, 96), bool)
    same = pixel_values(texture, texture, mask, free)
    assert same["sharpness"] == 1
    assert same["seam visibility"] == "too few free pixels"  # the crop is all face: no edge
    soft = texture.copy()
    soft[20:70, 20:70] = cv2.blur(soft[20:70, 20:70], (3, 3))
    changed = pixel_values(texture, soft, mask, free)["sharpness"]
    assert isinstance(changed, float)
    assert changed < 0.9
    assert set(pixel_values(texture, soft, None, free).values()) == {"no mask known"}


@pytest.fixture(scope="module")
def portrait() -> Image:
    """(360, 360, 3) one person on a wide ground."""
    (person,) = make_people(Generator(threads=1), 1, seed=101)
    small = cv2.resize(person, (240, 240), interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(small, 60, 60, 60, 60, cv2.BORDER_REPLICATE).astype(np.uint8)


def test_nothing_done_measures_as_nothing_and_a_turned_dark_face_as_what_it_is(
    portrait: Image,
) -> None:
    examine = Examiner([], threads=1)
    (face, *_) = RetinaFace(threads=1)(portrait)
    side = portrait.shape[0]
    mask = Mask(np.zeros((side, side), np.uint8), (0, 0))
    cv2.ellipse(mask.alpha, (180, 180), (50, 60), 0, 0, 360, 255, cv2.FILLED)
    (same,) = examine(portrait, Print(portrait, (outcome(face),), (mask,)))
    assert same.again is not None
    for name, value in same.values.items():
        assert not isinstance(value, str), name
        nothing = 1.0 if MEASURES[name].worst == "furthest from 1" else 0.0
        assert value == pytest.approx(nothing, abs=1e-6), name
    turn = cv2.getRotationMatrix2D((180.0, 190.0), -8, 1)
    turned = cv2.warpAffine(portrait, turn, (side, side), borderMode=cv2.BORDER_REPLICATE)
    dark = (turned * 0.55).astype(np.uint8)
    (other,) = examine(portrait, Print(dark, (outcome(face),), (mask,)))
    assert other.values["roll error"] == pytest.approx(8, abs=1.5)
    tone = other.values["skin tone difference, ITA"]
    assert isinstance(tone, float)
    assert tone > 15
    blank = np.full_like(portrait, 90)
    (gone,) = examine(portrait, Print(blank, (outcome(face),), (mask,)))
    assert gone.again is None
    assert gone.values["yaw error"] == "not found again"
    assert isinstance(gone.values["sharpness"], float)
    assert not examine(portrait, Print(portrait, (outcome(face, "redacted"),), (None,)))
