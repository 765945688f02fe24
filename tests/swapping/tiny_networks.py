"""Tiny ONNX files with the contract of users' swap networks, and what they should say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from anonyface.landmarks.mesh import five_points
from anonyface.swapping.inswapper import CHIP_PX, DIMS
from anonyface.types import Identity
from anonyface.verification.alignment import ARCFACE_TEMPLATE, align_chip

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


def painted_colour(identity: Identity, emap: NDArray[np.float32] = EMAP) -> NDArray[np.float64]:
    """What the tiny networks say, computed without them: RGB in 0-255."""
    points = five_points(identity.mesh.points)
    chip = align_chip(identity.pixels, points, 112, template=ARCFACE_TEMPLATE).pixels
    grid = ((chip - 127.5) / 127.5).reshape(7, 16, 7, 16, 3).mean(axis=(1, 3))
    embedding = grid.transpose(2, 0, 1).reshape(-1) @ GRID
    source = embedding @ emap
    source /= np.linalg.norm(source)
    return np.asarray(255 / (1 + np.exp(-6 * source @ COLOURS)))
