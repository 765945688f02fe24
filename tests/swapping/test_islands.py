"""What looks like no skin is kept where it comes in from the outline, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from anonyface.landmarks import topology as topo
from anonyface.swapping.mask import Regions, build_regions, face_width, without_islands
from anonyface.types import FloatArray, Mesh

SIDE = 512


@pytest.fixture
def points(meshes: list[Mesh]) -> FloatArray:
    return meshes[0].points * np.float32(SIDE / 1024)


@pytest.fixture
def regions(points: FloatArray) -> Regions:
    return build_regions(points, (SIDE, SIDE))


def test_a_mole_goes_and_a_strand_of_hair_stays(points: FloatArray, regions: Regions) -> None:
    width = face_width(points)
    brow, top = points[topo.LEFT_BROW, :2], points[topo.FOREHEAD_TOP, :2]
    skin = np.ones((SIDE, SIDE), np.float32)
    skin[regions.edge == 0] = 0  # hair and background around the face
    spot = tuple(int(v) for v in (brow.mean(axis=0) + top) / 2)
    cv2.circle(skin, spot, round(0.03 * width), 0.0, -1)
    strand = skin.copy()
    middle = tuple(int(v) for v in (top + points[topo.NOSE_TIP, :2]) / 2)
    cv2.line(strand, tuple(int(v) for v in top), middle, 0.1, 4)
    out = without_islands(strand, regions, width)
    assert regions.band[spot[1], spot[0]] > 0.3  # there it would stay
    assert skin[spot[1], spot[0]] < 0.5 < out[spot[1], spot[0]]
    assert out[middle[1], middle[0]] == pytest.approx(0.1)
    assert (out >= strand).all()
    changed = out != strand
    near = cv2.circle(np.zeros_like(skin), spot, round(0.06 * width), 1.0, -1) > 0
    assert not (changed & ~near).any()


def test_a_face_of_nothing_but_skin_is_left_alone(points: FloatArray, regions: Regions) -> None:
    skin = np.full((SIDE, SIDE), 0.9, np.float32)
    assert without_islands(skin, regions, face_width(points)) is skin
