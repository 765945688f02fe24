"""A network in training in legs: its running average, its optimiser, and what a later leg needs."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from generators.ema import update_average
from generators.state import load_state, save_state

LONGEST = 2.0
"""Norm at which gradients are cut."""
STATE, HISTORY = "state.safetensors", "history.json"

Network = TypeVar("Network", bound=nn.Module)
History = list[dict[str, float]]


class AveragedRun(Generic[Network]):
    """A network, its running average and its optimiser.

    Args:
        network: To be trained.
        groups: Parameters and the highest learning rate of each group.
        steps: In all, for the learning rate.
        decay: Weight decay.
        warm_up: Steps over which the learning rate rises; then it falls with a cosine to a
            hundredth.
        averaged: Decay of the running average, in the long run.

    Attributes:
        network: In training.
        average: What one keeps.
        done: Steps so far.
    """

    def __init__(
        self,
        network: Network,
        groups: list[tuple[list[nn.Parameter], float]],
        *,
        steps: int,
        decay: float,
        warm_up: int,
        averaged: float,
    ) -> None:
        self.steps, self.done = steps, 0
        self.warm_up, self.averaged = warm_up, averaged
        self.network = network
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        parts = [{"params": params, "peak": rate} for params, rate in groups]
        self.optimiser = torch.optim.AdamW(parts, weight_decay=decay)

    def learn(self, loss: Tensor) -> float:
        """Take one step down a loss of ``network`` in training mode; return the loss."""
        warm = min(1.0, (self.done + 1) / self.warm_up)
        fall = (1 + math.cos(math.pi * min(1.0, self.done / self.steps))) / 2
        for part in self.optimiser.param_groups:
            part["lr"] = part["peak"] * warm * max(fall, 0.01)
        self.optimiser.zero_grad()
        loss.backward()
        trained = [p for part in self.optimiser.param_groups for p in part["params"]]
        torch.nn.utils.clip_grad_norm_(trained, LONGEST)
        self.optimiser.step()
        self.done += 1
        share = min(self.averaged, self.done / (self.done + 9))
        update_average(self.average, self.network, decay=share)
        return float(loss.detach())

    def save(self, folder: Path, history: History) -> None:
        """Write what a later leg needs, and what was measured."""
        tensors = {f"network.{n}": t for n, t in self.network.state_dict().items()}
        tensors |= {f"average.{n}": t for n, t in self.average.state_dict().items()}
        for key, values in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{key}.{n}": t for n, t in values.items()}
        facts: dict[str, object] = {"done": self.done, "steps": self.steps, "history": history}
        save_state(folder / STATE, tensors, facts, precision="full")
        (folder / HISTORY).write_text(json.dumps(history, indent=1) + "\n")

    def resume(self, folder: Path) -> History:
        """Go on with what `save` wrote; return what was measured so far.

        Raises:
            InputError: The folder holds no state, or a damaged one.
        """
        tensors, facts = load_state(folder / STATE)
        for name, module in (("network.", self.network), ("average.", self.average)):
            module.load_state_dict(_under(tensors, name))
        self.done, history = facts["done"], facts["history"]  # type: ignore[assignment]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under(tensors, "optimiser.").items():
            key, _, part = name.partition(".")
            state.setdefault(int(key), {})[part] = tensor
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        return history  # type: ignore[return-value]


def average_of(folder: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Return the tensors of the averaged network of a run, and what the run says of itself.

    Raises:
        InputError: The folder holds no run, or a damaged one.
    """
    tensors, facts = load_state(folder / STATE)
    return _under(tensors, "average."), facts


def train_leg(
    run: AveragedRun[Network],
    losses: Iterable[float],
    measure: Callable[[Network], dict[str, float]],
    folder: Path,
    history: History,
    *,
    minutes: float,
    saved_every: int,
) -> None:
    """Take steps until the last or until time is up; measure, write and print now and then.

    Args:
        run: What is trained.
        losses: Takes one step for each loss it yields.
        measure: Says how the averaged network does.
        folder: Where the state goes.
        history: What was measured so far; grows.
        minutes: Length of the leg.
        saved_every: Steps between two states that are written.
    """
    start, since = time.monotonic(), list[float]()
    for loss in losses:
        since.append(loss)
        passed = (time.monotonic() - start) / 60
        if run.done % saved_every and run.done < run.steps and passed < minutes:
            continue
        row = {"step": float(run.done), "minutes": round(passed, 1), "loss": fmean(since)}
        history.append(row | measure(run.average))
        since = []
        run.save(folder, history)
        print(history[-1], flush=True)
        if passed >= minutes:
            break


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
