"""dlib's face recognition ResNet (``dlib_face_recognition_resnet_model_v1.dat``, CC0) as ONNX.

The file is the serialisation of a C++ object. All there is to know about it:

- an integer is a control byte (low nibble: how many bytes follow, high bit: negative) and that many
  little-endian bytes; a float is two integers, mantissa and power of two; a bool is ``"0"`` or
  ``"1"``; a string is its length and its bytes;
- a tensor is version 2, four integers (samples, channels, rows, columns) and raw float32 values;
- a network is written from the outside in (one version integer a layer: 2 for a computing layer,
  1 for a tag or a skip, 3 for the innermost, which holds the input layer), then each layer's own
  fields from the inside out.

The network is King's 29-convolution ResNet: "High quality face recognition with deep metric
learning", blog.dlib.net, 2017; structure documented in dlib's ``dnn_face_recognition_ex.cpp``.
The file that `convert` was written for has the sha256 in `SHA256`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
CHIP_PX = 150
WINDOW = ("rows", "columns", "stride_y", "stride_x", "pad_y", "pad_x")

Array = NDArray[np.float32]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Layer:
    """One layer of the file: its dlib name, its parameters and the integers that describe it."""

    kind: str
    params: Array
    fields: dict[str, int]


@dataclass
class Reader:
    """Reads dlib's primitive types from a byte string, front to back."""

    data: bytes
    position: int = 0

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes; raises ValueError if the data ends before."""
        piece = self.data[self.position : self.position + count]
        if len(piece) != count:
            raise ValueError(f"data ends at byte {len(self.data)}, wanted {count} more")
        self.position += count
        return piece

    def integer(self) -> int:
        """Return the next integer."""
        control = self.take(1)[0]
        value = int.from_bytes(self.take(control & 0x0F), "little")
        return -value if control & 0x80 else value

    def integers(self, *names: str) -> dict[str, int]:
        """Return as many integers as there are names."""
        return {name: self.integer() for name in names}

    def reals(self, count: int) -> list[float]:
        """Return the next ``count`` floats."""
        return [float(self.integer() * 2.0 ** self.integer()) for _ in range(count)]

    def string(self) -> str:
        """Return the next string."""
        return self.take(self.integer()).decode("ascii")

    def tensor(self) -> Array:
        """Return the next tensor, flat; raises ValueError if it is of another version than 2."""
        version, *shape = (self.integer() for _ in range(5))
        if version != 2:
            raise ValueError(f"tensor version {version} at byte {self.position}, expected 2")
        return np.frombuffer(self.take(4 * math.prod(shape)), "<f4").astype(np.float32)


def read_layer(reader: Reader) -> Layer:
    """Read one computing layer's own fields and the training state behind them.

    Raises:
        ValueError: If the layer is of a kind that this network doesn't have.
    """
    kind, params = reader.string(), np.zeros(0, np.float32)
    fields: dict[str, int] = {}
    views = 2 * ("version", "samples", "channels", "rows", "columns")  # of weights and biases
    if kind == "con_4":
        params = reader.tensor()
        fields = reader.integers("filters", *WINDOW)
        reader.integers(*views)
        reader.reals(4)  # learning rate and weight decay multipliers
    elif kind == "affine_":
        params = reader.tensor()
        reader.integers(*views, "mode")
    elif kind in ("max_pool_2", "avg_pool_2"):
        fields = reader.integers(*WINDOW)
    elif kind == "fc_2":
        fields = reader.integers("outputs", "inputs")
        params = reader.tensor()
        reader.integers(*views, "bias_mode")
        reader.reals(4)
    elif kind not in ("relu_", "add_prev_"):
        raise ValueError(f"unknown layer {kind!r} at byte {reader.position}")
    reader.take(3)  # three bools of the training state
    for _ in range(3):  # gradients and cached output
        reader.tensor()
    return Layer(kind, params, fields)


def read_network(dat: bytes) -> tuple[list[float], list[Layer]]:
    """Read the whole file.

    Returns:
        Mean red, green and blue that the network subtracts, and its computing layers from input to
        output (tags and skips carry nothing and are left out).

    Raises:
        ValueError: If the bytes are not this network.
    """
    reader = Reader(dat)
    if (loss := (reader.integer(), reader.string())) != (1, "loss_metric_2"):
        raise ValueError(f"not dlib's face recognition network: starts with {loss}")
    reader.reals(2)  # margin and distance threshold of the loss
    wrappers = []
    while (mark := reader.integer()) != 3:  # 3: the innermost layer, which holds the input layer
        wrappers.append(mark)
    if (name := reader.string()) != "input_rgb_image_sized":
        raise ValueError(f"unknown input layer {name!r}")
    mean = reader.reals(3)
    if (size := (reader.integer(), reader.integer())) != (CHIP_PX, CHIP_PX):
        raise ValueError(f"input is {size}, expected {(CHIP_PX, CHIP_PX)}")
    innermost = read_layer(reader)
    reader.integer()  # how many samples the input layer makes of one
    layers = [innermost, *(read_layer(reader) for mark in reversed(wrappers) if mark == 2)]
    if reader.position != len(dat):
        raise ValueError(f"{len(dat) - reader.position} bytes left after the last layer")
    return mean, layers


@dataclass(frozen=True)
class Window:
    """A sliding window, in the words of ONNX's attributes."""

    kernel_shape: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]

    @classmethod
    def of(cls, layer: Layer) -> Window:
        """Return the window of a convolution or pooling layer."""
        rows, columns, stride_y, stride_x, top, left = (layer.fields[name] for name in WINDOW)
        return cls((rows, columns), (stride_y, stride_x), (top, left, top, left))

    def slide(self, shape: Shape, channels: int) -> Shape:
        """Return the shape behind the window: ``channels`` and what is left of rows and columns."""
        rows = (shape[1] + 2 * self.pads[0] - self.kernel_shape[0]) // self.strides[0] + 1
        columns = (shape[2] + 2 * self.pads[1] - self.kernel_shape[1]) // self.strides[1] + 1
        return channels, rows, columns


