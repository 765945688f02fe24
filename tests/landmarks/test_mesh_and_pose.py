"""Mesh on generated people; pose and expression on rotated copies of a known mesh."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.detection.faces import FaceFinder
from anonyface.errors import FaceError
from anonyface.landmarks.mesh import FaceMesh, five_points
from anonyface.landmarks.pose import estimate_pose, head_axes, measure_expression
from anonyface.types import Face, Mesh


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


def test_the_axes_of_a_head_turn_with_it(
    frontal: tuple[NDArray[np.uint8], Face, NDArray[np.float32]],
) -> None:
    axes = head_axes(frontal[2])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
    turn = rotation(1, 25.0) @ rotation(0, 10.0)
    np.testing.assert_allclose(head_axes(frontal[2] @ turn.T), axes @ turn.T, atol=1e-6)


def test_a_steady_mesh_changes_less_when_the_photo_is_cut_out_differently(
    people: list[NDArray[np.uint8]],
) -> None:
    single, steady = FaceMesh(threads=1), FaceMesh(threads=1, steady=True)
    rng = np.random.default_rng(0)
    apart: dict[bool, list[float]] = {False: [], True: []}
    for pixels in people:
        small = np.asarray(cv2.resize(pixels, (160, 160), interpolation=cv2.INTER_AREA), np.uint8)
        face = FaceFinder()(small)[0]
        for fit in (single, steady):
            rng = np.random.default_rng(0)
            pitches = []
            for _ in range(6):
                box = face.box + rng.normal(0, 0.06 * face.size, 4).astype(np.float32)
                (mesh,) = fit(small, [Face(box, face.landmarks, 1.0)])
                pitches.append(estimate_pose(mesh.points).pitch)
            apart[fit is steady].append(float(np.std(pitches)))
            # Bare faces of generated people: all fits agree on eyes and brows.
            assert (0 < mesh.spread < 0.03) == (fit is steady)
    assert np.mean(apart[True]) < 0.7 * np.mean(apart[False])


def test_where_fits_disagree_those_near_the_eyes_of_the_detector_count(
    frontal: tuple[NDArray[np.uint8], Face, NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, face, points = frontal
    fit = FaceMesh(steady=True)
    off = points + np.array([0.3 * face.size, 0, 0], np.float32)

    def scattered(_image: object, squares: list[object], **_: object) -> list[Mesh]:
        return [Mesh(points if k % 2 else off, 1.0) for k in range(len(squares))]

    monkeypatch.setattr(fit, "_fit", scattered)
    mesh = fit._steadied(image, Mesh(points, 1.0), face, without=())
    np.testing.assert_allclose(mesh.points, points, atol=1e-3)
    assert mesh.spread < 1e-4
    none_near = fit._steadied(image, Mesh(off, 1.0), face, without=())
    assert none_near.spread > 0.03
