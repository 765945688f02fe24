"""The reader of glasses: its examples, that it learns, and that it is exported whole."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="training/ needs the extra 'train'")
pytest.importorskip("onnx", reason="training/ needs the extra 'train'")
pytest.importorskip("sklearn", reason="training/ needs the extra 'train'")
pytest.importorskip("safetensors", reason="training/ needs the extra 'train'")

from anonyface.identities.people import portrait_face  # noqa: E402
from anonyface.landmarks.mesh import FaceMesh, five_points  # noqa: E402
from anonyface.verification.alignment import align_chip  # noqa: E402
from training.averaged import History, average_of, train_leg  # noqa: E402
from training.convert.onnx_tools import run_onnx  # noqa: E402
from training.eyewear.examples import (  # noqa: E402
    LABELS,
    WITH,
    Labelled,
    aligned,
    draw_row,
    example,
)
from training.eyewear.export import Exported, to_onnx  # noqa: E402
from training.eyewear.network import EyewearNetwork, to_input  # noqa: E402
from training.eyewear.train import Examples, Run  # noqa: E402
from training.occlusion.faces import Faces  # noqa: E402
from training.occlusion.scenes import Painter  # noqa: E402

from ...feature_weights import made_up_backbone  # noqa: E402

SIDE = 160


@pytest.fixture(scope="module")
def known(people: list[NDArray[np.uint8]]) -> Labelled:
    """Four generated people; the first and the third are said to wear glasses."""
    finder, pixels, points = FaceMesh(threads=1), [], []
    for person in people:
        part = np.ascontiguousarray(person[160:960, 112:912])
        pixels.append(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
        mesh = finder(person, [portrait_face(1024)])[0]
        points.append((mesh.points - np.array([112, 160, 0], np.float32)) / 5)
    marks = np.stack([five_points(p) for p in points])
    bare = np.zeros((4, SIDE, SIDE // 8), np.uint8)
    faces = Faces(np.stack(pixels), np.stack(points), bare, np.arange(4), np.zeros(4, bool))
    return Labelled(faces, marks, np.array([1, 0, 1, 0], np.int8), np.ones(4, bool))


def test_nobody_is_labelled_twice() -> None:
    labels = json.loads(LABELS.read_text())
    assert set(labels) == {"with", "without", "surely_with", "unknown"}
    rows = [row for some in labels.values() for row in some]
    assert len(rows) == len(set(rows))


def test_a_chip_is_the_one_that_is_read_at_run_time(known: Labelled) -> None:
    picture, marks = known.faces.picture(0), known.landmarks[0]
    off = aligned(picture, marks).astype(int) - align_chip(picture, marks).pixels
    assert np.abs(off[20:130, 20:130]).mean() < 4


def test_those_with_glasses_come_as_often_as_said(known: Labelled) -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_row(known, rng, held=False) for _ in range(600)]
    assert {row for row, glasses in drawn if glasses} == {0, 2}
    assert {row for row, glasses in drawn if not glasses} == {1, 3}
    # Of 600 draws the share is within .08 of what was asked but once in 15,000 times.
    assert np.mean([glasses for _, glasses in drawn]) == pytest.approx(WITH, abs=0.08)


def test_examples_follow_their_number_and_masks_cover_what_is_below_the_eyes(
    known: Labelled,
) -> None:
    some, again = Examples(known, 0, 8), Examples(known, 3, 8)
    assert len(some) == 8
    np.testing.assert_array_equal(some[3][0], again[0][0])
    assert np.abs(some[3][0].astype(int) - some[4][0]).mean() > 3
    painter = Painter(known.faces, np.arange(4))
    below = above = 0.0
    for seed in range(12):  # the same photo of the same face, with and without a mask
        both = [
            example(known, painter, 1, np.random.default_rng(seed), plan).astype(int)
            for plan in (("mask",), ())
        ]
        assert both[0].shape == (64, 128, 3)
        difference = np.abs(both[0] - both[1]).mean(axis=(1, 2))
        below, above = below + difference[50:].mean(), above + difference[:30].mean()
    assert below > above


def test_it_learns_who_wears_some_and_the_file_says_what_torch_says(
    known: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.eyewear.train.WARM_UP", 4)
    run = Run(made_up_backbone(), steps=40)
    assert isinstance(run.network, EyewearNetwork)
    backbone, head = run.network.parameters_by_rate()
    examples = Examples(known, 0, 12)
    pixels = np.stack([examples[i][0] for i in range(12)])
    eyes = torch.from_numpy(pixels)
    glasses = torch.tensor([float(examples[i][1]) for i in range(12)])
    before = [p.clone() for p in run.network.stem.buffers()]
    losses = [run.step(eyes, glasses) for _ in range(40)]
    assert losses[-1] < 0.5 * losses[0]
    assert all(p.grad is not None for p in backbone + head)
    for one, other in zip(before, run.network.stem.buffers(), strict=True):
        assert torch.equal(one, other)
    network = run.network.eval()
    with torch.no_grad():
        right = (network(to_input(eyes)) > 0) == (glasses > 0.5)
        feed = pixels.transpose(0, 3, 1, 2).astype(np.float32)
        exact = Exported(network)(torch.from_numpy(feed)).numpy()
    assert right.float().mean() > 0.9
    said = run_onnx(to_onnx(network), {"eyes": feed})["probability"]
    # Weights are stored in half precision.
    np.testing.assert_allclose(said, exact, atol=0.03)


def test_a_leg_ends_in_time_and_writes_what_it_measured(
    known: Labelled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backbone = made_up_backbone()
    run, examples = Run(backbone, steps=3), Examples(known, 0, 4)
    eyes, glasses = (np.stack(part) for part in zip(*(examples[i] for i in range(4)), strict=True))
    batch = torch.from_numpy(eyes), torch.from_numpy(glasses)
    history: History = []

    def leg(minutes: float, steps: int) -> None:
        train_leg(
            run,
            (run.step(*batch) for _ in range(steps)),
            lambda network: {"there": float(network is run.average)},
            tmp_path,
            history,
            minutes=minutes,
            saved_every=2,
        )

    leg(0.0, 9)
    assert [(row["step"], row["there"]) for row in history] == [(1, 1)]
    leg(math.inf, 2)
    assert [row["step"] for row in history] == [1, 2, 3]
    assert capsys.readouterr().out.count("loss") == 3
    tensors, facts = average_of(tmp_path)
    assert facts["done"] == 3
    fresh = EyewearNetwork(backbone)
    fresh.load_state_dict(tensors)
    assert torch.equal(fresh.head.weight, run.average.head.weight)
