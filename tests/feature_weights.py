"""Made-up weights of the feature network: the published ones are not in the repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from generators.features import FeatureNetwork

BLOCKS = [
    # features in, out, expansion, kernel
    (32, 16, 1, 3),
    *[(16, 24, 6, 3), (24, 24, 6, 3)],
    *[(24, 40, 6, 5), (40, 40, 6, 5)],
    *[(40, 80, 6, 3), (80, 80, 6, 3), (80, 80, 6, 3)],
    *[(80, 112, 6, 5), (112, 112, 6, 5), (112, 112, 6, 5)],
    *[(112, 192, 6, 5), (192, 192, 6, 5), (192, 192, 6, 5), (192, 192, 6, 5)],
    (192, 320, 6, 3),
]


def made_up_tensors() -> dict[str, Tensor]:
    """The 296 tensors of EfficientNet-lite0 by their published names, with random values."""
    import torch  # here: doctests are collected without it, too

    rng = torch.Generator().manual_seed(0)
    result: dict[str, Tensor] = {}

    def conv(name: str, norm: str, *shape: int) -> None:
        scale = (shape[1] * shape[2] * shape[3]) ** -0.5
        result[f"{name}.weight"] = torch.randn(*shape, generator=rng) * scale
        for part in ("weight", "running_var"):
            result[f"{norm}.{part}"] = torch.rand(shape[0], generator=rng) + 0.5
        for part in ("bias", "running_mean"):
            result[f"{norm}.{part}"] = torch.randn(shape[0], generator=rng)
        result[f"{norm}.num_batches_tracked"] = torch.tensor(1)

    conv("_conv_stem", "_bn0", 32, 3, 3, 3)
    for index, (inner, out, expansion, kernel) in enumerate(BLOCKS):
        name, wide = f"_blocks.{index}", inner * expansion
        if expansion > 1:
            conv(f"{name}._expand_conv", f"{name}._bn0", wide, inner, 1, 1)
        conv(f"{name}._depthwise_conv", f"{name}._bn1", wide, 1, kernel, kernel)
        conv(f"{name}._project_conv", f"{name}._bn2", out, wide, 1, 1)
    conv("_conv_head", "_bn1", 1280, 320, 1, 1)
    result["_fc.weight"], result["_fc.bias"] = torch.zeros(1000, 1280), torch.zeros(1000)
    return result


def made_up_backbone() -> FeatureNetwork:
    """The feature network with random weights that keep the size of what goes through it."""
    import torch

    from generators.features import FixedConv, build_features

    network = build_features(made_up_tensors())
    torch.manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, FixedConv):  # as made up, every layer would be saturated
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            layer.bias.zero_()
    return network
