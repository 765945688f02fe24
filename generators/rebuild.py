"""Builders of the few things a checkpoint's pickle may hold: tensors, arrays, module records."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generators.errors import CheckpointCorrupt
from generators.inert_pickle import Symbol, Table

DTYPES: dict[str, torch.dtype] = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
"""Element type of torch's storage classes, by the class name without "Storage"."""


@dataclass(frozen=True)
class Storage:
    """A block of numbers that tensors are views of.

    Attributes:
        values: 1-D.
    """

    values: Tensor


@dataclass(frozen=True)
class Record:
    """A module that was pickled together with its source text; the text is dropped.

    Attributes:
        class_name: Name of its class.
        state: Its attributes.
    """

    class_name: str
    state: dict[str, object]


class Budget:
    """Bytes that may still be made or copied: no more than the file is long.

    Without it a short file could name one block many times over and fill the memory.

    Args:
        size: Length of the file, bytes.
    """

    def __init__(self, size: int) -> None:
        self.left = size

    def spend(self, size: int) -> None:
        """Take note of a block.

        Raises:
            CheckpointCorrupt: The blocks are larger than the file.
        """
        if size < 0 or size > self.left:
            raise CheckpointCorrupt(f"a block of {size} bytes doesn't fit into the file")
        self.left -= size

    def storage(self, count: int, dtype: torch.dtype) -> Storage:
        """Return a storage of ``count`` zeros."""
        self.spend(count * dtype.itemsize)
        return Storage(torch.zeros(count, dtype=dtype))


class DType:
    """A numpy element type; takes its byte order as state."""

    def __init__(self, code: object) -> None:
        if type(code) is not str or code.lstrip("<>|=") not in _CODES:
            raise CheckpointCorrupt(f"array elements of type {str(code)[:40]!r}")
        self.value = np.dtype(code)

    def set_state(self, state: object) -> None:
        """Take numpy's state tuple: version, byte order and what structured types have."""
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise CheckpointCorrupt("damaged element type")
        if state[1] != "|":
            self.value = self.value.newbyteorder(state[1])


