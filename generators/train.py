"""Train a generator: ``python -m generators.train --data FACES.zip --out RUN --preset cpu-32``.

A run goes in legs: it stops by itself after ``--minutes`` and goes on with ``--resume``. The folder
of a run holds state.safetensors (to go on), best.safetensors (the generator of the snapshot with
the smallest Frechet distance), history.json, curves.png and a sheet of samples a snapshot.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from anonyface.errors import AnonyfaceError, InputError
from generators.features import load_features
from generators.legs import BEST, STATE, add_leg_options, prepare
from generators.presets import PRESETS, Preset, find_preset
from generators.progress import Judge, Recorder, sample_sheet, write_history
from generators.sources import FolderSource, ImageSource
from generators.state import StatePrecision, load_state, save_state
from generators.trainer import Trainer


class Run:
    """A training run in a folder.

    Args:
        folder: Where everything is written; made if needed.
        name: Name of the preset.
        source: The training images.
        device: Where to train.
        seed: Of weights and randomness.
        precision: Of stored tensors.
        optimisers: Whether optimisers' moments are stored.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        source: ImageSource,
        device: torch.device,
        seed: int,
        precision: StatePrecision = "half",
        optimisers: bool = True,
    ) -> None:
        self.folder = folder
        self.name = name
        self.preset: Preset = find_preset(name)
        self.source = source
        self.precision: StatePrecision = precision
        self.optimisers = optimisers
        self.trainer = Trainer(self.preset, c_dim=len(source.label_names), device=device, seed=seed)
        self.recorder = Recorder()
        self.floor: float | None = None
        self.judge: Judge | None = None

    def resume(self) -> None:
        """Go on from the folder's state.

        Raises:
            InputError: There is none, or it is of a run with another preset or other classes.
        """
        tensors, facts = load_state(self.folder / STATE)
        if facts.get("preset") != self.name:
            raise InputError(
                f"the run in {self.folder} has preset {facts.get('preset')!r}, not {self.name!r}"
            )
        if facts.get("label_names") != list(self.source.label_names):
            raise InputError(f"the run in {self.folder} has other classes than the data")
        self.trainer.restore(tensors, facts)
        self.recorder = Recorder(**dict(facts["recorder"]))  # type: ignore[call-overload]
        floor = facts.get("floor")
        self.floor = float(floor) if isinstance(floor, float) else None

    def leg(self, *, images: int, seconds: float) -> None:
        """Train until so many images were shown in all, or for so long, and save the state.

        A snapshot that falls due shortly before the end is finished.

        Raises:
            TrainingError: A loss is not finite; the last state saved stays.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        trainer, batch = self.trainer, self.preset.batch
        start, spent = time.monotonic(), self.recorder.seconds
        with tqdm(total=images, initial=trainer.images, unit="image", disable=None) as bar:
            if not trainer.images:
                bar.write(self.snapshot(), file=sys.stderr)  # where the curves begin
            while trainer.images < images and time.monotonic() - start < seconds:
                before = trainer.images
                losses = trainer.step(*self.source.batch(batch, trainer.rng))
                self.recorder.observe(losses)
                self.recorder.seconds = spent + time.monotonic() - start
                bar.update(batch)
                bar.set_postfix(p=f"{trainer.ada.p:.3f}", refresh=False)
                every = self.preset.snapshot_images
                if trainer.images // every > before // every or trainer.images >= images:
                    bar.write(self.snapshot(), file=sys.stderr)
        self.save()

    def snapshot(self) -> str:
        """Measure, draw and save; return one line that says how it stands."""
        trainer = self.trainer
        values: dict[str, float] = {"images": trainer.images, "p": trainer.ada.p}
        line = f"{trainer.images} images, p {trainer.ada.p:.3f}"
        if self.judge is not None:
            distance = self.judge.distance(trainer.G_ema)
            best = min(
                (r["frechet"] for r in self.recorder.history if "frechet" in r), default=None
            )
            if self.floor is not None:
                values["floor"] = self.floor
            values["frechet"] = distance
            line += f", Frechet distance {distance:.2f}"
            if best is None or distance < best:
                self._save_best(distance)
        self.recorder.record(values)
        sheet = self.folder / f"samples-{trainer.images:09d}.png"
        sample_sheet(trainer.G_ema, sheet, c_dim=trainer.c_dim)
        write_history(self.folder, self.recorder, self._story())
        self.save()
        return line

    def watch(self, cache: Path) -> None:
        """Measure the Frechet distance at snapshots.

        Args:
            cache: Where the feature network's weights are kept.
        """
        network = load_features(cache)
        self.judge = Judge(self.source, network, self.preset, device=self.trainer.device)
        if self.floor is None:
            self.floor = self.judge.floor()

    def save(self) -> None:
        """Write the state."""
        recorder = self.recorder
        facts: dict[str, object] = {
            "preset": self.name,
            "label_names": list(self.source.label_names),
            **self.trainer.facts(),
            "recorder": {
                "history": recorder.history,
                "sums": recorder.sums,
                "seconds": recorder.seconds,
            },
            "floor": self.floor,
        }
        tensors = self.trainer.tensors(optimisers=self.optimisers)
        save_state(self.folder / STATE, tensors, facts, precision=self.precision)

    def _save_best(self, distance: float) -> None:
        generator = self.trainer.G_ema.state_dict()
        tensors = {f"G_ema.{name}": tensor for name, tensor in generator.items()}
        save_state(self.folder / BEST, tensors, {**self._story(), "frechet": distance})

    def _story(self) -> dict[str, object]:
        return {
            "preset": self.name,
            "settings": self.preset.facts(),
            "label_names": list(self.source.label_names),
            "images": self.trainer.images,
            "device": self.trainer.device.type,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }


def main(argv: Sequence[str] | None = None) -> int:
    """Run one leg; 0 when it went well, 2 for an option, file or run that can't be used."""
    arguments = _parser().parse_args(argv)
    try:
        run = _open(arguments)
        if arguments.cache is not None:
            run.watch(arguments.cache)
        run.leg(images=round(arguments.kimg * 1000), seconds=60 * arguments.minutes)
    except AnonyfaceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    state = run.folder / STATE
    print(f"{run.trainer.images} images; state of {state.stat().st_size / 1e6:.1f} MB in {state}")
    return 0


def _open(arguments: argparse.Namespace) -> Run:
    """Make or resume the run the arguments ask for."""
    preset = find_preset(arguments.preset)
    device = prepare(arguments)
    run = Run(
        arguments.out,
        name=arguments.preset,
        source=_source(arguments, preset),
        device=device,
        seed=arguments.seed,
        precision=arguments.state,
        optimisers=not arguments.no_optimiser_state,
    )
    if arguments.resume:
        run.resume()
    return run


def _source(arguments: argparse.Namespace, preset: Preset) -> ImageSource:
    if arguments.data != "endless":
        return FolderSource(arguments.data, resolution=preset.resolution, mirror=arguments.mirror)
    # Only here: it loads the shipped generator and its teachers.
    from generators.endless import EndlessSource

    return EndlessSource(resolution=preset.resolution, seed=arguments.seed, device=arguments.device)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m generators.train", description=__doc__)
    add = parser.add_argument
    add("--data", required=True, help="folder or zip of images, or 'endless': generated people")
    add("--preset", required=True, help=f"one of {', '.join(PRESETS)}")
    add("--mirror", action="store_true", help="mirror half of the images of a folder or zip")
    add_leg_options(parser, without_cache="Frechet distance")
    return parser


if __name__ == "__main__":
    sys.exit(main())
