"""Runs: a tiny network learns, lazy regularisers run, legs continue, misuse is one clear line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")
pytest.importorskip("safetensors", reason="training needs the extra 'train' (safetensors)")

from torch import Tensor  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from anonyface.errors import InputError  # noqa: E402
from generators import train  # noqa: E402
from generators.checkpoint import load_state_dicts  # noqa: E402
from generators.frechet import frechet_distance, moments  # noqa: E402
from generators.legs import BEST, STATE  # noqa: E402
from generators.presets import PRESETS, Preset, find_preset  # noqa: E402
from generators.progress import Judge  # noqa: E402
from generators.sources import FolderSource  # noqa: E402
from generators.state import load_state, save_state  # noqa: E402
from generators.trainer import Trainer, TrainingError  # noqa: E402

TINY = Preset(
    resolution=16,
    batch=8,
    channel_base=256,
    channel_max=16,
    z_dim=8,
    w_dim=8,
    mapping_layers=1,
    d_architecture="resnet",
    learning_rate=0.005,
    r1_gamma=0.05,
    r1_interval=4,
    path_interval=3,
    ema_images=200,
    ada_ramp_images=2000,
    snapshot_images=32,
    metric_images=20,
    metric_side=32,
)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums have one order
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen discs of two kinds: orange ones on blue, green ones on black."""
    folder = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16]
    for kind, ground, disc in (("a", (20, 40, 160), (240, 140, 20)), ("b", (0, 0, 0), (0, 200, 0))):
        (folder / kind).mkdir()
        for index in range(8):
            centre = rng.uniform(6, 10, 2)
            inside = np.hypot(x - centre[0], y - centre[1]) < rng.uniform(3, 5)
            pixels = np.where(inside[..., None], disc, ground).astype(np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def source(data: Path) -> FolderSource:
    return FolderSource(data, resolution=16)


def train_for(trainer: Trainer, source: FolderSource, steps: int) -> list[dict[str, float]]:
    return [trainer.step(*source.batch(trainer.preset.batch, trainer.rng)) for _ in range(steps)]


def distance(trainer: Trainer, source: FolderSource) -> float:
    """Frechet distance of 4x4 thumbnails."""
    rng = torch.Generator().manual_seed(5)
    real, labels = source.batch(200, rng)
    with torch.no_grad():
        fake = trainer.G_ema(torch.randn(200, 8, generator=rng), labels, noise="const")
    return frechet_distance(*(moments(F.avg_pool2d(x, 4).flatten(1)) for x in (real, fake)))


def test_a_tiny_network_learns_a_few_images(source: FolderSource) -> None:
    trainer = Trainer(TINY, c_dim=2, device=CPU, seed=0)
    before = distance(trainer, source)
    losses = train_for(trainer, source, 120)
    after = distance(trainer, source)
    assert after < 0.35 * before, (before, after)
    assert all(np.isfinite(list(step.values())).all() for step in losses)
    # Asked for the orange ones, the middle is redder than asked for the green ones.
    with torch.no_grad():
        z = torch.randn(32, 8, generator=torch.Generator().manual_seed(9))
        kinds = [trainer.G_ema(z, torch.eye(2)[[k] * 32], noise="const") for k in (0, 1)]
    red = [float(images[:, 0, 6:10, 6:10].mean()) for images in kinds]
    assert red[0] > red[1] + 0.3


def test_regularisers_run_at_their_intervals(source: FolderSource) -> None:
    trainer = Trainer(TINY, c_dim=2, device=CPU, seed=0)
    losses = train_for(trainer, source, 9)
    assert [i for i, step in enumerate(losses) if "r1" in step] == [0, 4, 8]
    assert [i for i, step in enumerate(losses) if "path" in step] == [0, 3, 6]
    assert float(trainer.path.mean) > 0
    assert trainer.images == 72
    assert trainer.G.mapping.w_avg.abs().max() > 0


@pytest.mark.parametrize("noise", ["random", "none"])
def test_noise_is_learned_only_when_asked(noise: Any, source: FolderSource) -> None:
    trainer = Trainer(replace(TINY, noise=noise), c_dim=2, device=CPU, seed=0)
    train_for(trainer, source, 2)
    strengths = [p for n, p in trainer.G.named_parameters() if n.endswith("noise_strength")]
    assert len(strengths) == 5
    assert all(bool(p) == (noise == "random") for p in strengths)


@pytest.mark.parametrize("name", ["r1", "path"])
def test_regularisers_move_their_network(name: str, source: FolderSource) -> None:
    trainer = Trainer(TINY, c_dim=2, device=CPU, seed=0)
    network = trainer.D if name == "r1" else trainer.G
    before = [p.clone() for p in network.parameters()]
    images, labels = source.batch(8, trainer.rng)
    if name == "r1":
        trainer._learn_r1(images, labels)
    else:
        trainer._learn_path(labels)
    assert any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_the_augmentation_rises_when_the_discriminator_is_sure(source: FolderSource) -> None:
    trainer = Trainer(TINY, c_dim=2, device=CPU, seed=0)
    trainer.D.b4.out.bias.data += 100  # every verdict is "real"
    train_for(trainer, source, 4)
    assert trainer.ada.p == pytest.approx(4 * 8 / 2000)
    assert float(trainer.augment.p) == pytest.approx(trainer.ada.p)


def test_a_loss_that_is_not_finite_ends_the_run(source: FolderSource) -> None:
    trainer = Trainer(TINY, c_dim=2, device=CPU, seed=0)
    trainer.D.b4.out.bias.data[:] = float("nan")
    with pytest.raises(TrainingError, match="nan"):
        train_for(trainer, source, 1)


def everything(trainer: Trainer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.tensors().items()}


def test_a_resumed_run_is_the_same_run(source: FolderSource, tmp_path: Path) -> None:
    straight = Trainer(TINY, c_dim=2, device=CPU, seed=3)
    straight.augment.set_probability(0.4)
    straight.ada.p = 0.4
    train_for(straight, source, 7)
    save_state(tmp_path / "s", straight.tensors(), straight.facts(), precision="full")
    expected = train_for(straight, source, 7)

    resumed = Trainer(TINY, c_dim=2, device=CPU, seed=99)
    resumed.restore(*load_state(tmp_path / "s"))
    assert train_for(resumed, source, 7) == expected
    assert resumed.facts() == straight.facts()
    ours, theirs = everything(resumed), everything(straight)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_a_state_in_half_precision_is_small_and_close(source: FolderSource, tmp_path: Path) -> None:
    trainer = Trainer(TINY, c_dim=2, device=CPU, seed=0)
    train_for(trainer, source, 3)
    full, half, bare = (tmp_path / name for name in ("full", "half", "bare"))
    save_state(full, trainer.tensors(), trainer.facts(), precision="full")
    save_state(half, trainer.tensors(), trainer.facts(), precision="half")
    save_state(bare, trainer.tensors(optimisers=False), trainer.facts(), precision="half")
    assert half.stat().st_size < 0.7 * full.stat().st_size
    assert bare.stat().st_size < 0.7 * half.stat().st_size
    resumed = Trainer(TINY, c_dim=2, device=CPU, seed=1)
    for path in (half, bare):
        resumed.restore(*load_state(path))
        for name, tensor in trainer.tensors(optimisers=path == half).items():
            ours = resumed.tensors()[name]
            assert ours.dtype == tensor.dtype, name
            assert torch.allclose(ours.double(), tensor.double(), rtol=0.005, atol=1e-5), name
    train_for(resumed, source, 1)


def test_values_beyond_half_precision_survive(tmp_path: Path) -> None:
    tensors = {"G.w": torch.tensor([1e6, -3.0]), "exact.x": torch.tensor([1.00001])}
    tensors["optimiser.v"] = torch.tensor([1e-20])
    save_state(tmp_path / "s", tensors, {"a": 1})
    loaded, facts = load_state(tmp_path / "s")
    assert facts == {"a": 1}
    assert torch.allclose(loaded["G.w"], tensors["G.w"], rtol=0.01)
    assert torch.equal(loaded["exact.x"], tensors["exact.x"])
    assert loaded["optimiser.v"].item() == pytest.approx(1e-20, rel=0.01)


def test_a_save_that_fails_leaves_the_old_state(tmp_path: Path) -> None:
    save_state(tmp_path / "s", {"a": torch.ones(2)}, {"step": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        save_state(tmp_path / "s", {"a": torch.zeros(2)}, {"step": float("nan")})
    tensors, facts = load_state(tmp_path / "s")
    assert facts == {"step": 1}
    assert tensors["a"].sum() == 2
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize("content", [b"", b"no state", b"\x80\x04.", bytes(100)])
def test_files_that_are_no_states_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(InputError, match="damaged or no state"):
        load_state(tmp_path / "s")


def test_states_of_other_settings_are_refused(source: FolderSource) -> None:
    trainer = Trainer(TINY, c_dim=2, device=CPU, seed=0)
    tensors, facts = trainer.tensors(), trainer.facts()
    with pytest.raises(InputError, match="other settings or classes"):
        Trainer(TINY, c_dim=0, device=CPU, seed=0).restore(tensors, facts)
    del tensors["G.synthesis.b4.const"]
    with pytest.raises(InputError, match="does not fit"):
        trainer.restore(tensors, facts)


def arguments(data: Path | str, out: Path, *more: str, preset: str = "tiny") -> list[str]:
    return ["--data", str(data), "--out", str(out), "--preset", preset, "--threads", "1", *more]


def test_the_command_trains_in_legs(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="curves need the extra 'train' (matplotlib)")
    out = tmp_path / "run"
    assert train.main(arguments(data, out, "--kimg", "0.04", "--state", "full")) == 0
    first = load_state(out / STATE)[1]
    assert first["images"] == 40
    assert train.main(arguments(data, out, "--kimg", "0.08", "--resume", "--state", "full")) == 0
    tensors, facts = load_state(out / STATE)
    assert facts["images"] == 80
    history = json.loads((out / "history.json").read_text())
    assert [r["images"] for r in history["history"]] == [0, 32, 40, 64, 80]
    assert history["label_names"] == ["a", "b"]
    assert {"generator", "discriminator", "sign"} <= history["history"][-1].keys()
    with Image.open(out / "samples-000000080.png") as sheet:
        assert sheet.size == (2 * 16, 6 * 16)  # a column a class
        assert np.asarray(sheet).std() > 1
    with Image.open(out / "curves.png") as curves:
        assert np.asarray(curves).std() > 1
    # Legs make no difference, and any reader of checkpoints can use the state.
    straight = tmp_path / "straight"
    assert train.main(arguments(data, straight, "--kimg", "0.08", "--state", "full")) == 0
    networks = load_state_dicts(straight / STATE)
    for name, tensor in networks["G_ema"].items():
        assert torch.equal(tensor, tensors[f"G_ema.{name}"]), name
    capsys.readouterr()


def test_a_leg_stops_by_itself(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="curves need the extra 'train' (matplotlib)")
    assert train.main(arguments(data, tmp_path / "run", "--minutes", "0")) == 0
    assert load_state(tmp_path / "run" / STATE)[1]["images"] == 0


def test_the_best_generator_is_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="curves need the extra 'train' (matplotlib)")
    distances = iter([5.0, 3.0, 4.0])

    class Fixed:
        def distance(self, generator: Any) -> float:
            return next(distances)

    run = train.Run(
        tmp_path / "run",
        name="tiny",
        source=FolderSource(data, resolution=16),
        device=CPU,
        seed=0,
    )
    run.judge = Fixed()  # type: ignore[assignment]
    run.leg(images=64, seconds=float("inf"))
    facts = load_state(tmp_path / "run" / BEST)[1]
    assert (facts["frechet"], facts["images"]) == (3.0, 32)
    assert [r["frechet"] for r in run.recorder.history] == [5, 3, 4]


class Colours(torch.nn.Module):
    """What a feature network looks like from outside; the features are 2x2 thumbnails."""

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        assert images.shape[1:] == (3, 32, 32)
        return F.avg_pool2d(images, 16).flatten(1), []


def test_the_judge_prefers_real_images(source: FolderSource) -> None:
    trainer = Trainer(TINY, c_dim=2, device=CPU, seed=0)
    judge = Judge(source, Colours(), TINY, device=CPU)  # type: ignore[arg-type]
    state = trainer.rng.get_state()
    before = judge.distance(trainer.G_ema)
    assert judge.distance(trainer.G_ema) == before  # always the same latents and labels
    assert torch.equal(trainer.rng.get_state(), state)  # looking changes nothing
    assert 0 < judge.floor() < 0.1 * before


def test_images_without_classes_train_as_well(data: Path) -> None:
    trainer = Trainer(TINY, c_dim=0, device=CPU, seed=0)
    before = [p.clone() for p in trainer.G_ema.parameters()]
    train_for(trainer, FolderSource(data / "a", resolution=16), 2)
    after = trainer.G_ema.parameters()
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("option", [("--kimg", "inf"), ("--minutes", "-1"), ("--kimg", "many")])
def test_amounts_are_numbers(option: tuple[str, str], data: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        train.main(arguments(data, tmp_path / "run", *option))
    assert caught.value.code == 2


def complaint(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    assert train.main(argv) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


def test_misuse_is_one_clear_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="curves need the extra 'train' (matplotlib)")
    out = tmp_path / "run"
    assert "unknown preset 'huge'" in complaint(capsys, arguments(data, out, preset="huge"))
    assert "no folder or zip" in complaint(capsys, arguments(tmp_path / "no", out))
    assert "16x16 px" in complaint(capsys, arguments(data, out, preset="cpu-32"))
    assert "no state" in complaint(capsys, arguments(data, out, "--resume"))
    if not torch.cuda.is_available():
        assert "no CUDA" in complaint(capsys, arguments(data, out, "--device", "cuda"))
    assert not out.exists()
    assert train.main(arguments(data, out, "--minutes", "0")) == 0
    capsys.readouterr()
    assert "holds a run" in complaint(capsys, arguments(data, out))


def test_resuming_with_other_options_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="curves need the extra 'train' (matplotlib)")
    out = tmp_path / "run"
    assert train.main(arguments(data, out, "--minutes", "0")) == 0
    capsys.readouterr()
    monkeypatch.setitem(PRESETS, "tiny-2", TINY)
    message = complaint(capsys, arguments(data, out, "--resume", preset="tiny-2"))
    assert "preset 'tiny', not 'tiny-2'" in message
    assert "other classes" in complaint(capsys, arguments(data / "a", out, "--resume"))


@pytest.mark.parametrize("name", sorted({*PRESETS} - {"tiny"}))
def test_presets_make_networks_that_fit(name: str) -> None:
    preset = find_preset(name)
    with torch.device("meta"):
        generator = preset.generator(c_dim=8)
        discriminator = preset.discriminator(c_dim=8)
    assert generator.synthesis.img_resolution == preset.resolution
    assert discriminator.input_shape == (3, preset.resolution, preset.resolution)
    assert preset.batch % 4 == 0  # groups of the minibatch deviation
