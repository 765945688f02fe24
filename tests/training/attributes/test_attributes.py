"""The reader of gender, age and group: its data, that it learns, goes on, and is exported whole."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="training/ needs the extra 'train'")
pytest.importorskip("onnx", reason="training/ needs the extra 'train'")
pytest.importorskip("safetensors", reason="training/ needs the extra 'train'")

from generators.features import FeatureNetwork  # noqa: E402
from training.attributes import chips  # noqa: E402
from training.attributes.export import Reader, load_trained, to_onnx  # noqa: E402
from training.attributes.network import SIDE, AttributeNetwork, to_input  # noqa: E402
from training.attributes.train import Run, accuracy, answers, batches, loss  # noqa: E402
from training.convert.onnx_tools import run_onnx, store_half  # noqa: E402

from ...feature_weights import made_up_backbone  # noqa: E402

LABELS = (("Female", "3-9", "White"), ("Male", "30-39", "Black"), ("Female", "60-69", "Indian"))


@pytest.fixture(scope="module")
def backbone() -> FeatureNetwork:
    return made_up_backbone()


@pytest.fixture(scope="module")
def faces(people: list[NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip file in FairFace's layout with three generated people, cropped as tightly, twice."""
    path = tmp_path_factory.mktemp("fairface") / "made-up.zip"
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["file", "age", "gender", "race"])
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(6):
            gender, age, race = LABELS[number % 3]
            tight = people[number % 3][290:910, 200:820]
            small = cv2.resize(tight, (160, 160), interpolation=cv2.INTER_AREA)
            data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1].tobytes()
            archive.writestr(f"{number}.jpg", data)
            rows.writerow([f"{number}.jpg", age, gender, race])
        archive.writestr("labels.csv", table.getvalue())
    return path


