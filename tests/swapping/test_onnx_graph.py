"""The reader of ONNX files against the onnx package, and against bytes made to do harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from anonyface.errors import InputError
from anonyface.swapping.onnx_graph import MAX_VALUES, input_shapes, last_initializer

QUIET = settings(
    deadline=None,
    derandomize=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
KINDS = {"float": (TensorProto.FLOAT, np.float32), "half": (TensorProto.FLOAT16, np.float16)}


def model_of(*constants: onnx.TensorProto) -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "tiny",
        [value("x", TensorProto.FLOAT, ["batch", 3, 112, 112])],
        [value("y", TensorProto.FLOAT, ["batch", 3, 112, 112])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def tensor(shape: tuple[int, ...], kind: str, *, raw: bool, seed: int = 0) -> onnx.TensorProto:
    code, dtype = KINDS[kind]
    values = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    if raw:
        return numpy_helper.from_array(values, "emap")
    return helper.make_tensor("emap", code, shape, values.ravel())


def read(path: Path, data: bytes) -> np.ndarray:
    path.write_bytes(data)
    return last_initializer(path)


@QUIET
@given(SHAPES, st.sampled_from(sorted(KINDS)), st.booleans())
def test_it_reads_what_the_onnx_package_reads(
    tmp_path: Path, shape: tuple[int, ...], kind: str, raw: bool
) -> None:
    last = tensor(shape, kind, raw=raw)
    first = numpy_helper.from_array(np.full(7, 9, np.float32), "first")
    got = read(tmp_path / "m.onnx", model_of(first, last).SerializeToString())
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, numpy_helper.to_array(last).astype(np.float32))


def key(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def block(number: int, data: bytes) -> bytes:
    return key(number, 2) + varint(len(data)) + data


def model_bytes(tensor_bytes: bytes) -> bytes:
    return key(1, 0) + varint(8) + block(7, block(5, tensor_bytes))


def test_numbers_that_are_not_packed_are_read_too(tmp_path: Path) -> None:
    values = np.array([1.5, -2.0, 0.25], "<f4")
    unpacked = b"".join(key(4, 5) + v.tobytes() for v in values)
    data = model_bytes(key(1, 0) + varint(3) + key(2, 0) + varint(1) + unpacked)
    np.testing.assert_array_equal(read(tmp_path / "m.onnx", data), values)
    half = b"".join(key(5, 0) + varint(int(v)) for v in values.astype("<f2").view("<u2"))
    data = model_bytes(block(1, varint(3)) + key(2, 0) + varint(10) + half)
    np.testing.assert_array_equal(read(tmp_path / "m.onnx", data), values)


FLOAT_OF = key(2, 0) + varint(1)
HOSTILE = {
    "no graph": (key(1, 0) + varint(8), "no graph"),
    "graph of the wrong kind": (key(7, 0) + varint(8), "wrong kind"),
    "two graphs": (block(7, b"") * 2, "several graphs"),
    "no constants": (block(7, b""), "no constants"),
    "constant of the wrong kind": (block(7, key(5, 0) + b"\x01"), "wrong kind"),
    "field number 0": (b"\x00\x01", "impossible"),
    "old group": (key(7, 3) + key(7, 4), "no known kind"),
    "endless number": (b"\xff" * 40, "no end"),
    "longer than the file": (key(7, 2) + varint(2**62), "impossible"),
    "a billion numbers": (
        model_bytes(block(1, varint(2**15) * 2) + FLOAT_OF + block(9, b"1234")),
        f"more than {MAX_VALUES}",
    ),
    "product that wraps to 0": (
        model_bytes(block(1, varint(2**32) * 2) + FLOAT_OF + block(9, b"")),
        f"more than {MAX_VALUES}",
    ),
    "negative size": (
        model_bytes(block(1, varint(2**64 - 1)) + FLOAT_OF + block(9, b"1234")),
        f"more than {MAX_VALUES}",
    ),
    "nothing times a lot": (
        model_bytes(block(1, varint(0) + varint(2**63)) + FLOAT_OF + block(9, b"")),
        f"more than {MAX_VALUES}",
    ),
    "too many dimensions": (model_bytes(block(1, varint(1) * 99) + FLOAT_OF), "too long"),
    "fewer numbers than the shape": (
        model_bytes(block(1, varint(3)) + FLOAT_OF + block(4, bytes(8))),
        "2 numbers instead of 3",
    ),
    "more numbers than the shape": (
        model_bytes(block(1, varint(3)) + FLOAT_OF + block(4, bytes(16))),
        "more numbers",
    ),
    "raw data of another size": (
        model_bytes(block(1, varint(3)) + FLOAT_OF + block(9, bytes(16))),
        "another size",
    ),
    "half a number": (
        model_bytes(block(1, varint(1)) + FLOAT_OF + block(4, bytes(3))),
        "not stored",
    ),
    "no half precision": (
        model_bytes(block(1, varint(1)) + key(2, 0) + varint(10) + key(5, 0) + varint(70000)),
        "half precision",
    ),
    "whole numbers": (
        model_bytes(block(1, varint(1)) + key(2, 0) + varint(7) + block(9, bytes(8))),
        "neither",
    ),
    "not finite": (
        model_bytes(block(1, varint(1)) + FLOAT_OF + block(9, np.float32("nan").tobytes())),
        "not finite",
    ),
    "kept elsewhere": (
        model_bytes(block(1, varint(1)) + FLOAT_OF + block(13, b"") + block(9, bytes(4))),
        "another file",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_bytes_are_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    data, problem = HOSTILE[kind]
    with pytest.raises(InputError, match=problem) as error:
        read(tmp_path / "m.onnx", data)
    assert "\n" not in str(error.value)


_model = model_of(
    numpy_helper.from_array(np.arange(6, dtype=np.float32), "w"),
    tensor((4, 4), "half", raw=False),
    tensor((4, 4), "float", raw=True),
)
GOOD = key(1, 0) + varint(8) + block(7, _model.graph.SerializeToString())


@QUIET
@given(st.integers(0, len(GOOD) - 1))
def test_every_beginning_of_a_file_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(InputError):
        read(tmp_path / "m.onnx", GOOD[:size])


@settings(QUIET, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=6))
def test_changed_bytes_give_numbers_or_an_input_error(
    tmp_path: Path, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(GOOD)
    for place, value in changes:
        data[place] = value
    _ask_everything(tmp_path / "m.onnx", bytes(data))


@settings(QUIET, max_examples=120)
@given(st.binary(max_size=200))
def test_any_bytes_give_numbers_or_an_input_error(tmp_path: Path, data: bytes) -> None:
    _ask_everything(tmp_path / "m.onnx", data)
    _ask_everything(tmp_path / "m.onnx", block(7, data))
    _ask_everything(tmp_path / "m.onnx", model_bytes(data))


def _ask_everything(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    for ask in (last_initializer, input_shapes):
        try:
            answer = ask(path)
        except InputError:
            continue
        assert isinstance(answer, tuple) or np.isfinite(answer).all()


def test_shapes_of_inputs_leave_constants_out(tmp_path: Path) -> None:
    model = model_of(tensor((2, 2), "float", raw=True))
    model.graph.input.append(helper.make_tensor_value_info("emap", TensorProto.FLOAT, [2, 2]))
    model.graph.input.append(helper.make_tensor_value_info("free", TensorProto.FLOAT, None))
    onnx.save(model, tmp_path / "m.onnx")
    assert input_shapes(tmp_path / "m.onnx") == ((None, 3, 112, 112), ())
