"""The parts of the swap engine, each on data where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.errors import FaceError
from anonyface.identities.people import portrait_face
from anonyface.landmarks import topology as topo
from anonyface.landmarks.mesh import FaceMesh
from anonyface.landmarks.pose import head_axes
from anonyface.landmarks.skin import fit_skin, to_lab
from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.mask import build_regions, face_width
from anonyface.swapping.texture import Scene, _luma, _noise, match_texture
from anonyface.swapping.tone import match_shading
from anonyface.swapping.warp import CONTROL, Shares, blend_geometry, warp_portrait
from anonyface.types import Crop, Identity, Mesh

NONE = Shares(0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def meshes(people: list[NDArray[np.uint8]]) -> list[Mesh]:
    finder = FaceMesh()
    return [finder(p, [portrait_face(1024)])[0] for p in people]


@pytest.fixture(scope="module")
def identity(people: list[NDArray[np.uint8]], meshes: list[Mesh]) -> Identity:
    return Identity(
        people[1], meshes[1], np.zeros(512), "female", 30.0, np.eye(128)[0], seed=1, source="test"
    )


def test_a_warp_onto_itself_changes_nothing(people: list, meshes: list[Mesh]) -> None:
    portrait, points = people[0], meshes[0].points
    warped = warp_portrait(portrait, points[CONTROL, :2], points[CONTROL, :2], (1024, 1024))
    inner = slice(420, 620)
    # The spline is regularised: points move by hundredths of a pixel.
    assert np.abs(warped[inner, inner] - portrait[inner, inner]).mean() < 1.0


def test_control_points_land_where_they_should(meshes: list[Mesh]) -> None:
    source = meshes[0].points
    placed = meshes[1].points[CONTROL, :2] * 0.25
    ramp = np.zeros((1024, 1024, 3), np.uint8)
    ramp[..., 0] = (np.arange(1024) // 4)[None]
    ramp[..., 1] = (np.arange(1024) // 4)[:, None]
    warped = warp_portrait(ramp, source[CONTROL, :2], placed, (256, 256))
    xy = placed.round().astype(int)
    got = warped[xy[:, 1], xy[:, 0], :2] * 4
    # One grey level is four pixels of the portrait, and the target was rounded to a pixel (= 4).
    assert np.median(np.abs(got - source[CONTROL, :2])) < 8


def test_geometry_follows_its_share(meshes: list[Mesh]) -> None:
    target, source = meshes[0].points, meshes[1].points
    full = blend_geometry(target, source, Shares(1.0, 1.0, 1.0))
    np.testing.assert_allclose(full, target[CONTROL, :2], atol=1e-3)
    none = blend_geometry(target, source, NONE)
    np.testing.assert_allclose(none[:36], target[CONTROL[:36], :2], atol=1e-3)  # outline stays
    assert np.abs(none[36:] - full[36:]).max() > 2


def test_brows_and_lids_are_raised_as_the_originals_are(meshes: list[Mesh]) -> None:
    target, source = meshes[0].points, meshes[1].points
    own, raised = (
        blend_geometry(target, source, Shares(shape=0.0, raised=share, mouth=0.0))
        for share in (0.0, 1.0)
    )
    right, down, _ = head_axes(target)
    down, right = (axis[:2] / np.hypot(*axis[:2]) for axis in (down, right))
    moved = raised - own
    eyes_and_brows = np.isin(CONTROL, topo.EYES_AND_BROWS)
    assert np.abs(moved[~eyes_and_brows]).max() < 1e-3
    off = (raised - target[CONTROL, :2])[eyes_and_brows]
    assert np.abs(off @ down).max() < 1e-2  # as high as those of the original
    assert np.abs(moved @ right).max() < 0.1 * np.abs(moved @ down).max()  # and no nearer to them


def test_a_portrait_is_turned_as_the_original_is(meshes: list[Mesh]) -> None:
    source = meshes[0].points
    for axis, degrees in ((1, 15.0), (0, -10.0)):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turn = np.eye(3, dtype=np.float32)
        i, k = (0, 2) if axis else (1, 2)
        turn[i, i] = turn[k, k] = c
        turn[i, k], turn[k, i] = -s, s
        target = source @ turn.T
        placed = blend_geometry(target, source, NONE)
        size = face_width(target)
        # The same head, seen from elsewhere: its nose and eyes are where they are seen then.
        assert np.abs(placed - target[CONTROL, :2]).max() < 0.003 * size
        flat = source[CONTROL, :2] - target[CONTROL, :2]
        assert np.abs(flat - flat.mean(axis=0)).max() > 0.03 * size


def test_a_collapsed_mesh_is_a_face_error(meshes: list[Mesh]) -> None:
    with pytest.raises(FaceError):
        blend_geometry(np.zeros((468, 3), np.float32), meshes[0].points, NONE)


def test_shading_takes_the_light_of_skin_and_nothing_of_the_background() -> None:
    points = oval_points()
    regions = build_regions(points, (200, 200))
    ramp = np.linspace(0.6, 1.4, 200, dtype=np.float32)[None, :, None]
    new = np.full((200, 200, 3), (150, 120, 110), np.float32)
    old = np.clip(np.full((200, 200, 3), (120, 90, 80), np.float32) * ramp, 0, 255)
    old[:, :45] = (0, 255, 0)  # a glaring background
    skin = np.ones((200, 200), np.float32)
    skin[:, :45] = 0
    skin *= regions.edge > 0
    out = match_shading(new, old, skin, regions, face_width(points))
    inside = regions.edge > 12
    error = np.abs(out - old)[inside]
    assert error.mean() < 6  # the ramp is followed
    green = out[..., 1] - out[..., 0]
    assert green[inside].max() < 0  # and no green came in


def oval_points() -> NDArray[np.float32]:
    from anonyface.landmarks import topology as topo

    rng = np.random.default_rng(0)
    points = np.zeros((468, 3), np.float32)
    points[:, :2] = rng.uniform(80, 120, (468, 2))
    angle = np.linspace(-np.pi / 2, 1.5 * np.pi, 36, endpoint=False)
    points[topo.FACE_OVAL, 0] = 100 + 60 * np.cos(angle)
    points[topo.FACE_OVAL, 1] = 100 + 75 * np.sin(angle)
    return points


def test_regions_cover_the_face_and_only_it() -> None:
    points = oval_points()
    regions = build_regions(points, (200, 200))
    assert regions.soft[100, 100] == 1
    assert regions.soft[5, 5] == 0
    assert regions.core[100, 100] == 1
    assert regions.band[100, 42] > 0.9
    assert np.all(np.abs(regions.core + regions.band - 1) < 1e-6)


def test_texture_is_matched_both_ways() -> None:
    rng = np.random.default_rng(0)
    noise = rng.uniform(60, 200, (128, 128, 1)).astype(np.float32).repeat(3, axis=2)
    import cv2

    crisp, soft = (np.asarray(cv2.GaussianBlur(noise, (0, 0), s)).round() for s in (0.8, 1.0))
    where = np.ones((128, 128), np.float32)
    for new, old in ((crisp, soft), (soft, crisp)):
        scene = Scene(_luma(old), where > 0, 128)
        out = match_texture(new, old, where, np.random.default_rng(1), 128)
        wanted = scene.steepness(_luma(old), rounded=True)
        assert abs(np.log(scene.steepness(_luma(new)) / wanted)) > 0.15
        assert abs(np.log(scene.steepness(_luma(out)) / wanted)) < 0.1


def test_grain_is_added_at_the_photos_level() -> None:
    rng = np.random.default_rng(0)
    flat = np.full((128, 128, 3), 120, np.float32)
    grainy = np.asarray(flat + rng.normal(0, 6, (128, 128, 1))).round().astype(np.float32)
    where = np.ones((128, 128), np.float32)
    out = match_texture(flat, grainy, where, np.random.default_rng(1), 128)
    assert 2 < _noise(_luma(out), where > 0) < 9
    assert _noise(_luma(match_texture(flat, flat, where, rng, 128)), where > 0) == 0


def test_skin_is_told_from_hair_and_cloth(people: list, meshes: list[Mesh]) -> None:
    lab = to_lab(people[1])
    skin = fit_skin(lab, meshes[1]).likelihood(lab)
    nose, cheek = meshes[1].points[[5, 50], :2].round().astype(int)
    assert skin[nose[1], nose[0]] > 0.8
    assert skin[cheek[1], cheek[0]] > 0.5
    assert skin[:40].mean() < 0.6  # above the head: background


@pytest.mark.parametrize("scale", [0.04, 0.1, 0.4, 1.0])
def test_the_engine_leaves_everything_outside_its_alpha(
    scale: float, people: list, meshes: list[Mesh], identity: Identity
) -> None:
    import cv2

    side = round(1024 * scale)
    pixels = np.asarray(cv2.resize(people[0], (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    mesh = Mesh(meshes[0].points * np.float32(scale), 1.0)
    crop = Crop(pixels, np.eye(2, 3))
    patch = MeshSwapper()(crop, mesh, identity)
    assert patch.pixels.shape == pixels.shape
    assert patch.alpha.shape == pixels.shape[:2]
    outside = patch.alpha == 0
    np.testing.assert_array_equal(patch.pixels[outside], pixels[outside])
    core = patch.alpha > 0.99
    assert core.sum() > 0.05 * side**2
    assert np.abs(patch.pixels[core].astype(int) - pixels[core]).mean() > 3


def test_the_same_input_gives_the_same_pixels(
    people: list, meshes: list[Mesh], identity: Identity
) -> None:
    crop, mesh = Crop(people[0][::4, ::4].copy(), np.eye(2, 3)), Mesh(meshes[0].points / 4, 1.0)
    one, two = (MeshSwapper()(crop, mesh, identity) for _ in range(2))
    np.testing.assert_array_equal(one.pixels, two.pixels)
