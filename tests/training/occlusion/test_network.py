"""The network in torch and in ONNX, with made-up weights; skipped where torch is not installed."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train' (torch)")
pytest.importorskip("onnx", reason="training needs the extra 'train' (onnx)")

import onnxruntime  # noqa: E402
from torch import Tensor  # noqa: E402

from training.occlusion.export import Seer, to_onnx  # noqa: E402
from training.occlusion.network import Exported, OcclusionNetwork  # noqa: E402
from training.occlusion.train import loss  # noqa: E402

from ...feature_weights import made_up_backbone  # noqa: E402


@pytest.fixture(scope="module")
def network() -> OcclusionNetwork:
    torch.manual_seed(0)
    return OcclusionNetwork(made_up_backbone())


def test_the_first_stages_keep_their_weights_and_the_rest_learns(network: OcclusionNetwork) -> None:
    network.train()
    backbone, decoder = network.parameters_by_rate()
    logits = network(torch.randn(2, 3, 128, 128))
    assert logits.shape == (2, 3, 64, 64)
    loss(logits, torch.rand(2, 3, 64, 64) / 2).backward()
    assert all(p.grad is not None for p in backbone + decoder)
    frozen = {n for n, _ in network.named_buffers() if n.startswith(("stem", "stages"))}
    assert {n.split(".")[1] for n in frozen if n.startswith("stages")} == {"0", "1"}
    network.zero_grad()


def test_only_what_is_known_counts() -> None:
    logits = torch.zeros(1, 3, 2, 2)
    logits[0, 0] = 9
    truth: Tensor = torch.zeros(1, 3, 2, 2)
    assert loss(logits, truth) == 0
    truth[0, 2, 0, 0] = 1  # one point is known to be bare, and said to be
    assert loss(logits, truth) < 0.01
    truth[0, 1, 0, 0] = 1  # it is cloth
    assert loss(logits, truth) > 5


def test_the_exported_file_says_what_torch_says(network: OcclusionNetwork) -> None:
    network.eval()
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(
        to_onnx(network).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    said = Seer(session)(pixels)
    with torch.no_grad():
        feed = torch.from_numpy(pixels.transpose(2, 0, 1).copy()[None]).float()
        exact = Exported(network)(feed)[0].numpy()
    np.testing.assert_allclose(said.sum(axis=0), 1, atol=1e-5)
    # Weights are stored in half precision, and nothing was trained to be robust.
    assert np.abs(said - exact).mean() < 0.02
