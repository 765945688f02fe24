"""Block-quantised weights written with operators of every opset, instead of opset 21's own.

Weights stored as int8 with a scale and a zero point for every block of 64 values are a quarter of
their size. onnxruntime widens them once, when it loads the model: running costs as much as float32.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


def plain_opset(model: onnx.ModelProto, *, opset: int = 17) -> onnx.ModelProto:
    """Return a copy without blocked DequantizeLinear nodes, at a lower opset.

    Args:
        model: A model whose other operators mean the same in both opsets.
        opset: The opset of the copy.

    Raises:
        ValueError: If a node dequantises along another axis than the last.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    values = {i.name: numpy_helper.to_array(i) for i in out.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in out.graph.node:
        if node.op_type != "DequantizeLinear":
            nodes.append(node)
            continue
        stored, scale, zero = (values[name] for name in node.input)
        axis = next(a.i for a in node.attribute if a.name == "axis")
        if axis != stored.ndim - 1:
            raise ValueError(f"{node.output[0]}: blocks along axis {axis} of {stored.ndim}")
        blocks = (*scale.shape, stored.shape[-1] // scale.shape[-1])
        name = node.output[0]
        parts = {
            f"{name}_q": stored.reshape(blocks),
            f"{name}_z": zero[..., None],
            f"{name}_s": scale[..., None],
            f"{name}_n": np.array(stored.shape, np.int64),
        }
        values |= parts
        nodes += _widen(name)
    used = {v for node in nodes for v in node.input}
    del out.graph.node[:], out.graph.initializer[:]
    out.graph.node.extend(nodes)
    out.graph.initializer.extend(
        numpy_helper.from_array(_contiguous(v), k) for k, v in values.items() if k in used
    )
    del out.opset_import[:]
    out.opset_import.append(helper.make_opsetid("", opset))
    out.ir_version = 8
    return out


def _contiguous(value: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return an array that ONNX can store; ascontiguousarray would make a scalar a vector."""
    return value if value.ndim == 0 else np.ascontiguousarray(value)


def _widen(name: str) -> list[onnx.NodeProto]:
    """(stored - zero point) * scale, block by block, in float32."""
    return [
        helper.make_node("Cast", [f"{name}_q"], [f"{name}_qf"], to=TensorProto.FLOAT),
        helper.make_node("Cast", [f"{name}_z"], [f"{name}_zf"], to=TensorProto.FLOAT),
        helper.make_node("Sub", [f"{name}_qf", f"{name}_zf"], [f"{name}_c"]),
        helper.make_node("Mul", [f"{name}_c", f"{name}_s"], [f"{name}_b"]),
        helper.make_node("Reshape", [f"{name}_b", f"{name}_n"], [name]),
    ]
