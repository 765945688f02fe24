"""The state of a run as one file: tensors as safetensors, the rest as JSON in its header.

One file is replaced in one step, so a run that is cut off leaves the old state or the new one.
Nothing in it is executed when it is read.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from anonyface.errors import InputError

StatePrecision = Literal["full", "half"]

_FACTS = "facts"
_HALF_LIMIT = torch.finfo(torch.float16).max

OPTIMISER = "optimiser."
"""Tensors whose name starts so are an optimiser's."""

EXACT = "exact."
"""Tensors whose name starts so are never stored in less precision."""


def save_state(
    path: Path,
    tensors: dict[str, Tensor],
    facts: dict[str, object],
    *,
    precision: StatePrecision = "half",
) -> None:
    """Write a state, atomically.

    Args:
        path: The file; its folder must exist.
        tensors: By name.
        facts: Plain values, for JSON.
        precision: "half" stores float32 tensors in 16 bits: weights as float16 (what would
            overflow as bfloat16), optimisers' moments as bfloat16, which spans their range.
    """
    stored = {name: _stored(name, tensor, precision) for name, tensor in tensors.items()}
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        save_file(stored, part, metadata={_FACTS: json.dumps(facts, allow_nan=False)})
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Read a state written by `save_state`.

    Returns:
        Tensors by name, 16-bit floats widened to float32; and the facts.

    Raises:
        InputError: The file is missing, damaged, or no state.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            facts = json.loads(metadata.get(_FACTS, "null"))
            tensors = {name: _widened(file.get_tensor(name)) for name in file.keys()}
    except FileNotFoundError as error:
        raise InputError(f"no state at {path}") from error
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"{path} is damaged or no state: {error}") from error
    if not isinstance(facts, dict):
        raise InputError(f"{path} holds tensors but no facts about a run")
    return tensors, facts


def _stored(name: str, tensor: Tensor, precision: StatePrecision) -> Tensor:
    tensor = tensor.detach().cpu()
    if precision == "half" and tensor.dtype == torch.float32 and not name.startswith(EXACT):
        wide = name.startswith(OPTIMISER) or bool((tensor.abs() > _HALF_LIMIT).any())
        tensor = tensor.to(torch.bfloat16 if wide else torch.float16)
    return tensor.clone(memory_format=torch.contiguous_format)  # no two names share memory


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
