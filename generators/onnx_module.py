"""A small ONNX graph as a torch module: differentiable, batched, on any device.

Only the operators of the shipped generator are known; anything else is an error that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from anonyface.errors import InputError

Constants = Mapping[str, NDArray[Any]]
Run = Callable[..., Tensor | tuple[Tensor, ...]]


class UnsupportedGraph(InputError):
    """A graph uses an operator, or a form of one, that is not known here."""


@dataclass(frozen=True)
class Node:
    """One node of a graph.

    Attributes:
        kind: Name of the operator.
        inputs: Names of what it reads.
        outputs: Names of what it makes.
        attributes: Its settings; numbers, bytes and lists of numbers.
        constants: The graph's constant tensors by name.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    constants: Constants

    def numbers(self, index: int) -> tuple[int, ...]:
        """Return a constant input of whole numbers: a shape, axes, sizes.

        Raises:
            UnsupportedGraph: If it is not constant.
        """
        name = self.inputs[index] if index < len(self.inputs) else ""
        if name not in self.constants:
            raise UnsupportedGraph(f"{self.kind} whose input {index} is not a constant")
        return tuple(int(v) for v in self.constants[name].reshape(-1))

    def need(self, condition: bool, what: str) -> None:
        """Raise UnsupportedGraph unless a form of the operator is one that is known."""
        if not condition:
            raise UnsupportedGraph(f"{self.kind} {what}")


@dataclass(frozen=True)
class Step:
    """A node made ready: what to call, the tensors it reads, what it makes, what it is last to use.

    Attributes:
        run: Function of the tensors.
        inputs: Names of its arguments.
        outputs: Names of its results.
        spent: Names that no later step reads.
    """

    run: Run
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    spent: tuple[str, ...] = ()


