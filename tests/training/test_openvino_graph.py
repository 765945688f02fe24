"""The converter on small graphs built here; skipped where OpenVINO is not installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ov = pytest.importorskip("openvino", reason="training needs the extra 'train' (openvino)")
onnx = pytest.importorskip("onnx", reason="training needs the extra 'train' (onnx)")
ort = pytest.importorskip("onnxruntime")


def save(path: Path, result: object, inputs: list[object]) -> Path:
    ov.save_model(ov.Model([result], inputs, "test"), path, compress_to_fp16=False)
    return path


def both(path: Path, feed: np.ndarray, output: str) -> tuple[np.ndarray, np.ndarray, object]:
    """What OpenVINO and the converted graph give, and the converted graph."""
    from training.convert.openvino_graph import GraphConverter

    model = GraphConverter(path, input_names={"x": "x"}, output_names={output: "y"}).convert()
    session = ort.InferenceSession(model.SerializeToString())
    compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    want = np.array(next(iter(compiled(feed).values())))
    return want, session.run(["y"], {"x": feed})[0], model


def haar_graph() -> tuple[object, object]:
    """An inverse Haar transform of (1, 8, 4, 6) as MobileStyleGAN exports it."""
    ops = ov.opset13
    x = ops.parameter([1, 8, 4, 6], np.float32, name="x")
    x.output(0).set_names({"x"})
    split = ops.variadic_split(x, 1, [2, 6])
    bands = ops.variadic_split(ops.reshape(split.output(1), [1, 2, 3, 4, 6], False), 2, [1, 1, 1])
    detail = [ops.squeeze(bands.output(i), [2]) for i in range(3)]
    s = np.float32(np.sqrt(0.5))

    def filtered(node: object, taps: list[float], shape: tuple[int, int]) -> object:
        kernel = np.tile(np.array(taps, np.float32).reshape(1, 1, 1, *shape), (2, 1, 1, 1, 1))
        strides = [2, 1] if shape == (2, 1) else [1, 2]
        return ops.group_convolution_backprop_data(
            node, kernel, strides=strides, pads_begin=[0, 0], pads_end=[0, 0], dilations=[1, 1]
        )

    low = ops.add(filtered(split.output(0), [s, s], (2, 1)), filtered(detail[0], [s, -s], (2, 1)))
    high = ops.add(filtered(detail[1], [s, s], (2, 1)), filtered(detail[2], [s, -s], (2, 1)))
    out = ops.add(filtered(low, [s, s], (1, 2)), filtered(high, [s, -s], (1, 2)))
    out.output(0).set_names({"y"})
    return out, x


def test_the_inverse_haar_transform_is_fused_and_exact(tmp_path: Path) -> None:
    out, x = haar_graph()
    path = save(tmp_path / "haar.xml", out, [x])
    feed = np.random.default_rng(0).standard_normal((1, 8, 4, 6)).astype(np.float32)
    want, got, model = both(path, feed, "y")
    assert want.shape == got.shape == (1, 2, 8, 12)
    np.testing.assert_allclose(got, want, atol=1e-6)
    kinds = {n.op_type for n in model.graph.node}
    assert "DepthToSpace" in kinds
    assert "ConvTranspose" not in kinds


def test_an_unknown_operator_is_an_error_that_names_it(tmp_path: Path) -> None:
    from training.convert.openvino_graph import GraphConverter, UnknownOperator

    ops = ov.opset13
    x = ops.parameter([1, 4], np.float32, name="x")
    x.output(0).set_names({"x"})
    path = save(tmp_path / "erf.xml", ops.erf(x), [x])
    with pytest.raises(UnknownOperator, match="Erf"):
        GraphConverter(path, input_names={"x": "x"}, output_names={}).convert()


def test_the_batch_is_dynamic(tmp_path: Path) -> None:
    from training.convert.openvino_graph import GraphConverter

    ops = ov.opset13
    x = ops.parameter([1, 4], np.float32, name="x")
    x.output(0).set_names({"x"})
    weight = np.random.default_rng(1).standard_normal((6, 4)).astype(np.float32)
    out = ops.reshape(ops.matmul(x, weight, False, True), [1, 2, 3], False)
    out.output(0).set_names({"y"})
    path = save(tmp_path / "dense.xml", out, [x])
    model = GraphConverter(path, input_names={"x": "x"}, output_names={"y": "y"}).convert()
    feed = np.random.default_rng(2).standard_normal((5, 4)).astype(np.float32)
    (got,) = ort.InferenceSession(model.SerializeToString()).run(["y"], {"x": feed})
    np.testing.assert_allclose(got, (feed @ weight.T).reshape(5, 2, 3), atol=1e-5)
