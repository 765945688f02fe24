"""A new face must not be turned otherwise than the old one, sit elsewhere, or change its gender."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.identities.face_gender import load_face_gender
from anonyface.identities.fit import wanted
from anonyface.landmarks.mesh import five_points
from anonyface.landmarks.pose import estimate_pose
from anonyface.subjects import Subject
from anonyface.swapping.mask import face_width
from anonyface.types import Crop, Face, FloatArray, Mesh, Patch
from anonyface.verification.standing import (
    EYES,
    EYES_STAND,
    MOST_MOVED,
    MOST_TURNED,
    STANDS_BADLY,
    Standing,
    gender_faults,
    moved_faults,
)

Image = NDArray[np.uint8]
WOMAN, MAN = wanted(p_female=1.0, age=40.0), wanted(p_female=0.0, age=40.0)


def turned(points: FloatArray, degrees: float) -> FloatArray:
    """The mesh with its head turned aside."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    middle = points.mean(axis=0)
    by = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]], np.float32)
    return np.asarray((points - middle) @ by.T + middle, np.float32)


def lowered(points: FloatArray, part: NDArray[np.intp], share: float) -> FloatArray:
    """The mesh with a part so many face widths lower."""
    out = points.copy()
    out[part, 1] += share * face_width(points)
    return out


def test_the_same_face_has_no_fault(meshes: list[Mesh]) -> None:
    assert sum(moved_faults(meshes[0].points, meshes[0].points, masked=False)) == 0


def test_a_head_may_be_turned_a_little_and_no_more(meshes: list[Mesh]) -> None:
    points = meshes[0].points
    for by, bad in ((MOST_TURNED - 2, False), (MOST_TURNED + 2, True)):
        new = turned(points, by)
        off = abs(estimate_pose(new).yaw - estimate_pose(points).yaw)
        assert off == pytest.approx(by, abs=0.5)
        # Eyes and mouth move aside with it: of that the first fault says nothing.
        assert (next(moved_faults(points, new, masked=False)) > 0) is bad


def test_eyes_and_mouth_that_lie_elsewhere_are_the_worse_the_farther(meshes: list[Mesh]) -> None:
    points = meshes[0].points
    faults = [
        sum(moved_faults(points, lowered(points, EYES, share), masked=False))
        for share in (0.5 * MOST_MOVED, 1.2 * MOST_MOVED, 2 * MOST_MOVED, 3 * MOST_MOVED)
    ]
    assert faults[0] == 0
    assert 0.5 < faults[1] < faults[2] < STANDS_BADLY < faults[3]


def test_of_a_mouth_under_a_mask_nothing_is_said(meshes: list[Mesh]) -> None:
    points = meshes[0].points
    lower = np.arange(468)[points[:, 1] > np.percentile(points[:, 1], 60)]
    new = points.copy()
    new[lower, 0] += 0.2 * face_width(points)
    _, eyes, mouth = moved_faults(points, new, masked=False)
    assert mouth > 0
    assert len(list(moved_faults(points, new, masked=True))) == 2
    assert eyes == 0


def upper(log_odds: float) -> FloatArray:
    """(128,) an upper face that reads with these log odds of female."""
    model = load_face_gender()
    along = model.upper_weight / np.square(model.upper_weight).sum()
    return np.asarray(along * (log_odds - model.upper_bias), np.float32)


@pytest.mark.parametrize(("look", "sign"), [(WOMAN, 1), (MAN, -1)])
def test_eyes_are_to_read_as_of_the_gender(look: object, sign: int) -> None:
    limit = sign * EYES_STAND[sign > 0]
    faults = [sum(gender_faults(look, upper(limit - sign * less))) for less in (-0.1, 0.1, 2.0)]  # type: ignore[arg-type]
    assert faults[0] == 0
    assert 0 < faults[1] < 0.5 < faults[2] < STANDS_BADLY


def test_whose_gender_is_not_known_may_get_any() -> None:
    for look in (wanted(age=40.0), wanted(p_female=1.0, age=3.0), replace(WOMAN, p_female=0.5)):
        assert sum(gender_faults(look, upper(0.0))) <= 0.25


def test_a_photo_that_stays_as_it_is_stands_well_and_a_torn_one_does_not(
    people: list[Image], meshes: list[Mesh]
) -> None:
    points = five_points(meshes[0].points)
    low, high = meshes[0].points[:, :2].min(axis=0), meshes[0].points[:, :2].max(axis=0)
    face = Face(np.concatenate([low, high]), points, 0.99)
    none = np.zeros(128, np.float32)
    subject = Subject(face, meshes[0], wanted(age=40.0), none, None)
    crop = Crop(people[0], np.eye(2, 3))
    weight = np.ones(people[0].shape[:2], np.float32)
    standing = Standing(threads=1)
    before = standing.before(crop, meshes[0])
    assert standing(before, subject, crop, meshes[0], Patch(people[0], weight), None) == 0
    down = np.roll(people[0], round(0.15 * face_width(meshes[0].points)), axis=0)
    assert standing(before, subject, crop, meshes[0], Patch(down, weight), None) > STANDS_BADLY
    # The same face, asked to be of the gender that its eyes surely are not.
    seen = load_face_gender().of_eyes(standing._upper(people[0], points)[None])[0]
    other = replace(subject, look=MAN if seen > 0 else WOMAN)
    assert standing(before, other, crop, meshes[0], Patch(people[0], weight), None) > 0
