"""The recipe learns a few pictures by heart, goes on where it stopped, and can freeze detection."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")
pytest.importorskip("onnx", reason="training/ needs the extra 'train'")
pytest.importorskip("matplotlib", reason="training/ needs the extra 'train'")

import torch

from anonyface.errors import InputError
from training.manifest import WEIGHTS
from training.retinaface.checkpoints import load_onnx, to_state_dict
from training.retinaface.loader import order, read_places, split
from training.retinaface.presets import PRESETS, TRAITS_ONLY, Preset, find_preset
from training.retinaface.train import Run

TINY = replace(
    PRESETS["overfit"], side=160, batch=4, epochs=60, warm_up=5, drops=(0.8,), snapshot_epochs=60
)


def run(folder: Path, scenes: Path, preset: Preset) -> Run:
    return Run(
        folder, name="tiny", preset=preset, data=[scenes], device=torch.device("cpu"), seed=0
    )


@pytest.fixture(autouse=True)
def one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_few_pictures_are_learnt_by_heart(tmp_path: Path, scenes: Path) -> None:
    training = run(tmp_path, scenes, TINY)
    before = training.trainer.measure(training.measured)["ap"]
    training.leg(seconds=1e9)
    last = json.loads((tmp_path / "history.json").read_text())["recorder"]["history"][-1]
    assert before < 0.1
    assert last["ap"] > 0.8
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_a_run_goes_on_exactly_where_it_stopped(tmp_path: Path, scenes: Path) -> None:
    preset = replace(TINY, batch=2, epochs=2, side=96, augment=True, snapshot_epochs=1)
    whole = run(tmp_path / "whole", scenes, preset)
    whole.leg(seconds=1e9)
    part = run(tmp_path / "part", scenes, preset)
    part.leg(seconds=0)  # one step
    assert part.trainer.step_number == 1
    rest = run(tmp_path / "part", scenes, preset)
    rest.resume()
    rest.leg(seconds=1e9)
    assert rest.trainer.step_number == whole.trainer.step_number == 4
    want, got = (r.trainer.network.state_dict() for r in (whole, rest))
    assert all(torch.equal(want[n], got[n]) for n in want)


def test_frozen_detection_stays_bit_for_bit(tmp_path: Path, scenes: Path) -> None:
    preset = replace(
        PRESETS["traits"], side=160, batch=2, epochs=2, held_out=0.0, weights=TRAITS_ONLY
    )
    assert preset.frozen_detection
    assert not PRESETS["wider"].frozen_detection
    training = run(tmp_path, scenes, preset)
    heads = training.trainer.network.gender.convs[1].weight.clone()
    training.leg(seconds=1e9)
    shipped = to_state_dict(load_onnx(WEIGHTS / "detector.onnx"))
    now = to_state_dict(training.trainer.network)
    assert all(torch.equal(shipped[n], now[n]) for n in shipped)
    assert not torch.equal(heads, training.trainer.network.gender.convs[1].weight)


def test_what_can_not_be_is_said(tmp_path: Path, scenes: Path) -> None:
    with pytest.raises(InputError, match="no preset 'widr'; there are wider"):
        find_preset("widr")
    with pytest.raises(InputError, match="fewer than a batch of 32"):
        run(tmp_path, scenes, PRESETS["wider"])
    with pytest.raises(InputError, match="no annotation at"):
        run(tmp_path, tmp_path, TINY)
    with pytest.raises(InputError, match="no state at"):
        run(tmp_path, scenes, TINY).resume()


def test_held_out_pictures_are_not_trained_with(scenes: Path) -> None:
    places = read_places([scenes])
    learnt, measured = split(places, 0.25)
    assert (len(learnt), len(measured)) == (3, 1)
    assert measured[0] not in learnt
    assert split(places, 0.0) == (places, places)


def test_each_epoch_shows_everything_in_another_order() -> None:
    first, second = (order(10, batch=3, epoch=e, seed=1) for e in (0, 1))
    assert [len(b) for b in first] == [3, 3, 3]
    assert len({n for b in first for _, n in b}) == 9
    assert [n for b in first for _, n in b] != [n for b in second for _, n in b]