_CODES = frozenset("b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split())


class Array:
    """A numpy array; takes shape, element type and bytes as state."""

    def __init__(self) -> None:
        self.value: np.ndarray[tuple[int, ...], np.dtype[np.generic]] | None = None
        self.copy: Tensor | None = None

    def set_state(self, state: object) -> None:
        """Take numpy's state tuple: version, shape, element type, column-major or not, bytes."""
        if type(state) is not tuple or len(state) != 5:
            raise CheckpointCorrupt("damaged array")
        _, shape, dtype, columns, data = state
        self.fill(data, dtype, shape, "F" if columns else "C")

    def fill(self, data: object, dtype: object, shape: object, order: object) -> None:
        """Take the values."""
        if isinstance(data, str):
            data = data.encode("latin-1")  # as Python 2 wrote bytes
        if not isinstance(dtype, DType) or not isinstance(data, bytes | bytearray):
            raise CheckpointCorrupt("an array of objects")
        flat = np.frombuffer(data, dtype.value) if data else np.zeros(0, dtype.value)
        self.value = flat.reshape(sizes(shape), order="F" if order == "F" else "C")

    def tensor(self, budget: Budget) -> Tensor:
        """Return the copy of the values that is a tensor."""
        if self.value is None:
            raise CheckpointCorrupt("an array without values")
        if self.copy is None:
            budget.spend(self.value.nbytes)
            native = self.value.astype(self.value.dtype.newbyteorder("="), copy=True)
            self.copy = torch.from_numpy(np.ascontiguousarray(native).reshape(self.value.shape))
        return self.copy


def sizes(value: object) -> tuple[int, ...]:
    """Check a shape or the like: a tuple or list of non-negative ints."""
    if not isinstance(value, tuple | list):
        raise CheckpointCorrupt("damaged shape")
    numbers = tuple(v for v in value if type(v) is int and 0 <= v < 2**62)
    if len(numbers) != len(value) or len(numbers) > 16:
        raise CheckpointCorrupt("damaged shape")
    return numbers


def rebuild_tensor(
    storage: object, offset: object, size: object, stride: object, *_: object
) -> Tensor:
    """Stand in for torch's ``_rebuild_tensor`` and ``_rebuild_tensor_v2``: a view of a storage."""
    if not isinstance(storage, Storage) or type(offset) is not int or offset < 0:
        raise CheckpointCorrupt("damaged tensor")
    shape, steps = sizes(size), sizes(stride)
    if len(shape) != len(steps):
        raise CheckpointCorrupt("damaged tensor: shape and strides differ in length")
    count = math.prod(shape)
    last = offset + sum((n - 1) * s for n, s in zip(shape, steps, strict=True))
    available = storage.values.numel()
    if count > available or (count and last >= available):
        raise CheckpointCorrupt(f"a tensor of shape {shape} doesn't fit into its storage")
    if not count:
        return storage.values.new_zeros(shape)
    return storage.values.as_strided(shape, steps, offset)


def rebuild_parameter(data: object, *_: object) -> object:
    """Stand in for torch's ``_rebuild_parameter``: the tensor itself."""
    if not isinstance(data, Tensor):
        raise CheckpointCorrupt("a parameter without a tensor")
    return data


def rebuild_from_type(function: object, _type: object, arguments: object, *_: object) -> Tensor:
    """Stand in for torch's ``_rebuild_from_type_v2``: the plain tensor."""
    known = isinstance(function, Symbol) and function.build is rebuild_tensor
    if not known or type(arguments) is not tuple:
        raise CheckpointCorrupt("a tensor of unknown make")
    return rebuild_tensor(*arguments)


def rebuild_record(meta: object) -> Record:
    """Stand in for the function that would execute a module's stored source text."""
    if type(meta) is not dict:
        raise CheckpointCorrupt("a module without its description")
    name, state = meta.get("class_name"), meta.get("state")
    if type(name) is not str or type(state) is not dict:
        raise CheckpointCorrupt("a module without class name or state")
    return Record(name, state)


def rebuild_dict(budget: Budget, items: object = ()) -> dict[object, object]:
    """Stand in for ``OrderedDict`` and the like: pairs to a plain dictionary."""
    result: dict[object, object] = {}
    pairs = list(items.items()) if isinstance(items, dict) else _sequence(items)
    budget.spend(len(pairs))
    for key, value in pairs:
        if not isinstance(key, str | int):
            raise CheckpointCorrupt("a key that is neither text nor number")
        result[key] = value
    return result


def rebuild_set(budget: Budget, items: object = ()) -> set[object]:
    """Stand in for ``set``: of texts and numbers only."""
    budget.spend(len(_sequence(items)))
    return {item for item in _sequence(items) if isinstance(item, str | int)}


def rebuild_size(items: object = ()) -> tuple[int, ...]:
    """Stand in for ``torch.Size``."""
    return sizes(items)


def rebuild_bytes(budget: Budget, text: object, encoding: object = "latin1") -> bytes:
    """Stand in for ``_codecs.encode``, which old pickles use for bytes."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise CheckpointCorrupt("text in an unexpected encoding")
    budget.spend(len(text))
    return text.encode("latin-1")


def rebuild_no_bytes() -> bytes:
    """Stand in for ``bytes()``, which old pickles use for empty ones."""
    return b""


def rebuild_array(*_: object) -> Array:
    """Stand in for numpy's ``_reconstruct``: an array still to be filled."""
    return Array()


def rebuild_from_buffer(data: object, dtype: object, shape: object, order: object) -> Array:
    """Stand in for numpy's ``_frombuffer``."""
    array = Array()
    array.fill(data, dtype, shape, order)
    return array


def rebuild_scalar(dtype: object, data: object = b"") -> object:
    """Stand in for numpy's ``scalar``: a Python number."""
    array = Array()
    array.fill(data, dtype, (1,), "C")
    return None if array.value is None else array.value[0].item()


def rebuild_dtype(code: object, *_: object) -> DType:
    """Stand in for ``numpy.dtype``."""
    return DType(code)


def rebuild_device(*_: object) -> None:
    """Stand in for ``torch.device``: every tensor is read to main memory."""
    return None


def _sequence(items: object) -> Sequence[Any]:
    if not isinstance(items, list | tuple):
        raise CheckpointCorrupt("a list expected")
    return items


def table(budget: Budget, load_storage: Callable[[object], Storage] | None) -> Table:
    """Return the whole list of globals a checkpoint may refer to.

    Args:
        budget: What may still be made.
        load_storage: Reads the torch file that a plainly pickled storage carries as bytes; None
            within such a file.
    """
    result: dict[tuple[str, str], Callable[..., object] | None] = {
        ("collections", "OrderedDict"): partial(rebuild_dict, budget),
        ("builtins", "set"): partial(rebuild_set, budget),
        ("__builtin__", "set"): partial(rebuild_set, budget),
        ("__builtin__", "bytes"): rebuild_no_bytes,
        ("_codecs", "encode"): partial(rebuild_bytes, budget),
        ("dnnlib.util", "EasyDict"): partial(rebuild_dict, budget),
        ("torch_utils.persistence", "_reconstruct_persistent_obj"): rebuild_record,
        ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
        ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
        ("torch._utils", "_rebuild_parameter_with_state"): rebuild_parameter,
        ("torch._tensor", "_rebuild_from_type_v2"): rebuild_from_type,
        ("torch.storage", "_load_from_bytes"): load_storage,
        ("torch", "Size"): rebuild_size,
        ("torch", "device"): rebuild_device,
        ("torch", "Tensor"): None,
        ("torch.nn.parameter", "Parameter"): None,
        ("numpy", "dtype"): rebuild_dtype,
        ("numpy", "ndarray"): None,
    }
    for package in ("numpy.core", "numpy._core"):
        result[f"{package}.multiarray", "_reconstruct"] = rebuild_array
        result[f"{package}.multiarray", "scalar"] = rebuild_scalar
        result[f"{package}.numeric", "_frombuffer"] = rebuild_from_buffer
    for name, dtype in DTYPES.items():
        result["torch", f"{name}Storage"] = None
        result["torch", str(dtype).removeprefix("torch.")] = None
    return result
