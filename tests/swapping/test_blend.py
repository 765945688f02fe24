"""How the new face gets into the crop: seams without loss of grain, cheeks of the right colour."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.errors import FaceError
from anonyface.landmarks import topology as topo
from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.mask import build_regions, cheeks, outline_window
from anonyface.swapping.resolution import mix
from anonyface.swapping.tone import match_cheeks
from anonyface.swapping.warp import _eliminate
from anonyface.types import Crop, Identity, Mesh


def energy(image: NDArray[np.float32]) -> float:
    """Mean square of the steps from pixel to pixel."""
    return float((np.diff(image, axis=1) ** 2).mean())


def test_half_and_half_is_hardly_softer_than_either() -> None:
    rng = np.random.default_rng(0)
    old, new = (rng.normal(120, 8, (96, 96, 3)).astype(np.float32) for _ in range(2))
    half = np.full((96, 96), 0.5, np.float32)
    plain = (old + new) / 2
    mixed = mix(old, new, half)
    assert energy(plain) < 0.6 * energy(old)
    assert 0.7 * energy(old) < energy(mixed) < energy(old)
    assert np.abs(mixed.mean() - plain.mean()) < 0.1


def test_the_ends_of_the_blend_are_the_pictures_themselves() -> None:
    rng = np.random.default_rng(1)
    old, new = (rng.uniform(0, 255, (32, 32, 3)).astype(np.float32) for _ in range(2))
    for share, wanted in ((0.0, old), (1.0, new)):
        mixed = mix(old, new, np.full((32, 32), share, np.float32))
        np.testing.assert_allclose(mixed, wanted, atol=1e-3)  # far below half a grey level


def test_cheeks_get_the_colour_of_the_old_ones_and_the_outline_stays(meshes: list[Mesh]) -> None:
    points = meshes[0].points / 4
    regions = build_regions(points, (256, 256))
    where = cheeks(points, (256, 256))
    old = np.full((256, 256, 3), (150, 110, 95), np.float32)
    new = old * np.array([1.1, 1.08, 1.05], np.float32)
    width = float(np.ptp(points[:, 0]))
    out = match_cheeks(new, old, where, regions, width)
    inner = regions.edge > 0.25 * width
    assert np.abs(out - old)[inner].max() < 0.5
    outside = regions.edge == 0
    np.testing.assert_array_equal(out[outside], new[outside])
    np.testing.assert_array_equal(match_cheeks(new, old, 0 * where, regions, width), new)
    for outline in (topo.LEFT_CHEEK, topo.RIGHT_CHEEK):
        x, y = points[outline, :2].mean(axis=0).round().astype(int)
        assert where[y, x] == 1


@pytest.mark.parametrize("count", [20, 139])
def test_the_spline_is_solved_like_any_system(count: int) -> None:
    rng = np.random.default_rng(count)
    system = rng.standard_normal((count, count))
    system += system.T
    right = rng.standard_normal((count, 2))
    solved = _eliminate(system, right)
    np.testing.assert_allclose(system @ solved, right, atol=1e-6)


def test_nothing_is_changed_outside_of_the_outline(
    people: list[NDArray[np.uint8]], meshes: list[Mesh], identity: Identity
) -> None:
    pixels, mesh = people[0][::4, ::4].copy(), Mesh(meshes[0].points / 4, 1.0)
    patch = MeshSwapper()(Crop(pixels, np.eye(2, 3)), mesh, identity)
    (y0, y1), (x0, x1) = outline_window(mesh.points, pixels.shape)
    beyond = np.ones(pixels.shape[:2], bool)
    beyond[y0:y1, x0:x1] = False
    assert beyond.any()
    assert not patch.alpha[beyond].any()
    np.testing.assert_array_equal(patch.pixels[beyond], pixels[beyond])


def test_a_face_at_the_border_is_replaced_as_far_as_it_is_seen(
    people: list[NDArray[np.uint8]], meshes: list[Mesh], identity: Identity
) -> None:
    pixels = people[0][::4, ::4][:, 120:].copy()
    mesh = Mesh(meshes[0].points / 4, 1.0).moved(np.array([[1.0, 0, -120], [0, 1, 0]]))
    patch = MeshSwapper()(Crop(pixels, np.eye(2, 3)), mesh, identity)
    assert patch.alpha[:, 0].max() == 1  # the border of the photo is no edge of the face
    away = mesh.moved(np.array([[1.0, 0, 2000], [0, 1, 0]]))
    with pytest.raises(FaceError, match="no part"):
        MeshSwapper()(Crop(pixels, np.eye(2, 3)), away, identity)
