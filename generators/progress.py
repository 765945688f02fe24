"""What a run shows of itself: Frechet distance, sample sheets, curves, history."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from generators.features import FeatureNetwork
from generators.frechet import Draw, describe, frechet_distance
from generators.pictures import save_curves, save_grid
from generators.presets import Preset
from generators.sources import ImageSource
from generators.stylegan2_ada import Generator

SHEET_ROWS = 6
SHEET_COLUMNS = 8
"""Of a sample sheet without classes; with them each class has a column."""

CURVES = (("frechet", "floor"), ("generator", "discriminator"), ("path", "r1"), ("p", "sign"))
"""Panels of the curves."""

_JUDGE_SEED = 1000
"""Of the images a distance is measured on: the same ones at every snapshot and in every leg."""


class Judge:
    """Frechet distance between a source and a generator.

    Args:
        source: The real images.
        network: Feature network.
        preset: How many images, at which side.
        device: Where the networks are; ``network`` is moved there.
    """

    def __init__(
        self,
        source: ImageSource,
        network: FeatureNetwork,
        preset: Preset,
        *,
        device: torch.device,
    ) -> None:
        self.source = source
        self.network = network.to(device)
        self.preset = preset
        self.device = device
        self.labels: list[Tensor] = []
        self.real = describe(
            self._reals(_JUDGE_SEED, self.labels),
            self.network,
            count=preset.metric_images,
            side=preset.metric_side,
        )

    def distance(self, generator: Generator) -> float:
        """Return the distance for a generator that gets the labels of the real images."""
        rng = torch.Generator().manual_seed(_JUDGE_SEED)
        labels = iter(self.labels)

        def draw(count: int) -> Tensor:
            z = torch.randn(count, self.preset.z_dim, generator=rng).to(self.device)
            images: Tensor = generator(z, next(labels).to(self.device), noise="const")
            return images

        return self._compare(draw)

    def floor(self) -> float:
        """Return the distance of other draws from the source: what a perfect generator gets."""
        return self._compare(self._reals(_JUDGE_SEED + 1, []))

    def _compare(self, draw: Draw) -> float:
        preset = self.preset
        found = describe(draw, self.network, count=preset.metric_images, side=preset.metric_side)
        return frechet_distance(self.real, found)

    def _reals(self, seed: int, labels: list[Tensor]) -> Draw:
        rng = torch.Generator().manual_seed(seed)

        def draw(count: int) -> Tensor:
            images, part = self.source.batch(count, rng)
            labels.append(part)
            return images.to(self.device)

        return draw


@dataclass
class Recorder:
    """Losses since the last snapshot, and one record for each snapshot.

    Attributes:
        history: Records with "images", "seconds", "p", mean losses and "frechet".
        sums: Sum and number of each loss since the last record.
        seconds: Time spent in all legs, s.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0

    def observe(self, losses: dict[str, float]) -> None:
        """Take note of one step."""
        for name, value in losses.items():
            entry = self.sums.setdefault(name, [0.0, 0.0])
            entry[0] += value
            entry[1] += 1

    def record(self, values: dict[str, float]) -> dict[str, float]:
        """Close a snapshot: mean losses since the last one and the given values."""
        means = {name: total / count for name, (total, count) in self.sums.items()}
        self.sums = {}
        self.history.append({**values, "seconds": round(self.seconds, 1), **means})
        return self.history[-1]


@torch.no_grad()
def sample_sheet(generator: Generator, path: Path, *, c_dim: int) -> None:
    """Write a sheet of samples, always of the same latents; a column a class where there are any.

    Args:
        generator: The average.
        path: The PNG.
        c_dim: Number of classes, 0 for none.
    """
    columns = c_dim or SHEET_COLUMNS
    device = next(generator.parameters()).device
    rng = torch.Generator().manual_seed(0)
    z_dim = generator.mapping.z_dim
    rows = [
        generator(
            # One person a row, so that columns show what the class alone changes.
            _latents(1 if c_dim else columns, z_dim, rng).expand(columns, -1).to(device),
            torch.eye(c_dim, device=device) if c_dim else torch.zeros(columns, 0, device=device),
            noise="const",
        ).cpu()
        for _ in range(SHEET_ROWS)
    ]
    save_grid(torch.cat(rows), path, columns=columns)


def write_history(folder: Path, recorder: Recorder, facts: dict[str, object]) -> None:
    """Write history.json and curves.png into a run's folder.

    Args:
        folder: The run's folder.
        recorder: What happened.
        facts: What else to put into the JSON.
    """
    text = json.dumps({**facts, "history": recorder.history}, indent=1)
    (folder / "history.json").write_text(text + "\n", encoding="utf-8")
    save_curves(recorder.history, folder / "curves.png", groups=CURVES)


def _latents(count: int, z_dim: int, rng: torch.Generator) -> Tensor:
    return torch.randn(count, z_dim, generator=rng)
