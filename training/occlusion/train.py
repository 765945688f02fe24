"""Train what sees things in front of faces: ``python -m training.occlusion.train TRAIN.zip``.

Every example is painted when it is needed (`training.occlusion.scenes`). A leg ends after
``--minutes`` or with the last step; ``--resume`` goes on where the last one ended. Scenes painted
on faces held out of the training set say how it goes.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from anonyface.errors import InputError
from generators.features import load_features
from training.averaged import STATE, AveragedRun, train_leg
from training.occlusion.faces import load
from training.occlusion.network import OcclusionNetwork, to_input
from training.occlusion.scenes import Painter, Scene

BATCH = 48
BACKBONE_RATE, DECODER_RATE, DECAY = 6e-4, 3e-3, 0.03
WARM_UP = 100
AVERAGED = 0.995
SAVED_EVERY = 100
"""Steps between two states that are written."""
HELD_SCENES = 240
CLASSES = ("bare", "in front", "worn")


class Scenes(Dataset[tuple[NDArray[np.uint8], NDArray[np.float32]]]):
    """Scenes by number: the same number is the same scene.

    Args:
        painter: Paints them.
        start, stop: Numbers of the first and of the one after the last.
        seed: Of all.
    """

    def __init__(self, painter: Painter, start: int, stop: int, *, seed: int) -> None:
        self.painter, self.start, self.stop, self.seed = painter, start, stop, seed

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        cv2.setNumThreads(1)  # a worker must not take the cores from the network
        return arrays(self.painter, self.start + index, seed=self.seed)


def arrays(
    painter: Painter, number: int, *, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """(128, 128, 3) pixels, and (3, 64, 64): what lies in front, what is worn, what is known."""
    rng = np.random.default_rng([seed, number])
    scene: Scene = painter(int(painter.rows[rng.integers(len(painter.rows))]), rng)
    return scene.pixels, np.concatenate([scene.shares, scene.known[None]])


def loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy against shares, a mean over the points that are known.

    Args:
        logits: (n, 3, h, w) bare, in front, worn.
        truth: (n, 3, h, w): shares of in front and worn, and how surely they are known.
    """
    front, worn, known = truth.unbind(1)
    shares = torch.stack([1 - front - worn, front, worn], dim=1)
    surprise = -(shares * logits.log_softmax(1)).sum(1)
    return (surprise * known).sum() / known.sum().clamp_min(1)


class Run(AveragedRun[OcclusionNetwork]):
    """A network in training, its running average and its optimiser.

    Args:
        cache: Keeps the ImageNet weights.
        steps: In all, for the learning rate.
        seed: Of the decoder.
    """

    def __init__(self, cache: Path, *, steps: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        network = OcclusionNetwork(load_features(cache))
        backbone, decoder = network.parameters_by_rate()
        super().__init__(
            network,
            [(backbone, BACKBONE_RATE), (decoder, DECODER_RATE)],
            steps=steps,
            decay=DECAY,
            warm_up=WARM_UP,
            averaged=AVERAGED,
        )

    def step(self, pixels: Tensor, truth: Tensor) -> float:
        """Learn one batch; return its loss."""
        self.network.train()
        return self.learn(loss(self.network(to_input(pixels)), truth))


@torch.no_grad()
def overlaps(network: OcclusionNetwork, scenes: Scenes) -> dict[str, float]:
    """Intersection over union of each class, over all known points of some scenes together."""
    network.eval()
    both, either = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
    for start in range(0, len(scenes), BATCH):
        parts = [scenes[i] for i in range(start, min(start + BATCH, len(scenes)))]
        said = network(to_input(torch.from_numpy(np.stack([p for p, _ in parts])))).argmax(1)
        truth = np.stack([t for _, t in parts])
        front, worn, known = truth.transpose(1, 0, 2, 3)
        right = np.stack([1 - front - worn, front, worn]).argmax(0)
        for i in range(len(CLASSES)):
            a, b = said.numpy() == i, right == i
            both[i] += (a & b)[known > 0.5].sum()
            either[i] += (a | b)[known > 0.5].sum()
    shares = both / np.maximum(either, 1)
    return {f"IoU {name}": round(float(v), 4) for name, v in zip(CLASSES, shares, strict=True)}


def main() -> None:
    """Train a leg."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--cache", type=Path, required=True, help="keeps faces and start weights")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--steps", type=int, default=2600)
    parser.add_argument("--minutes", type=float, default=math.inf, help="length of the leg")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--painters", type=int, default=1, help="processes that paint")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.resume != (args.out / STATE).exists():
        raise InputError(f"{args.out} holds {'no' if args.resume else 'a'} run")
    args.out.mkdir(parents=True, exist_ok=True)
    faces = load(args.train, args.cache)
    train, held = (Painter(faces, np.flatnonzero(faces.held == kept)) for kept in (False, True))
    run = Run(args.cache, steps=args.steps)
    history = run.resume(args.out) if args.resume else []
    scenes = Scenes(train, run.done * BATCH, args.steps * BATCH, seed=1)
    batches = DataLoader(scenes, BATCH, num_workers=args.painters)
    held_scenes = Scenes(held, 0, HELD_SCENES, seed=2)
    train_leg(
        run,
        (run.step(pixels, truth) for pixels, truth in batches),
        lambda network: overlaps(network, held_scenes),
        args.out,
        history,
        minutes=args.minutes,
        saved_every=SAVED_EVERY,
    )


if __name__ == "__main__":
    main()
