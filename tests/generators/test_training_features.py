"""The feature network with made-up weights; the published ones are not in the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")

from torch import Tensor  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from generators.errors import CheckpointCorrupt  # noqa: E402
from generators.features import FixedConv, build_features, load_features  # noqa: E402
from training.convert.sources import ORIGINS  # noqa: E402

from ..feature_weights import made_up_tensors  # noqa: E402


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    return made_up_tensors()


def test_features_and_maps_have_their_shapes(tensors: dict[str, Tensor]) -> None:
    network = build_features(tensors)
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    pooled, maps = network(images.requires_grad_())
    assert pooled.shape == (2, 1280)
    shapes = [(16, 32), (24, 16), (40, 8), (112, 4), (320, 2)]
    assert [tuple(m.shape[1:]) for m in maps] == [(c, side, side) for c, side in shapes]
    pooled.sum().backward()
    assert images.grad is not None
    assert float(images.grad.abs().max()) > 0
    assert not [p for p in network.parameters() if p.requires_grad]


def test_folded_layers_equal_convolution_and_normalisation(tensors: dict[str, Tensor]) -> None:
    network = build_features(tensors)
    images = torch.rand(2, 3, 32, 32)
    plain = F.conv2d(F.pad(images, (0, 1, 0, 1)), tensors["_conv_stem.weight"], stride=2)
    mean, variance, weight, bias = (
        tensors[f"_bn0.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    expected = F.batch_norm(plain, mean, variance, weight, bias, eps=1e-3).clamp(0, 6)
    assert torch.allclose(network.stem(images), expected, atol=1e-5)


@pytest.mark.parametrize(("side", "kernel", "before"), [(8, 5, 1), (8, 3, 0), (7, 3, 1), (7, 5, 2)])
def test_strided_layers_pad_as_tensorflow_does(side: int, kernel: int, before: int) -> None:
    # A kernel that is 1 in its first tap reads the first pixel only where padding comes before.
    weight = torch.zeros(1, 1, kernel, kernel)
    weight[0, 0, before, before] = 1
    layer = FixedConv(weight, torch.zeros(1), stride=2, groups=1, bounded=False)
    image = torch.arange(float(side * side)).reshape(1, 1, side, side)
    assert torch.equal(layer(image), image[:, :, ::2, ::2])


def test_tensors_that_do_not_fit_are_named(tensors: dict[str, Tensor]) -> None:
    with pytest.raises(CheckpointCorrupt, match=r"unknown tensor _blocks\.99"):
        build_features({**tensors, "_blocks.99._bn0.bias": torch.zeros(3)})
    with pytest.raises(CheckpointCorrupt, match=r"_blocks\.3\._bn1\.bias.*None"):
        build_features({k: v for k, v in tensors.items() if k != "_blocks.3._bn1.bias"})
    tensors["_conv_head.weight"] = torch.zeros(1280, 319, 1, 1)
    with pytest.raises(CheckpointCorrupt, match=r"_conv_head\.weight must be \(1280, 320, 1, 1\)"):
        build_features(tensors)


def test_another_file_than_the_recorded_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ORIGINS["features"].member
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other weights")
    with pytest.raises(CheckpointCorrupt, match="sha256"):
        load_features(tmp_path)
