"""Train what lets new faces fit in: ``python -m training.blend.train TRAIN.zip``.

The pairs of `training.blend.pairs` are made once and kept. A leg ends after ``--minutes`` or with
the last step; ``--resume`` goes on where the last one ended. Faces held out of training say how it
goes: as the engine made them, spoiled, and perfect ones, which must stay as they are.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from anonyface.errors import InputError
from training.averaged import STATE, AveragedRun
from training.blend.network import SHRUNK, BlendNetwork, enlarge, to_input, to_log
from training.blend.pairs import Pairs, load_pairs
from training.blend.spoil import Batch, spoiled, varied

BATCH = 32
RATE, DECAY, WARM_UP, AVERAGED = 2e-3, 0.01, 100, 0.995
SAVED_EVERY = 250
"""Steps between two states that are written."""
SCALES = (1, 2, 4, 8)
"""Sides of the squares over which colours are compared, pixels of 64."""
RIM, SLOPE, SHY = 2.0, 0.5, 0.02
"""Weights of the edge over the rest, of the slopes across it, and of doing anything at all."""
STRAIGHT_FROM = 0.15
"""Logarithm of a quotient from which on errors count as they are."""
COLOUR = 1.5
"""Weight of the two colour differences over lightness."""
TOLD_AT = 4
"""Errors are told at this scale."""


def opponent(log_rgb: Tensor) -> Tensor:
    """(n, 3, h, w) logarithms RGB -> lightness, red-green, yellow-blue, as they count."""
    r, g, b = log_rgb.unbind(1)
    return torch.stack([(r + g + b) / 3, COLOUR * (r - g) / 2, COLOUR * ((r + g) / 2 - b) / 2], 1)


def squares(difference: Tensor, weight: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """Weighted means over squares, and the squares' weights."""
    total = F.avg_pool2d(weight, scale)
    return F.avg_pool2d(difference * weight, scale) / (total + 1e-3), total


def size_of(difference: Tensor) -> Tensor:
    """Huber's: squares below `STRAIGHT_FROM`, so that a doubtful error is half corrected."""
    return (
        F.huber_loss(
            difference, torch.zeros_like(difference), reduction="none", delta=STRAIGHT_FROM
        )
        / STRAIGHT_FROM
    )


def rim_of(alpha: Tensor) -> Tensor:
    """(n, 1, h, w) in [0, 1]: 1 where half of each picture shows."""
    return 4 * alpha * (1 - alpha)


def loss(batch: Batch, field: Tensor) -> Tensor:
    """How far the faces with corrected light are from the truth.

    Args:
        batch: Faces.
        field: (n, 3, 32, 32) logarithms of gains.
    """
    alpha = batch.alpha
    gain = enlarge(field, alpha.shape[-1])
    difference = opponent(to_log(batch.mixed(gain)) - to_log(batch.photo))
    weight = alpha.sqrt() + RIM * rim_of(alpha)
    total = SHY * (field.abs().mean())
    for scale in SCALES:
        mean, w = squares(difference, weight, scale)
        total = total + (size_of(mean) * w).sum() / w.sum() / len(SCALES)
    rim, w = squares(difference, rim_of(alpha) + 1e-3, 1)
    for slope, both in (
        (rim[..., 1:] - rim[..., :-1], w[..., 1:] * w[..., :-1]),
        (rim[..., 1:, :] - rim[..., :-1, :], w[..., 1:, :] * w[..., :-1, :]),
    ):
        total = total + SLOPE * (size_of(slope) * both).sum() / both.sum()
    return total


