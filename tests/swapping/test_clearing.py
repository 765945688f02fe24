"""The identity's hair is taken off its forehead: the original's is what stays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.landmarks import topology as topo
from anonyface.landmarks.skin import fit_bare_skin, to_lab
from anonyface.swapping.clearing import FADE, clear_hair
from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.mask import build_regions, face_width
from anonyface.swapping.warp import CONTROL
from anonyface.types import FloatArray, Identity, Mesh

from .faces import piece

HAIR = (25, 18, 15)


def strand(pixels: NDArray[np.uint8], mesh: Mesh) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A strand of dark hair over the forehead, beside the image-right eye and down to the cheek."""
    where = np.zeros(pixels.shape[:2], np.uint8)
    width = face_width(mesh.points)
    way = mesh.points[[topo.FOREHEAD_TOP, 299, 372, 345], :2].round().astype(np.int32)
    cv2.polylines(where, [way[:, None]], False, 255, max(2, round(0.05 * width)), cv2.LINE_AA)
    mixed = pixels + (np.array(HAIR) - pixels) * (where[..., None] / 255)
    return mixed.astype(np.uint8), where > 200


def cleared(
    pixels: NDArray[np.uint8], mesh: Mesh, *, glasses: bool = False
) -> tuple[FloatArray, FloatArray]:
    points = mesh.points
    lab = to_lab(pixels)
    skin = fit_bare_skin(lab, points).likelihood(lab)
    regions = build_regions(points, pixels.shape[:2])
    return clear_hair(
        pixels.astype(np.float32),
        skin,
        points[CONTROL, :2],
        regions,
        face_width(points),
        glasses=glasses,
    )


def test_a_strand_becomes_skin(people: list[NDArray[np.uint8]], meshes: list[Mesh]) -> None:
    crop, mesh = piece(people, meshes)
    hairy, where = strand(crop.pixels, mesh)
    regions = build_regions(mesh.points, hairy.shape[:2])
    new, skin = cleared(hairy, mesh)
    inner = where & (regions.edge > 4)
    assert inner.sum() > 60
    before, after = (
        np.abs(image[inner].astype(np.float32) - crop.pixels[inner]).mean()
        for image in (hairy, new)
    )
    assert after < 0.4 * before
    bare = fit_bare_skin(to_lab(hairy), mesh.points).likelihood(to_lab(hairy))
    assert bare[inner].mean() < 0.2
    assert skin[inner].mean() > 0.5


def test_features_stay(people: list[NDArray[np.uint8]], meshes: list[Mesh]) -> None:
    """All but the tail of a brow, which fades where the person's own hair is cleared beside it."""
    crop, mesh = piece(people, meshes)
    hairy, _ = strand(crop.pixels, mesh)
    new, _ = cleared(hairy, mesh)
    for outline in (topo.LEFT_EYE, topo.LEFT_BROW, topo.LIPS_OUTER, topo.CHIN_PATCH):
        x, y = mesh.points[outline, :2].round().astype(int).T
        inner = x > mesh.points[topo.LEFT_BROW, 0].min() + 4 * FADE * face_width(mesh.points)
        assert inner.sum() >= 5
        np.testing.assert_allclose(new[y, x][inner], hairy[y, x][inner], atol=4)


def test_hair_goes_up_to_the_brow_but_a_spot_there_is_part_of_it(
    people: list[NDArray[np.uint8]], meshes: list[Mesh]
) -> None:
    crop, mesh = piece(people, meshes)
    width, points = face_width(mesh.points), mesh.points[:, :2]
    end = points[topo.LEFT_BROW][points[topo.LEFT_BROW, 0].argmin()]
    x, y = round(float(end[0]) - 0.02 * width), round(float(end[1]))
    outside = round(float(points[topo.FACE_OVAL, 0].min()))
    assert x - outside > 0.1 * width
    left = {}
    sizes = {"lock": (outside, 0.08), "spot": (round(x - 0.02 * width), 0.02)}
    for name, (reach, high) in sizes.items():
        half = round(high * width)
        hairy = np.full_like(crop.pixels, (200, 160, 140))
        hairy[y - half : y + half, reach : x + 2] = HAIR
        new, _ = cleared(hairy, mesh)
        left[name] = float(new[y, x].mean()) - float(np.mean(HAIR))
    assert left["lock"] > 40  # skin
    assert left["spot"] < 10  # still as dark


