"""What the tensors of a checkpoint say about the generator they belong to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from generators.checkpoint import Network
from generators.errors import CheckpointError
from generators.stylegan2_ada import Generator
from generators.stylegan2_ada.channels import channel_counts
from generators.stylegan2_ada.synthesis import Architecture

PREFERRED = ("G_ema", "g_ema", "G", "g", "generator", "model")
"""Names of the generator in a checkpoint, best first: the average over training steps beats the
last step (arXiv 1710.10196, section 5)."""

DERIVED = "resample_filter"
"""Buffers of this name are the same in every network; a file may leave them out."""


_MAX_HEADER = 100_000_000
"""Bytes of a header, as the format's own reader limits it."""


class UnknownArchitecture(CheckpointError):
    """The tensors fit no generator known here."""


@dataclass(frozen=True)
class Settings:
    """Constructor arguments of ``Generator``; see there.

    Attributes:
        z_dim: Width of the latents.
        c_dim: Width of the labels.
        w_dim: Width of the styles.
        img_resolution: Side of the image.
        img_channels: Colours.
        mapping_layers: Depth of the mapping network.
        channel_base: Features times resolution.
        channel_max: Most features at any resolution.
        architecture: "skip", "resnet" or "orig".
        conv_clamp: Limit of every convolution's output; not seen in the tensors.
    """

    z_dim: int
    c_dim: int
    w_dim: int
    img_resolution: int
    img_channels: int
    mapping_layers: int
    channel_base: int
    channel_max: int
    architecture: Architecture
    conv_clamp: float | None = None


def pick_network(networks: Mapping[str, Network], name: str | None = None) -> Network:
    """Choose the generator among the networks of a checkpoint.

    Args:
        networks: From ``load_networks``.
        name: Which one; None for the best guess.

    Raises:
        UnknownArchitecture: If there is none of that name, or no generator.
    """
    if name is not None:
        if name not in networks:
            raise UnknownArchitecture(f"no network {name!r}; the file has {', '.join(networks)}")
        return networks[name]
    for key in (*PREFERRED, *networks):
        if key in networks and any(n.startswith("synthesis.") for n in networks[key].tensors):
            return networks[key]
    raise UnknownArchitecture(
        f"no generator in the file, only {', '.join(networks)}: no name begins with synthesis."
    )


def build_generator(network: Network, *, conv_clamp: float | None = None) -> Generator:
    """Build the generator of a checkpoint and fill it.

    Args:
        network: Its tensors.
        conv_clamp: See ``infer_settings``.

    Returns:
        In evaluation mode, without gradients, float32.

    Raises:
        UnknownArchitecture: If the tensors fit no generator known here.
    """
    settings = asdict(infer_settings(network, conv_clamp=conv_clamp))
    with torch.device("meta"):  # shapes only: a file must not say how much memory is taken
        _compare(network.tensors, Generator(**settings).state_dict())
    generator = Generator(**settings)
    generator.load_state_dict({**generator.state_dict(), **network.tensors})
    return generator.eval().requires_grad_(False)


