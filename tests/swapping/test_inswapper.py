"""The adapter for users' swap networks: what it makes of the answers of tiny ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

from anonyface.api import Anonymizer
from anonyface.errors import FaceError
from anonyface.landmarks import topology as topo
from anonyface.landmarks.mesh import five_points
from anonyface.swapping.inswapper import CHIP_PX, CHIP_TEMPLATE, DIMS, InswapperSwapper
from anonyface.types import Crop, Identity, Mesh

from ..fakes import still_there
from .faces import core_of, piece
from .tiny_networks import (
    EMAP,
    KEPT,
    PAINTED,
    constant,
    painted_colour,
    write_encoder,
    write_swapper,
)


@pytest.mark.parametrize("scale", [0.06, 0.25, 0.5, 1.0])
def test_the_face_becomes_what_the_network_says_and_nothing_else_changes(
    scale: float,
    swapper: InswapperSwapper,
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    identity: Identity,
) -> None:
    crop, mesh = piece(people, meshes, scale)
    patch = swapper(crop, mesh, identity)
    assert patch.pixels.shape == crop.pixels.shape
    assert patch.pixels.dtype == np.uint8
    assert patch.alpha.shape == crop.pixels.shape[:2]
    assert patch.alpha.dtype == np.float32
    assert 0 <= patch.alpha.min() <= patch.alpha.max() <= 1
    outside = patch.alpha == 0
    assert 0.2 < outside.mean() < 0.9
    np.testing.assert_array_equal(patch.pixels[outside], crop.pixels[outside])
    core = core_of(crop, mesh, patch)
    assert core.mean() > 0.05
    wanted = KEPT * crop.pixels[core] + PAINTED * painted_colour(identity)
    # Sharpness and grain are matched to the photo's; both leave the mean where it was.
    np.testing.assert_allclose(patch.pixels[core].mean(axis=0), wanted.mean(axis=0), atol=2.5)
    assert np.abs(patch.pixels[core].mean(axis=0) - crop.pixels[core].mean(axis=0)).max() > 15


def test_what_comes_back_lies_where_it_was_cut_out(
    folder: Path,
    encoder: Path,
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    identity: Identity,
) -> None:
    """A network that returns its target changes hardly anything, at any size and turn."""
    back = [helper.make_node("Identity", ["target"], ["output"])]
    mirror = InswapperSwapper(
        write_swapper(folder / "mirror.onnx", ending=back), encoder=encoder, threads=1
    )
    for scale, degrees in ((0.12, 0.0), (0.25, 40.0), (0.4, 180.0)):
        crop, mesh = piece(people, meshes, scale)
        height, width = crop.pixels.shape[:2]
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
        pixels = np.asarray(cv2.warpAffine(crop.pixels, turn, (width, height)), np.uint8)
        points = mesh.points.copy()
        points[:, :2] = points[:, :2] @ turn[:, :2].T + turn[:, 2]
        patch = mirror(Crop(pixels, np.eye(2, 3)), Mesh(points, 1.0), identity)
        core = core_of(Crop(pixels, np.eye(2, 3)), Mesh(points, 1.0), patch)
        steps = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)]
        moved = [np.roll(patch.pixels, step, (0, 1))[core].astype(int) for step in steps]
        here, *beside = (np.abs(m - pixels[core]).mean() for m in moved)
        assert here < 5  # softened by the way through 128 px
        assert here < 0.9 * min(beside)  # not one pixel aside


def test_the_face_is_cut_out_where_such_networks_expect_it(
    folder: Path,
    encoder: Path,
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    identity: Identity,
) -> None:
    """The eyes come to lie in the middle of a chip of 128 px: the network sees where it paints."""
    mask = np.zeros((1, 3, CHIP_PX, CHIP_PX), np.float32)
    mask[..., 40:64, 32:96] = 1  # the eyes' rows of the centred template
    last = [constant("mask", mask), constant("emap", EMAP)]
    ending = [helper.make_node("Mul", ["target", "mask"], ["output"])]
    bars = InswapperSwapper(
        write_swapper(folder / "bars.onnx", last=last, ending=ending), encoder=encoder, threads=1
    )
    crop, mesh = piece(people, meshes)
    patch = bars(crop, mesh, identity)
    eyes_nose_mouth = five_points(mesh.points).round().astype(int)
    light = patch.pixels[eyes_nose_mouth[:, 1], eyes_nose_mouth[:, 0]].astype(int).sum(axis=1)
    was = crop.pixels[eyes_nose_mouth[:, 1], eyes_nose_mouth[:, 0]].astype(int).sum(axis=1)
    assert (light[2:] < 0.5 * was[2:]).all()  # nose and mouth are painted black
    assert (light[:2] > 0.5 * was[:2]).all()  # the eyes stay
    np.testing.assert_allclose(CHIP_TEMPLATE[:, 0].mean(), CHIP_PX / 2, atol=0.5)


def test_the_last_constant_is_used(
    folder: Path,
    encoder: Path,
    swapper: InswapperSwapper,
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    identity: Identity,
) -> None:
    shuffled = EMAP[:, np.random.default_rng(4).permutation(DIMS)]
    other = InswapperSwapper(
        write_swapper(folder / "shuffled.onnx", emap=shuffled), encoder=encoder, threads=1
    )
    crop, mesh = piece(people, meshes)
    one, two = swapper(crop, mesh, identity), other(crop, mesh, identity)
    core = core_of(crop, mesh, one)
    assert np.abs(painted_colour(identity) - painted_colour(identity, shuffled)).max() > 20
    wanted = KEPT * crop.pixels[core] + PAINTED * painted_colour(identity, shuffled)
    np.testing.assert_allclose(two.pixels[core].mean(axis=0), wanted.mean(axis=0), atol=2.5)
    assert np.abs(one.pixels[core].mean(axis=0) - two.pixels[core].mean(axis=0)).max() > 10


def test_the_same_input_gives_the_same_pixels(
    swapper: InswapperSwapper,
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    identity: Identity,
) -> None:
    crop, mesh = piece(people, meshes)
    before = crop.pixels.copy()
    one, two = (swapper(crop, mesh, identity) for _ in range(2))
    np.testing.assert_array_equal(one.pixels, two.pixels)
    np.testing.assert_array_equal(crop.pixels, before)


def not_finite() -> list[onnx.NodeProto]:
    return [
        helper.make_node("Sub", ["sum", "sum"], ["zero"]),
        helper.make_node("Div", ["zero", "zero"], ["output"]),
    ]


def narrow() -> list[onnx.NodeProto]:
    """A smaller result, which onnxruntime sees only when it runs."""
    return [helper.make_node("Compress", ["sum", "half"], ["output"], axis=3)]


@pytest.mark.parametrize(
    ("ending", "problem"), [(not_finite, "not finite"), (narrow, r"64.*expected.*128")]
)
def test_a_result_that_is_none_is_a_face_error(
    ending: Callable[[], list[onnx.NodeProto]],
    problem: str,
    tmp_path: Path,
    encoder: Path,
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    identity: Identity,
) -> None:
    half = constant("half", np.arange(CHIP_PX) % 2, np.bool_)
    path = write_swapper(
        tmp_path / "bad.onnx",
        last=[half, constant("emap", EMAP)],
        ending=ending(),
        output=[1, 3, "h", "w"],
    )
    swap = InswapperSwapper(path, encoder=encoder, threads=1)
    with pytest.raises(FaceError, match=problem):
        swap(*piece(people, meshes), identity)


@pytest.mark.parametrize("scale", [0.0, float("inf")])
def test_an_embedding_without_direction_is_a_face_error(
    scale: float,
    tmp_path: Path,
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    identity: Identity,
) -> None:
    path = write_swapper(tmp_path / "swap.onnx")
    swap = InswapperSwapper(path, encoder=write_encoder(tmp_path / "e.onnx", scale=scale))
    with pytest.raises(FaceError, match=r"direction|finite"):
        swap(*piece(people, meshes), identity)


def test_a_face_that_the_chip_does_not_hold_is_a_face_error(
    swapper: InswapperSwapper,
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    identity: Identity,
) -> None:
    crop, mesh = piece(people, meshes)
    points = mesh.points.copy()
    for part in (topo.LEFT_BROW, topo.RIGHT_BROW, topo.FACE_OVAL[[0, 1, 2, -2, -1]]):
        points[part, 1] -= 100  # stretched beyond what any chip around the eyes shows
    with pytest.raises(FaceError, match="does not fit"):
        swapper(crop, Mesh(points, 1.0), identity)
    for points in (np.zeros((468, 3)), np.where(mesh.points == mesh.points.max(), np.nan, 90)):
        with pytest.raises(FaceError):
            swapper(crop, Mesh(points, 1.0), identity)


def test_half_precision_files_work_alike(
    tmp_path: Path,
    encoder: Path,
    swapper: InswapperSwapper,
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    identity: Identity,
) -> None:
    half = [constant("emap", EMAP, np.float16)]
    other = InswapperSwapper(
        write_swapper(tmp_path / "half.onnx", last=half), encoder=encoder, threads=1
    )
    crop, mesh = piece(people, meshes)
    one, two = swapper(crop, mesh, identity), other(crop, mesh, identity)
    assert np.abs(one.pixels.astype(int) - two.pixels).max() <= 2


def test_a_network_that_changes_nothing_does_not_let_a_face_through(
    tmp_path: Path, people: list[NDArray[np.uint8]]
) -> None:
    back = [helper.make_node("Identity", ["target"], ["output"])]
    path = write_swapper(tmp_path / "mirror.onnx", ending=back)
    write_encoder(tmp_path / "w600k_tiny.onnx")
    photo = np.asarray(cv2.resize(people[0], (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
    result = Anonymizer(swapper=str(path), seed=5, threads=1)(photo)
    assert [outcome.action for outcome in result.faces] == ["redacted"]
    assert "recognisable" in result.faces[0].reason
    assert not any(still_there(photo, result.image, [o.face for o in result.faces]))
