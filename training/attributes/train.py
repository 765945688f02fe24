"""Train the reader of gender, age and group: ``python -m training.attributes.train TRAIN.zip``.

A leg ends after ``--minutes`` or with the last epoch; ``--resume`` goes on with the epoch after the
last that was finished. Faces held out of the training set say how it goes; development sets play no
part.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from anonyface.errors import InputError
from generators.features import FeatureNetwork, load_features
from training.attributes.chips import Chips, load, split
from training.attributes.network import Answers, AttributeNetwork, to_input
from training.averaged import STATE, AveragedRun
from training.retinaface.ages import class_probabilities
from training.retinaface.faces import label_bins
from training.retinaface.reading_loss import loss_of, smooth
from training.retinaface.refinement import Reading

BATCH = 64
BACKBONE_RATE, HEADS_RATE, DECAY = 6e-4, 2e-3, 0.05
WARM_UP = 200
GROUP_WEIGHT = 0.4
AVERAGED = 0.998


@dataclass(frozen=True, eq=False)
class Targets:
    """What `loss_of` needs to know of faces: shares of gender (n, 2) and age (n, 9); weights."""

    gender: Tensor
    age: Tensor
    weight: Tensor


def loss(said: Answers, labels: Tensor) -> Tensor:
    """Mean over faces of the losses of gender, age and group.

    Args:
        said: The network's answers.
        labels: (n, 3) female, bin of age, group.
    """
    gender = F.one_hot(labels[:, 0], 2).float()
    targets = Targets(gender, label_bins(labels[:, 1]), torch.ones(len(labels)))
    groups = smooth(F.one_hot(labels[:, 2], said.group.shape[1]).float())
    group = -(groups * said.group.log_softmax(1)).sum(1).mean()
    return loss_of(Reading(said.gender, said.age), targets) + GROUP_WEIGHT * group


class Run(AveragedRun[AttributeNetwork]):
    """A network in training, its running average and its optimiser.

    Args:
        backbone: With the weights it starts from.
        steps: In all, for the learning rate.
        seed: Of the new heads.
    """

    def __init__(self, backbone: FeatureNetwork, *, steps: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        network = AttributeNetwork(backbone)
        trained, heads = network.parameters_by_rate()
        super().__init__(
            network,
            [(trained, BACKBONE_RATE), (heads, HEADS_RATE)],
            steps=steps,
            decay=DECAY,
            warm_up=WARM_UP,
            averaged=AVERAGED,
        )

    def step(self, faces: Tensor, labels: Tensor) -> float:
        """Learn one batch; return its loss."""
        self.network.train()
        return self.learn(loss(self.network(faces), labels))


def batches(
    chips: Chips, numbers: NDArray[np.int64], rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one epoch of faces, in a new order, each changed anew."""
    order = rng.permutation(numbers)
    for start in range(0, len(order) - BATCH + 1, BATCH):
        rows = order[start : start + BATCH]
        pixels = torch.from_numpy(np.stack([chips.face(i, rng) for i in rows]))
        yield to_input(pixels), torch.from_numpy(chips.labels[rows])


@torch.no_grad()
def answers(
    network: AttributeNetwork, chips: Chips, numbers: NDArray[np.int64]
) -> dict[str, NDArray[np.float32]]:
    """Logits by name for faces as they are, mean of the picture and its mirror image."""
    network.eval()
    parts: list[Answers] = []
    for start in range(0, len(numbers), BATCH):
        some = numbers[start : start + BATCH]
        faces = to_input(torch.from_numpy(np.stack([chips.face(i) for i in some])))
        pairs = network(faces), network(faces.flip(3))
        parts.append(Answers(*((getattr(pairs[0], n) + getattr(pairs[1], n)) / 2 for n in NAMES)))
    return {n: torch.cat([getattr(p, n) for p in parts]).numpy() for n in NAMES}


NAMES = ("gender", "age", "group")


def accuracy(said: dict[str, NDArray[np.float32]], labels: NDArray[np.int64]) -> dict[str, float]:
    """Shares of faces that are read right: gender, age in four classes, group."""
    ages = np.exp(said["age"] - said["age"].max(1, keepdims=True))
    wanted = class_probabilities(np.eye(9, dtype=np.float32)[labels[:, 1]])
    four = class_probabilities(ages / ages.sum(1, keepdims=True))
    return {
        "gender": float((said["gender"].argmax(1) == labels[:, 0]).mean()),
        "age class": float((four.argmax(1) == wanted.argmax(1)).mean()),
        "group": float((said["group"].argmax(1) == labels[:, 2]).mean()),
    }


def main() -> None:
    """Train a leg."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--cache", type=Path, required=True, help="keeps faces and start weights")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=math.inf, help="end the leg after so long")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.resume != (args.out / STATE).exists():
        raise InputError(f"{args.out} holds {'no' if args.resume else 'a'} run")
    args.out.mkdir(parents=True, exist_ok=True)
    chips = load(args.train, args.cache)
    train, held = split(len(chips.rows))
    run = Run(load_features(args.cache), steps=args.epochs * (len(train) // BATCH))
    history = run.resume(args.out) if args.resume else []
    start = time.monotonic()
    for epoch in range(len(history), args.epochs):
        rng = np.random.default_rng([7, epoch])
        losses = [
            run.step(*batch)
            for batch in tqdm(
                batches(chips, train, rng), total=len(train) // BATCH, desc=f"epoch {epoch + 1}"
            )
        ]
        row = {"epoch": epoch + 1, "loss": float(np.mean(losses))}
        row |= accuracy(answers(run.average, chips, held), chips.labels[held])
        history.append(row)
        run.save(args.out, history)
        print(row, flush=True)
        if (time.monotonic() - start) / 60 >= args.minutes:
            break


if __name__ == "__main__":
    main()
