"""The last look at a new face, with networks made up for the purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.swapping import refine
from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.refine import FIELD_PX, INPUT_PX, Refiner, context_square, to_field
from anonyface.types import Crop, FloatArray, Identity, Mesh

from .faces import piece


@dataclass
class Session:
    """Answers with one field, and keeps what it was shown."""

    field: FloatArray
    shown: FloatArray | None = None

    def run(self, outputs: list[str], feeds: dict[str, Any]) -> list[FloatArray]:
        assert outputs == ["field"]
        self.shown = feeds["image"]
        return [self.field[None]]


def answering(monkeypatch: pytest.MonkeyPatch, field: FloatArray) -> Session:
    session = Session(field)
    monkeypatch.setattr(refine, "open_session", lambda *_, **__: session)
    return session


def still() -> FloatArray:
    return np.zeros((3, FIELD_PX, FIELD_PX), np.float32)


def put_on(crop: Crop, mesh: Mesh, identity: Identity, *, look: bool) -> Any:
    return MeshSwapper(refine=Refiner() if look else None)(crop, mesh, identity)


def test_a_gain_changes_the_new_face_alone(
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    identity: Identity,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crop, mesh = piece(people, meshes)
    field = still()
    field[0] = -0.1
    answering(monkeypatch, field)
    without, with_it = (put_on(crop, mesh, identity, look=look) for look in (False, True))
    np.testing.assert_array_equal(without.alpha, with_it.alpha)
    outside = without.alpha == 0
    np.testing.assert_array_equal(with_it.pixels[outside], crop.pixels[outside])
    solid = without.alpha > 0.99
    before, after = (p.pixels[solid].astype(float).mean(axis=0) for p in (without, with_it))
    np.testing.assert_allclose(after / before, [np.exp(-0.1), 1, 1], atol=0.02)


def test_no_gain_changes_nothing(
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    identity: Identity,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crop, mesh = piece(people, meshes)
    answering(monkeypatch, still())
    without, with_it = (put_on(crop, mesh, identity, look=look) for look in (False, True))
    np.testing.assert_array_equal(without.pixels, with_it.pixels)


def test_the_inner_face_of_the_original_is_not_shown(
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crop, mesh = piece(people, meshes)
    session = answering(monkeypatch, still())
    rng = np.random.default_rng(1)
    alpha = np.zeros(crop.pixels.shape[:2], np.float32)
    alpha[80:160, 80:160] = 1
    new = rng.uniform(0, 255, crop.pixels.shape).astype(np.float32)
    Refiner()(new, crop.pixels, alpha, mesh.points)
    first = session.shown
    other = np.where(alpha[..., None] > 0, 255 - crop.pixels, crop.pixels).astype(np.uint8)
    Refiner()(new, other, alpha, mesh.points)
    assert first is not None
    assert session.shown is not None
    assert first.shape == (1, 5, INPUT_PX, INPUT_PX)
    np.testing.assert_array_equal(first, session.shown)


def test_a_gain_lands_where_the_network_saw_it(
    people: list[NDArray[np.uint8]], meshes: list[Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    crop, mesh = piece(people, meshes)
    field = still()
    field[:, 10, 20] = 0.2
    answering(monkeypatch, field)
    new = np.full(crop.pixels.shape, 100, np.float32)
    alpha = np.ones(crop.pixels.shape[:2], np.float32)
    out = Refiner()(new, crop.pixels, alpha, mesh.points)[..., 0]
    matrix = to_field(context_square(mesh.points))
    row, column = np.unravel_index(int(out.argmax()), out.shape)
    there = matrix[:, :2] @ [column, row] + matrix[:, 2]
    np.testing.assert_allclose(there, [20, 10], atol=0.3)


def test_what_lies_beyond_the_crop_is_told(
    people: list[NDArray[np.uint8]], meshes: list[Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    crop, mesh = piece(people, meshes)
    session = answering(monkeypatch, still())
    points = mesh.points[:, :2]
    x0, y0 = np.floor(points.min(axis=0)).astype(int)
    tight = crop.pixels[y0:, x0:]
    moved = mesh.moved(np.array([[1.0, 0, -x0], [0, 1, -y0]]))
    alpha = np.ones(tight.shape[:2], np.float32)
    Refiner()(tight.astype(np.float32), tight, alpha, moved.points)
    assert session.shown is not None
    weight, seen = session.shown[0, 3:]
    assert seen[:4].max() == 0  # above the crop
    assert weight[:4].max() == 0
    assert seen[INPUT_PX // 2, INPUT_PX // 2] == 255


def test_tiny_faces_stay_as_they_are(
    people: list[NDArray[np.uint8]], meshes: list[Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    crop, mesh = piece(people, meshes, scale=0.03)
    answering(monkeypatch, still() + np.float32(0.2))
    new = crop.pixels.astype(np.float32)
    alpha = np.ones(new.shape[:2], np.float32)
    np.testing.assert_array_equal(Refiner()(new, crop.pixels, alpha, mesh.points), new)
