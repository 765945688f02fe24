"""Distil the shipped generator: ``python -m generators.distill --out RUN --recipe gpu-256``.

The student is a StyleGAN2 of our own that shares the teacher's mapping network and ``w`` space. A
run goes in legs: it stops by itself after ``--minutes`` and goes on with ``--resume``. The folder
of a run holds state.safetensors (to go on, and for generators.export), best.safetensors (the
student of the snapshot with the highest PSNR on people it was not shown), history.json, curves.png
and a sheet a snapshot: teacher above student.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from anonyface.errors import AnonyfaceError
from generators.distillation import Distiller
from generators.features import load_features
from generators.legs import BEST, STATE, add_leg_options, prepare
from generators.pictures import save_curves, save_grid
from generators.progress import Recorder
from generators.recipes import RECIPES, Recipe, find_recipe
from generators.state import StatePrecision, load_state, save_state
from generators.teachers import Bank, Features, ReferenceTeacher, Teacher

HELD_OUT = 64
"""Pictures the PSNR is measured on; the first eight are on the sheets."""
HELD_OUT_SEED = 999
COLUMNS = 8
CURVES = (("psnr",), ("pixel", "features"), ("generator", "discriminator"), ("r1",))


class Run:
    """A distillation in a folder.

    Args:
        folder: Where everything is written; made if needed.
        recipe: Settings.
        teacher: Gives pairs to learn from.
        examiner: Gives pairs to be judged by, which are not among those.
        mapping: State dict of the teacher's mapping network.
        device: Where to train.
        seed: Of weights and randomness.
        features: Network for the comparison by features; None for none.
        precision: Of stored tensors.
        optimisers: Whether optimisers' moments are stored.
    """

    def __init__(
        self,
        folder: Path,
        *,
        recipe: Recipe,
        teacher: Teacher,
        examiner: Teacher,
        mapping: dict[str, Tensor],
        device: torch.device,
        seed: int,
        features: Features | None = None,
        precision: StatePrecision = "half",
        optimisers: bool = True,
    ) -> None:
        self.folder = folder
        self.recipe = recipe
        self.teacher = teacher
        self.precision: StatePrecision = precision
        self.optimisers = optimisers
        self.distiller = Distiller(
            recipe, mapping=mapping, device=device, seed=seed, features=features
        )
        self.recorder = Recorder()
        rng = torch.Generator().manual_seed(HELD_OUT_SEED)
        self.w, self.targets = examiner.pairs(HELD_OUT, rng)

    def resume(self) -> None:
        """Go on from the folder's state.

        Raises:
            InputError: There is none, or it is of a run with another recipe.
        """
        tensors, facts = load_state(self.folder / STATE)
        self.distiller.restore(tensors, facts)
        self.recorder = Recorder(**dict(facts["recorder"]))  # type: ignore[call-overload]

    def leg(self, *, images: int, seconds: float) -> None:
        """Train until so many pictures were shown in all, or for so long, and save the state.

        Raises:
            TrainingError: A loss is not finite; the last state saved stays.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        student, batch, every = self.distiller, self.recipe.batch, self.recipe.snapshot_images
        start, spent = time.monotonic(), self.recorder.seconds
        with tqdm(total=images, initial=student.images, unit="image", disable=None) as bar:
            while student.images < images and time.monotonic() - start < seconds:
                before = student.images
                self.recorder.observe(student.step(*self.teacher.pairs(batch, student.rng)))
                self.recorder.seconds = spent + time.monotonic() - start
                bar.update(batch)
                if student.images // every > before // every or student.images >= images:
                    bar.write(self.snapshot(), file=sys.stderr)
        self.save()

    def snapshot(self) -> str:
        """Measure, draw and save; return one line that says how it stands."""
        student = self.distiller
        psnr = student.psnr(self.w, self.targets)
        best = max((r["psnr"] for r in self.recorder.history), default=None)
        if best is None or psnr > best:
            generator = student.G_ema.state_dict()
            tensors = {f"G_ema.{name}": tensor for name, tensor in generator.items()}
            save_state(self.folder / BEST, tensors, {**student.facts(), "psnr": psnr})
        self.recorder.record({"images": student.images, "psnr": psnr})
        with torch.no_grad():
            ours = student.render(self.w[:COLUMNS].to(student.device), average=True).cpu()
        sheet = torch.cat([self.targets[:COLUMNS].cpu(), ours])
        save_grid(sheet, self.folder / f"samples-{student.images:09d}.png", columns=COLUMNS)
        history = self.recorder.history
        text = json.dumps({"settings": self.recipe.facts(), "history": history}, indent=1)
        (self.folder / "history.json").write_text(text + "\n", encoding="utf-8")
        save_curves(history, self.folder / "curves.png", groups=CURVES)
        self.save()
        return f"{student.images} images, PSNR {psnr:.2f} dB"

    def save(self) -> None:
        """Write the state."""
        facts: dict[str, object] = {**self.distiller.facts(), "recorder": asdict(self.recorder)}
        tensors = self.distiller.tensors(optimisers=self.optimisers)
        save_state(self.folder / STATE, tensors, facts, precision=self.precision)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one leg; 0 when it went well, 2 for an option, file or run that can't be used."""
    arguments = _parser().parse_args(argv)
    try:
        run = _open(arguments)
        run.leg(images=round(arguments.kimg * 1000), seconds=60 * arguments.minutes)
    except AnonyfaceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{run.distiller.images} images; state in {run.folder / STATE}")
    return 0


def _open(arguments: argparse.Namespace) -> Run:
    """Make or resume the run the arguments ask for."""
    recipe = find_recipe(arguments.recipe)
    device = prepare(arguments)  # before the teacher works for nothing
    reference = ReferenceTeacher(resolution=recipe.resolution, device=device)
    teacher: Teacher = reference
    if arguments.bank:
        teacher = Bank(reference, size=arguments.bank, seed=arguments.seed)
    features = load_features(arguments.cache).to(device) if arguments.cache else None
    run = Run(
        arguments.out,
        recipe=recipe,
        teacher=teacher,
        examiner=reference,
        mapping=reference.generator.mapping_state(),
        device=device,
        seed=arguments.seed,
        features=features,
        precision=arguments.state,
        optimisers=not arguments.no_optimiser_state,
    )
    if arguments.resume:
        run.resume()
    return run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m generators.distill", description=__doc__)
    add = parser.add_argument
    add("--recipe", required=True, help=f"one of {', '.join(RECIPES)}")
    add("--bank", type=int, default=0, help="render so many images once instead of ever new ones")
    add_leg_options(parser, without_cache="comparison by features")
    return parser


if __name__ == "__main__":
    sys.exit(main())
