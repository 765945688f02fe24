"""Turn a checkpoint into ONNX or safetensors, with a golden sample that proves it.

``python -m generators.export CHECKPOINT --to onnx --out FILE --golden`` and, wherever the file is
to be used, ``python -m generators.export --check FILE``.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from anonyface.errors import InputError
from anonyface.runtime import engine
from generators.checkpoint import Network, load_networks
from generators.onnx_export import Part, run_torch, sample_inputs, to_onnx
from generators.settings import build_generator, infer_settings, pick_network, stored_facts
from generators.state import save_state
from generators.stylegan2_ada import Generator
from generators.stylegan2_ada.modulated import SynthesisLayer

Kind = Literal["onnx", "safetensors"]
Arrays = dict[str, NDArray[np.float32]]

GOLDEN = ".golden.npz"
GOLDEN_SIZE = 4
"""Samples in a golden file: enough for several labels and truncations."""
TOLERANCE = 1e-3
"""Largest deviation allowed, in units of the output: a picture spans 2. Sums in another order stay
near 1e-5."""


def export(
    checkpoint: Path,
    out: Path,
    *,
    kind: Kind,
    part: Part = "whole",
    network: str | None = None,
    conv_clamp: float | None = None,
    golden: bool = False,
) -> Generator:
    """Read a checkpoint and write its generator.

    Args:
        checkpoint: Official pickle, state dict or safetensors; nothing in it is executed.
        out: File to write; replaced in one step.
        kind: "onnx" or "safetensors".
        part: What an ONNX file holds.
        network: Which network of the checkpoint; None for the best guess.
        conv_clamp: Limit of the convolutions, where the checkpoint doesn't tell.
        golden: Whether to write inputs and outputs beside it, for `check`.

    Returns:
        The generator.

    Raises:
        CheckpointError: If the checkpoint is damaged, unsafe, or fits no generator known here.
        InputError: If safetensors of a part are asked for.
        OSError: If a file can't be read or written.
    """
    if kind == "safetensors" and part != "whole":
        raise InputError("safetensors always hold the whole generator")
    generator = load_generator(checkpoint, network=network, conv_clamp=conv_clamp)
    if kind == "onnx":
        _replace(out, to_onnx(generator, part=part))
    else:
        save_generator(generator, out)
    if golden:
        inputs = sample_inputs(generator, GOLDEN_SIZE, part=part)
        outputs = run_torch(generator, inputs, part=part)
        arrays = {f"in.{k}": v.numpy() for k, v in inputs.items()}
        arrays |= {f"out.{k}": v.numpy() for k, v in outputs.items()}
        with golden_path(out).open("wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return generator


def load_generator(
    checkpoint: Path, *, network: str | None = None, conv_clamp: float | None = None
) -> Generator:
    """Build the generator of any checkpoint the reader knows; see `export`.

    Raises:
        CheckpointError: If the checkpoint is damaged, unsafe, or fits no generator known here.
        OSError: If it can't be read.
    """
    chosen = pick_network(load_networks(checkpoint), network)
    if not chosen.options:
        chosen = replace(chosen, options=stored_facts(checkpoint))
    return build_generator(chosen, conv_clamp=conv_clamp)


def save_generator(generator: Generator, out: Path) -> None:
    """Write a generator as safetensors, float32, with its settings in the header.

    Raises:
        OSError: If it can't be written.
    """
    tensors = generator.state_dict()
    clamp = cast("SynthesisLayer", generator.synthesis.get_submodule("b4.conv1")).conv_clamp
    settings = infer_settings(Network(tensors), conv_clamp=clamp)
    named = {f"G_ema.{name}": tensor for name, tensor in tensors.items()}
    save_state(out, named, {"settings": asdict(settings)}, precision="full")


def check(path: Path) -> dict[str, float]:
    """Compare what an exported file gives with its golden sample.

    Args:
        path: ONNX, run by onnxruntime, or safetensors, run by torch.

    Returns:
        Largest deviation of each output, by name.

    Raises:
        InputError: If there is no golden sample, or the file can't be run on it.
    """
    inputs, want = _read_golden(golden_path(path))
    got = _run_safetensors(path, inputs) if path.suffix == ".safetensors" else _run(path, inputs)
    if set(got) != set(want) or any(got[k].shape != want[k].shape for k in want):
        raise InputError(f"{path} does not give what its golden sample holds")
    return {k: float(np.abs(got[k] - want[k]).max()) for k in want}


def golden_path(path: Path) -> Path:
    """Return where the golden sample of an exported file lies: beside it."""
    return path.with_name(path.name + GOLDEN)


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


def _read_golden(path: Path) -> tuple[Arrays, Arrays]:
    """Return inputs and outputs by name."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except FileNotFoundError as error:
        raise InputError(f"no golden sample at {path}; export with --golden") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    inputs, outputs = (
        {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        for prefix in ("in.", "out.")
    )
    if not inputs or not outputs:
        raise InputError(f"{path} holds no golden sample")
    return inputs, outputs


def _run(path: Path, inputs: Arrays) -> Arrays:
    ort = engine()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(path.read_bytes(), options, ort.get_available_providers())
        names = [o.name for o in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))
    except OSError:
        raise
    except Exception as error:  # onnxruntime has error types of its own, of no common parent
        reason = str(error).splitlines()[0]
        raise InputError(f"onnxruntime can't run {path}: {reason}") from error


def _run_safetensors(path: Path, inputs: Arrays) -> Arrays:
    tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
    return {k: v.numpy() for k, v in run_torch(load_generator(path), tensors).items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Export or check; 0 when it went well, 1 for a deviation, 2 for what can't be used."""
    parser = _parser()
    args = parser.parse_args(argv)
    if (args.check is None) == (args.checkpoint is None) or (args.checkpoint and not args.out):
        parser.error("give CHECKPOINT and --out, or --check FILE")
    try:
        if args.check:
            return _report(check(args.check))
        generator = export(
            args.checkpoint,
            args.out,
            kind=args.to,
            part=args.part,
            network=args.network,
            conv_clamp=args.conv_clamp,
            golden=args.golden,
        )
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    side, labels = generator.synthesis.img_resolution, generator.mapping.c_dim
    print(f"{args.out}: {side} px, {labels} labels")
    return 0


def _report(deviations: dict[str, float]) -> int:
    """Print the deviations; 1 if one is too large."""
    for name, value in deviations.items():
        print(f"{name}: largest deviation {value:.2e}")
    # Not "any larger": a NaN is no agreement.
    if all(value <= TOLERANCE for value in deviations.values()):
        return 0
    print(f"error: more than {TOLERANCE:g}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m generators.export", description=__doc__)
    add = parser.add_argument
    add("checkpoint", type=Path, nargs="?", help="file to read")
    add("--to", choices=get_args(Kind), default="onnx", help="(%(default)s)")
    add("--out", type=Path, help="file to write")
    add("--part", choices=get_args(Part), default="whole", help="of an ONNX file (%(default)s)")
    add("--network", help="which network of the file; default the averaged generator")
    add("--conv-clamp", type=float, help="limit of the convolutions, where the file doesn't tell")
    add("--golden", action="store_true", help="write inputs and outputs beside it")
    add("--check", type=Path, metavar="FILE", help="compare an export with its golden sample")
    return parser


if __name__ == "__main__":
    sys.exit(main())
