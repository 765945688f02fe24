"""Weights stored in a byte each."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LARGE = 50_000
"""Initializers with fewer values stay as they are: they cost little."""
LEVELS = 127


def store_bytes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose large weights are int8 with a scale for each output channel.

    A Cast and a Mul widen each of them. onnxruntime folds both when it loads the model, so that
    running costs the same as before; DequantizeLinear it would keep.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    widened, scales = [], []
    for init in out.graph.initializer:
        value = numpy_helper.to_array(init)
        if value.dtype != np.float32 or value.size < LARGE or value.ndim < 2:
            continue
        axes = tuple(range(1, value.ndim))
        scale = np.abs(value).max(axis=axes, keepdims=True) / LEVELS
        stored = np.round(value / np.maximum(scale, 1e-12)).astype(np.int8)
        name = init.name
        init.CopyFrom(numpy_helper.from_array(stored, f"{name}_i8"))
        scales.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}_scale"))
        widened += [
            helper.make_node("Cast", [f"{name}_i8"], [f"{name}_wide"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}_wide", f"{name}_scale"], [name]),
        ]
    nodes = widened + list(out.graph.node)
    del out.graph.node[:]
    out.graph.node.extend(nodes)
    out.graph.initializer.extend(scales)
    onnx.checker.check_model(out)
    return out
