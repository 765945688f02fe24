"""The endless source: pictures, labels that mean something, and the same again on request."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")
pytest.importorskip("onnx", reason="reading the shipped generator needs onnx")

from anonyface.errors import InputError  # noqa: E402
from generators import endless  # noqa: E402
from generators.endless import EndlessSource, choose  # noqa: E402
from generators.labellers import (  # noqa: E402
    LABEL_NAMES,
    UNKNOWN,
    Forecast,
    Teachers,
    labelled_styles,
    to_pixels,
)

pytestmark = pytest.mark.models

OLD = [LABEL_NAMES.index("female 60+"), LABEL_NAMES.index("male 60+")]


def seeded(seed: int) -> Any:
    return torch.Generator().manual_seed(seed)


class Counting:
    """A labeller that gives the classes in turn, and forgets every third portrait."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, w: Any, images: Any) -> Any:
        assert w.shape == (len(images), 512)
        assert images.shape[1:] == (3, 256, 256)
        numbers = torch.arange(self.seen, self.seen + len(images))
        self.seen += len(images)
        return torch.where(numbers % 3 == 2, UNKNOWN, numbers % len(LABEL_NAMES))


@pytest.fixture(scope="module")
def source() -> EndlessSource:
    return EndlessSource(32, 1)


def test_a_batch(source: EndlessSource) -> None:
    assert source.resolution == 32
    assert source.label_names == LABEL_NAMES
    assert len(set(LABEL_NAMES)) == 8
    images, labels = source.batch(3, seeded(0))
    assert images.shape == (3, 3, 32, 32)
    assert labels.shape == (3, 8)
    assert images.dtype == labels.dtype == torch.float32
    assert images.abs().max() <= 1
    assert images.std(dim=0).mean() > 0.2  # different people
    assert torch.equal(labels.sum(dim=1), torch.ones(3))
    again = source.batch(3, seeded(0))
    assert torch.equal(again[0], images)
    assert torch.equal(again[1], labels)


def test_portraits_that_nobody_can_label_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    source = EndlessSource(8, 1, balanced=False, labeller=Counting())
    rendered = []
    render = source.generator.render

    def watch(w: Any) -> Any:
        rendered.append(len(w))
        return render(w)

    monkeypatch.setattr(source.generator, "render", watch)
    images, labels = source.batch(4)
    assert len(images) == len(labels) == 4
    assert sum(rendered) > 4
    classes = labels.argmax(dim=1).tolist()
    assert classes == [0, 1, 3, 4]  # 2 was unknown
    monkeypatch.setattr(source.generator, "render", lambda w: torch.zeros(len(w), 3, 256, 256))
    assert len(source.batch(1000)[0]) == 1000  # many rounds, but none of them in vain
    blind = EndlessSource(8, 1, balanced=False, labeller=lambda w, _: torch.full((len(w),), -1))
    monkeypatch.setattr(blind.generator, "render", lambda w: torch.zeros(len(w), 3, 256, 256))
    with pytest.raises(RuntimeError, match="knew 0 of 2 portraits"):
        blind.batch(2)


def test_the_seed_is_that_of_batches_without_random_numbers() -> None:
    sources = [EndlessSource(8, s, balanced=False, labeller=Counting()) for s in (3, 3, 4)]
    first, same, other = (source.styles(2, source.rng) for source in sources)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_truncation_stays_in_its_range(source: EndlessSource) -> None:
    near, far = (
        EndlessSource(8, 0, psi=psi, balanced=False, labeller=Counting())
        for psi in ((0.1, 0.1), (0.9, 0.9))
    )
    mean = source.generator.w_avg
    distances = [(s.styles(50, seeded(1)) - mean).norm(dim=1).mean() for s in (near, far)]
    assert float(distances[1] / distances[0]) == pytest.approx(9, rel=1e-3)


def test_rare_classes_are_sought_out(source: EndlessSource) -> None:
    assert source.forecast is not None
    plain = EndlessSource(8, 0, balanced=False, labeller=Counting())
    chosen = source.forecast(source.styles(96, seeded(2))).mean(dim=0)
    natural = source.forecast(plain.styles(960, seeded(2))).mean(dim=0)
    for rare in OLD:
        assert chosen[rare] > 3 * natural[rare]
    assert chosen.max() < 0.8 * natural.max()


