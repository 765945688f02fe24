"""Mesh on generated people; pose and expression on rotated copies of a known mesh."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.detection.faces import FaceFinder
from anonyface.errors import FaceError
from anonyface.landmarks.mesh import FaceMesh, five_points
from anonyface.landmarks.pose import estimate_pose, measure_expression
from anonyface.types import Face


@pytest.fixture(scope="module")
def frontal(people: list[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], Face, NDArray[np.float32]]:
    image = cv2.resize(people[0], (512, 512), interpolation=cv2.INTER_AREA)
    face = FaceFinder()(image)[0]
    (mesh,) = FaceMesh()(image, [face])
    assert mesh.presence > 0.9
    return image, face, mesh.points


def rotation(axis: int, degrees: float) -> NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = [(1, 2), (0, 2), (0, 1)][axis]
    out = np.eye(3)
    out[i, i] = out[j, j] = c
    out[i, j], out[j, i] = -s, s
    return out


def test_the_mesh_agrees_with_the_detector_on_the_five_points(
    frontal: tuple[NDArray[np.uint8], Face, NDArray[np.float32]],
) -> None:
    _, face, points = frontal
    # Two networks with different ideas of "centre of the eye": within 6 % of the face.
    assert np.abs(five_points(points) - face.landmarks).max() < 0.06 * face.size


@pytest.mark.parametrize("angle", [-60, -20, 35, 90, 180])
def test_the_mesh_follows_a_turned_photo(
    angle: float, frontal: tuple[NDArray[np.uint8], Face, NDArray[np.float32]]
) -> None:
    image, face, points = frontal
    matrix = cv2.getRotationMatrix2D((255.5, 255.5), angle, 1.0)
    turned = cv2.warpAffine(image, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)

    def move(p: NDArray[np.float32]) -> NDArray[np.float64]:
        return p[:, :2] @ matrix[:, :2].T + matrix[:, 2]

    marks = move(face.landmarks)
    middle, half = move(face.box.reshape(2, 2).mean(axis=0)[None])[0], face.size / 2
    moved = Face(np.concatenate([middle - half, middle + half]), marks, 1.0)
    (mesh,) = FaceMesh()(turned, [moved])
    # The network sees the same upright square, resampled twice: 2 % of the face.
    assert np.abs(mesh.points[:, :2] - move(points)).mean() < 0.02 * face.size


@pytest.mark.parametrize(("axis", "name", "sign"), [(1, "yaw", 1), (0, "pitch", 1), (2, "roll", 1)])
def test_pose_follows_a_rotation_of_the_head(
    axis: int,
    name: str,
    sign: int,
    frontal: tuple[NDArray[np.uint8], Face, NDArray[np.float32]],
) -> None:
    points = frontal[2]
    middle = points.mean(axis=0)
    for degrees in (-15.0, 10.0, 20.0):
        turned = ((points - middle) @ rotation(axis, degrees).T + middle).astype(np.float32)
        change = getattr(estimate_pose(turned), name) - getattr(estimate_pose(points), name)
        assert abs(abs(change) - abs(degrees)) < 2.5  # the angles interact away from frontal
        assert np.sign(change) == sign * np.sign(degrees)


def test_expression_does_not_change_with_size_and_turn(
    frontal: tuple[NDArray[np.uint8], Face, NDArray[np.float32]],
) -> None:
    points = frontal[2]
    turned = (points @ rotation(1, 25).T * 3 + 7).astype(np.float32)
    one, two = measure_expression(points), measure_expression(turned)
    assert abs(one.mouth_open - two.mouth_open) < 1e-3
    assert abs(one.smile - two.smile) < 1e-3
    assert abs(one.eyes_open - two.eyes_open) < 1e-3


def test_landmarks_in_one_point_are_a_face_error() -> None:
    face = Face(np.array([10, 10, 20, 20]), np.full((5, 2), 15.0), 1.0)
    with pytest.raises(FaceError) as caught:
        FaceMesh()(np.zeros((50, 50, 3), np.uint8), [face])
    assert caught.value.stage == "landmarks"


def test_no_faces_no_meshes() -> None:
    assert FaceMesh()(np.zeros((50, 50, 3), np.uint8), []) == []
