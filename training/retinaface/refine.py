"""Train the refinement: ``python -m training.retinaface.refine CACHE --out RUN``.

The detector stays frozen; what it says of each face comes from `training.retinaface.cache`. A run
goes in legs: it stops after ``--minutes`` and goes on with ``--resume``. Its folder holds
state.safetensors, history.json and curves.png. Where a cache holds embeddings
(`training.retinaface.embed`), the inner description also learns to tell them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from anonyface.errors import AnonyfaceError, InputError
from generators.pictures import save_curves
from generators.progress import Recorder
from generators.state import load_state, save_state
from training.retinaface.faces import CachedFaces, join, shuffled
from training.retinaface.refiner import Refiner, Settings, load_refinement, measure

STATE = "state.safetensors"
CURVES = (("gender", "class"), ("bin",), ("loss", "loss_held_out"), ("years",))


class Run:
    """A run in a folder.

    Args:
        folder: Made if needed.
        sources: Caches; the first one's held-out rows tell how it goes.
        settings: How to train.
        device: Where.
        seed: Of everything.
        limits: Faces read of each cache, None for all.
    """

    def __init__(
        self,
        folder: Path,
        sources: list[Path],
        settings: Settings,
        *,
        device: torch.device,
        seed: int,
        limits: list[int | None] | None = None,
    ) -> None:
        self.folder, self.settings, self.device = folder, settings, device
        self.sources = [CachedFaces(s, pooled=settings.pooled) for s in sources]
        splits = [s.split() for s in self.sources]
        self.held_out = splits[0][1]
        limits = limits or [None] * len(sources)
        self.rows = [
            (i, int(r))
            for i, ((rows, held), limit) in enumerate(zip(splits, limits, strict=True))
            for r in (rows if i == 0 else np.sort(np.concatenate([rows, held])))[:limit]
        ]
        self.steps_an_epoch = len(self.rows) // settings.batch
        if not self.steps_an_epoch:
            raise InputError(f"{len(self.rows)} faces are fewer than a batch")
        steps = self.steps_an_epoch * settings.epochs
        self.refiner = Refiner(settings, steps=steps, device=device, seed=seed)
        self.recorder = Recorder()

    def resume(self) -> None:
        """Go on from the folder's state; only the number of epochs may be another one.

        Raises:
            InputError: There is none, or it is of a run with other settings.
        """
        tensors, facts = load_state(self.folder / STATE)
        stored = facts.get("settings")
        now = vars(self.settings)
        if not isinstance(stored, dict) or {**stored, "epochs": now["epochs"]} != now:
            raise InputError(f"the run in {self.folder} has other settings")
        self.refiner.restore(tensors, int(str(facts["step"])))
        self.refiner.started_morphed = bool(facts["started"])
        self.recorder = Recorder(**dict(facts["recorder"]))  # type: ignore[call-overload]

    def leg(self, *, seconds: float) -> None:
        """Train until all epochs are done, or for so long, and save."""
        self.folder.mkdir(parents=True, exist_ok=True)
        refiner, start, spent = self.refiner, time.monotonic(), self.recorder.seconds
        total, done = refiner.steps, refiner.step_number
        with tqdm(total=total, initial=done, unit="step", disable=None) as bar:
            while refiner.step_number < refiner.steps:
                for pairs in shuffled(self.rows, self.settings.batch, refiner.rng):
                    batch = join(
                        [
                            source.batch([r for s, r in pairs if s == i], refiner.rng)
                            for i, source in enumerate(self.sources)
                            if any(s == i for s, _ in pairs)
                        ]
                    )
                    self.recorder.observe({"loss": refiner.step(batch.to(self.device))})
                    bar.update()
                    if time.monotonic() - start > seconds:
                        break
                self.recorder.seconds = spent + time.monotonic() - start
                bar.write(self.snapshot(), file=sys.stderr)
                if time.monotonic() - start > seconds:
                    return

    def snapshot(self) -> str:
        """Measure, plot and save; return one line that says how it stands."""
        refiner = self.refiner
        found = measure(refiner.averaged(), self.sources[0], self.held_out, self.device)
        images = refiner.step_number * self.settings.batch
        record = self.recorder.record({"images": images, **found})
        facts: dict[str, object] = {
            "settings": vars(self.settings),
            "step": refiner.step_number,
            "morphed": refiner.morphed(),
            "started": refiner.started_morphed,
            "faces": len(self.rows),
            "recorder": {
                "history": self.recorder.history,
                "sums": self.recorder.sums,
                "seconds": self.recorder.seconds,
            },
        }
        save_state(self.folder / STATE, refiner.tensors(), facts)
        text = json.dumps({**facts, "held out": len(self.held_out)}, indent=1)
        (self.folder / "history.json").write_text(text + "\n", encoding="utf-8")
        save_curves(self.recorder.history, self.folder / "curves.png", groups=CURVES)
        return ", ".join(f"{name} {value:.4g}" for name, value in record.items())


def main() -> None:
    """Run a leg."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("caches", type=Path, nargs="+", help="the first one is measured on")
    parser.add_argument("--limits", type=int, nargs="*", default=None, help="faces of each, 0: all")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=Settings.epochs)
    parser.add_argument("--rate", type=float, default=Settings.rate)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--branches", choices=("both", "picture", "pooled"), default="both")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--start", type=Path, default=None, help="state of a run to start from")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    settings = Settings(
        epochs=args.epochs,
        rate=args.rate,
        trunk_rate=args.rate / 2,
        picture=args.branches != "pooled",
        pooled=args.branches != "picture",
    )
    limits = None if args.limits is None else [n or None for n in args.limits]
    try:
        run = Run(
            args.out,
            args.caches,
            settings,
            device=torch.device(args.device),
            seed=args.seed,
            limits=limits,
        )
        if args.start is not None:
            run.refiner.start_from(load_refinement(args.start))
        if args.resume:
            run.resume()
        run.leg(seconds=60 * args.minutes)
    except AnonyfaceError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
