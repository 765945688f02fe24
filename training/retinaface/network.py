"""RetinaFace (arXiv 1905.00641) as a single-stage network, with gender and age on each anchor.

Backbone, feature pyramid (arXiv 1612.03144), context modules (SSH, arXiv 1708.03979), and 1x1 heads
on the anchors of SSD (arXiv 1512.02325).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.retinaface.ages import AGES
from training.retinaface.layers import MOBILENET_SLOPE, Bottleneck, ConvUnit, DepthwiseBlock

Backbone = Literal["mobilenet-0.25", "resnet-50"]

ANCHORS_PER_CELL = 2


@dataclass(frozen=True)
class Outputs:
    """What the heads say; A anchors, finest stride first, row by row, small anchor first.

    Attributes:
        boxes: (N, A, 4) offsets of centre and log size.
        logits: (N, A, 2) of background and face.
        landmarks: (N, A, 10) offsets of five points x y.
        gender: (N, A, 2) logits of male and female; None without these heads.
        age: (N, A, 9) logits of the age bins; None without these heads.
    """

    boxes: Tensor
    logits: Tensor
    landmarks: Tensor
    gender: Tensor | None
    age: Tensor | None


class MobileNetQuarter(nn.Module):
    """MobileNet at a quarter of its width; gives the maps of stride 8, 16 and 32."""

    channels = (64, 128, 256)
    early_channels = 32

    def __init__(self, *, norm: bool) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, stride: int = 1) -> DepthwiseBlock:
            return DepthwiseBlock(inputs, outputs, stride=stride, norm=norm)

        self.stem = ConvUnit(3, 8, 3, stride=2, slope=MOBILENET_SLOPE, norm=norm)
        stage1 = [block(8, 16), block(16, 32, 2), block(32, 32), block(32, 64, 2), block(64, 64)]
        stage2 = [block(64, 128, 2), *(block(128, 128) for _ in range(5))]
        stage3 = [block(128, 256, 2), block(256, 256)]
        self.stages = nn.ModuleList(nn.Sequential(*s) for s in (stage1, stage2, stage3))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the map of stride 4, and those of stride 8, 16 and 32."""
        x = self.stem(x)
        early = self.stages[0][:3](x)
        maps = [self.stages[0][3:](early)]
        for stage in self.stages[1:]:
            maps.append(stage(maps[-1]))
        return early, maps


class ResNet50(nn.Module):
    """ResNet-50; gives the maps of stride 8, 16 and 32."""

    channels = (512, 1024, 2048)
    early_channels = 256

    def __init__(self, *, norm: bool) -> None:
        super().__init__()
        self.stem = ConvUnit(3, 64, 7, stride=2, norm=norm)
        stages, inputs = [], 64
        for inside, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            stage = []
            for i in range(blocks):
                stage.append(Bottleneck(inputs, inside, stride=stride if i == 0 else 1, norm=norm))
                inputs = inside * Bottleneck.expansion
            stages.append(nn.Sequential(*stage))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the map of stride 4, and those of stride 8, 16 and 32."""
        x = F.max_pool2d(self.stem(x), 3, 2, 1)
        early = self.stages[0](x)
        maps = [self.stages[1](early)]
        for stage in self.stages[2:]:
            maps.append(stage(maps[-1]))
        return early, maps


BACKBONES: dict[Backbone, tuple[Callable[..., MobileNetQuarter | ResNet50], int]] = {
    "mobilenet-0.25": (MobileNetQuarter, 64),
    "resnet-50": (ResNet50, 256),
}
"""Each with the channels of the pyramid behind it."""


class Pyramid(nn.Module):
    """Feature pyramid: coarse maps are enlarged and added to finer ones."""

    def __init__(self, inputs: tuple[int, ...], width: int, *, slope: float, norm: bool) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(ConvUnit(n, width, 1, slope=slope, norm=norm) for n in inputs)
        self.merge = nn.ModuleList(
            ConvUnit(width, width, 3, slope=slope, norm=norm) for _ in inputs[1:]
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Three maps, finest first -> as many of equal width."""
        fine, middle, coarse = (unit(x) for unit, x in zip(self.lateral, maps, strict=True))
        middle = self.merge[1](middle + F.interpolate(coarse, size=middle.shape[2:]))
        fine = self.merge[0](fine + F.interpolate(middle, size=fine.shape[2:]))
        return [fine, middle, coarse]


