"""Command-line options of a run that goes in legs, and the checks before one starts."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from anonyface.errors import InputError

STATE = "state.safetensors"
"""Holds what a run needs to go on, in the run's folder."""
BEST = "best.safetensors"
"""Holds the generator of the best snapshot."""


def add_leg_options(parser: argparse.ArgumentParser, *, without_cache: str) -> None:
    """Add the options that every kind of run has.

    Args:
        parser: Gets them.
        without_cache: What a run without ``--cache`` goes without.
    """
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder of the run")
    add("--resume", action="store_true", help="go on with the run in the folder")
    add("--kimg", type=amount, default=1000, help="thousand images in all (%(default)s)")
    add("--minutes", type=amount, default=float("inf"), help="stop the leg after so long")
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--seed", type=int, default=0, help="of a new run (%(default)s)")
    add("--threads", type=int, default=0, help="for torch on the CPU; 0: torch decides")
    add("--cache", type=Path, help=f"keeps the feature network; without: no {without_cache}")
    add("--state", choices=("half", "full"), default="half", help="full resumes bit-exactly")
    add("--no-optimiser-state", action="store_true", help="a state about half the size")


def amount(text: str) -> float:
    """Return a number from 0 on.

    Raises:
        argparse.ArgumentTypeError: It is none.
        ValueError: It is no number.
    """
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 on")
    return value


def prepare(arguments: argparse.Namespace) -> torch.device:
    """Set torch up as asked, before anything is loaded, and return the device.

    Raises:
        InputError: No such device, or the folder holds a run where none, or none where one, is
            expected.
    """
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise InputError("there is no CUDA device that torch can use")
    state = arguments.out / STATE
    if not arguments.resume and state.exists():
        raise InputError(f"{arguments.out} holds a run; go on with --resume or choose another")
    if arguments.resume and not state.exists():
        raise InputError(f"no state in {arguments.out}")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    return torch.device(arguments.device)
