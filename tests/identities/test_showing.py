"""Whether a portrait shows the pose and the expression it was chosen for."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.identities.looks import NARROW, LookReader
from anonyface.identities.showing import MOST_OPEN, MOST_TURNED, MOST_WIDE, shows_alike
from anonyface.landmarks import topology as topo
from anonyface.landmarks.iris import IrisLandmarks
from anonyface.landmarks.mesh import five_points
from anonyface.landmarks.pose import measure_expression
from anonyface.types import FloatArray, Mesh, Occlusion
from anonyface.verification.encoder import DlibEncoder

LOWER_LIP = np.array([14, 87, 178, 88, 95, 317, 402, 318, 324])


@pytest.fixture(scope="module")
def mesh(people: list[NDArray[np.uint8]], meshes: list[Mesh]) -> Mesh:
    return IrisLandmarks().complete(people[0], meshes[0])


def turned(mesh: Mesh, degrees: float) -> Mesh:
    """The head turned about the upright axis."""
    middle = mesh.points.mean(axis=0)
    turn = cv2.Rodrigues(np.array([0, np.radians(degrees), 0]))[0]
    points = (mesh.points - middle) @ turn.T + middle
    return replace(mesh, points=points.astype(np.float32))


def opened(mesh: Mesh, more: float) -> Mesh:
    """The mouth open so much wider, in its own widths."""
    points = mesh.points.copy()
    width = np.linalg.norm(points[topo.MOUTH_LEFT] - points[topo.MOUTH_RIGHT])
    points[LOWER_LIP, 1] += more * width
    return replace(mesh, points=points)


def widened(mesh: Mesh, more: float) -> Mesh:
    """The mouth so much wider, in distances of the eyes' outer corners."""
    points = mesh.points.copy()
    eyes = np.linalg.norm(points[topo.LEFT_EYE_OUTER] - points[topo.RIGHT_EYE_OUTER])
    points[topo.MOUTH_RIGHT, 0] += more * eyes
    return replace(mesh, points=points)


def shut(mesh: Mesh, share: float = 0.1) -> Mesh:
    """Lids as far open as a share of what they are."""
    assert mesh.lids is not None
    middle = mesh.lids.mean(axis=1, keepdims=True)
    return replace(mesh, lids=(middle + (mesh.lids - middle) * np.float32(share)).astype("f4"))


def masked(mesh: Mesh) -> Mesh:
    """A mask over all that the occlusion network sees."""
    low, side = mesh.points[:, :2].min(axis=0), float(np.ptp(mesh.points[:, :2], axis=0).max())
    scale = 64 / side
    matrix = np.array([[scale, 0, -scale * low[0]], [0, scale, -scale * low[1]]])
    nothing, all_ = np.zeros((64, 64), np.float32), np.ones((64, 64), np.float32)
    return replace(mesh, occlusion=Occlusion(nothing, all_, matrix))


def test_a_face_shows_what_it_shows(mesh: Mesh) -> None:
    assert shows_alike(mesh, mesh)


@pytest.mark.parametrize(("share", "alike"), [(0.6, True), (1.6, False)])
def test_pose_and_mouth_are_compared(mesh: Mesh, share: float, alike: bool) -> None:
    for other in (
        turned(mesh, share * MOST_TURNED),
        turned(mesh, -share * MOST_TURNED),
        opened(mesh, share * MOST_OPEN),
        widened(mesh, share * MOST_WIDE),
    ):
        assert shows_alike(mesh, other) is alike
        assert shows_alike(other, mesh) is alike


def test_of_a_mouth_under_a_mask_nothing_is_asked(mesh: Mesh) -> None:
    assert shows_alike(masked(mesh), opened(mesh, 2 * MOST_OPEN))
    assert not shows_alike(masked(mesh), turned(mesh, 1.6 * MOST_TURNED))


def test_open_eyes_get_no_shut_ones_but_shut_ones_may_get_open_ones(mesh: Mesh) -> None:
    assert not shows_alike(mesh, shut(mesh))
    assert shows_alike(shut(mesh), mesh)
    assert shows_alike(shut(mesh), shut(mesh))
    assert shows_alike(mesh, replace(mesh, lids=None))
    assert shows_alike(replace(mesh, lids=None), shut(mesh))


def test_for_shut_eyes_narrow_ones_are_asked(people: list[NDArray[np.uint8]], mesh: Mesh) -> None:
    landmarks: FloatArray = five_points(mesh.points)
    encoder, read = DlibEncoder(threads=1), LookReader(threads=1)
    chip = encoder.chip(people[0], landmarks)
    views = encoder.views(chip)
    seen = [read(people[0], m, landmarks, chip, views).eyes_open for m in (mesh, shut(mesh))]
    assert seen[0] == pytest.approx(measure_expression(mesh.points).eyes_open)
    assert seen[0] > NARROW == pytest.approx(seen[1])
