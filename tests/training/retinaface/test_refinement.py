"""The refinement looks where the landmarks say, starts as SFace, learns, and is one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")
pytest.importorskip("onnx", reason="training/ needs the extra 'train'")
pytest.importorskip("matplotlib", reason="training/ needs the extra 'train'")

import onnx
import torch

from anonyface.errors import FaceError, InputError
from anonyface.runtime import engine, open_session
from anonyface.verification.alignment import ARCFACE_TEMPLATE
from training.manifest import WEIGHTS
from training.retinaface import refine, refiner
from training.retinaface.aligned import (
    CENTRE,
    SPAN,
    place,
    sample,
    similarity_solver,
)
from training.retinaface.anchor_heads import AnchorHeads, fit, read_rows
from training.retinaface.cache import GRIDS, Entry, build
from training.retinaface.compose import Sticker
from training.retinaface.embed import embed
from training.retinaface.export import assemble
from training.retinaface.faces import CachedFaces
from training.retinaface.network import RetinaFace
from training.retinaface.pictures import to_input
from training.retinaface.reading_loss import teacher_loss
from training.retinaface.refinement import Look, Refinement


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> Path:
    """A cache of the four people, three times each."""
    from training.retinaface.checkpoints import load_onnx

    folder = tmp_path_factory.mktemp("cache")
    many = [*entries, *entries, *entries]
    build((len(many), iter(many)), folder, load_onnx(WEIGHTS / "detector.onnx"))
    return folder


def moved(angle: float, size: float, x: float, y: float) -> torch.Tensor:
    """(1, 5, 2) the template, turned, scaled and moved."""
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (ARCFACE_TEMPLATE - np.array(CENTRE)) @ turn.T + (x, y)
    return torch.from_numpy(points.astype(np.float32))[None]


def test_the_grid_follows_the_face() -> None:
    face = moved(0.4, 1.7, 200, 150)
    corner = place(face, similarity_solver(), torch.tensor([[-SPAN / 2, -SPAN / 2], [0, 0]]))[0]
    turn = 1.7 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    np.testing.assert_allclose(corner[1], [200, 150], atol=1e-2)
    np.testing.assert_allclose(corner[0], turn @ [-SPAN / 2, -SPAN / 2] + (200, 150), atol=1e-2)


def test_sampling_reads_pixels_and_cells() -> None:
    ys, xs = torch.meshgrid(torch.arange(60.0), torch.arange(90.0), indexing="ij")
    where = torch.tensor([[[10.0, 20], [33.5, 7.25], [-9, 70], [89, 59]]])
    read = sample(torch.stack([xs, ys])[None], where, stride=1, side=2)
    expected = torch.tensor([[10.0, 33.5, 0, 89], [20, 7.25, 59, 59]])
    torch.testing.assert_close(read.reshape(2, 4), expected, atol=1e-3, rtol=1e-4)
    coarse = sample(torch.stack([xs, ys])[None, :, ::4, ::4], where[:, :2], stride=4, side=1)
    assert coarse.shape == (2, 2, 1, 1)
    torch.testing.assert_close(coarse[:, 0, 0, 0], torch.tensor([10.0, 33.5]), atol=1e-3, rtol=1e-4)


def test_the_cached_picture_is_what_the_graph_reads(cache: Path) -> None:
    faces = CachedFaces(cache)
    assert len(faces.found) == 12
    read, _ = Look(pooled=False)(
        to_input(np.array(faces.pixels[:1])), [], torch.from_numpy(faces.landmarks[:1])
    )
    want = to_input(faces.picture(0, None)[None])
    assert float((read - want).abs().mean()) < 1.0
    assert float(want.std()) > 20


def test_training_pictures_vary_and_keep_the_face(cache: Path) -> None:
    faces, rng = CachedFaces(cache), np.random.default_rng(0)
    plain = faces.picture(0, None)
    others = [faces.picture(0, rng) for _ in range(8)]
    assert all(o.shape == plain.shape for o in others)
    assert len({o.tobytes() for o in others}) == 8
    batch = faces.batch([0, 1, 3], np.random.default_rng(1))
    assert batch.gender[:, 1].tolist() == [1, 0, 0]
    assert batch.age.argmax(1).tolist() == [3, 4, 1]
    torch.testing.assert_close(batch.age.sum(1), torch.ones(3))
    assert {n: tuple(m.shape[2:]) for n, m in batch.maps.items()} == {
        n: (s, s) for n, (_, s) in GRIDS.items()
    }


def test_it_starts_as_sface() -> None:
    model = onnx.load(WEIGHTS / "second-encoder.onnx")
    inner = "conv_12_relu"
    model.graph.output.append(onnx.helper.make_tensor_value_info(inner, 1, None))
    session = engine().InferenceSession(model.SerializeToString())
    chip = np.random.default_rng(0).uniform(0, 255, (1, 3, 112, 112)).astype(np.float32)
    (want,) = session.run([inner], {"chips": chip})
    network = Refinement()
    branch = network.picture
    branch.start_from_sface(WEIGHTS / "second-encoder.onnx")
    branch.first.stride = (1, 1)
    network.morph(0.0)
    x = (torch.from_numpy(chip) - 127.5) / 128
    with torch.no_grad():
        got = branch.blocks(branch.first_slope(branch.first(x)))
        network.morph(1.0)
        other = branch.blocks(branch.first_slope(branch.first(x)))
    np.testing.assert_allclose(got, want, atol=1e-4)
    assert not np.allclose(other, want, atol=1e-2)


SETTINGS = refiner.Settings(epochs=4, batch=5, rate=6e-3, trunk_rate=3e-4)


def test_it_learns_and_goes_on(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refiner, "WARM_UP", 2)
    monkeypatch.setattr(refiner, "MORPH_STEPS", 4)
    torch.set_num_threads(1)

    def run() -> refine.Run:
        return refine.Run(tmp_path, [cache], SETTINGS, device=torch.device("cpu"), seed=0)

    training = run()
    assert len(training.rows) == 10
    assert not {r for _, r in training.rows} & set(training.held_out.tolist())
    training.leg(seconds=0)
    assert training.refiner.step_number == 1
    again = run()
    again.resume()
    again.leg(seconds=1e9)
    history = again.recorder.history
    assert len(history) == 4 + 1
    assert history[-1]["loss"] < 0.75 * history[0]["loss"]
    assert history[-1]["loss_held_out"] < history[0]["loss_held_out"]
    assert again.refiner.morphed() == 1
    back = refiner.load_refinement(tmp_path / refine.STATE)
    batch = training.sources[0].batch([0], None)
    with torch.no_grad():
        torch.testing.assert_close(
            back(batch.picture, batch.maps).gender,
            again.refiner.averaged()(batch.picture, batch.maps).gender,
        )
    other = refine.Run(
        tmp_path, [cache], replace(SETTINGS, rate=1.0), device=torch.device("cpu"), seed=0
    )
    with pytest.raises(InputError, match="other settings"):
        other.resume()


@pytest.fixture(scope="module")
def exported() -> object:
    """An exported file with a refinement that knows nothing, but not always the same."""
    from training.retinaface.checkpoints import load_onnx

    torch.manual_seed(3)
    refinement = Refinement().eval()
    torch.nn.init.normal_(refinement.gender.weight, std=0.5)
    return assemble(load_onnx(WEIGHTS / "detector.onnx"), refinement)


def test_one_file_finds_as_before_and_reads(exported: object, scene: np.ndarray) -> None:
    size = len(exported.SerializeToString())
    assert size < 6e6
    session = engine().InferenceSession(exported.SerializeToString())
    blob = to_input(scene[None, :576, :544]).numpy()
    names = ["loc", "conf", "landmarks", "gender", "age", "picked"]
    loc, conf, points, gender, age, picked = session.run(names, {"input": blob})
    shipped = open_session("detector", threads=1).run(names[:3], {"input": blob})
    for got, want in zip((loc, conf, points), shipped, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-4)
    assert (gender.shape, age.shape, picked.shape) == ((0, 2), (0, 9), (0,))

    feeds = {"input": blob, "least": np.array([0.5], np.float32)}
    *_, gender, age, picked = session.run(names, feeds)
    assert len(picked) >= 4
    assert (conf[0, picked, 1] >= 0.5).all()
    np.testing.assert_allclose(gender.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(age.sum(1), 1, atol=1e-5)
    assert np.ptp(gender[:, 0]) > 1e-3


def test_faces_from_elsewhere_read_the_same(exported: object, scene: np.ndarray) -> None:
    session = engine().InferenceSession(exported.SerializeToString())
    blob = to_input(scene[None, :576, :544]).numpy()
    names = ["landmarks", "gender", "age", "picked"]
    points, gender, age, picked = session.run(
        names, {"input": blob, "least": np.array([0.5], np.float32)}
    )
    from training.retinaface.anchors import decode_landmarks, priors

    faces = decode_landmarks(torch.from_numpy(points[0, picked]), priors((576, 544))[picked])
    given = session.run(names, {"input": blob, "faces": faces.numpy()})
    np.testing.assert_allclose(given[1], gender, atol=1e-4)
    np.testing.assert_allclose(given[2], age, atol=1e-4)
    assert len(given[3]) == 0


def test_plain_heads_are_copied_into_the_network(
    cache: Path, detector: RetinaFace, stickers: list[Sticker]
) -> None:
    faces = CachedFaces(cache, pooled=False)
    data = read_rows(faces, faces.found, np.load(cache / "anchors.npy"))
    heads = fit(data, epochs=150)
    with torch.no_grad():
        reading = heads(data.features, data.head)
    right = (reading.gender.argmax(1) == data.gender.argmax(1)).float()
    assert float(right.mean()) > 0.8
    heads.copy_to(detector)
    image = to_input(stickers[0].pixels[None])
    with torch.no_grad():
        outputs = detector(image)
        _, contexts = detector.features(image)
        third = contexts[1].permute(0, 2, 3, 1).reshape(-1, 64)[3:4]
        want = heads(third, torch.tensor([3]))  # stride 16, the larger anchor
    anchor = 2 * contexts[0][0, 0].numel() + 2 * 3 + 1
    torch.testing.assert_close(outputs.gender[0, anchor], want.gender[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(outputs.age[0, anchor], want.age[0], atol=1e-4, rtol=1e-4)
    assert AnchorHeads().weight.shape == (6, 64, 11)


def test_embeddings_are_added_once_and_reach_the_batch(cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in cache.glob("*.npy"):
        (folder / file.name).symlink_to(file)
    asked = []

    def encode(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        asked.append(landmarks)
        if len(asked) == 2:
            raise FaceError("degenerate", stage="verification")
        return np.eye(128, dtype=np.float32)[len(asked)]

    embed(folder, "sface", encode, limit=3)
    batch = CachedFaces(folder).batch([0, 1, 2, 3], None)
    assert batch.teachers["sface"].isfinite().all(1).tolist() == [True, False, True, False]
    assert batch.teachers["dlib"].isnan().all()
    assert teacher_loss(batch.teachers["sface"].nan_to_num(), batch.teachers["sface"]) < 1e-6
    embed(folder, "sface", encode, limit=3)
    assert len(asked) == 4  # the one that failed is tried again, the others are not
    said = torch.ones(4, 128, requires_grad=True)
    assert float(teacher_loss(said, batch.teachers["dlib"]).detach()) == 0
    assert float(teacher_loss(said, batch.teachers["sface"]).detach()) > 0.5
