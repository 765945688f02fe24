"""The new eyes look where the old ones looked."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from anonyface.identities.generator import Generator
from anonyface.identities.people import load_pool, portrait_face
from anonyface.landmarks import topology as topo
from anonyface.landmarks.iris import IrisLandmarks, measure_gaze
from anonyface.landmarks.mesh import FaceMesh
from anonyface.swapping.gaze import REACH, match_gaze
from anonyface.swapping.warp import CONTROL, warp_portrait
from anonyface.types import Mesh


@pytest.fixture(scope="module")
def person() -> tuple[np.ndarray, Mesh]:
    """Somebody with open eyes who looks straight ahead: pixels, mesh with irises."""
    pool = load_pool()
    off = np.abs(pool.column("gaze_across")) + np.abs(pool.column("yaw")) / 50
    off += np.maximum(0, 0.35 - pool.column("eyes_open")) * 5 + pool.column("eyewear")
    pixels = Generator().render(pool.latents[int(off.argmin())], size=256)
    mesh = FaceMesh()(pixels, [portrait_face(256)])[0]
    return pixels, IrisLandmarks().complete(pixels, mesh)


def aside(mesh: Mesh, across: float) -> Mesh:
    """The same face, looking aside by so many eye widths."""
    width = np.ptp(mesh.points[[topo.LEFT_EYE_OUTER, topo.LEFT_EYE_INNER], 0])
    return replace(mesh, irises=mesh.irises + np.array([across * width, 0], np.float32))


@pytest.mark.parametrize("across", [-0.12, 0.12])
def test_the_warped_portrait_looks_aside(person: tuple[np.ndarray, Mesh], across: float) -> None:
    pixels, mesh = person
    placed = mesh.points[CONTROL, :2]
    eyes = match_gaze(aside(mesh, across), mesh, placed)
    assert eyes is not None
    warped = warp_portrait(
        pixels,
        np.concatenate([mesh.points[CONTROL, :2], eyes.source]),
        np.concatenate([placed, eyes.placed]),
        (256, 256),
    )
    image = np.clip(warped, 0, 255).astype(np.uint8)
    before = measure_gaze(mesh, mesh.irises).across
    after = measure_gaze(mesh, IrisLandmarks()(image, mesh)).across
    # Iris and eye corners are found anew in the warped picture: a few hundredths either way.
    assert after - before == pytest.approx(across, abs=0.06)
    # Brows, nose and mouth stay; what lies outside of the face is not pasted.
    plain = warp_portrait(pixels, mesh.points[CONTROL, :2], placed, (256, 256))
    face = cv2.fillPoly(
        np.zeros((256, 256), np.uint8), [mesh.points[topo.FACE_OVAL, :2].astype(np.int32)], 1
    )
    rows, columns = np.nonzero((np.abs(warped - plain).max(axis=2) > 25) & (face > 0))
    eye = mesh.points[np.concatenate([topo.LEFT_EYE, topo.RIGHT_EYE]), :2]
    assert len(rows)
    # Single hairs of the brows may shift by a fraction of a pixel, and are as sharp as that.
    off = np.abs(np.stack([columns, rows], axis=1) - eye.mean(axis=0))
    assert (np.quantile(off, 0.98, axis=0) < np.ptp(eye, axis=0) / 2 + 8).all()


def test_the_same_gaze_moves_nothing(person: tuple[np.ndarray, Mesh]) -> None:
    _, mesh = person
    eyes = match_gaze(mesh, mesh, mesh.points[CONTROL, :2])
    assert eyes is not None
    assert np.abs(eyes.placed - eyes.source).max() < 1e-2


def test_an_iris_far_off_is_not_believed(person: tuple[np.ndarray, Mesh]) -> None:
    _, mesh = person
    placed = mesh.points[CONTROL, :2]
    eyes = match_gaze(aside(mesh, 0.6), mesh, placed)
    assert eyes is not None
    width = np.ptp(mesh.points[[topo.LEFT_EYE_OUTER, topo.LEFT_EYE_INNER], 0])
    step = np.linalg.norm(eyes.placed - eyes.source, axis=1)[:5] / width
    assert step.max() == pytest.approx(REACH, abs=0.02)


def test_closed_eyes_look_nowhere(person: tuple[np.ndarray, Mesh]) -> None:
    _, mesh = person
    points = mesh.points.copy()
    for upper, lower in (
        (topo.LEFT_LID_UPPER, topo.LEFT_LID_LOWER),
        (topo.RIGHT_LID_UPPER, topo.RIGHT_LID_LOWER),
    ):
        points[upper] = points[lower]
    assert match_gaze(replace(mesh, points=points), mesh, points[CONTROL, :2]) is None


def test_eyes_whose_irises_are_not_known_look_nowhere(person: tuple[np.ndarray, Mesh]) -> None:
    _, mesh = person
    blind = replace(mesh, irises=None)
    for target, source in ((blind, mesh), (mesh, blind)):
        assert match_gaze(target, source, mesh.points[CONTROL, :2]) is None
