"""The moments of optimisers as named tensors, for a state file."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from generators.state import EXACT, OPTIMISER


def optimiser_tensors(optimisers: Mapping[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Return what the optimisers remember, named as generators/state.py wants it."""
    result: dict[str, Tensor] = {}
    for name, optimiser in optimisers.items():
        for index, moments in optimiser.state_dict()["state"].items():
            for key, value in moments.items():
                exact = EXACT if key == "step" else ""
                result[f"{exact}{OPTIMISER}{name}.{index}.{key}"] = value
    return result


def restore_optimisers(
    optimisers: Mapping[str, torch.optim.Optimizer], tensors: Mapping[str, Tensor]
) -> None:
    """Give optimisers back what `optimiser_tensors` returned; one without any starts anew.

    Raises:
        ValueError: If the tensors are another optimiser's.
    """
    for name, optimiser in optimisers.items():
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            head, found, rest = key.removeprefix(EXACT).partition(f"{OPTIMISER}{name}.")
            if found and not head:
                index, _, field = rest.partition(".")
                moments.setdefault(int(index), {})[field] = value
        if moments:
            groups = optimiser.state_dict()["param_groups"]
            optimiser.load_state_dict({"state": moments, "param_groups": groups})
