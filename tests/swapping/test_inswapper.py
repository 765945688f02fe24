"""The adapter for users' swap networks, with tiny ones made here that keep the same contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from anonyface.api import Anonymizer
from anonyface.errors import FaceError, InputError
from anonyface.identities.people import portrait_face
from anonyface.landmarks import topology as topo
from anonyface.landmarks.mesh import FaceMesh, five_points
from anonyface.swapping.inswapper import (
    CHIP_PX,
    CHIP_TEMPLATE,
    DIMS,
    InswapperSwapper,
    find_encoder,
)
from anonyface.swapping.mask import build_regions
from anonyface.types import Crop, Identity, Mesh, Patch
from anonyface.verification.alignment import ARCFACE_TEMPLATE, align_chip

from ..fakes import still_there

FLOAT = TensorProto.FLOAT
KEPT, PAINTED = 0.2, 0.8
"""Shares of the target and of the painted colour in what the tiny network returns."""


def random_matrix(rows: int, columns: int, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)


EMAP, COLOURS = random_matrix(DIMS, DIMS, 1), random_matrix(DIMS, 3, 2)
GRID = random_matrix(3 * 7 * 7, DIMS, 3)


def constant(name: str, array: object, dtype: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(array, dtype), name)


def write_model(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
    constants: list[onnx.TensorProto],
) -> Path:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(n, FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, FLOAT, s) for n, s in outputs.items()],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def write_swapper(
    path: Path,
    *,
    emap: NDArray[np.float32] = EMAP,
    last: list[onnx.TensorProto] | None = None,
    names: tuple[str, str] = ("target", "source"),
    side: int = CHIP_PX,
    output: list[int | str] | None = None,
    ending: list[onnx.NodeProto] | None = None,
) -> Path:
    """Paint the target in a colour that depends on the source: sigmoid(6 source @ COLOURS)."""
    nodes = [
        helper.make_node("MatMul", [names[1], "colours"], ["mixed"]),
        helper.make_node("Mul", ["mixed", "contrast"], ["loud"]),
        helper.make_node("Sigmoid", ["loud"], ["colour"]),
        helper.make_node("Reshape", ["colour", "pixel"], ["dot"]),
        helper.make_node("Mul", [names[0], "kept"], ["faint"]),
        helper.make_node("Mul", ["dot", "painted"], ["paint"]),
        helper.make_node("Add", ["faint", "paint"], ["sum"]),
        *(ending or [helper.make_node("Identity", ["sum"], ["output"])]),
    ]
    constants = [
        constant("colours", COLOURS),
        constant("contrast", 6.0),
        constant("pixel", [1, 3, 1, 1], np.int64),
        constant("kept", KEPT),
        constant("painted", PAINTED),
        *([constant("emap", emap)] if last is None else last),
    ]
    inputs: dict[str, list[int | str]] = {names[0]: [1, 3, side, side], names[1]: [1, DIMS]}
    return write_model(path, nodes, inputs, {"output": output or [1, 3, side, side]}, constants)


def write_encoder(path: Path, *, side: int = 112, scale: float = 1.0) -> Path:
    """Mean colours of a 7 x 7 grid times a random matrix."""
    step = side // 7
    nodes = [
        helper.make_node(
            "AveragePool", ["input.1"], ["grid"], kernel_shape=[step] * 2, strides=[step] * 2
        ),
        helper.make_node("Flatten", ["grid"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["embedding"]),
    ]
    return write_model(
        path,
        nodes,
        {"input.1": ["batch", 3, side, side]},
        {"embedding": ["batch", DIMS]},
        [constant("weights", GRID * np.float32(scale))],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Path:
    return write_encoder(folder / "w600k_tiny.onnx")


@pytest.fixture(scope="module")
def swapper(folder: Path, encoder: Path) -> InswapperSwapper:
    return InswapperSwapper(write_swapper(folder / "swap.onnx"), threads=1)


@pytest.fixture(scope="module")
def meshes(people: list[NDArray[np.uint8]]) -> list[Mesh]:
    finder = FaceMesh(threads=1)
    return [finder(p, [portrait_face(1024)])[0] for p in people[:2]]


@pytest.fixture(scope="module")
def identity(people: list[NDArray[np.uint8]], meshes: list[Mesh]) -> Identity:
    return Identity(
        people[1], meshes[1], np.zeros(512), "female", 30.0, np.eye(128)[0], seed=1, source="test"
    )


def piece(
    people: list[NDArray[np.uint8]], meshes: list[Mesh], scale: float = 0.25
) -> tuple[Crop, Mesh]:
    """The first person, shrunk."""
    side = round(1024 * scale)
    pixels = np.asarray(cv2.resize(people[0], (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    return Crop(pixels, np.eye(2, 3)), Mesh(meshes[0].points * np.float32(scale), 1.0)


def painted_colour(identity: Identity, emap: NDArray[np.float32] = EMAP) -> NDArray[np.float64]:
    """What the tiny networks say, computed without them: RGB in 0-255."""
    points = five_points(identity.mesh.points)
    chip = align_chip(identity.pixels, points, 112, template=ARCFACE_TEMPLATE).pixels
    grid = ((chip - 127.5) / 127.5).reshape(7, 16, 7, 16, 3).mean(axis=(1, 3))
    embedding = grid.transpose(2, 0, 1).reshape(-1) @ GRID
    source = embedding @ emap
    source /= np.linalg.norm(source)
    return np.asarray(255 / (1 + np.exp(-6 * source @ COLOURS)))


def core_of(crop: Crop, mesh: Mesh, patch: Patch) -> NDArray[np.bool_]:
    regions = build_regions(mesh.points, crop.pixels.shape[:2])
    return np.asarray((regions.core > 0.99) & (patch.alpha > 0.99))


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


def too_small() -> list[onnx.NodeProto]:
    return [
        helper.make_node("AveragePool", ["sum"], ["output"], kernel_shape=[2, 2], strides=[2, 2])
    ]


def narrow() -> list[onnx.NodeProto]:
    """As `too_small`, which onnxruntime sees when it opens the file; here only when it runs."""
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


def one_line(error: pytest.ExceptionInfo[InputError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def write_bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def outside_constant() -> onnx.TensorProto:
    tensor = constant("emap", EMAP)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../elsewhere")
    return tensor


BAD_SWAPPERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda p: p, "no such file"),
    "folder": (lambda p: p.mkdir(), "no such file"),
    "empty": (lambda p: write_bytes(p, b""), "empty"),
    "text": (lambda p: write_bytes(p, b"no model\n" * 40), "not a usable ONNX model"),
    "cut off": (
        lambda p: write_bytes(p, write_swapper(p).read_bytes()[:-1000]),
        "not a usable ONNX model",
    ),
    "other inputs": (lambda p: write_swapper(p, names=("image", "latent")), "no input 'target'"),
    "other size": (lambda p: write_swapper(p, side=256), r"256.*expected.*128"),
    "other output": (
        lambda p: write_swapper(p, ending=too_small(), output=[1, 3, 64, 64]),
        r"output.*64.*expected.*128",
    ),
    "other emap": (lambda p: write_swapper(p, emap=EMAP[:, :3]), r"512, 3.*expected"),
    "no emap": (lambda p: write_swapper(p, last=[]), "last constant"),
    "broken emap": (lambda p: write_swapper(p, emap=EMAP * np.nan), "not finite"),
    "emap outside": (lambda p: write_swapper(p, last=[outside_constant()]), "another file"),
    "an encoder": (lambda p: write_encoder(p), "last constant"),
}


@pytest.mark.parametrize("kind", BAD_SWAPPERS)
def test_a_file_that_is_no_swapper_is_refused_in_one_line(
    kind: str, tmp_path: Path, encoder: Path
) -> None:
    make, problem = BAD_SWAPPERS[kind]
    path = tmp_path / "swap.onnx"
    make(path)
    with pytest.raises(InputError, match=problem) as error:
        InswapperSwapper(path, encoder=encoder, threads=1)
    assert "swap.onnx" in one_line(error)


BAD_ENCODERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda p: p, "no such file"),
    "text": (lambda p: write_bytes(p, b"no model\n" * 40), "onnxruntime can't open it"),
    "other size": (lambda p: write_encoder(p, side=224), r"224.*expected.*112"),
    "a swapper": (lambda p: write_swapper(p), "inputs 'target', 'source', expected 1 input"),
}


@pytest.mark.parametrize("kind", BAD_ENCODERS)
def test_a_file_that_is_no_encoder_is_refused_in_one_line(
    kind: str, tmp_path: Path, swapper: InswapperSwapper
) -> None:
    make, problem = BAD_ENCODERS[kind]
    path = tmp_path / "who.onnx"
    make(path)
    with pytest.raises(InputError, match=problem) as error:
        InswapperSwapper(swapper.path, encoder=path, threads=1)
    assert "who.onnx" in one_line(error)


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


class TestFindEncoder:
    def test_a_name_that_says_so_wins(self, tmp_path: Path) -> None:
        swap = write_swapper(tmp_path / "swap.onnx")
        write_encoder(tmp_path / "another.onnx")
        for name in ("W600K_r50.onnx", "my_ArcFace.ONNX"):
            named = write_encoder(tmp_path / name)
            assert find_encoder(swap) == named
            named.unlink()

    def test_else_the_input_tells(self, tmp_path: Path) -> None:
        swap = write_swapper(tmp_path / "swap.onnx")
        write_bytes(tmp_path / "broken.onnx", b"\x3a\xff")
        write_swapper(tmp_path / "second-swap.onnx")
        write_encoder(tmp_path / "big.onnx", side=224)
        wanted = write_encoder(tmp_path / "another.onnx")
        assert find_encoder(swap) == wanted
        assert InswapperSwapper(swap, threads=1).encoder_path == wanted

    def test_none_is_refused(self, tmp_path: Path) -> None:
        swap = write_swapper(tmp_path / "swap.onnx")
        write_encoder(tmp_path / "big.onnx", side=224)
        with pytest.raises(InputError, match="no ArcFace encoder") as error:
            InswapperSwapper(swap, threads=1)
        one_line(error)

    def test_which_of_several_is_not_guessed(self, tmp_path: Path) -> None:
        swap = write_swapper(tmp_path / "swap.onnx")
        for name in ("arcface-1.onnx", "arcface-2.onnx"):
            write_encoder(tmp_path / name)
        with pytest.raises(InputError, match=r"arcface-1\.onnx, arcface-2\.onnx") as error:
            find_encoder(swap)
        one_line(error)

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="can't be read") as error:
            find_encoder(tmp_path / "nowhere" / "swap.onnx")
        one_line(error)