@pytest.mark.parametrize("onto", [0.0, 0.01])
def test_where_hair_meets_a_brow_no_dark_edge_is_left(
    onto: float, people: list[NDArray[np.uint8]], meshes: list[Mesh]
) -> None:
    crop, mesh = piece(people, meshes)
    width, points = face_width(mesh.points), mesh.points[:, :2]
    x, y = points[topo.LEFT_BROW][points[topo.LEFT_BROW, 0].argmin()].round().astype(int)
    reach, half = round(x + onto * width), round(0.08 * width)
    hairy = np.full_like(crop.pixels, (200, 160, 140))
    hairy[y - half : y + half, round(float(points[topo.FACE_OVAL, 0].min())) : reach + 1] = HAIR
    new, _ = cleared(hairy, mesh)
    skin = float(np.mean((200, 160, 140)))
    row = new[y, reach - round(0.05 * width) : reach + round(0.05 * width)].mean(axis=1)
    assert skin - row.min() < 0.5 * (skin - np.mean(HAIR))


def test_of_somebody_with_glasses_only_the_forehead_is_cleared(
    people: list[NDArray[np.uint8]], meshes: list[Mesh]
) -> None:
    crop, mesh = piece(people, meshes)
    hairy, where = strand(crop.pixels, mesh)
    new, _ = cleared(hairy, mesh, glasses=True)
    brows = mesh.points[np.concatenate([topo.LEFT_BROW, topo.RIGHT_BROW]), 1]
    below = np.zeros_like(where)
    below[round(float(brows.max())) :] = True
    np.testing.assert_array_equal(new[below], hairy[below].astype(np.float32))


def test_hair_of_the_identity_beside_the_eye_is_not_pasted(
    people: list[NDArray[np.uint8]], meshes: list[Mesh]
) -> None:
    crop, mesh = piece(people, meshes)
    portrait, _ = strand(people[1], meshes[1])
    bare, hairy = (
        MeshSwapper()(
            crop,
            mesh,
            Identity(
                pixels, meshes[1], np.zeros(512), "female", 30.0, np.eye(128)[0], seed=1, source="t"
            ),
        ).pixels.astype(np.float32)
        for pixels in (people[1], portrait)
    )
    x, y = mesh.points[[299, 372], :2].round().astype(int).T
    darker = (bare - hairy).mean(axis=2)
    for column, row in zip(x, y, strict=True):
        around = darker[row - 4 : row + 5, column - 4 : column + 5]
        assert around.max() < 45


def forehead(
    mesh: Mesh, hw: tuple[int, ...], darker: float, step: float
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """A face of one colour with upright lines over the upper half of its forehead, and where.

    Args:
        mesh: The face.
        hw: Height and width of the picture.
        darker: By how many grey levels the lines are darker.
        step: Distance of the lines in face widths; each is a third as wide.
    """
    pixels = np.full((*hw[:2], 3), (200, 160, 140), np.float32)
    pixels += np.linspace(-20, 20, hw[1], dtype=np.float32)[:, None]  # light from one side
    top, brow = mesh.points[topo.FOREHEAD_TOP, 1], mesh.points[topo.LEFT_BROW, 1].min()
    rows, columns = np.mgrid[: hw[0], : hw[1]]
    width = face_width(mesh.points)
    where = (rows > top) & (rows < (top + brow) / 2) & (columns % (step * width) < step * width / 3)
    where &= build_regions(mesh.points, hw).edge > 0.03 * width
    pixels[where] -= darker
    return pixels, where


@pytest.mark.parametrize(
    ("darker", "step", "left"),
    [
        (0, 0.12, (1, 1)),
        (60, 0.12, (0, 0.3)),  # a fringe, light enough to pass for skin
        (8, 0.3, (0.7, 1)),  # wrinkles
    ],
)
def test_of_what_passes_for_skin_a_fringe_is_cleared_and_wrinkles_stay(
    darker: float,
    step: float,
    left: tuple[float, float],
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
) -> None:
    crop, mesh = piece(people, meshes)
    pixels, where = forehead(mesh, crop.pixels.shape, darker, step)
    plain, _ = forehead(mesh, crop.pixels.shape, 0, step)
    regions = build_regions(mesh.points, pixels.shape[:2])
    skin, width = np.ones(pixels.shape[:2], np.float32), face_width(mesh.points)
    out, same = clear_hair(pixels, skin, mesh.points[CONTROL, :2], regions, width, glasses=False)
    np.testing.assert_array_equal(same, skin)
    if not darker:
        np.testing.assert_allclose(out, pixels, atol=0.01)
        return
    rest = (plain - out)[where].mean() / darker
    assert left[0] <= rest <= left[1]
