"""Lips get the colour of the original's, and nothing else does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.landmarks import topology as topo
from anonyface.landmarks.skin import to_lab
from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.lips import MOST, match_lips
from anonyface.swapping.mask import face_width, fill_polygon
from anonyface.swapping.resolution import mix
from anonyface.swapping.warp import CONTROL
from anonyface.types import BoolArray, Crop, FloatArray, Identity, Mesh

from .faces import piece

SKIN = np.array([65, 18, 18], np.float32)
PALE, RED, BLACK = (
    SKIN + np.array(by, np.float32) for by in ((-8, 8, 2), (-14, 22, 4), (-60, 0, 0))
)


def lips_of(mesh: Mesh, shape: tuple[int, ...], *, grown: int = 0) -> BoolArray:
    """Where the lips are, and so many pixels around them."""
    outer = fill_polygon(mesh.points[topo.LIPS_OUTER, :2], shape)
    if grown:
        return np.asarray(cv2.dilate(outer, np.ones((2 * grown + 1,) * 2, np.uint8)) > 0)
    return np.asarray((outer > 0) & (fill_polygon(mesh.points[topo.LIPS_INNER, :2], shape) == 0))


def painted(mesh: Mesh, shape: tuple[int, ...], colour: FloatArray) -> FloatArray:
    """(h, w, 3) float32 RGB 0-255: skin, and lips of an L*a*b* colour."""
    lab = np.broadcast_to(SKIN, (*shape[:2], 3)).astype(np.float32).copy()
    lab[lips_of(mesh, shape)] = colour
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255, np.float32)


def matched(mesh: Mesh, shape: tuple[int, ...], was: FloatArray, bare: float = 1.0) -> FloatArray:
    new = painted(mesh, shape, PALE)
    return match_lips(
        new,
        painted(mesh, shape, was),
        np.full(shape[:2], bare, np.float32),
        mesh.points,
        mesh.points[CONTROL, :2],
        face_width(mesh.points),
    )


@pytest.fixture
def face(people: list[NDArray[np.uint8]], meshes: list[Mesh]) -> tuple[Crop, Mesh]:
    return piece(people, meshes)


def test_lipstick_stays_and_the_skin_keeps_its_colour(face: tuple[Crop, Mesh]) -> None:
    crop, mesh = face
    shape = crop.pixels.shape
    out = matched(mesh, shape, RED)
    inside, outside = lips_of(mesh, shape), ~lips_of(mesh, shape, grown=8)
    assert inside.sum() > 100
    # Soft at its edge: inside of thin lips a few tenths of the change are missing.
    np.testing.assert_allclose(np.median(to_lab(out)[inside], axis=0), RED, atol=4)
    np.testing.assert_allclose(out[outside], painted(mesh, shape, PALE)[outside], atol=0.5)


def test_what_hides_the_lips_says_nothing_of_their_colour(face: tuple[Crop, Mesh]) -> None:
    crop, mesh = face
    np.testing.assert_array_equal(
        matched(mesh, crop.pixels.shape, RED, bare=0.0), painted(mesh, crop.pixels.shape, PALE)
    )


def test_lips_in_the_shadow_of_a_moustache_change_no_more_than_lips_may(
    face: tuple[Crop, Mesh],
) -> None:
    crop, mesh = face
    out = matched(mesh, crop.pixels.shape, BLACK)
    inside = lips_of(mesh, crop.pixels.shape)
    assert to_lab(out)[inside][:, 0].min() - PALE[0] == pytest.approx(MOST[0, 0], abs=0.5)


def test_a_new_face_wears_the_lipstick_of_the_old_one(
    face: tuple[Crop, Mesh], identity: Identity
) -> None:
    crop, mesh = face
    inside = lips_of(mesh, crop.pixels.shape)
    lab = to_lab(crop.pixels)
    lab[inside] += np.array([-4, 18, 4], np.float32)
    made_up = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255, 0, 255).astype(np.uint8)

    def redness(pixels: NDArray[np.uint8]) -> float:
        patch = MeshSwapper()(Crop(pixels, crop.matrix), mesh, identity)
        new = mix(pixels.astype(np.float32), patch.pixels.astype(np.float32), patch.alpha)
        return float(np.median(to_lab(new)[inside][:, 1]))

    assert redness(made_up) > redness(crop.pixels) + 6
