"""Read what an adapter must know of an ONNX file, without running it or needing the onnx package.

ONNX is a protocol buffer (onnx.proto of the ONNX standard): fields of a key, that is a number and a
wire type, and a value. Only the few fields on the way to what is asked for are entered; everything
else is skipped by its length. The file is somebody else's: every length is checked, every loop is
bounded, and whatever does not add up is an `InputError`.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from anonyface.errors import InputError
from anonyface.types import FloatArray

Bytes: TypeAlias = bytes | mmap.mmap
Answer = TypeVar("Answer")

MAX_FIELDS = 1 << 19
"""Fields read of one message. Numbers that are not packed are one field each."""
MAX_VALUES = 1 << 19
"""Numbers read of one tensor: twice the 512 x 512 of the matrix this is made for."""
MAX_DIMS = 8

_VARINT, _FIXED64, _BLOCK, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH = 7
_GRAPH_INITIALIZER, _GRAPH_INPUT = 5, 11
_VALUE_NAME, _VALUE_TYPE, _TYPE_TENSOR, _TENSOR_SHAPE, _SHAPE_DIM, _DIM_VALUE = 1, 2, 1, 2, 1, 1
_DIMS, _DATA_TYPE, _NAME, _RAW, _EXTERNAL, _LOCATION = 1, 2, 8, 9, 13, 14
_STORED: dict[int, tuple[str, int]] = {1: ("<f4", 4), 10: ("<f2", 5)}
"""TensorProto.DataType -> type of the numbers, and the field that holds them where raw_data does
not: float_data; for half precision int32_data, one number each."""


class _Malformed(ValueError):
    """The bytes are no such message."""


@dataclass(frozen=True)
class _Field:
    """One field: its number, where its value lies, and the value itself where it is a varint."""

    number: int
    wire: int
    start: int
    stop: int
    value: int


def last_initializer(path: str | PathLike[str]) -> FloatArray:
    """Return the last constant of the graph in an ONNX file.

    Args:
        path: The file.

    Returns:
        Float32 array of the shape the file names; at most `MAX_VALUES` numbers, all finite.

    Raises:
        InputError: The file can't be read, is no ONNX model, or its last constant is missing, too
            large, not of float32 or float16, not finite or kept in another file.
    """

    def read(data: Bytes) -> FloatArray:
        graph = _graph(data)
        last: _Field | None = None
        for field in _fields(data, graph.start, graph.stop):
            if field.number == _GRAPH_INITIALIZER:
                last = field
        if last is None:
            raise _Malformed("it has no constants")
        return _tensor(data, last)

    return _read(path, read)


def input_shapes(path: str | PathLike[str]) -> tuple[tuple[int | None, ...], ...]:
    """Return the shapes of a graph's inputs, None where a size may vary.

    Constants that old files list among the inputs are left out.

    Args:
        path: The ONNX file.

    Raises:
        InputError: The file can't be read or is no ONNX model.
    """

    def read(data: Bytes) -> tuple[tuple[int | None, ...], ...]:
        graph = _graph(data)
        shapes: dict[bytes, tuple[int | None, ...]] = {}
        constants: set[bytes] = set()
        for field in _fields(data, graph.start, graph.stop):
            if field.number == _GRAPH_INPUT:
                shapes[_text(data, field, _VALUE_NAME)] = _shape(data, field)
            elif field.number == _GRAPH_INITIALIZER:
                constants.add(_text(data, field, _NAME))
        return tuple(shape for name, shape in shapes.items() if name not in constants)

    return _read(path, read)


def _read(path: str | PathLike[str], ask: Callable[[Bytes], Answer]) -> Answer:
    """Answer a question about a file's bytes; the file is mapped, not loaded."""
    place = Path(path)
    try:
        if not place.is_file():
            raise InputError(f"{place}: no such file")
        with place.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return ask(data)
    except _Malformed as error:
        raise InputError(f"{place}: not a usable ONNX model, {error}") from None
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{place}: can't be read, {error.strerror}") from None
    except ValueError:  # an empty file can't be mapped, a name with a zero byte not be looked up
        raise InputError(f"{place}: not a usable ONNX model, it is empty") from None