@pytest.fixture(scope="module")
def data(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> chips.Chips:
    return chips.load(faces, tmp_path_factory.mktemp("cache"))


def test_faces_are_read_once_with_their_labels(
    faces: Path, data: chips.Chips, tmp_path: Path
) -> None:
    assert len(data.rows) == 6
    assert data.labels[:3].tolist() == [[1, 1, 6], [0, 4, 0], [1, 7, 2]]
    first = chips.load(faces, tmp_path)
    faces_before = (tmp_path / f"chips-{faces.stem}" / "rows.npy").stat().st_mtime_ns
    again = chips.load(faces, tmp_path)
    assert (tmp_path / f"chips-{faces.stem}" / "rows.npy").stat().st_mtime_ns == faces_before
    np.testing.assert_array_equal(first.pixels, again.pixels)


def test_faces_are_upright_and_in_the_middle(data: chips.Chips) -> None:
    """The eyes' dark pupils lie where the encoder's template has the eyes."""
    face = cv2.cvtColor(data.face(1), cv2.COLOR_RGB2GRAY)
    assert face.shape == (SIDE, SIDE)
    middle = face[30:50].astype(float)  # rows around the eyes, at 46 / 150 of the side
    cheeks = face[62:76, 24:104].astype(float)
    for left, right in ((28, 52), (76, 100)):
        assert middle[:, left:right].min() < cheeks.mean() - 40


def test_each_look_is_another_but_follows_its_seed(data: chips.Chips) -> None:
    looks = [data.face(0, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(looks[0], looks[1])
    assert np.abs(looks[0].astype(int) - looks[2]).mean() > 5


def test_split_is_always_the_same_and_apart() -> None:
    train, held = chips.split(1000)
    assert len(held) == 200
    assert not set(train) & set(held)
    assert len(train) + len(held) == 1000
    np.testing.assert_array_equal(held, chips.split(1000)[1])


def test_it_learns_three_people_by_heart(
    backbone: FeatureNetwork, data: chips.Chips, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From random weights: also the frozen first stages, which stay as they are."""
    monkeypatch.setattr("training.attributes.train.WARM_UP", 4)
    run = Run(backbone, steps=40)
    still = [p.clone() for p in run.network.backbone.stem.parameters()]
    faces = to_input(torch.from_numpy(np.stack([data.face(i) for i in range(6)])))
    labels = torch.from_numpy(data.labels)
    losses = [run.step(faces, labels) for _ in range(40)]
    assert losses[-1] < 0.6 * losses[0]
    run.network.eval()
    with torch.no_grad():
        said = run.network(faces)
    assert said.gender.argmax(1).tolist() == data.labels[:, 0].tolist()
    for before, after in zip(still, run.network.backbone.stem.parameters(), strict=True):
        assert torch.equal(before, after)


def test_a_leg_goes_on_where_the_last_one_stopped(
    backbone: FeatureNetwork, data: chips.Chips, tmp_path: Path
) -> None:
    faces = to_input(torch.from_numpy(np.stack([data.face(i) for i in range(6)])))
    labels = torch.from_numpy(data.labels)
    whole, first, second = (Run(backbone, steps=4) for _ in range(3))
    torch.manual_seed(1)
    for _ in range(2):
        first.step(faces, labels)
    first.save(tmp_path, [{"epoch": 1.0, "loss": 2.0}])
    assert second.resume(tmp_path) == [{"epoch": 1.0, "loss": 2.0}]
    assert second.done == 2
    for run in (first, second):
        torch.manual_seed(2)
        run.step(faces, labels)
    for a, b in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(whole.network.heads.weight, first.network.heads.weight)


def test_batches_leave_the_incomplete_last_one_out(
    data: chips.Chips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.attributes.train.BATCH", 4)
    found = list(batches(data, np.arange(6), np.random.default_rng(0)))
    assert [len(labels) for _, labels in found] == [4]
    assert found[0][0].shape == (4, 3, SIDE, SIDE)
    assert -1 <= float(found[0][0].min()) < float(found[0][0].max()) <= 1


def test_every_trait_counts_in_the_loss(backbone: FeatureNetwork, data: chips.Chips) -> None:
    network = AttributeNetwork(backbone).eval()
    said = network(to_input(torch.from_numpy(np.stack([data.face(i) for i in range(6)]))))
    right = torch.from_numpy(data.labels)
    values = [float(loss(said, right).detach())]
    for column, classes in ((0, 2), (1, 9), (2, 7)):
        other = right.clone()
        other[:, column] = (other[:, column] + 1) % classes
        values.append(float(loss(said, other).detach()))
    assert len(set(values)) == 4


def test_accuracy_counts_what_is_right() -> None:
    labels = np.array([[1, 1, 6], [0, 4, 0], [1, 7, 2], [0, 8, 3]])
    said = {
        "gender": np.eye(2, dtype=np.float32)[[1, 0, 0, 0]],
        "age": np.eye(9, dtype=np.float32)[[0, 5, 8, 2]] * 9,  # the class of the first three
        "group": np.eye(7, dtype=np.float32)[[6, 1, 1, 1]],
    }
    assert accuracy(said, labels) == {"gender": 0.75, "age class": 0.75, "group": 0.25}


def test_the_file_says_what_the_network_says(
    backbone: FeatureNetwork, data: chips.Chips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(backbone, steps=4)
    run.save(tmp_path, [])
    monkeypatch.setattr("training.attributes.export.load_features", lambda cache: backbone)
    network = load_trained(tmp_path, tmp_path)
    faces = np.stack([data.face(i) for i in range(3)]).transpose(0, 3, 1, 2).astype(np.float32)
    want = Reader(network)(torch.from_numpy(faces)).numpy()
    model = to_onnx(network)
    got = run_onnx(model, {"faces": faces})["logits"]
    np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())  # sums in another order
    half = run_onnx(store_half(model), {"faces": faces[:1]})["logits"]
    # Half precision keeps 11 bits of each weight; errors of some fifty layers add up.
    np.testing.assert_allclose(half, want[:1], atol=2e-2 * np.abs(want).max())
    logits = answers(network, data, np.arange(2))  # of picture and mirror image together
    assert [logits[n].shape for n in ("gender", "age", "group")] == [(2, 2), (2, 9), (2, 7)]