@dataclass
class Builder:
    """Writes the network as ONNX while walking through the layers of the file.

    ``value`` names the last node's output, ``shape`` is its channels, rows and columns.
    """

    layers: Iterator[Layer]
    value: str
    shape: Shape = (3, CHIP_PX, CHIP_PX)
    convolutions: int = 0
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)

    def weight(self, name: str, value: NDArray[Any]) -> str:
        """Add an initializer and return its name."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def next_layer(self, kind: str) -> Layer:
        """Return the next layer; raises ValueError if it is of another kind."""
        layer = next(self.layers, None)
        if layer is None or layer.kind != kind:
            raise ValueError(f"expected {kind}, got {layer.kind if layer else 'the end'}")
        return layer

    def conv(self, mean: NDArray[np.float64] | None = None) -> None:
        """Add a convolution with the affine layer (a frozen batch norm) behind it folded in.

        A ``mean`` to subtract from the input goes into the bias, which is exact only without
        padding: raises ValueError otherwise.
        """
        layer = self.next_layer("con_4")
        outside, window = layer.fields["filters"], Window.of(layer)
        filters = layer.params[:-outside].astype(np.float64)
        filters = filters.reshape(outside, self.shape[0], *window.kernel_shape)
        bias = layer.params[-outside:].astype(np.float64)
        if mean is not None and any(window.pads):
            raise ValueError("a mean can't be folded into a padded convolution")
        if mean is not None:
            bias = bias - np.einsum("oihw,i->o", filters, mean)
        gamma, beta = self.next_layer("affine_").params.astype(np.float64).reshape(2, outside)
        self.convolutions += 1
        name = f"conv{self.convolutions:02d}"
        folded = (filters * gamma[:, None, None, None]).astype(np.float32)
        weight = self.weight(f"{name}_weight", folded)
        shift = self.weight(f"{name}_bias", (bias * gamma + beta).astype(np.float32))
        self.value = self.node("Conv", [self.value, weight, shift], name, **asdict(window))
        self.shape = window.slide(self.shape, outside)

    def relu(self) -> None:
        """Add a rectifier."""
        self.next_layer("relu_")
        self.value = self.node("Relu", [self.value], f"{self.value}_relu")

    def zero_pad(self, value: str, shape: Shape, wanted: Shape) -> str:
        """Grow ``value`` to ``wanted`` with zeros behind its channels, rows and columns."""
        if shape == wanted:
            return value
        ends = [want - have for want, have in zip(wanted, shape, strict=True)]
        pads = self.weight(f"{value}_pads", np.array([0] * 5 + ends, np.int64))
        return self.node("Pad", [value, pads], f"{value}_padded")

    def block(self, *, down: bool) -> None:
        """Add a residual block; a ``down`` one halves the resolution.

        dlib's ``add_prev`` takes the larger of both operands in every dimension and reads zeros
        where one is smaller, at the end of the channels, rows and columns.
        """
        skip, skip_shape = self.value, self.shape
        self.conv()
        self.relu()
        self.conv()
        if down:
            window = Window.of(self.next_layer("avg_pool_2"))
            skip = self.node("AveragePool", [skip], f"{self.value}_skip", **asdict(window))
            skip_shape = window.slide(skip_shape, skip_shape[0])
        self.next_layer("add_prev_")
        channels, rows, columns = map(max, zip(self.shape, skip_shape, strict=True))
        wanted = (channels, rows, columns)
        main = self.zero_pad(self.value, self.shape, wanted)
        side = self.zero_pad(skip, skip_shape, wanted)
        self.value, self.shape = self.node("Add", [main, side], f"{self.value}_sum"), wanted
        self.relu()


def convert(dat: bytes) -> onnx.ModelProto:
    """Turn the content of the .dat file into an ONNX model.

    Returns:
        Model with input ``chips`` (N, 3, 150, 150) float32 RGB in [0, 255] and output ``embedding``
        (N, 128) float32, compared by Euclidean distance.

    Raises:
        ValueError: If the bytes are not this network.
    """
    mean, layers = read_network(dat)
    build = Builder(iter(layers), "chips")
    # Dividing by 256 stays a node of its own: folded into the first convolution it would push the
    # weights below the smallest normal float16.
    scale = build.weight("scale", np.array(1 / 256, np.float32))
    build.value = build.node("Mul", ["chips", scale], "scaled")
    build.conv(np.array(mean) / 256)
    build.relu()
    window = Window.of(build.next_layer("max_pool_2"))
    build.value = build.node("MaxPool", [build.value], "stem", **asdict(window))
    build.shape = window.slide(build.shape, build.shape[0])
    for down in "---d---d--d--d":  # d: a block that halves the resolution
        build.block(down=down == "d")
    build.next_layer("avg_pool_2")  # over everything that is left
    pooled = build.node("GlobalAveragePool", [build.value], "pooled")
    last = build.next_layer("fc_2")
    if next(build.layers, None) is not None:
        raise ValueError("the network has more layers than expected")
    flat = build.node("Flatten", [pooled], "flat")
    matrix = build.weight("fc_weight", last.params.reshape(-1, last.fields["outputs"]))
    build.node("MatMul", [flat, matrix], "embedding")
    chips = helper.make_tensor_value_info("chips", TensorProto.FLOAT, ["N", 3, CHIP_PX, CHIP_PX])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 128])
    graph = helper.make_graph(build.nodes, "dlib_resnet", [chips], [embedding], build.weights)
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model