class OnnxModule(nn.Module):
    """Runs a graph on tensors; its weights are float32 buffers.

    Args:
        data: A serialised model. Half-precision weights are widened.

    Raises:
        UnsupportedGraph: If an operator is not known.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__()
        import onnx
        from onnx import numpy_helper

        graph = onnx.load_from_string(data).graph
        constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        nodes: list[Node] = []
        for proto in graph.node:
            settings = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}
            node = Node(proto.op_type, tuple(proto.input), tuple(proto.output), settings, constants)
            if node.kind == "Constant":
                constants[node.outputs[0]] = numpy_helper.to_array(settings["value"])
            elif node.kind == "Cast" and node.inputs[0] in constants:  # weights stored small
                kind = onnx.helper.tensor_dtype_to_np_dtype(settings["to"])
                constants[node.outputs[0]] = constants[node.inputs[0]].astype(kind)
            else:
                nodes.append(node)
        self.input_names = tuple(i.name for i in graph.input if i.name not in constants)
        self.output_names = tuple(o.name for o in graph.output)
        self.steps = _with_spent([_prepare(n) for n in nodes], keep=self.output_names)
        self._places: dict[str, str] = {}
        for name in dict.fromkeys(n for step in self.steps for n in step.inputs if n in constants):
            self._places[name] = f"c{len(self._places)}"
            value = torch.from_numpy(np.array(constants[name]))
            self.register_buffer(self._places[name], value, persistent=False)

    def has(self, name: str) -> bool:
        """Tell whether a name is that of a constant tensor the graph computes with."""
        return name in self._places

    def constant(self, name: str) -> Tensor:
        """Return a constant tensor of the graph by its name there.

        Raises:
            KeyError: If there is none; see `has`.
        """
        return self.get_buffer(self._places[name])

    def forward(self, *inputs: Tensor, outputs: Sequence[str] = ()) -> tuple[Tensor, ...]:
        """Run the graph.

        Args:
            inputs: Tensors in the order of ``input_names``.
            outputs: Names of the results wanted; empty for ``output_names``.

        Returns:
            The results in the order asked for.

        Raises:
            ValueError: If the number of inputs is another, or there is no output of a name.
        """
        wanted = tuple(outputs) or self.output_names
        if len(inputs) != len(self.input_names) or not set(wanted) <= set(self.output_names):
            raise ValueError(f"{self.input_names} -> {self.output_names} asked for {wanted}")
        values = {name: self.get_buffer(place) for name, place in self._places.items()}
        values |= dict(zip(self.input_names, inputs, strict=True))
        for step in self.steps:
            if not set(wanted) - set(values):
                break
            made = step.run(*[values[name] for name in step.inputs])
            made = made if isinstance(made, tuple) else (made,)
            values |= dict(zip(step.outputs, made, strict=True))
            for name in step.spent:  # without gradients, memory is free again
                del values[name]
        return tuple(values[name] for name in wanted)


def _prepare(node: Node) -> Step:
    if node.kind not in OPERATORS:
        raise UnsupportedGraph(f"no operator {node.kind!r}; known are {', '.join(OPERATORS)}")
    build, fixed = OPERATORS[node.kind]
    inputs = node.inputs if fixed is None else node.inputs[:fixed]
    return Step(build(node), inputs, node.outputs)


def _with_spent(steps: list[Step], *, keep: Sequence[str]) -> tuple[Step, ...]:
    """Note at each step what no later one reads; ``keep`` and what was never made stays."""
    made = {name for step in steps for name in step.outputs}
    seen = set(keep)
    result: list[Step] = []
    for step in reversed(steps):
        spent = {n for n in (*step.inputs, *step.outputs) if n in made and n not in seen}
        seen |= spent
        result.append(Step(step.run, step.inputs, step.outputs, tuple(sorted(spent))))
    return tuple(reversed(result))


def _reshape(node: Node) -> Run:
    shape = node.numbers(1)
    # 0 copies the side of the input, -1 is what is left.
    return lambda x: x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(shape)])


def _unsqueeze(node: Node) -> Run:
    axes = node.numbers(1)
    node.need(len(axes) == 1, "with several axes")
    return lambda x: x.unsqueeze(axes[0])


def _split(node: Node) -> Run:
    sizes, axis = list(node.numbers(1)), node.attributes.get("axis", 0)
    return lambda x: torch.split(x, sizes, dim=axis)


def _gather(node: Node) -> Run:
    axis = node.attributes.get("axis", 0)
    place = node.constants.get(node.inputs[1])
    node.need(place is not None and place.ndim == 1, "by other than a constant list")
    return lambda x, index: x.index_select(axis, index)


def _reduce_mean(node: Node) -> Run:
    axes, keep = tuple(node.attributes.get("axes", ())), bool(node.attributes.get("keepdims", 1))
    node.need(bool(axes), "without axes")
    return lambda x: x.mean(dim=axes, keepdim=keep)


def _gemm(node: Node) -> Run:
    factors = node.attributes.get("alpha", 1.0), node.attributes.get("beta", 1.0)
    turned = node.attributes.get("transA", 0), node.attributes.get("transB", 0)
    node.need(factors == (1.0, 1.0) and turned == (0, 1), "other than x @ weight.T + bias")
    return F.linear


def _conv(node: Node) -> Run:
    groups = node.attributes.get("group", 1)
    pads = tuple(node.attributes.get("pads", (0, 0, 0, 0)))
    strides = tuple(node.attributes.get("strides", [1, 1]))
    even = len(pads) == 4 and pads[:2] == pads[2:] and node.attributes.get("auto_pad") is None
    node.need(even, "with other padding than as much on both sides")
    dilations = tuple(node.attributes.get("dilations", [1, 1]))

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(x, weight, bias, strides, pads[:2], dilations, groups)

    return run


def _depth_to_space(node: Node) -> Run:
    block, mode = node.attributes["blocksize"], node.attributes.get("mode", b"DCR")
    if mode == b"CRD":
        return lambda x: F.pixel_shuffle(x, block)

    def run(x: Tensor) -> Tensor:  # depth-column-row: the block's place comes first
        n, c, h, w = x.shape
        x = x.reshape(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
        return x.reshape(n, c // block**2, h * block, w * block)

    return run


OPERATORS: dict[str, tuple[Callable[[Node], Run], int | None]] = {
    "Add": (lambda _: torch.add, None),
    "Concat": (lambda node: lambda *x: torch.cat(x, dim=node.attributes["axis"]), None),
    "Conv": (_conv, None),
    "DepthToSpace": (_depth_to_space, None),
    "Gather": (_gather, None),
    "Gemm": (_gemm, None),
    "Identity": (lambda _: lambda x: x, None),
    "LeakyRelu": (
        lambda node: lambda x: F.leaky_relu(x, node.attributes.get("alpha", 0.01)),
        None,
    ),
    "MatMul": (lambda _: torch.matmul, None),
    "Mul": (lambda _: torch.mul, None),
    "Pow": (lambda _: torch.pow, None),
    "ReduceMean": (_reduce_mean, None),
    "Reshape": (_reshape, 1),
    "Split": (_split, 1),
    "Sub": (lambda _: torch.sub, None),
    "Unsqueeze": (_unsqueeze, 1),
}
"""For each operator of opset 17 what makes it ready, and how many of its inputs are tensors; the
others are settings. None for all."""