def _varint(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """Read a number of up to 64 bits, 7 to a byte; return it and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= stop:
            raise _Malformed("it is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _Malformed("a number in it has no end")


def _fields(data: Bytes, at: int, stop: int) -> Iterator[_Field]:
    """Go through the fields of one message."""
    for _ in range(MAX_FIELDS):
        if at == stop:
            return
        key, at = _varint(data, at, stop)
        wire, value, start = key & 7, 0, at
        if wire == _VARINT:
            value, end = _varint(data, at, stop)
        elif wire == _BLOCK:
            length, start = _varint(data, at, stop)
            end = start + length
        elif wire in (_FIXED32, _FIXED64):
            end = start + (4 if wire == _FIXED32 else 8)
        else:
            raise _Malformed("it holds a field of no known kind")
        if end > stop or key >> 3 == 0:
            raise _Malformed("a field in it has an impossible size or number")
        yield _Field(key >> 3, wire, start, end, value)
        at = end
    raise _Malformed(f"a part of it has more than {MAX_FIELDS} fields")


def _child(data: Bytes, parent: _Field, number: int) -> _Field | None:
    """Return the last block with a number in a message, None where there is none."""
    found = None
    for field in _fields(data, parent.start, parent.stop):
        if field.number == number:
            found = _block(field)
    return found


def _block(field: _Field) -> _Field:
    if field.wire != _BLOCK:
        raise _Malformed("a part of it is of the wrong kind")
    return field


def _text(data: Bytes, parent: _Field, number: int) -> bytes:
    found = _child(data, _block(parent), number)
    return b"" if found is None else data[found.start : found.stop]


def _graph(data: Bytes) -> _Field:
    whole = _Field(0, _BLOCK, 0, len(data), 0)
    graphs = [f for f in _fields(data, 0, whole.stop) if f.number == _MODEL_GRAPH]
    if len(graphs) != 1:
        raise _Malformed("it has no graph" if not graphs else "it has several graphs")
    return _block(graphs[0])


def _shape(data: Bytes, value: _Field) -> tuple[int | None, ...]:
    """Read the shape in a ValueInfoProto; empty where none is given."""
    inner: _Field | None = value
    for number in (_VALUE_TYPE, _TYPE_TENSOR, _TENSOR_SHAPE):
        inner = None if inner is None else _child(data, inner, number)
    if inner is None:
        return ()
    sizes: list[int | None] = []
    for dim in _fields(data, inner.start, inner.stop):
        if dim.number != _SHAPE_DIM:
            continue
        if len(sizes) == MAX_DIMS:
            raise _Malformed("an input has too many dimensions")
        parts = list(_fields(data, _block(dim).start, dim.stop))
        known = [f.value for f in parts if f.number == _DIM_VALUE and f.wire == _VARINT]
        sizes.append(known[-1] if known and known[-1] > 0 else None)
    return tuple(sizes)


def _tensor(data: Bytes, field: _Field) -> FloatArray:
    """Read a TensorProto."""
    parts: dict[int, list[_Field]] = {}
    for part in _fields(data, _block(field).start, field.stop):
        parts.setdefault(part.number, []).append(part)
    if _EXTERNAL in parts or any(part.value for part in parts.get(_LOCATION, [])):
        raise _Malformed("its last constant is kept in another file")
    kinds = parts.get(_DATA_TYPE, [])
    kind = kinds[-1].value if kinds and kinds[-1].wire == _VARINT else 0
    if kind not in _STORED:
        raise _Malformed("its last constant is neither of float32 nor of float16")
    shape = _numbers(data, parts.get(_DIMS, []), MAX_DIMS)
    count = math.prod(shape)  # of Python's own integers: it can't overflow
    if count > MAX_VALUES or max(shape, default=0) > MAX_VALUES:
        raise _Malformed(f"its last constant has more than {MAX_VALUES} numbers")
    values = _values(data, parts, kind, count)
    if len(values) != count:
        raise _Malformed(f"its last constant has {len(values)} numbers instead of {count}")
    if not np.isfinite(values).all():
        raise _Malformed("its last constant is not finite")
    return values.reshape(shape)


def _values(data: Bytes, parts: dict[int, list[_Field]], kind: int, limit: int) -> FloatArray:
    """Read the numbers of a tensor, at most ``limit`` and one."""
    dtype, typed = _STORED[kind]
    if _RAW in parts:
        raw = _block(parts[_RAW][-1])
        if raw.stop - raw.start != limit * np.dtype(dtype).itemsize:
            raise _Malformed("its last constant has another size than its shape says")
        return np.frombuffer(data[raw.start : raw.stop], dtype).astype(np.float32)
    stored = parts.get(typed, [])
    if dtype == "<f2":
        bits = _numbers(data, stored, limit + 1)
        if any(b > 0xFFFF for b in bits):
            raise _Malformed("its last constant holds a number that is none of half precision")
        return np.array(bits, np.uint16).view(np.float16).astype(np.float32)
    if any(f.wire not in (_BLOCK, _FIXED32) or (f.stop - f.start) % 4 for f in stored):
        raise _Malformed("its last constant is not stored as it says")
    if sum(f.stop - f.start for f in stored) > 4 * limit:
        raise _Malformed("its last constant has more numbers than its shape says")
    joined = b"".join(data[f.start : f.stop] for f in stored)
    single: NDArray[np.float32] = np.frombuffer(joined, dtype).astype(np.float32)
    return single


def _numbers(data: Bytes, stored: list[_Field], limit: int) -> list[int]:
    """Read repeated whole numbers, packed or one a field; more than ``limit`` are refused."""
    out: list[int] = []
    for field in stored:
        if field.wire == _VARINT:
            out.append(field.value)
        else:
            at = _block(field).start
            while at < field.stop and len(out) <= limit:
                value, at = _varint(data, at, field.stop)
                out.append(value)
        if len(out) > limit:
            raise _Malformed("a list in it is too long")
    return out
