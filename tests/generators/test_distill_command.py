"""Distillation from the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")
pytest.importorskip("onnx", reason="reading the shipped generator needs onnx")
pytest.importorskip("safetensors", reason="states are safetensors")
pytest.importorskip("matplotlib", reason="curves need matplotlib")

from generators import distill  # noqa: E402
from generators.distill import HELD_OUT_SEED  # noqa: E402
from generators.export import load_generator  # noqa: E402
from generators.recipes import RECIPES  # noqa: E402

from .test_distill import TINY, Blobs, mapping  # noqa: E402


class Stand:
    """Stands for the shipped teacher on the command line."""

    def __init__(self, *, resolution: int, device: Any) -> None:
        self.generator = self
        self.blobs = Blobs(resolution)

    def mapping_state(self) -> dict[str, Any]:
        return mapping()

    def pairs(self, count: int, rng: Any) -> Any:
        return self.blobs.pairs(count, rng)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(distill, "ReferenceTeacher", Stand)
    monkeypatch.setitem(RECIPES, "tiny", TINY)
    return lambda *arguments: distill.main([str(a) for a in arguments])


def test_the_command_runs_in_legs(
    command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = ["--out", out, "--recipe", "tiny", "--state", "full", "--bank", "16"]
    assert command(*options, "--kimg", "0.016") == 0
    assert command(*options, "--kimg", "0.032", "--resume") == 0
    assert "32 images" in capsys.readouterr().out
    names = {p.name for p in out.iterdir()}
    sheets = {"samples-000000016.png", "samples-000000032.png"}
    assert names == sheets | {"state.safetensors", "best.safetensors", "history.json", "curves.png"}
    history = json.loads((out / "history.json").read_text())["history"]
    assert [record["images"] for record in history] == [16, 32]
    # Judged by pictures that are not in the bank, and those of every leg.
    w, targets = Blobs().pairs(distill.HELD_OUT, torch.Generator().manual_seed(HELD_OUT_SEED))
    student = load_generator(out / "state.safetensors")
    ws = w[:, None].expand(-1, student.synthesis.num_ws, -1)
    error = (student.synthesis(ws, noise="const").clamp(-1, 1) - targets).square()
    psnr = (10 * (4 / error.mean(dim=(1, 2, 3))).log10()).mean()
    assert history[-1]["psnr"] == pytest.approx(float(psnr), abs=1e-3)
    assert all(record["pixel"] > 0 for record in history)
    # A state is a checkpoint like any other.
    for name in ("state", "best"):
        generator = load_generator(out / f"{name}.safetensors")
        assert generator(torch.randn(1, 8)).shape == (1, 3, 32, 32)
    whole = tmp_path / "whole"
    assert command("--out", whole, *options[2:], "--kimg", "0.032") == 0
    assert (whole / "best.safetensors").read_bytes() == (out / "best.safetensors").read_bytes()


def test_a_leg_stops_by_itself(command: Any, tmp_path: Path) -> None:
    assert command("--out", tmp_path, "--recipe", "tiny", "--minutes", "0") == 0
    assert (tmp_path / "state.safetensors").exists()
    small = tmp_path / "small"
    options = ["--recipe", "tiny", "--kimg", "0.008", "--no-optimiser-state"]
    assert command("--out", small, *options) == 0
    large = tmp_path / "large"
    assert command("--out", large, *options[:-1]) == 0
    sizes = [(p / "state.safetensors").stat().st_size for p in (small, large)]
    assert sizes[0] < 0.7 * sizes[1]


@pytest.mark.parametrize("option", [("--kimg", "inf"), ("--minutes", "-1"), ("--kimg", "many")])
def test_amounts_are_numbers(option: tuple[str, str], command: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        command("--out", tmp_path / "run", "--recipe", "tiny", *option)
    assert caught.value.code == 2


def test_what_can_t_be_used_is_said_in_one_line(
    command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, other = tmp_path / "run", tmp_path / "other"
    assert command("--out", out, "--recipe", "tiny", "--kimg", "0.008") == 0
    capsys.readouterr()
    cases: list[tuple[list[object], str]] = [
        (["--out", other, "--recipe", "typo"], "unknown recipe 'typo'"),
        (["--out", other, "--recipe", "tiny", "--resume"], "no state in"),
        (["--out", out, "--recipe", "tiny"], "holds a run"),
        (["--out", out, "--recipe", "cpu-32", "--resume"], "another recipe"),
    ]
    if not torch.cuda.is_available():
        cases.append((["--out", other, "--recipe", "tiny", "--device", "cuda"], "no CUDA device"))
    RECIPES["cpu-32"], kept = replace(TINY, batch=4), RECIPES["cpu-32"]
    try:
        for arguments, message in cases:
            assert command(*arguments) == 2
            error = capsys.readouterr().err
            assert message in error
            assert len(error.splitlines()) == 1
    finally:
        RECIPES["cpu-32"] = kept
    assert not other.exists()
