"""Networks that users bring as ONNX files: held against a contract, checked at every run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from anonyface.errors import BackendError, FaceError, InputError
from anonyface.runtime import run, start_session
from anonyface.types import FloatArray

if TYPE_CHECKING:
    import onnxruntime

Shape: TypeAlias = tuple[int, ...]

FLOATS: dict[str, DTypeLike] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
"""What onnxruntime calls the types that a network may read and return."""
MAX_MESSAGE = 160


@dataclass(frozen=True, eq=False)
class Network:
    """A user's network whose declared inputs and output keep the contract.

    Attributes:
        file: What it is called in messages.
        session: Where it runs.
        inputs: Name and type of each input.
        output: Name of the output.
        shape: Shape of the output.
    """

    file: str
    session: onnxruntime.InferenceSession
    inputs: tuple[tuple[str, DTypeLike], ...]
    output: str
    shape: Shape

    def __call__(self, values: Sequence[FloatArray]) -> FloatArray:
        """Run it.

        Raises:
            FaceError: What it returns has another shape or is not finite.
            BackendError: The inference engine failed.
        """
        feeds: dict[str, NDArray[Any]] = {
            name: value.astype(dtype)
            for (name, dtype), value in zip(self.inputs, values, strict=True)
        }
        (result,) = run(self.session, feeds, [self.output])
        if result.shape != self.shape:
            problem = f"{self.file} returned {result.shape}, expected {self.shape}"
            raise FaceError(problem, stage="swapping")
        if not np.isfinite(result).all():
            raise FaceError(f"{self.file} returned numbers that are not finite", stage="swapping")
        return result.astype(np.float32)


def open_network(
    path: Path, inputs: dict[str, Shape], shape: Shape, *, threads: int = 0
) -> Network:
    """Open a user's network and hold what it declares against the contract.

    Args:
        path: The file.
        inputs: Names and shapes of its inputs; a name of "" stands for any.
        shape: Shape of its first output.
        threads: Threads it may use, 0 for all usable cores.

    Raises:
        InputError: It can't be opened or does not keep the contract.
    """
    session = _session(path, threads)
    declared = {node.name: node for node in session.get_inputs()}
    if len(declared) != len(inputs):
        wanted = ", ".join(filter(None, inputs)) or "1 input"
        raise InputError(f"{path}: it has the inputs {_list(declared)}, expected {wanted}")
    bound = []
    for name, want in inputs.items():
        node = declared.get(name) if name else next(iter(declared.values()))
        if node is None:
            raise InputError(f"{path}: it has no input {name!r}, only {_list(declared)}")
        if node.type not in FLOATS or not agrees(node.shape, want):
            got = f"{node.type} {tuple(node.shape)}"
            raise InputError(f"{path}: its input {node.name!r} is {got}, expected floats {want}")
        bound.append((node.name, FLOATS[node.type]))
    output = next(iter(session.get_outputs()), None)
    if output is None:
        raise InputError(f"{path}: it has no output")
    if output.type not in FLOATS or not agrees(output.shape, shape):
        got = f"{output.type} {tuple(output.shape)}"
        raise InputError(f"{path}: its output {output.name!r} is {got}, expected floats {shape}")
    return Network(path.name, session, tuple(bound), output.name, shape)


def _list(names: Iterable[str]) -> str:
    return ", ".join(repr(name[:40]) for name in list(names)[:4])


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        return start_session(path, threads=threads)
    except BackendError as error:
        raise InputError(f"{path}: {str(error)[:MAX_MESSAGE]}") from error


def agrees(shape: Sequence[int | str | None], wanted: Shape) -> bool:
    """Whether a declared shape allows for another; what is no number may vary.

    >>> agrees(("batch", 3), (1, 3)), agrees((1, 4), (1, 3))
    (True, False)
    """
    return len(shape) == len(wanted) and all(
        not isinstance(have, int) or have == want for have, want in zip(shape, wanted, strict=True)
    )