def _compare(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise UnknownArchitecture unless names and shapes are those expected."""
    missing = sorted(n for n in expected if n not in given and not n.endswith(DERIVED))
    surplus = sorted(n for n in given if n not in expected)
    if missing or surplus:
        fault = f"lacks {missing[0]}" if missing else f"has {surplus[0]}"
        raise UnknownArchitecture(f"the file {fault}, unlike any generator known here")
    for name, tensor in given.items():
        have, want = tuple(tensor.shape), tuple(expected[name].shape)
        if have != want:
            raise UnknownArchitecture(f"{name} has shape {have}, {want} expected")


def infer_settings(network: Network, *, conv_clamp: float | None = None) -> Settings:
    """Read the settings of a generator off its tensors' names and shapes.

    Args:
        network: Its tensors.
        conv_clamp: Limit of the convolutions, where the file's own constructor arguments, if it
            has them, say nothing of it. No tensor shows it.

    Raises:
        UnknownArchitecture: If the tensors fit no generator known here.
    """
    tensors = network.tensors
    widths = _widths(tensors)
    side = max(widths)
    layers = sum(1 for n in tensors if re.fullmatch(r"mapping\.fc\d+\.weight", n))
    w_dim = _shape(tensors, "synthesis.b4.conv1.affine.weight", 2)[1]
    c_dim = 0
    embedded = 0
    if "mapping.embed.weight" in tensors:
        embedded, c_dim = _shape(tensors, "mapping.embed.weight", 2)
    first = _shape(tensors, "mapping.fc0.weight", 2)[1]
    if first <= embedded:
        raise UnknownArchitecture("the mapping network takes no latents")
    base, most = _channel_rule(widths)
    stored = _stored_clamp(network.options)
    return Settings(
        z_dim=first - embedded,
        c_dim=c_dim,
        w_dim=w_dim,
        img_resolution=side,
        img_channels=_shape(tensors, f"synthesis.b{side}.torgb.weight", 4)[0],
        mapping_layers=layers,
        channel_base=base,
        channel_max=most,
        architecture=_architecture(tensors, side),
        conv_clamp=conv_clamp if stored is None else stored,
    )


def _widths(tensors: Mapping[str, Tensor]) -> dict[int, int]:
    """Features at each resolution."""
    pattern = re.compile(r"synthesis\.b(\d{1,5})\.conv1\.weight")
    found = (m for m in map(pattern.fullmatch, tensors) if m)
    widths = {int(m[1]): _shape(tensors, m[0], 4)[0] for m in found}
    sides = sorted(widths)
    if len(sides) < 2 or sides != [4 << i for i in range(len(sides))]:
        text = ", ".join(map(str, sides)) or "none"
        raise UnknownArchitecture(f"blocks at 4, 8, 16, ... expected; found {text}")
    return widths


def _channel_rule(widths: Mapping[int, int]) -> tuple[int, int]:
    """Find base and limit of the features: ``min(base // side, limit)`` at every side."""
    most = max(widths.values())
    # The base lies between width * side and (width + 1) * side wherever the limit doesn't bind; the
    # largest of the lower ends fits if any base does.
    base = max(width * side for side, width in widths.items())
    if channel_counts(max(widths), channel_base=base, channel_max=most) != dict(widths):
        raise UnknownArchitecture(f"features {dict(widths)} follow no rule known here")
    return base, most


def _architecture(tensors: Mapping[str, Tensor], side: int) -> Architecture:
    if f"synthesis.b{side}.skip.weight" in tensors:
        return "resnet"
    return "skip" if "synthesis.b4.torgb.weight" in tensors else "orig"


def _stored_clamp(options: Mapping[str, object]) -> float | None:
    """Find the limit among constructor arguments, those of the parts included."""
    for values in (options, *(v for v in options.values() if isinstance(v, dict))):
        value = cast("Mapping[str, object]", values).get("conv_clamp")
        if isinstance(value, int | float) and value > 0:
            return float(value)
    return None


def _shape(tensors: Mapping[str, Tensor], name: str, axes: int) -> tuple[int, ...]:
    if name not in tensors:
        raise UnknownArchitecture(f"no tensor {name}: not a generator known here")
    shape = tuple(tensors[name].shape)
    if len(shape) != axes or 0 in shape:
        raise UnknownArchitecture(f"{name} has shape {shape}, {axes} sides expected")
    return shape


def stored_facts(path: Path) -> dict[str, object]:
    """Return the facts in the header of our own safetensors (generators/state.py); else nothing.

    Raises:
        OSError: If the file can't be read.
    """
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= _MAX_HEADER or stream.peek(1)[:1] != b"{":
            return {}
        try:
            header = json.loads(str(stream.read(length), "utf-8"))
            facts = json.loads(header["__metadata__"]["facts"])
        except (KeyError, RecursionError, TypeError, ValueError):
            return {}
    return facts if isinstance(facts, dict) else {}