class Context(nn.Module):
    """Context module: half of the channels see 3x3, a quarter 5x5, a quarter 7x7 (SSH)."""

    def __init__(self, width: int, *, slope: float, norm: bool) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        self.near = ConvUnit(width, half, 3, slope=None, norm=norm)
        self.shared = ConvUnit(width, quarter, 3, slope=slope, norm=norm)
        self.wide = ConvUnit(quarter, quarter, 3, slope=None, norm=norm)
        self.wider_first = ConvUnit(quarter, quarter, 3, slope=slope, norm=norm)
        self.wider = ConvUnit(quarter, quarter, 3, slope=None, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, h, w) -> the same shape."""
        shared = self.shared(x)
        parts = [self.near(x), self.wide(shared), self.wider(self.wider_first(shared))]
        return F.relu(torch.cat(parts, dim=1))


class Head(nn.Module):
    """One 1x1 convolution a stride, ``values`` numbers an anchor."""

    def __init__(self, width: int, values: int) -> None:
        super().__init__()
        self.values = values
        self.convs = nn.ModuleList(nn.Conv2d(width, ANCHORS_PER_CELL * values, 1) for _ in range(3))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Three maps -> (N, A, values)."""
        return torch.cat(
            [
                conv(x).permute(0, 2, 3, 1).reshape(x.shape[0], -1, self.values)
                for conv, x in zip(self.convs, maps, strict=True)
            ],
            dim=1,
        )


class RetinaFace(nn.Module):
    """The whole network.

    Input: (N, 3, H, W) float BGR minus (104, 117, 123); sides best multiples of 32.

    Args:
        backbone: Which one.
        norm: False for weights with folded batch norms.
        traits: Whether anchors have a gender and an age head.
    """

    def __init__(
        self, backbone: Backbone = "mobilenet-0.25", *, norm: bool = True, traits: bool = True
    ) -> None:
        super().__init__()
        make, width = BACKBONES[backbone]
        slope = MOBILENET_SLOPE if width <= 64 else 0.0
        self.name: Backbone = backbone
        self.backbone = make(norm=norm)
        self.pyramid = Pyramid(self.backbone.channels, width, slope=slope, norm=norm)
        self.contexts = nn.ModuleList(Context(width, slope=slope, norm=norm) for _ in range(3))
        self.boxes = Head(width, 4)
        self.classes = Head(width, 2)
        self.landmarks = Head(width, 10)
        self.gender = Head(width, 2) if traits else None
        self.age = Head(width, len(AGES)) if traits else None

    def features(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the backbone's maps of stride 4, 8, 16, 32 and the three the heads read."""
        early, maps = self.backbone(x)
        fused = self.pyramid(maps)
        return [early, *maps], [m(f) for m, f in zip(self.contexts, fused, strict=True)]

    def heads(self, maps: list[Tensor]) -> Outputs:
        """Run all heads on the maps of the context modules."""
        return Outputs(
            boxes=self.boxes(maps),
            logits=self.classes(maps),
            landmarks=self.landmarks(maps),
            gender=None if self.gender is None else self.gender(maps),
            age=None if self.age is None else self.age(maps),
        )

    def forward(self, x: Tensor) -> Outputs:
        """(N, 3, H, W) -> what the heads say."""
        return self.heads(self.features(x)[1])

    def detection_parts(self) -> Iterator[nn.Module]:
        """Yield the parts that find faces: all but the gender and the age head."""
        yield from (self.backbone, self.pyramid, self.contexts)
        yield from (self.boxes, self.classes, self.landmarks)

    def fold(self) -> None:
        """Fold all batch norms into the convolutions, for export."""
        for module in self.modules():
            if isinstance(module, ConvUnit):
                module.fold()
