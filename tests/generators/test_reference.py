"""The shipped generator in torch gives what the runtime gives, and can be differentiated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")
onnx = pytest.importorskip("onnx", reason="reading the shipped generator needs onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from anonyface.runtime import open_session, run  # noqa: E402
from generators.onnx_module import OnnxModule, UnsupportedGraph  # noqa: E402
from generators.reference import ReferenceGenerator  # noqa: E402
from generators.stylegan2_ada.mapping import MappingNetwork  # noqa: E402


@pytest.fixture(scope="module")
def reference() -> Any:
    return ReferenceGenerator()


@pytest.fixture(scope="module")
def latents() -> Any:
    return torch.randn(8, 512, generator=torch.Generator().manual_seed(5))


@pytest.mark.models
def test_the_port_gives_what_the_runtime_gives(reference: Any, latents: Any) -> None:
    with torch.no_grad():
        w = reference.map(latents)
        truncated = reference.truncate(w, 0.7)
        images = reference.render(truncated)
    want = run(open_session("mapping", threads=1), {"z": latents.numpy()}, ["w"])[0]
    np.testing.assert_allclose(w, want, atol=1e-4)
    session = open_session("synthesis-256", threads=1)
    want = run(session, {"w": truncated.numpy()}, ["image"])[0]
    assert images.shape == want.shape == (8, 3, 256, 256)
    assert want.std() > 0.3  # pictures, not grey
    np.testing.assert_allclose(images, want, atol=1e-3)


@pytest.mark.models
def test_truncation_draws_to_the_mean(reference: Any, latents: Any) -> None:
    w = reference.map(latents)
    torch.testing.assert_close(reference.truncate(w, 1.0), w)
    assert reference.truncate(w, 0.0).allclose(reference.w_avg)
    psi = torch.linspace(0, 1, 8)[:, None]
    each = reference.truncate(w, psi)
    torch.testing.assert_close(each[3:4], reference.truncate(w[3:4], 3 / 7))
    # The mean is that of the styles: another sample has the same up to chance.
    other = reference.map(torch.randn(4096, 512, generator=torch.Generator().manual_seed(6)))
    assert (other.mean(dim=0) - reference.w_avg).abs().max() < 0.05 < w.std() / 5


@pytest.mark.models
def test_gradients_reach_the_style(reference: Any, latents: Any) -> None:
    w = reference.truncate(reference.map(latents[:1]), 0.7).detach().requires_grad_()
    image = reference.render(w)
    image.mean().backward()
    slope = float((w.grad * w.grad).sum().sqrt())
    assert slope > 0
    step = 1e-2 * w.grad / slope
    with torch.no_grad():
        change = (reference.render(w + step) - reference.render(w - step)).double().mean() / 2
    assert float(change) == pytest.approx(1e-2 * slope, rel=0.05)


@pytest.mark.models
def test_our_own_mapping_network_takes_its_weights(reference: Any, latents: Any) -> None:
    mapping = MappingNetwork(z_dim=512, w_dim=512)
    mapping.load_state_dict(reference.mapping_state())
    torch.testing.assert_close(mapping(latents), reference.map(latents), atol=1e-4, rtol=0)
    want = reference.truncate(reference.map(latents), 0.5)
    torch.testing.assert_close(mapping(latents, psi=0.5), want, atol=1e-4, rtol=0)


def graph(nodes: list[Any], outputs: list[str], **constants: Any) -> bytes:
    """A model that reads ``x`` (N, 8, 2, 2)."""
    shape = ["N", 8, 2, 2]
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    return bytes(helper.make_model(made).SerializeToString())


def test_every_operator_against_numpy() -> None:
    node = helper.make_node
    halves = np.array([4, 4])
    nodes = [
        node("Cast", ["small"], ["wide"], to=TensorProto.FLOAT),
        node("Mul", ["x", "wide"], ["scaled"]),
        node("Split", ["scaled", "halves"], ["a", "b"], axis=1),
        node("Sub", ["a", "b"], ["less"]),
        node("Pow", ["less", "two"], ["power"]),
        node("ReduceMean", ["power"], ["mean"], axes=[1], keepdims=1),
        node("Concat", ["mean", "mean", "less", "a"], ["joined"], axis=1),
        node("Gather", ["joined", "order"], ["ordered"], axis=1),
        node("DepthToSpace", ["ordered"], ["large"], blocksize=2, mode="DCR"),
        node("LeakyRelu", ["large"], ["out"], alpha=0.1),
        node("DepthToSpace", ["x"], ["other"], blocksize=2, mode="CRD"),
    ]
    order = np.array([0, 2, 3, 4, 5, 6, 7, 8])
    data = graph(
        nodes,
        ["out", "other"],
        small=np.array([0.5], np.float16),
        halves=halves,
        two=np.array([2], np.float32),
        order=order,
    )
    x = np.random.default_rng(0).standard_normal((3, 8, 2, 2)).astype(np.float32)
    out, other = (v.numpy() for v in OnnxModule(data)(torch.from_numpy(x)))
    a, b = 0.5 * x[:, :4], 0.5 * x[:, 4:]
    mean = ((a - b) ** 2).mean(axis=1, keepdims=True)
    joined = np.concatenate([mean, mean, a - b, a], axis=1)[:, order]
    want = np.zeros((3, 2, 4, 4), np.float32)
    crd = np.zeros((3, 2, 4, 4), np.float32)
    for i in range(2):
        for j in range(2):
            want[:, :, i::2, j::2] = joined[:, 2 * (2 * i + j) : 2 * (2 * i + j) + 2]
            crd[:, :, i::2, j::2] = x[:, 2 * i + j :: 4]
    np.testing.assert_allclose(out, np.where(want > 0, want, 0.1 * want), atol=1e-6)
    np.testing.assert_allclose(other, crd)
    with pytest.raises(ValueError, match="asked for"):
        OnnxModule(data)(torch.from_numpy(x), outputs=["nothing"])


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (("Erf", ["x"], {}), "no operator 'Erf'"),
        (("Reshape", ["x", "x"], {}), "Reshape whose input 1 is not a constant"),
        (("Gather", ["x", "x"], {}), "Gather by other than a constant list"),
        (("Gemm", ["x", "x"], {}), "Gemm other than"),
        (("Conv", ["x", "x"], {"auto_pad": "SAME_UPPER"}), "Conv with other padding"),
        (("Conv", ["x", "x"], {"pads": [0, 0, 1, 1]}), "Conv with other padding"),
    ],
)
def test_an_unknown_graph_is_named(node: Any, message: str) -> None:
    kind, inputs, attributes = node
    data = graph([helper.make_node(kind, inputs, ["y"], **attributes)], ["y"])
    with pytest.raises(UnsupportedGraph, match=message) as caught:
        OnnxModule(data)
    assert "\n" not in str(caught.value)
