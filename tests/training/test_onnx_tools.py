"""Half-precision storage of ONNX models."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="training needs the extra 'train' (onnx)")
ort = pytest.importorskip("onnxruntime")


def dense(weight: np.ndarray) -> object:
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "dense",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", weight.shape[0]])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", weight.shape[1]])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


def test_half_storage_halves_the_file_and_rounds_only_the_weights() -> None:
    from training.convert.onnx_tools import store_half

    weight = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    model = dense(weight)
    half = store_half(model)
    assert len(half.SerializeToString()) < 0.55 * len(model.SerializeToString())
    x = np.random.default_rng(1).standard_normal((3, 64)).astype(np.float32)
    (got,) = ort.InferenceSession(half.SerializeToString()).run(None, {"x": x})
    want = x @ weight.astype(np.float16).astype(np.float32)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_a_weight_beyond_float16_is_an_error() -> None:
    from training.convert.onnx_tools import store_half

    with pytest.raises(OverflowError, match="does not fit"):
        store_half(dense(np.full((64, 64), 1e6, np.float32)))


def test_renaming_reaches_inputs_nodes_and_outputs() -> None:
    from training.convert.onnx_tools import rename

    model = rename(dense(np.eye(4, dtype=np.float32)), {"x": "features", "y": "image"})
    session = ort.InferenceSession(model.SerializeToString())
    x = np.ones((2, 4), np.float32)
    (got,) = session.run(["image"], {"features": x})
    np.testing.assert_array_equal(got, x)


def test_prelu_written_out_gives_the_same_values() -> None:
    from training.convert.onnx_tools import plain_prelu

    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    slopes = np.array([-0.8, 0.0, 0.25, 1.2], np.float32).reshape(4, 1, 1)
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["x", "slopes"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", float32, [1, 4, 3, 3])],
        [helper.make_tensor_value_info("y", float32, [1, 4, 3, 3])],
        [onnx.numpy_helper.from_array(slopes, "slopes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    plain = plain_prelu(model)
    assert "PRelu" not in {node.op_type for node in plain.graph.node}
    x = np.random.default_rng(0).standard_normal((1, 4, 3, 3)).astype(np.float32)
    before, after = (
        ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, {"x": x}
        )[0]
        for m in (model, plain)
    )
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert (before != x).any()


def test_a_windowed_network_makes_the_same_of_a_part() -> None:
    from training.convert.onnx_tools import windowed

    helper, rng = onnx.helper, np.random.default_rng(0)
    weight = rng.standard_normal((1, 1, 3, 3)).astype(np.float32)
    noise = rng.standard_normal((1, 1, 16, 16)).astype(np.float32)
    half = rng.standard_normal((1, 1, 8, 8)).astype(np.float32)
    twice = np.array([1, 1, 2, 2], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "half"], ["a"]),
            helper.make_node("Resize", ["a", "", "twice"], ["b"], mode="nearest"),
            helper.make_node("Conv", ["b", "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Add", ["c", "noise"], ["y"]),
        ],
        "tail",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 1, 16, 16])],
        [
            onnx.numpy_helper.from_array(value, name)
            for value, name in ((weight, "w"), (noise, "noise"), (half, "half"), (twice, "twice"))
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    x = rng.standard_normal((1, 1, 8, 8)).astype(np.float32)
    (want,) = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    session = ort.InferenceSession(windowed(model, "x", 8).SerializeToString())
    window = np.array([2, 1, 7, 8], np.int64)
    (got,) = session.run(None, {"x": x, "window": window})
    assert got.shape == (1, 1, 10, 14)
    # One pixel of the output sees beyond the window at its own borders.
    np.testing.assert_allclose(got[..., 1:-1, 1:], want[..., 5:13, 3:16], atol=1e-6)
    (whole,) = session.run(None, {"x": x, "window": np.array([0, 0, 8, 8], np.int64)})
    np.testing.assert_array_equal(whole, want)
