"""Train the reader of glasses: ``python -m training.eyewear.train TRAIN.zip``.

Every example is painted when it is needed (`training.eyewear.examples`). A leg ends after
``--minutes`` or with the last step; ``--resume`` goes on where the last one ended. Labelled faces
held out of the training set, most of which were hard to tell, say how it goes.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from anonyface.errors import InputError
from generators.features import FeatureNetwork, load_features
from training.averaged import STATE, AveragedRun, train_leg
from training.eyewear.examples import Labelled, draw_row, example, load
from training.eyewear.network import EyewearNetwork, to_input
from training.occlusion.scenes import Painter, Plan

BATCH = 64
BACKBONE_RATE, HEAD_RATE, DECAY = 6e-4, 2e-3, 0.05
WARM_UP, AVERAGED = 100, 0.995
SURE = 0.99
"""What is learnt instead of certainty: some labels are wrong."""
SAVED_EVERY = 200
"""Steps between two states that are written."""
KINDS: dict[str, Plan] = {"bare": (), "masked": ("mask",)}
"""What the held-out faces are looked at with."""


class Examples(Dataset[tuple[NDArray[np.uint8], np.float32]]):
    """Examples by number: the same number is the same example.

    Args:
        known: The faces.
        start, stop: Numbers of the first and of the one after the last.
    """

    def __init__(self, known: Labelled, start: int, stop: int) -> None:
        self.known, self.start, self.stop = known, start, stop
        self.painter = Painter(known.faces, np.flatnonzero(~known.faces.held))

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], np.float32]:
        cv2.setNumThreads(1)  # a worker must not take the cores from the network
        rng = np.random.default_rng([31, self.start + index])
        row, glasses = draw_row(self.known, rng, held=False)
        return example(self.known, self.painter, row, rng), np.float32(glasses)


class Run(AveragedRun[EyewearNetwork]):
    """A network in training, its running average and its optimiser.

    Args:
        backbone: With the weights it starts from.
        steps: In all, for the learning rate.
        seed: Of the head.
    """

    def __init__(self, backbone: FeatureNetwork, *, steps: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        network = EyewearNetwork(backbone)
        trained, head = network.parameters_by_rate()
        super().__init__(
            network,
            [(trained, BACKBONE_RATE), (head, HEAD_RATE)],
            steps=steps,
            decay=DECAY,
            warm_up=WARM_UP,
            averaged=AVERAGED,
        )

    def step(self, eyes: Tensor, glasses: Tensor) -> float:
        """Learn one batch; return its loss."""
        self.network.train()
        wanted = (1 - SURE) + (2 * SURE - 1) * glasses
        said = self.network(to_input(eyes))
        return self.learn(F.binary_cross_entropy_with_logits(said, wanted))


Held = dict[str, tuple[NDArray[np.uint8], NDArray[np.bool_]]]
"""(n, 64, 128, 3) eyes and (n,) who wears glasses, by what they are looked at with."""


def held_examples(known: Labelled) -> Held:
    """Paint the held-out faces labelled by eye, as `KINDS` says."""
    painter = Painter(known.faces, np.flatnonzero(known.faces.held))
    rows = np.flatnonzero(known.faces.held & known.by_eye).tolist()
    out: Held = {}
    for name, plan in KINDS.items():
        eyes = [example(known, painter, i, np.random.default_rng([5, i]), plan) for i in rows]
        out[name] = np.stack(eyes), known.glasses[rows] == 1
    return out


@torch.no_grad()
def areas(network: EyewearNetwork, held: Held) -> dict[str, float]:
    """Area under the ROC curve, by what the faces are looked at with."""
    network.eval()
    return {
        f"area, {name}": round(
            float(roc_auc_score(truth, network(to_input(torch.from_numpy(eyes))).numpy())), 4
        )
        for name, (eyes, truth) in held.items()
    }


def main() -> None:
    """Train a leg."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--cache", type=Path, required=True, help="keeps faces and start weights")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--minutes", type=float, default=math.inf, help="length of the leg")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--painters", type=int, default=1, help="processes that paint")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)  # threads that paint the held-out faces would not survive the fork
    if args.resume != (args.out / STATE).exists():
        raise InputError(f"{args.out} holds {'no' if args.resume else 'a'} run")
    args.out.mkdir(parents=True, exist_ok=True)
    known = load(args.train, args.cache)
    run = Run(load_features(args.cache), steps=args.steps)
    history = run.resume(args.out) if args.resume else []
    examples = Examples(known, run.done * BATCH, args.steps * BATCH)
    held = held_examples(known)
    train_leg(
        run,
        (run.step(*batch) for batch in DataLoader(examples, BATCH, num_workers=args.painters)),
        lambda network: areas(network, held),
        args.out,
        history,
        minutes=args.minutes,
        saved_every=SAVED_EVERY,
    )


if __name__ == "__main__":
    main()
