"""What is read off a face says whether the mesh sits on it, and who hides whom."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.errors import FaceError
from anonyface.landmarks import topology as topo
from anonyface.landmarks.mesh import five_points
from anonyface.redaction import OWN_GROWTH, cover_face
from anonyface.subjects import (
    UNSURE_EYES,
    Subject,
    outlines_beside,
    outlines_in_front,
    require_readable,
)
from anonyface.types import Face, Look, Mesh, Occlusion

LOOK = Look(
    p_female=0.5, age=30, skin_tone=40, yaw=0, pitch=0, roll=0, mouth_open=0, smile=0.5,
    eyes_open=0.3, side_light=0, eyewear=0, shade=0, beard=0, groups=(1, 0, 0, 0, 0, 0, 0),
)  # fmt: skip


def mesh_at(x: float, y: float, size: float) -> NDArray[np.float32]:
    """A made-up mesh: the oval on an ellipse, eyes, nose and mouth where they belong."""
    points = np.zeros((468, 3), np.float32)
    angles = np.linspace(-np.pi / 2, 1.5 * np.pi, len(topo.FACE_OVAL), endpoint=False)
    points[topo.FACE_OVAL, 0] = np.cos(angles) * 0.4
    points[topo.FACE_OVAL, 1] = np.sin(angles) * 0.5
    for index, at in (
        (topo.LEFT_EYE_OUTER, (-0.25, -0.1)),
        (topo.LEFT_EYE_INNER, (-0.1, -0.1)),
        (topo.RIGHT_EYE_INNER, (0.1, -0.1)),
        (topo.RIGHT_EYE_OUTER, (0.25, -0.1)),
        (topo.NOSE_TIP, (0, 0.08)),
        (topo.MOUTH_LEFT, (-0.15, 0.25)),
        (topo.MOUTH_RIGHT, (0.15, 0.25)),
    ):
        points[index, :2] = at
    return points * np.float32(size) + np.array([x, y, 0], np.float32)


def subject(x: float, size: float, *, mesh_x: float | None = None, presence: float = 1) -> Subject:
    """A subject at (x, 100) whose mesh may sit elsewhere."""
    landmarks = five_points(mesh_at(x, 100, size))
    half = size / 2
    face = Face(np.array([x - half, 100 - half, x + half, 100 + half]), landmarks, 0.9)
    points = mesh_at(x if mesh_x is None else mesh_x, 100, size)
    return Subject(face, Mesh(points, presence), LOOK, np.zeros(128, np.float32), None)


def test_a_mesh_on_its_face_has_not_strayed() -> None:
    assert not subject(100, 80).strayed
    assert subject(100, 80).outline is not None


def test_a_mesh_on_a_neighbour_has_strayed() -> None:
    assert subject(100, 80, mesh_x=130).strayed
    assert subject(100, 80, mesh_x=130).outline is None


def test_an_unsure_mesh_has_no_outline() -> None:
    assert subject(100, 80, presence=0.2).outline is None


def test_who_has_eyes_that_several_fits_see_elsewhere_is_not_replaced() -> None:
    sure = subject(100, 80)
    require_readable(sure)
    unsure = replace(sure, mesh=replace(sure.mesh, spread=UNSURE_EYES))
    with pytest.raises(FaceError, match="not sure of the eyes"):
        require_readable(unsure)


def test_only_an_unreadable_face_is_behind_others() -> None:
    near, hidden = subject(100, 80), subject(60, 50, mesh_x=100)
    assert len(outlines_in_front(1, [near, hidden])) == 1
    assert outlines_in_front(0, [near, hidden]) == ()
    child = subject(60, 50)  # smaller, but in front: its cover must not be cut
    assert outlines_in_front(1, [near, child]) == ()
    assert outlines_in_front(1, [FaceError("no", stage="landmarks"), hidden]) == ()
    assert outlines_in_front(5, [near, hidden]) == ()


def test_a_face_that_is_seen_to_be_hidden_is_behind_though_its_mesh_is_sure() -> None:
    near, behind = subject(100, 90), subject(150, 80)
    assert outlines_in_front(1, [near, behind]) == ()
    matrix = np.array([[0.8, 0, 32 - 0.8 * 150], [0, 0.8, 32 - 0.8 * 100]])
    nothing, left = np.zeros((64, 64), np.float32), np.zeros((64, 64), np.float32)
    left[:, :32] = 1
    for front, count in ((left, 1), (nothing, 0)):
        seen = replace(behind.mesh, occlusion=Occlusion(front, nothing, matrix))
        assert len(outlines_in_front(1, [near, replace(behind, mesh=seen)])) == count


def test_a_cover_ends_where_the_face_beside_begins() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (200, 260, 3), dtype=np.uint8)
    own, neighbour, unsure = subject(80, 80), subject(140, 60), subject(80, 80, presence=0.2)
    everybody = [own, neighbour, unsure]
    assert len(outlines_beside(0, everybody)) == 1 == len(outlines_beside(2, everybody)) - 1
    assert len(outlines_beside(None, everybody)) == 2
    out, whole = image.copy(), image.copy()
    cover_face(out, own.face, "solid", rng=rng, beside=outlines_beside(0, everybody))
    cover_face(whole, own.face, "solid", rng=rng)
    spared = (out != whole).any(axis=2)
    inside = np.zeros(spared.shape, np.uint8)
    assert neighbour.outline is not None
    cv2.fillPoly(inside, [neighbour.outline.round().astype(np.int32)], 1)
    assert spared.any()
    # The edge of the outline is smooth: it takes a pixel on either side.
    edge = np.ones((5, 5), np.uint8)
    assert not (spared & (cv2.dilate(inside, edge) == 0)).any()
    # The face itself is covered as it was without neighbours.
    x0, y0, x1, y1 = own.face.box
    y, x = np.mgrid[: spared.shape[0], : spared.shape[1]]

    def around(growth: float) -> NDArray[np.float64]:
        """Distance from the middle of the box, 1 on the ellipse in the box grown by so much."""
        across = (x - (x0 + x1) / 2) / ((x1 - x0) / 2 * growth)
        return np.hypot(across, (y - (y0 + y1) / 2) / ((y1 - y0) / 2 * growth))

    assert not (spared & (around(1.0) <= 1)).any()
    deep = (cv2.erode(inside, edge) > 0) & (around(OWN_GROWTH) > 1.1)
    assert spared[deep].any()
    assert (out[deep] == image[deep]).all()


def test_a_cover_does_not_reach_into_the_face_in_front() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (200, 220, 3), dtype=np.uint8)
    near, hidden = subject(120, 90), subject(65, 60, mesh_x=120)
    out = image.copy()
    cover_face(out, hidden.face, "solid", rng=rng, spare=outlines_in_front(1, [near, hidden]))
    changed = (out != image).any(axis=2)
    assert not changed[95:105, 92:140].any()  # well inside the near face, away from the eyes
    for x, y in hidden.face.landmarks.round().astype(int):
        assert changed[y, x]
    assert changed[100, 50]
    whole = image.copy()
    cover_face(whole, hidden.face, "solid", rng=rng)
    assert (whole != image).any(axis=2)[95:105, 92:96].any()  # without the outline it would
