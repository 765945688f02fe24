"""Small passes over ONNX models: half-precision storage, cutting, metadata-free saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.shape_inference
import onnx.utils
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from anonyface.runtime import engine

HALF_FROM = 64
"""Initializers with fewer values than this stay float32: they cost nothing and may hold scales."""


def store_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose large float32 initializers are stored as float16.

    A Cast node widens each of them; onnxruntime folds the casts when it loads the model, so running
    costs the same as before and only the file is halved.

    Raises:
        OverflowError: If a weight does not fit float16.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    casts = []
    for init in out.graph.initializer:
        if init.data_type != TensorProto.FLOAT:
            continue
        value = numpy_helper.to_array(init)
        if value.size < HALF_FROM:
            continue
        if np.abs(value).max() > np.finfo(np.float16).max:
            raise OverflowError(f"initializer {init.name} does not fit float16")
        name = init.name
        init.CopyFrom(numpy_helper.from_array(value.astype(np.float16), f"{name}_f16"))
        casts.append(helper.make_node("Cast", [f"{name}_f16"], [name], to=TensorProto.FLOAT))
    nodes = casts + list(out.graph.node)
    del out.graph.node[:]
    out.graph.node.extend(nodes)
    onnx.checker.check_model(out)
    return out


def rename(model: onnx.ModelProto, names: dict[str, str]) -> onnx.ModelProto:
    """Return a copy with values renamed everywhere they occur.

    Args:
        model: The model.
        names: Old value name -> new value name.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    for value in [*out.graph.input, *out.graph.output, *out.graph.initializer]:
        value.name = names.get(value.name, value.name)
    for node in out.graph.node:
        for values in (node.input, node.output):
            for i, v in enumerate(values):
                values[i] = names.get(v, v)
    return out


def windowed(model: onnx.ModelProto, name: str, side: int) -> onnx.ModelProto:
    """Return a convolutional network that works on a window of its input alone.

    It gets a further input "window", (4,) int64: the first row and column, and those after the last
    ones, on the grid of the input. What it adds of constants that cover the whole picture is cut
    out likewise, at whatever resolution they are.

    Args:
        model: Fully convolutional from that input on; each constant of four dimensions that are not
            all 1 and a square in the last two, at least as large as the input, covers the picture.
        name: The input, (N, C, side, side).
        side: Its height and width.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    graph, nodes = out.graph, []
    whole = {
        init.name: init.dims[-1] // side
        for init in graph.initializer
        if len(init.dims) == 4 and init.dims[-1] == init.dims[-2] and init.dims[-1] >= side
    }
    for node in graph.node:
        for k, value in enumerate(node.input):
            if value == name or value in whole:
                node.input[k] = f"{value}_in_window"
    factors = sorted({1, *whole.values()})
    ints = {"window_axes": [2, 3], "window_dim": [0]}
    ints |= {f"window_times_{factor}": [factor] for factor in factors}
    ints |= {"window_first_0": [0], "window_first_1": [2]}
    ints |= {"window_last_0": [2], "window_last_1": [4]}
    for factor in factors:
        times, scaled = f"window_times_{factor}", f"window_{factor}"
        nodes.append(helper.make_node("Mul", ["window", times], [scaled]))
        for part, which in (("from", "first"), ("to", "last")):
            ends = [f"window_{which}_0", f"window_{which}_1", "window_dim"]
            nodes.append(helper.make_node("Slice", [scaled, *ends], [f"{scaled}_{part}"]))
    for value, factor in {name: 1, **whole}.items():
        ends = [f"window_{factor}_from", f"window_{factor}_to", "window_axes"]
        nodes.append(helper.make_node("Slice", [value, *ends], [f"{value}_in_window"]))
    for key, values in ints.items():
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), key))
    graph.input.append(helper.make_tensor_value_info("window", TensorProto.INT64, [4]))
    both = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(both)
    for value in graph.output:
        for axis in (2, 3):
            value.type.tensor_type.shape.dim[axis].dim_param = f"D{axis}"
    del graph.value_info[:]
    onnx.checker.check_model(out)
    return out


def cut(model: onnx.ModelProto, inputs: list[str], outputs: list[str]) -> onnx.ModelProto:
    """Return the part of ``model`` between the named values."""
    return onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model)).extract_model(
        inputs, outputs
    )


def dynamic_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """Name the leading dimension of every input and output "N"."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    for value in [*out.graph.input, *out.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    return out


def run_onnx(model: onnx.ModelProto, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Run a model in onnxruntime, outputs by name."""
    session = engine().InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write ``model`` without documentation strings, in one step."""
    model.producer_name = "anonyface"
    for node in model.graph.node:
        node.doc_string = ""
    del model.graph.value_info[:]
    temp = path.with_suffix(".tmp")
    onnx.save(model, temp)
    temp.replace(path)


def plain_prelu(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy with relu(x) - slope * (relu(x) - x) in place of PRelu.

    onnxruntime runs PRelu value by value; written out in operators that are vectorised, a network
    of small convolutions takes half the time. The values are the same.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    nodes: list[onnx.NodeProto] = []
    for node in out.graph.node:
        if node.op_type != "PRelu":
            nodes.append(node)
            continue
        (x, slope), y = node.input, node.output[0]
        nodes += [
            helper.make_node("Relu", [x], [f"{y}_positive"]),
            helper.make_node("Sub", [f"{y}_positive", x], [f"{y}_negative"]),
            helper.make_node("Mul", [f"{y}_negative", slope], [f"{y}_sloped"]),
            helper.make_node("Sub", [f"{y}_positive", f"{y}_sloped"], [y]),
        ]
    del out.graph.node[:]
    out.graph.node.extend(nodes)
    onnx.checker.check_model(out)
    return out


def shortened(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with short names inside: the tracer's are a tenth of the file."""
    kept = {value.name for value in [*model.graph.input, *model.graph.output]}
    inner = [value.name for value in model.graph.initializer]
    inner += [name for node in model.graph.node for name in node.output]
    short = {name: f"v{i}" for i, name in enumerate(dict.fromkeys(inner)) if name not in kept}
    out = rename(model, short)
    for node in out.graph.node:
        node.name = ""
    onnx.checker.check_model(out)
    return out
