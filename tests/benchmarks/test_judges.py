"""Encoders from outside: how they are fed, what is said of those there are not, what is kept."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from anonyface.verification.alignment import ARCFACE_PX, ARCFACE_TEMPLATE
from benchmarks.judges import Judge, add_options, jury, named_file, settings
from benchmarks.outside import OUTSIDE, OutsideEncoder, cut, place

LANDMARKS = ARCFACE_TEMPLATE.astype(np.float32) + np.float32(40)


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (200, 200, 3), dtype=np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An "encoder" that says the mean colour of the left and of the right half."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto
    axes = onnx.numpy_helper.from_array(np.array([1, 2], np.int64), "axes")
    split = onnx.numpy_helper.from_array(np.array([56, 56], np.int64), "halves")
    graph = helper.make_graph(
        [
            helper.make_node("Split", ["images", "halves"], ["left", "right"], axis=2),
            helper.make_node("ReduceMean", ["left", "axes"], ["l"], keepdims=0),
            helper.make_node("ReduceMean", ["right", "axes"], ["r"], keepdims=0),
            helper.make_node("Concat", ["l", "r"], ["embedding"], axis=1),
        ],
        "halves",
        [helper.make_tensor_value_info("images", kind.FLOAT, ["N", 112, 112, 3])],
        [helper.make_tensor_value_info("embedding", kind.FLOAT, ["N", 6])],
        [axes, split],
    )
    opsets = [helper.make_opsetid("", 18)]
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def test_a_template_in_place_stays_where_it_is() -> None:
    assert place(ARCFACE_TEMPLATE, 112, 112) == pytest.approx(ARCFACE_TEMPLATE)


def test_up_is_towards_the_top() -> None:
    moved = place(ARCFACE_TEMPLATE, 112, 160, up=6) - place(ARCFACE_TEMPLATE, 112, 160)
    assert moved == pytest.approx(np.tile([0.0, -6.0], (5, 1)))


@pytest.mark.parametrize("name", OUTSIDE)
def test_the_landmarks_land_where_the_feed_wants_them(name: str, photo: np.ndarray) -> None:
    for feed in OUTSIDE[name]:
        marked = np.zeros_like(photo)
        x, y = LANDMARKS[2].round().astype(int)
        marked[y - 1 : y + 2, x - 1 : x + 2] = 255
        chip = cut(marked, LANDMARKS, feed)
        assert chip.shape == (feed.px, feed.px, 3)
        row, column = np.unravel_index(np.argmax(chip[..., 0].astype(int)), chip.shape[:2])
        assert np.hypot(*(feed.template[2] - [column, row])) < 5


def test_an_embedding_does_not_see_left_and_right(model: Path, photo: np.ndarray) -> None:
    encoder = OutsideEncoder("mobilefacenet", model, threads=1)
    (feed,) = encoder.feeds
    # Red on the left, dark green on the right, little blue.
    ramp = np.linspace(0, 255, 200)
    photo[:] = np.stack([255 - ramp, ramp / 3, 0 * ramp + 30], axis=1).astype(np.uint8)
    points = (place(ARCFACE_TEMPLATE, ARCFACE_PX, 200)).astype(np.float32)
    here = encoder.embed(photo, points, feed=feed)
    # Mirrored, left and right landmarks change their names.
    turned = points[[1, 0, 2, 4, 3]] * [-1, 1] + [199, 0]
    there = encoder.embed(np.ascontiguousarray(photo[:, ::-1]), turned, feed=feed)
    assert encoder.dims == 6
    assert not encoder.reads_attributes
    assert there == pytest.approx(here, abs=0.05)
    assert here[0] > here[2] + 0.5
    assert here[:3] == pytest.approx(here[3:], abs=1e-5)


def options(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(given)


def test_who_has_no_file_is_named_as_skipped(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = options("--judge", f"mobilefacenet={model}", "--second", str(tmp_path / "none.onnx"))
    found = jury(asked)
    names = [judge.name for judge in found.judges]
    assert names == ["built-in", "dlib, plain", "SFace, whole chip", "MobileFaceNet"]
    assert [judge.used_inside for judge in found.judges] == [True, True, True, False]
    assert found.skipped["faceres"] == "the file given is not there"
    assert "--judge facenet=FILE" in found.skipped["facenet"]
    assert "skipped: facenet" in capsys.readouterr().out
    assert list(found.as_counts["sha256_of_encoders"]) == ["mobilefacenet"]


def test_files_stay_out_of_the_settings(model: Path) -> None:
    asked = options("--judge", f"mobilefacenet={model}", "--second", str(model))
    assert settings(asked) == settings(options()) == {"threads": 1}


@pytest.mark.parametrize("text", ["facenet", "facenet=", "nobody=x.onnx", ""])
def test_a_judge_is_a_known_name_and_a_file(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="NAME=FILE"):
        named_file(text)


def test_embeddings_are_kept_by_what_they_depend_on(tmp_path: Path, photo: np.ndarray) -> None:
    calls = []

    def embed(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        calls.append(len(image))
        return np.array([float(image[0, 0, 0]), float(landmarks[0, 0])])

    judge = Judge("fake", embed, 2, "cosine", False, version="1")
    images, where = [photo, photo], [LANDMARKS, None]
    first = judge.all(images, where, tmp_path)
    assert np.isnan(first[1]).all()
    assert not np.isnan(first[0]).any()
    np.testing.assert_array_equal(judge.all(images, where, tmp_path), first)
    assert len(calls) == 1
    judge.all([photo, photo[::-1]], where, tmp_path)
    judge.all(images, [LANDMARKS + 1, None], tmp_path)
    Judge("fake", embed, 2, "cosine", False, version="2").all(images, where, tmp_path)
    assert len(calls) == 4
    Judge("fake", embed, 2, "cosine", False).all(images, where, tmp_path)
    Judge("fake", embed, 2, "cosine", False).all(images, where, tmp_path)
    assert len(calls) == 6
