"""The refinement: gender and age of a found face, from the same picture and the same backbone.

Anchors see a face through 64 numbers that were learnt to find it. The refinement looks again where
the landmarks say: at the backbone's maps of stride 4, 8 and 16, and at the network's own input, all
read on one aligned grid. Its first layers start from the shipped second encoder (SFace), which
knows faces; they run at a third of that network's scale, so that a face costs little.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from training.retinaface.ages import AGES
from training.retinaface.aligned import canvas_points, place, sample, similarity_solver
from training.retinaface.cache import CHANNELS, GRIDS
from training.retinaface.pictures import MEAN_BGR

SIDE = 80
"""Side of the aligned picture: the eyes are 23 pixels apart."""
SLOPE = 0.1
"""Of all leaky ReLUs in the end: a convolution with one slope for all channels runs as one step."""
TRUNK = ((32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2))
DEEP = ((512, 512, 1),) * 5
LEFT_OUT = 0.25
"""Share of the faces that are learnt without the maps."""
POOLED = 64
"""Values a face that the maps of the backbone are reduced to."""
SFACE_MEAN, SFACE_SCALE, SFACE_EPSILON = 127.5, 1 / 128, 1e-3


class Slope(nn.Module):
    """Leaky ReLU that begins with a slope a channel, as SFace has, and ends with `SLOPE` for all.

    Attributes:
        share: How far it has come, 0 to 1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first: Tensor
        self.register_buffer("first", torch.full((channels,), SLOPE))
        self.share = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> the same shape."""
        if self.share >= 1:
            return F.leaky_relu(x, SLOPE)
        return F.prelu(x, self.first + self.share * (SLOPE - self.first))


class Separable(nn.Module):
    """Depthwise and pointwise convolution, norms folded in."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs)
        self.depthwise_slope = Slope(inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)
        self.pointwise_slope = Slope(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) -> (n, outputs, h / stride, w / stride)."""
        x = self.depthwise_slope(self.depthwise(x))
        out: Tensor = self.pointwise_slope(self.pointwise(x))
        return out


class PictureBranch(nn.Module):
    """Reads the aligned picture: SFace's layers 1 to 12, the first with a step of 2."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, TRUNK[0][0], 3, 2, 1)
        self.first_slope = Slope(TRUNK[0][0])
        self.blocks = nn.Sequential(*(Separable(*shape) for shape in (*TRUNK, *DEEP)))
        self.values = DEEP[-1][1]

    def forward(self, picture: Tensor) -> Tensor:
        """(n, 3, 80, 80) BGR minus the mean -> (n, 512)."""
        mean = picture.new_tensor(MEAN_BGR)[None, :, None, None]
        x = (picture + (mean - SFACE_MEAN)).flip(1) * SFACE_SCALE
        x = self.first_slope(self.first(x))
        out: Tensor = self.blocks(x).mean(dim=(2, 3))
        return out

    @torch.no_grad()
    def start_from_sface(self, path: Path) -> None:
        """Take over the weights of an SFace ONNX file, its batch norms folded in."""
        graph = onnx.load(path).graph
        weights = _dequantised(graph)
        layers = [(self.first, self.first_slope, "conv_1")]
        for i, block in enumerate(self.blocks, start=2):
            assert isinstance(block, Separable)  # noqa: S101
            layers.append((block.depthwise, block.depthwise_slope, f"conv_{i}_dw"))
            layers.append((block.pointwise, block.pointwise_slope, f"conv_{i}"))
        for conv, slope, name in layers:
            part = {p: weights[f"{name}_batchnorm_{p}"] for p in _NORM}
            scale = part["gamma"] / np.sqrt(part["moving_var"] + SFACE_EPSILON)
            weight = weights[f"{name}_conv2d_weight"].reshape(conv.weight.shape)
            conv.weight.copy_(torch.from_numpy(weight * scale[:, None, None, None]))
            assert conv.bias is not None  # noqa: S101
            conv.bias.copy_(torch.from_numpy(part["beta"] - part["moving_mean"] * scale))
            slope.first.copy_(torch.from_numpy(weights[f"{name}_relu_gamma"].reshape(-1)))


_NORM = ("gamma", "beta", "moving_mean", "moving_var")


