"""Train a detector: ``python -m training.retinaface.train FOLDER... --out RUN --preset wider``.

Each FOLDER holds pictures annotated as `training.retinaface.wider` says: WIDER FACE itself,
composed scenes, generated people, in any mixture. A run goes in legs: it stops after ``--minutes``
and goes on with ``--resume``. Its folder holds state.safetensors, history.json and curves.png.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from anonyface.errors import AnonyfaceError, InputError
from generators.pictures import save_curves
from generators.progress import Recorder
from generators.state import load_state, save_state
from training.retinaface.loader import Examples, collate, order, read_places, split
from training.retinaface.presets import PRESETS, Preset, find_preset
from training.retinaface.trainer import Trainer

STATE = "state.safetensors"
CURVES = (
    ("ap", "gender_right", "class_right"),
    ("classes", "boxes", "landmarks"),
    ("gender", "age"),
)
MEASURED = 200
"""Pictures measured on at most: enough to see how it goes."""


class Run:
    """A training run in a folder.

    Args:
        folder: Where everything is written; made if needed.
        name: Of the preset, as it is stored.
        preset: The recipe.
        data: Annotated folders.
        device: Where.
        seed: Of weights and randomness.
        workers: Processes that read pictures, 0 for this one.

    Raises:
        InputError: The data are none, or fewer than a batch.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        preset: Preset,
        data: Sequence[Path],
        device: torch.device,
        seed: int,
        workers: int = 0,
    ) -> None:
        self.folder, self.name, self.preset = folder, name, preset
        self.seed, self.workers = seed, workers
        learnt, measured = split(read_places(data), preset.held_out)
        self.examples = Examples(learnt, side=preset.side, augment=preset.augment, seed=seed)
        whole = Examples(measured[:MEASURED], side=preset.side, augment=False, seed=seed)
        self.measured = [whole[0, i] for i in range(len(whole))]
        self.steps_an_epoch = len(learnt) // preset.batch
        if not self.steps_an_epoch:
            raise InputError(f"{len(learnt)} pictures are fewer than a batch of {preset.batch}")
        steps = self.steps_an_epoch * preset.epochs
        self.trainer = Trainer(preset, steps=steps, device=device, seed=seed)
        self.recorder = Recorder()

    def resume(self) -> None:
        """Go on from the folder's state.

        Raises:
            InputError: There is none, or it is of a run with another preset or other data.
        """
        tensors, facts = load_state(self.folder / STATE)
        if facts.get("preset") != self.name:
            raise InputError(
                f"the run in {self.folder} has preset {facts.get('preset')!r}, not {self.name!r}"
            )
        if facts.get("pictures") != len(self.examples):
            raise InputError(f"the run in {self.folder} has other data")
        self.trainer.restore(tensors, int(str(facts["step"])))
        self.recorder = Recorder(**dict(facts["recorder"]))  # type: ignore[call-overload]

    def leg(self, *, seconds: float) -> None:
        """Train until the run is done, or for so long, and save the state.

        Raises:
            InputError: The loss is not finite; the last state saved stays.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        trainer, start, spent = self.trainer, time.monotonic(), self.recorder.seconds
        total, done = trainer.steps, trainer.step_number
        with tqdm(total=total, initial=done, unit="step", disable=None) as bar:
            while trainer.step_number < trainer.steps:
                epoch = trainer.step_number // self.steps_an_epoch
                late = self._epoch(epoch, bar, until=start + seconds)
                self.recorder.seconds = spent + time.monotonic() - start
                epochs, every = epoch + 1, self.preset.snapshot_epochs
                due = epochs % every == 0 or epochs == self.preset.epochs
                if late or due:
                    bar.write(self.snapshot(), file=sys.stderr)
                if late:
                    return

    def _epoch(self, epoch: int, bar: tqdm[None], *, until: float) -> bool:
        """Run the rest of an epoch; whether the time is over."""
        batches = order(len(self.examples), batch=self.preset.batch, epoch=epoch, seed=self.seed)[
            self.trainer.step_number % self.steps_an_epoch :
        ]
        loader: DataLoader[object] = DataLoader(
            self.examples,  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=self.workers,
        )
        for images, targets in loader:
            self.recorder.observe(self.trainer.step(images, targets))
            bar.update()
            if time.monotonic() > until:
                return True
        return False

    def snapshot(self) -> str:
        """Measure, plot and save; return one line that says how it stands."""
        images = self.trainer.step_number * self.preset.batch
        record = self.recorder.record({"images": images, **self.trainer.measure(self.measured)})
        facts: dict[str, object] = {
            "preset": self.name,
            "settings": self.preset.facts(),
            "pictures": len(self.examples),
            "step": self.trainer.step_number,
            "recorder": {
                "history": self.recorder.history,
                "sums": self.recorder.sums,
                "seconds": self.recorder.seconds,
            },
        }
        save_state(self.folder / STATE, self.trainer.tensors(), facts, precision="full")
        text = json.dumps({**facts, "measured on": len(self.measured)}, indent=1)
        (self.folder / "history.json").write_text(text + "\n", encoding="utf-8")
        save_curves(self.recorder.history, self.folder / "curves.png", groups=CURVES)
        return ", ".join(f"{name} {value:.4g}" for name, value in record.items())


def main() -> None:
    """Run a leg."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="annotated folders")
    parser.add_argument("--out", type=Path, required=True)
    presets = "; ".join(f"{n}: {p.about}" for n, p in PRESETS.items())
    parser.add_argument("--preset", default="wider", help=presets)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--workers", type=int, default=0, help="processes that read pictures")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    try:
        run = Run(
            args.out,
            name=args.preset,
            preset=find_preset(args.preset),
            data=args.data,
            device=torch.device(args.device),
            seed=args.seed,
            workers=args.workers,
        )
        if args.resume:
            run.resume()
        run.leg(seconds=60 * args.minutes)
    except AnonyfaceError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
