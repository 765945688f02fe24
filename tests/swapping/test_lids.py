"""Eyes that are closed stay closed, by lids that slide over the eyeball."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.identities.generator import Generator
from anonyface.identities.people import load_pool, portrait_face
from anonyface.landmarks import topology as topo
from anonyface.landmarks.iris import IrisLandmarks, gap, true_gap
from anonyface.landmarks.mesh import FaceMesh
from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.gaze import match_gaze
from anonyface.swapping.lids import SLIT, match_lids
from anonyface.swapping.warp import CONTROL, warp_portrait
from anonyface.types import Crop, Identity, Mesh

Person = tuple[NDArray[np.uint8], Mesh]


@pytest.fixture(scope="module")
def person() -> Person:
    """Somebody without glasses whose eyes are open: pixels, mesh with irises and lids."""
    pool = load_pool()
    off = np.abs(pool.column("yaw")) / 50 + pool.column("eyewear")
    off += np.maximum(0, 0.38 - pool.column("eyes_open")) * 5
    pixels = Generator().render(pool.latents[int(off.argmin())], size=256)
    mesh = FaceMesh()(pixels, [portrait_face(256)])[0]
    return pixels, IrisLandmarks().complete(pixels, mesh)


def closed(mesh: Mesh, left: float, right: float) -> Mesh:
    """The same face, its image-left and image-right eye open to these shares."""
    assert mesh.lids is not None
    upper, lower = mesh.lids[:, 0], mesh.lids[:, 1]
    share = np.array([left, right], np.float32)[:, None, None]
    return replace(mesh, lids=np.stack([lower + (upper - lower) * share, lower], axis=1))


def bent(person: Person, target: Mesh, *, glasses: bool = False) -> NDArray[np.float32]:
    """The portrait with the eyes of the target, everything else as it is."""
    pixels, mesh = person
    points = mesh.points[CONTROL, :2]
    lids = match_lids(target, mesh, points, (256, 256), glasses=glasses)
    assert lids is not None
    warped = warp_portrait(
        pixels,
        np.concatenate([points, lids.source]),
        np.concatenate([points, lids.placed]),
        (256, 256),
        shift=lids.shift,
    )
    return lids.soften(warped)


def seen(image: NDArray[np.float32], mesh: Mesh) -> list[float]:
    """Gaps of the lids, found anew."""
    _, lids = IrisLandmarks().eyes(image.clip(0, 255).astype(np.uint8), mesh)
    return [gap(eye) for eye in lids]


def test_lids_lie_where_the_eyes_are(person: Person) -> None:
    _, mesh = person
    assert mesh.lids is not None
    assert mesh.irises is not None
    for eye, iris in zip(mesh.lids, mesh.irises, strict=True):
        assert (eye[0, 1:-1, 1] < eye[1, 1:-1, 1]).all()  # the upper one above the lower one
        assert (np.diff(eye[..., 0], axis=1) > 0).all()  # from the image-left to the right corner
        assert eye[0, :, 1].min() < iris[0, 1] < eye[1, :, 1].max()
        assert 0.2 < gap(eye) < 0.6


def test_closed_eyes_are_closed(person: Person) -> None:
    pixels, mesh = person
    shut = bent(person, closed(mesh, 0, 0))
    assert np.mean(seen(shut, mesh)) < 0.65 * np.mean(seen(pixels.astype(np.float32), mesh))
    # Of the iris nothing is left: its place is as light as the lid.
    assert mesh.irises is not None
    for x, y in mesh.irises[:, 0].round().astype(int):
        assert shut[y, x].mean() > pixels[y, x].mean() + 20


def test_a_wink_closes_one_eye(person: Person) -> None:
    pixels, mesh = person
    left, right = seen(bent(person, closed(mesh, 0, 1)), mesh)
    before = seen(pixels.astype(np.float32), mesh)
    assert left < 0.8 * before[0]
    assert right == pytest.approx(before[1], abs=0.04)


def test_the_same_eyes_are_left_alone(person: Person) -> None:
    _, mesh = person
    lids = match_lids(mesh, mesh, mesh.points[CONTROL, :2], (256, 256))
    assert lids is not None
    np.testing.assert_allclose(lids.placed, lids.source, atol=1e-3)
    assert np.abs(lids.shift).max() < 1e-3


def test_half_closed_eyes_show_half_of_an_iris_that_is_not_squeezed(person: Person) -> None:
    _, mesh = person
    lids = match_lids(closed(mesh, 0.6, 0.6), mesh, mesh.points[CONTROL, :2], (256, 256))
    assert lids is not None
    assert mesh.lids is not None
    x, y = mesh.lids[0, 1, 4].round().astype(int)  # just above the lower lid nothing moves
    width = np.ptp(mesh.lids[0, 0, :, 0])
    assert np.abs(lids.shift[y - 1, x]).max() < 0.03 * width
    x, y = mesh.lids[0, 0, 4].round().astype(int)  # at the upper one skin comes down
    assert lids.shift[y, x, 1] < -0.05 * width


def test_nothing_is_shown_twice(person: Person) -> None:
    """Down every column of pixels the place each is taken from goes down, too."""
    _, mesh = person
    for share in (0.0, 0.3, 0.7):
        target = closed(mesh, share, share)
        lids = match_lids(target, mesh, mesh.points[CONTROL, :2], (256, 256))
        assert lids is not None
        taken = np.arange(256)[:, None] + lids.shift[..., 1]
        assert np.diff(taken, axis=0).min() > -0.5


def test_brows_cheeks_and_rims_of_glasses_stay(person: Person) -> None:
    pixels, mesh = person
    shut = bent(person, closed(mesh, 0, 0))
    far = np.concatenate([mesh.points[topo.LEFT_CHEEK, :2], mesh.points[topo.LIPS_OUTER, :2]])
    x, y = far.round().astype(int).T
    assert np.abs(shut[y, x] - pixels[y, x]).max() < 12
    assert mesh.lids is not None
    upper = mesh.lids[0, 0, 4]
    width = float(np.ptp(mesh.lids[0, 0, :, 0]))
    rim = (round(float(upper[1] - 0.25 * width)), round(float(upper[0])))
    plain, behind = (
        match_lids(closed(mesh, 0, 0), mesh, mesh.points[CONTROL, :2], (256, 256), glasses=g)
        for g in (False, True)
    )
    assert plain is not None
    assert behind is not None
    assert np.abs(behind.shift[rim]).max() < 0.02 * width
    assert np.abs(plain.shift[rim]).max() > 0.05 * width


def test_closed_lids_read_as_closed_and_look_nowhere(person: Person) -> None:
    _, mesh = person
    target = closed(mesh, 0.25, 0.25)
    assert target.lids is not None
    assert max(map(true_gap, target.lids)) < SLIT
    assert match_gaze(target, mesh, mesh.points[CONTROL, :2]) is None


def test_eyes_whose_lids_are_not_known_stay_as_they_are(person: Person) -> None:
    _, mesh = person
    blind = replace(mesh, lids=None)
    for target, source in ((blind, mesh), (mesh, blind)):
        assert match_lids(target, source, mesh.points[CONTROL, :2], (256, 256)) is None
    moved = mesh.moved(np.array([[2.0, 0, 5], [0, 2, -3]]))
    assert mesh.lids is not None
    assert moved.lids is not None
    np.testing.assert_allclose(moved.lids, mesh.lids * 2 + np.array([5, -3], np.float32))


def test_the_engine_closes_the_eyes_of_the_new_face(
    person: Person, people: list[NDArray[np.uint8]], meshes: list[Mesh]
) -> None:
    pixels, mesh = person
    look = Identity(
        people[1],
        IrisLandmarks().complete(people[1], meshes[1]),
        np.zeros(512),
        "female",
        30.0,
        np.eye(128)[0],
        seed=1,
        source="test",
    )
    crop = Crop(pixels, np.eye(2, 3))
    awake, asleep = (
        MeshSwapper()(crop, target, look).pixels.astype(np.float32)
        for target in (mesh, closed(mesh, 0, 0))
    )
    assert np.mean(seen(asleep, mesh)) < 0.85 * np.mean(seen(awake, mesh))
