"""OpenVINO graph -> ONNX: one converter for every network OpenVINO can open (.xml, .tflite).

The converter walks the graph in topological order. What depends on constants and static shapes
only is evaluated on the spot (so shape arithmetic vanishes), what it does not know is an error.
Networks come out with a dynamic batch: a reshape that keeps the leading 1 is written as "keep the
batch".

The inverse Haar transform of MobileStyleGAN (arXiv 2104.04767, section 3.2) arrives as six grouped
transposed convolutions per level; it is recognised by its structure, its 4x4 matrix is read from
the filters, and it is written as one 1x1 mixing of the sub-bands and a depth-to-space.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.convert.haar import HaarMatch, match_inverse_haar

OPSET = 17
ELEMENTWISE = {"Add": "Add", "Multiply": "Mul", "Power": "Pow"}


class UnknownOperator(ValueError):
    """The graph holds an operator the converter has no rule for."""


class GraphConverter:
    """Translates one OpenVINO model.

    Args:
        path: ``.xml`` (with its ``.bin`` beside it) or ``.tflite``.
        input_names: OpenVINO input name -> ONNX input name.
        output_names: OpenVINO output name -> ONNX output name.
        extra_outputs: OpenVINO node name -> ONNX name, for inner features to expose.
        fuse_haar: Write inverse Haar transforms as mixing + depth-to-space.
    """

    def __init__(
        self,
        path: Path,
        *,
        input_names: dict[str, str],
        output_names: dict[str, str],
        extra_outputs: dict[str, str] | None = None,
        fuse_haar: bool = True,
    ) -> None:
        import openvino as ov

        self.model = ov.Core().read_model(path)
        self.input_names = input_names
        self.output_names = output_names
        self.extra = dict(extra_outputs or {})
        self.fuse_haar = fuse_haar
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, NDArray[Any]] = {}
        self.constants: dict[tuple[str, int], NDArray[Any]] = {}
        self.names: dict[tuple[str, int], str] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.haar: dict[str, HaarMatch] = {}

    def convert(self) -> onnx.ModelProto:
        """Return the checked ONNX model.

        Raises:
            UnknownOperator: If an operator has no rule, naming it.
        """
        ops = self.model.get_ordered_ops()
        skip: set[str] = set()
        if self.fuse_haar:
            for node in ops:
                match = match_inverse_haar(node)
                if match is not None:
                    self.haar[node.get_friendly_name()] = match
                    skip |= match.inner
        for node in ops:
            if node.get_friendly_name() in skip:
                continue
            self._convert_node(node)
        self._drop_unused()
        graph = helper.make_graph(
            self.nodes,
            "anonyface",
            self.inputs,
            self.outputs,
            [numpy_helper.from_array(v, k) for k, v in self.initializers.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        onnx.checker.check_model(model, full_check=True)
        return model

    # one node ------------------------------------------------------------------------------------

    def _convert_node(self, node: Any) -> None:
        name, kind = node.get_friendly_name(), node.get_type_name()
        if kind == "Constant":
            self.constants[(name, 0)] = np.array(node.data)
        elif name in self.haar:
            self._emit_haar(node, self.haar[name])
        elif kind == "Parameter":
            self._emit_input(node)
        elif kind == "Result":
            out = node.input(0).get_source_output()
            self._emit_output(self._source(node, 0), self.output_names[out.get_any_name()], node)
        elif (folded := self._fold(node)) is not None:
            self.constants[(name, 0)] = folded
        elif (rule := RULES.get(kind)) is not None:
            rule(self, node)
        else:
            raise UnknownOperator(f"{kind} ({name})")
        if name in self.extra:
            self._emit_output((name, 0), self.extra.pop(name), node)

    def _source(self, node: Any, index: int) -> tuple[str, int]:
        out = node.input(index).get_source_output()
        return out.get_node().get_friendly_name(), out.get_index()

    def constant(self, node: Any, index: int) -> NDArray[Any] | None:
        """Value of an input if it is known while converting, else None."""
        return self.constants.get(self._source(node, index))

    def ref(self, node: Any, index: int) -> str:
        """ONNX name of an input, making an initializer of it where it is a constant."""
        key = self._source(node, index)
        if key not in self.names:
            value = self.constants[key]
            self.names[key] = self.initializer(f"{key[0]}_value", value)
        return self.names[key]

    def initializer(self, name: str, value: NDArray[Any]) -> str:
        """Store a constant and return its name."""
        self.initializers[name] = np.ascontiguousarray(value)
        return name

    def emit(self, kind: str, inputs: list[str], node: Any, outputs: int = 1, **attrs: Any) -> None:
        """Append an ONNX node that computes ``node``'s outputs."""
        name = node.get_friendly_name()
        names = [name if outputs == 1 else f"{name}_{k}" for k in range(outputs)]
        for k, out in enumerate(names):
            self.names[(name, k)] = out
        self.nodes.append(helper.make_node(kind, inputs, names, name=name, **attrs))

    def _emit_input(self, node: Any) -> None:
        name = self.input_names[node.get_friendly_name()]
        shape: list[Any] = list(node.get_output_shape(0))
        shape[0] = "N"
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        self.names[(node.get_friendly_name(), 0)] = name

    def _emit_output(self, key: tuple[str, int], name: str, node: Any) -> None:
        shape: list[Any] = list(node.get_output_shape(0))
        shape[0] = "N"
        self.nodes.append(helper.make_node("Identity", [self.names[key]], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def _fold(self, node: Any) -> NDArray[Any] | None:
        kind = node.get_type_name()
        if kind == "ShapeOf":
            return np.array(node.input(0).get_source_output().get_shape(), dtype=np.int64)
        if kind not in FOLDS:
            return None
        values = [self.constant(node, i) for i in range(node.get_input_size())]
        if any(v is None for v in values):
            return None
        return np.asarray(FOLDS[kind](node, *values))

    def _emit_haar(self, node: Any, match: HaarMatch) -> None:
        """Coefficients (N,4C,H,W), channels [LL_c..., (LH,HL,HH)_c...] -> (N,C,2H,2W)."""
        name, source = node.get_friendly_name(), self.names[match.source]
        channels = match.channels
        bands = [f"{name}_band{k}" for k in range(4)]
        order = np.concatenate(
            [np.arange(channels)] + [channels + 3 * np.arange(channels) + k for k in range(3)]
        )
        index = self.initializer(f"{name}_order", order.astype(np.int64))
        self.nodes.append(helper.make_node("Gather", [source, index], [f"{name}_planar"], axis=1))
        sizes = self.initializer(f"{name}_sizes", np.full(4, channels, dtype=np.int64))
        self.nodes.append(helper.make_node("Split", [f"{name}_planar", sizes], bands, axis=1))
        quads = self._butterflies(name, bands, match.matrix)
        self.nodes.append(helper.make_node("Concat", quads, [f"{name}_quads"], axis=1))
        self.nodes.append(
            helper.make_node("DepthToSpace", [f"{name}_quads"], [name], blocksize=2, mode="DCR")
        )
        self.names[(name, 0)] = name

    def _butterflies(self, name: str, bands: list[str], matrix: NDArray[Any]) -> list[str]:
        """Two layers of sums and differences; the orthonormal scale goes into one factor.

        ``matrix[k, a, b]`` must be scale * (+-1), separable: exactly what a Haar synthesis bank is.
        """
        scale = float(np.abs(matrix[0, 0, 0]))
        signs = np.sign(matrix).astype(int)
        if not np.allclose(matrix, signs * scale, atol=1e-6):
            raise UnknownOperator(f"{name}: wavelet filters that are not Haar")
        factor = self.initializer(f"{name}_scale", np.array(scale, dtype=np.float32))

        def add(a: str, b: str, sign: int, out: str) -> str:
            self.nodes.append(helper.make_node("Add" if sign > 0 else "Sub", [a, b], [out]))
            return out

        scaled = []
        for band in bands:
            self.nodes.append(helper.make_node("Mul", [band, factor], [f"{band}_s"]))
            scaled.append(f"{band}_s")
        # signs[k, a, b] relative to band pairs (0, 1) and (2, 3)
        quads = []
        memo: dict[tuple[int, int], str] = {}
        for a in range(2):
            for b in range(2):
                s = signs[:, a, b]
                low, high = int(s[0] * s[1]), int(s[2] * s[3])
                for pair, sign in ((0, low), (2, high)):
                    if (pair, sign) not in memo:
                        memo[(pair, sign)] = add(
                            scaled[pair], scaled[pair + 1], sign, f"{name}_p{pair}{sign > 0:d}"
                        )
                if s[0] < 0:
                    raise UnknownOperator(f"{name}: negative low-pass")
                quads.append(
                    add(memo[(0, low)], memo[(2, high)], int(s[0] * s[2]), f"{name}_q{a}{b}")
                )
        return quads

    def _drop_unused(self) -> None:
        needed = {o.name for o in self.outputs}
        kept: list[onnx.NodeProto] = []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                kept.append(node)
                needed |= set(node.input)
        self.nodes = kept[::-1]
        self.initializers = {k: v for k, v in self.initializers.items() if k in needed}


# rules: OpenVINO operator -> ONNX node -----------------------------------------------------------


def _elementwise(c: GraphConverter, node: Any) -> None:
    c.emit(ELEMENTWISE[node.get_type_name()], [c.ref(node, 0), c.ref(node, 1)], node)


def _matmul(c: GraphConverter, node: Any) -> None:
    attrs = node.get_attributes()
    weight = c.constant(node, 1)
    if attrs["transpose_a"] or weight is None:
        raise UnknownOperator("MatMul with a transposed or computed operand")
    matrix = weight.T if attrs["transpose_b"] else weight
    name = c.initializer(f"{node.get_friendly_name()}_weight", matrix)
    c.emit("MatMul", [c.ref(node, 0), name], node)


def _prelu(c: GraphConverter, node: Any) -> None:
    slope = c.constant(node, 1)
    if slope is None:
        raise UnknownOperator("PRelu with a computed slope")
    if slope.size == 1:
        c.emit("LeakyRelu", [c.ref(node, 0)], node, alpha=float(slope.ravel()[0]))
    else:
        name = c.initializer(f"{node.get_friendly_name()}_slope", slope.reshape(-1, 1, 1))
        c.emit("PRelu", [c.ref(node, 0), name], node)


def _reduce_mean(c: GraphConverter, node: Any) -> None:
    axes = c.constant(node, 1)
    if axes is None:
        raise UnknownOperator("ReduceMean with computed axes")
    keep = int(node.get_attributes()["keep_dims"])
    c.emit("ReduceMean", [c.ref(node, 0)], node, axes=axes.ravel().tolist(), keepdims=keep)


def _convolution(c: GraphConverter, node: Any) -> None:
    a, kind = node.get_attributes(), node.get_type_name()
    weight = c.constant(node, 1)
    if weight is None:
        raise UnknownOperator(f"{kind} with computed weights")
    group = 1
    if kind != "Convolution":
        group = weight.shape[0]
        weight = weight.reshape(-1, *weight.shape[2:])
    name = c.initializer(f"{node.get_friendly_name()}_weight", weight)
    attrs = {
        "strides": list(a["strides"]),
        "dilations": list(a["dilations"]),
        "pads": [*a["pads_begin"], *a["pads_end"]],
        "group": group,
    }
    if kind == "GroupConvolutionBackpropData":
        if any(a["output_padding"]):
            raise UnknownOperator("transposed convolution with output padding")
        c.emit("ConvTranspose", [c.ref(node, 0), name], node, **attrs)
    else:
        c.emit("Conv", [c.ref(node, 0), name], node, kernel_shape=list(weight.shape[2:]), **attrs)


def _maxpool(c: GraphConverter, node: Any) -> None:
    a = node.get_attributes()
    c.emit(
        "MaxPool",
        [c.ref(node, 0)],
        node,
        kernel_shape=list(a["kernel"]),
        strides=list(a["strides"]),
        pads=[*a["pads_begin"], *a["pads_end"]],
        ceil_mode=int(a["rounding_type"] != "floor"),
    )
    c.names[(node.get_friendly_name(), 0)] = node.get_friendly_name()


def _pad(c: GraphConverter, node: Any) -> None:
    begin, end, value = (c.constant(node, i) for i in (1, 2, 3))
    if begin is None or end is None or node.get_attributes()["pad_mode"] != "constant":
        raise UnknownOperator("Pad that is not constant")
    if value is not None and np.any(value != 0):
        raise UnknownOperator("Pad with another value than 0")
    pads = np.concatenate([begin, end]).astype(np.int64)
    name = c.initializer(f"{node.get_friendly_name()}_pads", pads)
    c.emit("Pad", [c.ref(node, 0), name], node)


def _transpose(c: GraphConverter, node: Any) -> None:
    order = c.constant(node, 1)
    if order is None:
        raise UnknownOperator("Transpose with a computed order")
    c.emit("Transpose", [c.ref(node, 0)], node, perm=order.tolist())


def _reshape(c: GraphConverter, node: Any) -> None:
    target = c.constant(node, 1)
    if target is None:
        raise UnknownOperator("Reshape to a computed shape")
    shape = target.astype(np.int64).copy()
    if shape[0] == 1 and node.get_input_shape(0)[0] == 1:
        shape[0] = 0  # ONNX: keep this dimension
    name = c.initializer(f"{node.get_friendly_name()}_shape", shape)
    c.emit("Reshape", [c.ref(node, 0), name], node)


def _squeeze(c: GraphConverter, node: Any) -> None:
    axes = c.constant(node, 1)
    if axes is None:
        raise UnknownOperator("Squeeze with computed axes")
    name = c.initializer(f"{node.get_friendly_name()}_axes", axes.astype(np.int64).reshape(-1))
    c.emit(node.get_type_name(), [c.ref(node, 0), name], node)


def _split(c: GraphConverter, node: Any) -> None:
    axis, sizes = c.constant(node, 1), c.constant(node, 2)
    if axis is None or sizes is None:
        raise UnknownOperator("VariadicSplit with computed sizes")
    name = c.initializer(f"{node.get_friendly_name()}_sizes", sizes.astype(np.int64))
    c.emit("Split", [c.ref(node, 0), name], node, outputs=sizes.size, axis=int(axis))


def _concat(c: GraphConverter, node: Any) -> None:
    inputs = [c.ref(node, i) for i in range(node.get_input_size())]
    c.emit("Concat", inputs, node, axis=int(node.get_attributes()["axis"]))


RULES: dict[str, Callable[[GraphConverter, Any], None]] = {
    "Add": _elementwise,
    "Concat": _concat,
    "Convolution": _convolution,
    "GroupConvolution": _convolution,
    "GroupConvolutionBackpropData": _convolution,
    "MatMul": _matmul,
    "MaxPool": _maxpool,
    "Multiply": _elementwise,
    "PRelu": _prelu,
    "Pad": _pad,
    "Power": _elementwise,
    "ReduceMean": _reduce_mean,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _squeeze,
    "VariadicSplit": _split,
}

FOLDS: dict[str, Callable[..., Any]] = {
    "Broadcast": lambda _n, x, shape: np.broadcast_to(
        x, np.broadcast_shapes(x.shape, tuple(shape))
    ),
    "Concat": lambda n, *xs: np.concatenate(xs, axis=int(n.get_attributes()["axis"])),
    "Gather": lambda _n, x, i, axis: np.take(x, i.astype(np.int64), axis=int(axis)),
    "Squeeze": lambda _n, x, axes: np.squeeze(x, axis=tuple(int(a) for a in axes)),
    "Tile": lambda _n, x, reps: np.tile(x, tuple(int(r) for r in reps)),
    "Unsqueeze": lambda _n, x, axes: np.expand_dims(x, tuple(int(a) for a in np.atleast_1d(axes))),
}
