"""Irises: inside of the eyes, and their offset follows where the portrait looks."""

from __future__ import annotations

import numpy as np
import pytest

from anonyface.identities.generator import Generator
from anonyface.identities.people import load_pool, portrait_face
from anonyface.landmarks import topology as topo
from anonyface.landmarks.iris import GAZE_FACE_PX, IrisLandmarks, measure_gaze
from anonyface.landmarks.mesh import FaceMesh
from anonyface.types import Mesh


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    """Four people who look to the left and four who look to the right, in the pool's labels."""
    pool, generator = load_pool(), Generator()
    plain = (np.abs(pool.column("yaw")) < 10) & (pool.column("eyewear") < 0.1)
    rows = np.flatnonzero(plain)
    rows = rows[np.argsort(pool.column("gaze_across")[rows])]
    return [generator.render(pool.latents[r], size=256) for r in (*rows[:4], *rows[-4:])]


def gaze_of(pixels: np.ndarray) -> tuple[float, float]:
    mesh = FaceMesh()(pixels, [portrait_face(pixels.shape[0])])[0]
    gaze = measure_gaze(mesh, IrisLandmarks()(pixels, mesh))
    return gaze.across, gaze.down


def test_irises_lie_between_the_corners_of_the_eyes(portraits: list[np.ndarray]) -> None:
    for pixels in portraits:
        mesh = FaceMesh()(pixels, [portrait_face(256)])[0]
        irises = IrisLandmarks()(pixels, mesh)
        assert irises.shape == (2, 5, 2)
        for iris, contour in zip(irises, (topo.LEFT_EYE, topo.RIGHT_EYE), strict=True):
            eye = mesh.points[contour, :2]
            assert eye[:, 0].min() < iris[0, 0] < eye[:, 0].max()
            # An iris is about 40 % as wide as the eye between its corners.
            width = np.ptp(iris[1:, 0]) / np.ptp(eye[:, 0])
            assert 0.2 < width < 0.65


def test_looking_left_and_right_differ_in_sign(portraits: list[np.ndarray]) -> None:
    across = [gaze_of(p)[0] for p in portraits]
    assert max(across[:4]) < 0 < min(across[4:])


def test_a_mirrored_portrait_looks_the_other_way(portraits: list[np.ndarray]) -> None:
    for pixels in portraits:
        across, down = gaze_of(pixels)
        mirrored = gaze_of(np.ascontiguousarray(pixels[:, ::-1]))
        # The eye's corners come from the mesh, which is not exactly symmetric.
        assert mirrored[0] == pytest.approx(-across, abs=0.09)
        assert mirrored[1] == pytest.approx(down, abs=0.09)


def test_irises_travel_with_the_mesh(portraits: list[np.ndarray]) -> None:
    finder = IrisLandmarks()
    mesh = finder.complete(portraits[0], FaceMesh()(portraits[0], [portrait_face(256)])[0])
    np.testing.assert_array_equal(mesh.irises, finder(portraits[0], mesh))
    turned = mesh.moved(np.array([[0, -2, 7], [2, 0, -3]], np.float64))
    for old, new in ((mesh.points, turned.points), (mesh.irises, turned.irises)):
        x, y = old[..., 0], old[..., 1]
        wanted = np.stack([7 - 2 * y, 2 * x - 3], axis=-1)
        np.testing.assert_allclose(new[..., :2], wanted, rtol=1e-5)
    np.testing.assert_allclose(turned.points[:, 2], 2 * mesh.points[:, 2], rtol=1e-5)
    assert turned.presence == mesh.presence


def test_irises_of_small_faces_are_not_looked_for(portraits: list[np.ndarray]) -> None:
    mesh = FaceMesh()(portraits[0], [portrait_face(256)])[0]
    small = mesh.moved(np.eye(2, 3) * (GAZE_FACE_PX - 1) / np.ptp(mesh.points[:, :2], axis=0).max())
    assert IrisLandmarks().complete(portraits[0], small).irises is None


def test_gaze_is_measured_along_the_eye() -> None:
    points = np.zeros((468, 3), np.float32)
    corners = ((topo.LEFT_EYE_OUTER, 0), (topo.LEFT_EYE_INNER, 10))
    for index, x in (*corners, (topo.RIGHT_EYE_INNER, 20), (topo.RIGHT_EYE_OUTER, 30)):
        points[index, :2] = (x, 0)
    irises = np.zeros((2, 5, 2), np.float32)
    irises[:, 0] = [(7, 1), (27, 1)]
    gaze = measure_gaze(Mesh(points, 1.0), irises)
    assert (gaze.across, gaze.down) == (pytest.approx(0.2), pytest.approx(0.1))
