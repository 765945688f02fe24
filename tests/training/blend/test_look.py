"""The last look at a new face, with networks made up for the purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="training needs the extra 'train' (torch)")

from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.mask import cheeks
from anonyface.types import Crop, FloatArray, Identity, Mesh, Patch
from training.blend.look import (
    FIELD_PX,
    INPUT_PX,
    QUIET,
    RefinedSwapper,
    Refiner,
    context_square,
    to_field,
)

from ...swapping.faces import piece


@dataclass
class Session:
    """Answers with one field, and keeps what it was shown."""

    field: FloatArray
    shown: FloatArray | None = None

    def run(self, outputs: list[str], feeds: dict[str, Any]) -> list[FloatArray]:
        assert outputs == ["field"]
        self.shown = feeds["image"]
        return [self.field[None]]


def still() -> FloatArray:
    return np.zeros((3, FIELD_PX, FIELD_PX), np.float32)


def with_and_without(
    crop: Crop, mesh: Mesh, identity: Identity, field: FloatArray
) -> tuple[Patch, Patch]:
    refined = RefinedSwapper(refine=Refiner(Session(field)))
    return MeshSwapper()(crop, mesh, identity), refined(crop, mesh, identity)


def test_a_gain_changes_the_new_face_alone(
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    identity: Identity,
) -> None:
    crop, mesh = piece(people, meshes)
    field = still()
    field[0] = -0.1
    without, with_it = with_and_without(crop, mesh, identity, field)
    np.testing.assert_array_equal(without.alpha, with_it.alpha)
    outside = without.alpha == 0
    np.testing.assert_array_equal(with_it.pixels[outside], crop.pixels[outside])
    solid = without.alpha > 0.99
    free = solid & (cheeks(mesh.points, solid.shape) == 0)
    change = with_it.pixels[free].astype(float) / np.maximum(without.pixels[free], 1)
    np.testing.assert_allclose(
        np.percentile(change, 5, axis=0), [np.exp(QUIET - 0.1), 1, 1], atol=0.02
    )
    on_cheeks = solid & (cv2.erode(cheeks(mesh.points, solid.shape), np.ones((9, 9))) > 0)
    change = with_it.pixels[on_cheeks].astype(float) / np.maximum(without.pixels[on_cheeks], 1)
    assert np.median(change[:, 0]) > 0.98


def test_a_small_gain_changes_nothing(
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    identity: Identity,
) -> None:
    crop, mesh = piece(people, meshes)
    without, with_it = with_and_without(crop, mesh, identity, still() + np.float32(0.9 * QUIET))
    np.testing.assert_array_equal(without.pixels, with_it.pixels)


def test_the_inner_face_of_the_original_is_not_shown(
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
) -> None:
    crop, mesh = piece(people, meshes)
    session = Session(still())
    rng = np.random.default_rng(1)
    alpha = np.zeros(crop.pixels.shape[:2], np.float32)
    alpha[80:160, 80:160] = 1
    new = rng.uniform(0, 255, crop.pixels.shape).astype(np.float32)
    Refiner(session)(new, crop.pixels, alpha, mesh.points)
    first = session.shown
    other = np.where(alpha[..., None] > 0, 255 - crop.pixels, crop.pixels).astype(np.uint8)
    Refiner(session)(new, other, alpha, mesh.points)
    assert first is not None
    assert session.shown is not None
    assert first.shape == (1, 5, INPUT_PX, INPUT_PX)
    np.testing.assert_array_equal(first, session.shown)


def test_a_gain_lands_where_the_network_saw_it(
    people: list[NDArray[np.uint8]], meshes: list[Mesh]
) -> None:
    crop, mesh = piece(people, meshes)
    field = still()
    field[:, 6, 16] = 0.2  # forehead
    session = Session(field)
    new = np.full(crop.pixels.shape, 100, np.float32)
    alpha = np.ones(crop.pixels.shape[:2], np.float32)
    out = Refiner(session)(new, crop.pixels, alpha, mesh.points)[..., 0]
    matrix = to_field(context_square(mesh.points))
    row, column = np.unravel_index(int(out.argmax()), out.shape)
    there = matrix[:, :2] @ [column, row] + matrix[:, 2]
    np.testing.assert_allclose(there, [16, 6], atol=0.3)


def test_what_lies_beyond_the_crop_is_told(
    people: list[NDArray[np.uint8]], meshes: list[Mesh]
) -> None:
    crop, mesh = piece(people, meshes)
    session = Session(still())
    points = mesh.points[:, :2]
    x0, y0 = np.floor(points.min(axis=0)).astype(int)
    tight = crop.pixels[y0:, x0:]
    moved = mesh.moved(np.array([[1.0, 0, -x0], [0, 1, -y0]]))
    alpha = np.ones(tight.shape[:2], np.float32)
    Refiner(session)(tight.astype(np.float32), tight, alpha, moved.points)
    assert session.shown is not None
    weight, seen = session.shown[0, 3:]
    assert seen[:4].max() == 0  # above the crop
    assert weight[:4].max() == 0
    assert seen[INPUT_PX // 2, INPUT_PX // 2] == 255


def test_tiny_faces_stay_as_they_are(people: list[NDArray[np.uint8]], meshes: list[Mesh]) -> None:
    crop, mesh = piece(people, meshes, scale=0.03)
    session = Session(still() + np.float32(0.2))
    new = crop.pixels.astype(np.float32)
    alpha = np.ones(new.shape[:2], np.float32)
    np.testing.assert_array_equal(Refiner(session)(new, crop.pixels, alpha, mesh.points), new)
