"""Ages in bins, pseudo-labels, and how answers are counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")
pytest.importorskip("onnx", reason="training/ needs the extra 'train'")

import onnx
import torch

from anonyface.errors import FaceError
from anonyface.runtime import engine
from training.retinaface.ages import (
    AGES,
    CLASS_OF_BIN,
    bin_of,
    class_probabilities,
    expected_years,
    soft_bins,
)
from training.retinaface.evaluate import Answers, figures, utkface
from training.retinaface.pseudo_labels import label
from training.retinaface.wider import Annotation, LabelledFace

POINTS = np.array([[12, 14], [40, 14], [26, 28], [14, 42], [38, 42]], np.float32)
FACE = LabelledFace(np.array([5, 0, 50, 60], np.float32), POINTS)


def test_bins_classes_and_years() -> None:
    years = torch.tensor([1.0, 8, 15, 25, 35, 45, 55, 65, 76])
    shares = soft_bins(years)
    torch.testing.assert_close(shares.sum(1), torch.ones(9))
    assert shares.argmax(1).tolist() == list(range(9)) == [bin_of(float(y)) for y in years]
    four = class_probabilities(shares.numpy())
    assert four.shape == (9, 4)
    assert four.argmax(1).tolist() == list(CLASS_OF_BIN)
    np.testing.assert_allclose(expected_years(shares.numpy()), years.numpy(), atol=5)
    assert len(AGES) == 9


def teacher(image: np.ndarray, landmarks: np.ndarray) -> tuple[float, float]:
    if landmarks[0, 0] > 1000:
        raise FaceError("degenerate", stage="verification")
    return 0.9, 41.0


def test_the_teacher_fills_in_what_is_not_known() -> None:
    small = LabelledFace(np.array([0, 0, 9, 9], np.float32), POINTS)
    blind = LabelledFace(FACE.box)
    known = replace(FACE, p_female=0.0)
    far = LabelledFace(FACE.box, POINTS + 2000)
    picture = Annotation("a.jpg", (FACE, small, blind, known, far))
    done = label(picture, np.zeros((60, 60, 3), np.uint8), teacher)
    assert done.name == "a.jpg"
    assert [f.p_female for f in done.faces] == [0.9, -1, -1, 0, -1]
    assert [f.years for f in done.faces] == [41, -1, -1, -1, -1]


def test_not_found_counts_as_wrong() -> None:
    answers = Answers()
    answers.add(0.9, np.eye(9, dtype=np.float32)[3], 24.5)
    answers.add(0.2, None, 62.0)
    answers.add(np.nan, None, np.nan)
    photos = [(True, 3, 20.0, "A"), (False, 7, 64.0, "A"), (False, 7, 64.0, "B")] * 30
    many = Answers(answers.female * 30, answers.years * 30, answers.group * 30, answers.bins * 30)
    found = figures(many, photos)
    assert found["gender"] == pytest.approx(2 / 3, abs=1e-3)
    assert found["age in four classes"] == pytest.approx(2 / 3, abs=1e-3)
    assert found["mean error, years"] == pytest.approx((4.5 + 2) / 2, abs=1e-2)
    assert found["gender, smallest group"] == 0
    assert found["gender by group"] == {
        "A male": "1.000 of 30",
        "A female": "1.000 of 30",
        "B male": "0.000 of 30",
    }


def test_utkface_names_are_read(tmp_path: Path) -> None:
    for name in ("35_1_2_2017.jpg", "8_0_0_2017.jpg", "61_1_2017.jpg"):
        cv2.imwrite(str(tmp_path / name), np.zeros((20, 20, 3), np.uint8))
    photos = list(utkface(tmp_path))  # the third lacks a race
    assert [(p.female, p.years, p.age, p.group) for p in photos] == [
        (True, 35, 4, "Asian"),
        (False, 8, 1, "White"),
    ]


def test_weights_in_bytes_are_nearly_the_same() -> None:
    from training.retinaface.storage import store_bytes

    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    rng = np.random.default_rng(0)
    weight = (rng.standard_normal((256, 256)) * rng.uniform(0.01, 3, (256, 1))).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 256, 2, 2])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 256, 2, 2])],
        [numpy_helper.from_array(weight[..., None, None], "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    small = store_bytes(model)
    assert len(small.SerializeToString()) < 0.3 * len(model.SerializeToString())
    x = rng.standard_normal((1, 256, 2, 2)).astype(np.float32)
    want, got = (
        engine().InferenceSession(m.SerializeToString()).run(None, {"x": x})[0][0]
        for m in (model, small)
    )
    assert np.linalg.norm(got - want) < 0.02 * np.linalg.norm(want)
    assert (got != want).any()