def _dequantised(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Initializers by name; those stored in 8 bits in blocks, widened under their plain name."""
    raw = {i.name: numpy_helper.to_array(i).copy() for i in graph.initializer}
    out = dict(raw)
    for name, value in raw.items():
        if name.endswith("_dequantized_q"):
            stem = name.removesuffix("_dequantized_q")
            zero, scale = (raw[f"{stem}_dequantized_{p}"].astype(np.float32) for p in "zs")
            out[stem] = (value.astype(np.float32) - zero) * scale
    return out


class PooledBranch(nn.Module):
    """Reads the backbone's maps of stride 4, 8 and 16 on the aligned grid."""

    def __init__(self) -> None:
        super().__init__()

        def unit(inputs: int, outputs: int, stride: int, groups: int = 1) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            )

        self.forget = nn.Dropout2d(0.1)
        early, fine, middle = (CHANNELS[n] for n in GRIDS)
        self.early = unit(early, 48, 2)
        self.fine = unit(48 + fine, 96, 2)
        self.middle = unit(96 + middle, 128, 1)
        self.last = unit(128, 128, 2)
        self.out = nn.Linear(128, POOLED)

    def forward(self, maps: dict[str, Tensor]) -> Tensor:
        """Maps named as in `cache.GRIDS` -> (n, 64)."""
        x = self.early(self.forget(maps["early"]))
        x = self.fine(torch.cat([x, self.forget(maps["fine"])], dim=1))
        x = self.last(self.middle(torch.cat([x, self.forget(maps["middle"])], dim=1)))
        return F.relu(self.out(x.mean(dim=(2, 3))))


@dataclass(frozen=True)
class Reading:
    """Logits: gender (n, 2), male and female; age (n, 9)."""

    gender: Tensor
    age: Tensor


class Refinement(nn.Module):
    """Both branches and the two heads.

    Args:
        picture: Whether it looks at the picture.
        pooled: Whether it looks at the backbone's maps.
    """

    def __init__(self, *, picture: bool = True, pooled: bool = True) -> None:
        super().__init__()
        self.picture = PictureBranch() if picture else None
        self.pooled = PooledBranch() if pooled else None
        width = (self.picture.values if self.picture else 0) + (POOLED if pooled else 0)
        self.values = width
        self.drop = nn.Dropout(0.3)
        self.gender = nn.Linear(width, 2)
        self.age = nn.Linear(width, len(AGES))

    def alone(self, values: Tensor) -> Tensor:
        """In training, now and then leave the maps' values out, so that the picture must do.

        The maps are cached and hardly vary: what is learnt by heart is learnt from them.
        """
        if not self.training or self.picture is None:
            return values
        kept = torch.rand(len(values), 1, device=values.device) >= LEFT_OUT
        return values * kept / (1 - LEFT_OUT)

    def morph(self, share: float) -> None:
        """Set how far all slopes have come from SFace's, 0 to 1."""
        for module in self.modules():
            if isinstance(module, Slope):
                module.share = share

    def forward(self, picture: Tensor | None, maps: dict[str, Tensor] | None) -> Reading:
        """Aligned picture (n, 3, 80, 80) and maps, as far as the branches are there -> logits."""
        return self.read(self.describe(picture, maps))

    def describe(self, picture: Tensor | None, maps: dict[str, Tensor] | None) -> Tensor:
        """Return the (n, values) inner description."""
        parts = []
        if self.picture is not None:
            assert picture is not None  # noqa: S101
            parts.append(self.picture(picture))
        if self.pooled is not None:
            assert maps is not None  # noqa: S101
            parts.append(self.alone(self.pooled(maps)))
        return torch.cat(parts, dim=1)

    def read(self, description: Tensor) -> Reading:
        """Inner description -> logits."""
        x = self.drop(description)
        return Reading(self.gender(x), self.age(x))


class Look(nn.Module):
    """Reads picture and maps on the aligned grids of faces.

    Args:
        picture: Whether the picture is read.
        pooled: Whether the maps are.
    """

    def __init__(self, *, picture: bool = True, pooled: bool = True) -> None:
        super().__init__()
        self.grids = GRIDS if pooled else {}
        self.with_picture = picture
        self.register_buffer("solver", similarity_solver())
        self.register_buffer("points", canvas_points(SIDE))
        for name, (_, side) in self.grids.items():
            self.register_buffer(f"points_{name}", canvas_points(side))

    def forward(
        self, image: Tensor, maps: list[Tensor], faces: Tensor
    ) -> tuple[Tensor | None, dict[str, Tensor] | None]:
        """Read the grids of one image's faces.

        Args:
            image: (1, 3, H, W), the network's input.
            maps: The backbone's, of stride 4, 8, 16 and 32.
            faces: (n, 5, 2) landmarks x y in pixels of the input.
        """
        picture: Tensor | None = None
        if self.with_picture:
            where = place(faces, self.solver, self.points)
            picture = sample(image, where, stride=1, side=SIDE)
        read_maps: dict[str, Tensor] | None = None
        if self.grids:
            read_maps = {
                name: sample(
                    maps[level],
                    place(faces, self.solver, getattr(self, f"points_{name}")),
                    stride=stride,
                    side=side,
                )
                for level, (name, (stride, side)) in enumerate(self.grids.items())
            }
        return picture, read_maps
