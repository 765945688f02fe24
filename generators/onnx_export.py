"""A generator as one ONNX file that any engine runs: no own operators, noise constant."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from generators.stylegan2_ada import Generator

OPSET = 17
_TRACER = torch.jit.TracerWarning  # type: ignore[attr-defined]
Part = Literal["whole", "mapping", "synthesis"]


class _Exported(nn.Module):
    """What an ONNX file holds; takes and gives what `input_names` and `output_names` say."""

    def __init__(self, generator: Generator, part: Part) -> None:
        super().__init__()
        self.generator = generator
        self.part = part

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if self.part == "synthesis":
            return (self._picture(inputs[0]),)
        w = self._style(*inputs)
        return (w,) if self.part == "mapping" else (self._picture(w), w)

    def _style(self, z: Tensor, *rest: Tensor) -> Tensor:
        mapping = self.generator.mapping
        w = mapping(z, rest[0] if mapping.c_dim else None)[:, 0]
        truncated: Tensor = mapping.w_avg + rest[-1] * (w - mapping.w_avg)
        return truncated

    def _picture(self, w: Tensor) -> Tensor:
        synthesis = self.generator.synthesis
        ws = w[:, None].expand(-1, synthesis.num_ws, -1)
        image: Tensor = synthesis(ws, noise="const", precision="full")
        return image


def input_names(generator: Generator, part: Part = "whole") -> tuple[str, ...]:
    """Return the names of the inputs, in order.

    ``z`` (N, z_dim) standard normal latents; ``c`` (N, c_dim) one-hot labels, only where the
    generator takes labels; ``psi`` (N, 1) truncation; ``w`` (N, w_dim) styles.
    """
    if part == "synthesis":
        return ("w",)
    return ("z", "c", "psi") if generator.mapping.c_dim else ("z", "psi")


def output_names(part: Part = "whole") -> tuple[str, ...]:
    """Return the names of the outputs, in order.

    ``image`` (N, colours, side, side) RGB, nominally in [-1, 1]; ``w`` (N, w_dim) truncated styles.
    """
    outputs: dict[Part, tuple[str, ...]] = {
        "whole": ("image", "w"),
        "mapping": ("w",),
        "synthesis": ("image",),
    }
    return outputs[part]


def sample_inputs(
    generator: Generator, count: int, *, part: Part = "whole", seed: int = 0
) -> dict[str, Tensor]:
    """Draw inputs by name: labels in turn, truncation between 0.5 and 1."""
    rng = torch.Generator().manual_seed(seed)
    mapping = generator.mapping
    values = {
        "z": torch.randn(count, mapping.z_dim, generator=rng),
        "psi": 0.5 + 0.5 * torch.rand(count, 1, generator=rng),
        "w": torch.randn(count, mapping.w_dim, generator=rng),
    }
    if mapping.c_dim:
        values["c"] = torch.eye(mapping.c_dim)[torch.arange(count) % mapping.c_dim]
    return {name: values[name] for name in input_names(generator, part)}


@torch.no_grad()
def run_torch(
    generator: Generator, inputs: dict[str, Tensor], *, part: Part = "whole"
) -> dict[str, Tensor]:
    """Return the outputs, by name, that an exported file must give for these inputs."""
    outputs = _Exported(generator, part)(*(inputs[name] for name in input_names(generator, part)))
    return dict(zip(output_names(part), outputs, strict=True))


def to_onnx(generator: Generator, *, part: Part = "whole") -> bytes:
    """Export a generator; see `input_names` and `output_names` for what the graph takes and gives.

    Args:
        generator: In evaluation mode, on the CPU.
        part: "whole", or one of its two networks.

    Returns:
        A serialised model of opset 17 whose batch size is free.
    """
    names, inputs = input_names(generator, part), sample_inputs(generator, 2, part=part)
    every = (*names, *output_names(part))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The older exporter says it is old; shapes checked in Python become constants, as meant.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", _TRACER)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            _Exported(generator, part).eval(),
            tuple(inputs[name] for name in names),
            path,
            input_names=list(names),
            output_names=list(output_names(part)),
            dynamic_axes={name: {0: "N"} for name in dict.fromkeys(every)},
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()