class Run(AveragedRun[BlendNetwork]):
    """A network in training, its running average and its optimiser.

    Args:
        steps: In all, for the learning rate.
        seed: Of the network.
    """

    def __init__(self, *, steps: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        network = BlendNetwork()
        super().__init__(
            network,
            [(list(network.parameters()), RATE)],
            steps=steps,
            decay=DECAY,
            warm_up=WARM_UP,
            averaged=AVERAGED,
        )

    def step(self, batch: Batch) -> float:
        """Learn one batch; return its loss."""
        self.network.train()
        field = self.network(to_input(batch.mixed(), batch.masks))
        return self.learn(loss(batch, field))


def take(pairs: Pairs, rows: NDArray[np.int64]) -> Batch:
    """Return some pairs."""
    parts = (np.ascontiguousarray(a[rows]) for a in (pairs.photo, pairs.new, pairs.masks))
    floats = (torch.from_numpy(p).permute(0, 3, 1, 2).float() for p in parts)
    return Batch(*(F.avg_pool2d(p, SHRUNK).contiguous() for p in floats))


@torch.no_grad()
def errors(batch: Batch, field: Tensor | None = None) -> NDArray[np.float32]:
    """(n,) mean absolute difference to the truth, per cent, over squares of `TOLD_AT` pixels."""
    gain = None if field is None else enlarge(field, batch.photo.shape[-1])
    difference = to_log(batch.mixed(gain)) - to_log(batch.photo)
    mean, w = squares(difference, batch.alpha, TOLD_AT)
    return np.asarray(100 * (mean.abs() * w).mean((1, 2, 3)) / w.mean((1, 2, 3)))


@torch.no_grad()
def told(network: BlendNetwork, pairs: Pairs, rows: NDArray[np.int64]) -> dict[str, float]:
    """Median errors before and after, of held out faces as made, spoiled, and perfect ones."""
    network.eval()
    rng = torch.Generator().manual_seed(9)
    found: dict[str, list[NDArray[np.float32]]] = {}
    for start in range(0, len(rows), BATCH):
        made = take(pairs, rows[start : start + BATCH])
        kinds = {
            "made": made,
            "spoiled": spoiled(made, rng),
            "perfect": Batch(made.photo, made.photo, made.masks),
        }
        for name, batch in kinds.items():
            field = network(to_input(batch.mixed(), batch.masks))
            found.setdefault(f"{name}, before", []).append(errors(batch))
            found.setdefault(f"{name}, after", []).append(errors(batch, field))
    return {name: round(float(np.mean(np.concatenate(v))), 3) for name, v in found.items()}


def main() -> None:
    """Train a leg."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--cache", type=Path, required=True, help="keeps what is read of TRAIN.zip")
    parser.add_argument("--pairs", type=Path, required=True, help="keeps the pairs")
    parser.add_argument("--photos", type=int, default=8000, help="faces of TRAIN.zip")
    parser.add_argument("--people", type=int, default=2500, help="synthetic people")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--minutes", type=float, default=math.inf, help="length of the leg")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    if args.resume != (args.out / STATE).exists():
        raise InputError(f"{args.out} holds {'no' if args.resume else 'a'} run")
    args.out.mkdir(parents=True, exist_ok=True)
    pairs = load_pairs(args.train, args.cache, args.pairs, photos=args.photos, people=args.people)
    train, held = np.flatnonzero(~pairs.held), np.flatnonzero(pairs.held)[:384]
    run = Run(steps=args.steps)
    history = run.resume(args.out) if args.resume else []
    start, losses = time.monotonic(), []
    while run.done < args.steps:
        chance = np.random.default_rng([1, run.done])
        rng = torch.Generator().manual_seed(int(chance.integers(1 << 60)))
        batch = take(pairs, chance.choice(train, BATCH, replace=False))
        losses.append(run.step(spoiled(varied(batch, rng), rng)))
        minutes = (time.monotonic() - start) / 60
        if run.done % SAVED_EVERY and run.done < args.steps and minutes < args.minutes:
            continue
        row = {"step": run.done, "minutes": round(minutes, 1), "loss": float(np.mean(losses))}
        row |= told(run.average, pairs, held)
        history.append(row)
        losses = []
        run.save(args.out, history)
        print(row, flush=True)
        if minutes >= args.minutes:
            break


if __name__ == "__main__":
    main()
