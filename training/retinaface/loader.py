"""Training examples from any number of annotated folders: the one loader of all kinds of data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from anonyface.errors import InputError
from training.retinaface.augment import training_crop
from training.retinaface.losses import Targets
from training.retinaface.pictures import to_input
from training.retinaface.wider import LABELS, Annotation, read_labels, read_picture

Example = tuple[Tensor, Targets]
Place = tuple[Path, Annotation]

_SPLIT_SEED = 20


def read_places(folders: Sequence[Path]) -> list[Place]:
    """List the annotated pictures of folders in the format of `training.retinaface.wider`.

    Raises:
        InputError: A folder is none, or there is no face in any of them.
    """
    places = [(f, a) for f in folders for a in read_labels(f / LABELS)]
    if not any(a.faces for _, a in places):
        raise InputError(f"no face in {', '.join(str(f) for f in folders)}")
    return places


def split(places: Sequence[Place], share: float) -> tuple[list[Place], list[Place]]:
    """Return the places to train on and those to measure on: the same ones with a share of 0."""
    if not share:
        return list(places), list(places)
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(places))
    count = max(1, round(share * len(places)))
    return [places[i] for i in sorted(order[count:])], [places[i] for i in sorted(order[:count])]


class Examples(Dataset[Example]):
    """Training examples by (epoch, number): the same pair gives the same example everywhere.

    Args:
        places: Where the pictures are.
        side: Of an example, pixels.
        augment: Whether they are random crops; otherwise the whole picture, scaled to fit.
        seed: Of all randomness.
    """

    def __init__(self, places: Sequence[Place], *, side: int, augment: bool, seed: int) -> None:
        self.places = places
        self.side = side
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, key: tuple[int, int]) -> Example:
        epoch, number = key
        folder, annotation = self.places[number]
        rng = np.random.default_rng([self.seed, epoch, number]) if self.augment else None
        pixels, targets = training_crop(
            read_picture(folder, annotation), annotation.faces, self.side, rng
        )
        return to_input(pixels[None])[0], targets


def order(count: int, *, batch: int, epoch: int, seed: int) -> list[list[tuple[int, int]]]:
    """Return an epoch's batches of (epoch, number), a last one that is not full left out."""
    numbers = np.random.default_rng([seed, epoch]).permutation(count)
    return [
        [(epoch, int(n)) for n in numbers[i : i + batch]]
        for i in range(0, count - batch + 1, batch)
    ]


def collate(examples: Sequence[Example]) -> tuple[Tensor, list[Targets]]:
    """Put examples into a batch."""
    return torch.stack([x for x, _ in examples]), [t for _, t in examples]