def test_choose_takes_the_likely_ones_once_each() -> None:
    likely = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    picked = choose(likely, torch.tensor([1, 0, 1, 0]), seeded(0)).tolist()
    assert set(picked[::2]) == {1, 2}
    assert set(picked[1::2]) == {0, 3}
    # More are wanted than there are: anybody is better than nobody.
    assert sorted(choose(likely, torch.tensor([1, 1, 1, 1]), seeded(0)).tolist()) == [0, 1, 2, 3]
    share = torch.tensor([[1 / 3], [2 / 3]])  # 1 to 4 when squared
    rng = seeded(1)
    firsts = [int(choose(share, torch.tensor([0]), rng)[0]) for _ in range(400)]
    assert sum(firsts) / 400 == pytest.approx(0.8, abs=0.06)


def test_the_forecast_knows_the_pool() -> None:
    w, classes = labelled_styles()
    found = Forecast(w.mean(dim=0))(w)
    right = (found.argmax(dim=1) == classes).float().mean()
    assert right > 0.65  # the most frequent class is a quarter of the pool
    torch.testing.assert_close(found.sum(dim=1), torch.ones(len(found)))


def test_teachers_agree_with_the_pool(source: EndlessSource) -> None:
    """Labels made here are those the runtime's search goes by."""
    assert source.forecast is not None
    w, classes = labelled_styles()
    sure = source.forecast(w).gather(1, classes[:, None])[:, 0]
    # The clearest case of four classes.
    rows = [int((sure * (classes == c)).argmax()) for c in (0, 1, 6, 7)]
    with torch.no_grad():
        images = source.generator.render(w[rows])
    assert torch.equal(Teachers()(w[rows], images), classes[rows])


def test_teachers_leave_out_whom_they_are_not_sure_of(monkeypatch: pytest.MonkeyPatch) -> None:
    from anonyface.errors import FaceError
    from anonyface.identities.traits import Traits

    teachers = Teachers()
    answers = iter([Traits(0.55, 20.0, ()), Traits(0.41, 20.0, ()), Traits(0.39, 20.0, ()), None])

    def traits(*_: Any) -> Traits:
        answer = next(answers)
        if answer is None:
            raise FaceError("no face", stage="test")
        return answer

    monkeypatch.setattr(teachers.looks, "traits", traits)
    monkeypatch.setattr(teachers.encoder, "views", lambda chip: chip)
    found = teachers(torch.zeros(4, 512), torch.zeros(4, 3, 256, 256))
    assert found.tolist() == [UNKNOWN, UNKNOWN, LABEL_NAMES.index("male 10-29"), UNKNOWN]


@pytest.mark.parametrize("resolution", [0, 4, 24, 512])
def test_a_bad_resolution_is_an_error(resolution: int) -> None:
    with pytest.raises(InputError, match="power of 2"):
        EndlessSource(resolution, 0)


@pytest.mark.parametrize("psi", [(0.9, 0.6), (0.0, 0.5), (0.5, 1.2)])
def test_a_bad_range_is_an_error(psi: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="psi must be a range"):
        EndlessSource(8, 0, psi=psi)


def test_a_stored_part_reads_as_a_folder_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = EndlessSource(16, 2, balanced=False, labeller=Counting())
    portraits = torch.linspace(-1, 1, 256).repeat(3, 256, 1)
    monkeypatch.setattr(small.generator, "render", lambda w: portraits.repeat(len(w), 1, 1, 1))
    monkeypatch.setattr(endless, "EndlessSource", lambda *_: small)
    path = tmp_path / "portraits.zip"
    options = ["--count", "20", "--resolution", "16", "--out", str(path)]
    assert endless.main(options) == 0
    with zipfile.ZipFile(path) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("labels.csv").decode())))
    assert len(rows) == 20
    assert {row["label"] for row in rows} == set(LABEL_NAMES)
    assert list(tmp_path.iterdir()) == [path]  # nothing half done is left
    from generators.sources import FolderSource

    source = FolderSource(path, resolution=16)
    images, labels = source.batch(4, seeded(0))
    assert labels.shape == (4, 8)
    small_image = torch.nn.functional.avg_pool2d(portraits[None], 16)
    torch.testing.assert_close(images[:1], small_image, atol=1.1 / 127.5, rtol=0)
    assert endless.main(options) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error:")
    assert "exists already" in error


def test_pixels_round_as_the_runtime_does() -> None:
    images = torch.tensor([-1.5, -1, 0, 0.999, 2]).reshape(1, 1, 1, 5).repeat(1, 3, 1, 1)
    assert to_pixels(images)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]
