"""The identity source's benchmark as a whole, with a source and eyes that are made up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonyface.errors import NobodyLeft
from anonyface.landmarks.pose import Pose
from anonyface.types import Face, FloatArray, Identity, ImageArray, Mesh, Screens
from anonyface.verification.encoder import unit
from benchmarks import generator, generator_artefacts, generator_pose
from benchmarks.contract import rounded
from benchmarks.generator_artefacts import digest
from benchmarks.generator_lab import Lab, Wish, misses, take, take_job
from benchmarks.generator_speed import time_faces, time_search
from benchmarks.judges import Judge, Jury

LANDMARKS = np.array([[90, 110], [160, 110], [128, 150], [100, 180], [150, 180]], np.float32)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(8)


def rows(rng: np.random.Generator, n: int, d: int = 128) -> FloatArray:
    return unit(rng.normal(size=(n, d)).astype(np.float32))


def a_face() -> Face:
    return Face(np.array([70.0, 70.0, 180.0, 220.0]), LANDMARKS, 0.99)


@dataclass
class FakeSource:
    """Gives flat portraits whose red channel is the yaw asked for; refuses some requests."""

    refuses: Sequence[int] = ()
    told: list[int] = field(default_factory=list)
    searched: int = 0

    def request(
        self, *, seed: int, n: int, size: int, yaw: float | None, taken: Any, **rest: Any
    ) -> list[Identity]:
        self.told.append(0 if taken is None else len(taken))
        if seed in self.refuses:
            raise NobodyLeft([], n)
        return [self._person(seed + i, size, yaw or 0.0) for i in range(n)]

    def _person(self, seed: int, size: int, yaw: float) -> Identity:
        pixels = np.zeros((size, size, 3), np.uint8)
        pixels[..., 0], pixels[..., 1] = round(yaw) + 128, seed % 256
        embedding = rows(np.random.default_rng(seed), 1)[0]
        screens = Screens(None, None, None, None, psi=0.7, sound=0.9)
        mesh = Mesh(np.zeros((468, 3)), 1.0)
        latent = np.zeros(512, np.float32)
        return Identity(
            pixels, mesh, latent, "female", 30.0, embedding, seed, "fake", screens=screens
        )

    def search(self, request: object) -> None:
        self.searched += 1

    def __call__(self, request: object, /) -> Any:
        return iter(())


class FakeEye:
    """Finds a face in every picture but dark ones, and reads the yaw off the red channel."""

    def find(self, image: ImageArray) -> Face | None:
        return a_face() if image[0, 0, 0] > 5 else None

    def pose(self, image: ImageArray, face: Face) -> Pose:
        return Pose(float(image[0, 0, 0]) - 128, 0.0, 0.0)


def fake_judge(name: str = "built-in") -> Judge:
    return Judge(name, lambda image, points: image[0, 0].astype(np.float32), 3, "euclidean", True)


def lab(source: FakeSource, **changes: Any) -> Lab:
    eye: Any = FakeEye()
    whole: Any = source
    made = Lab(whole, eye, Jury([fake_judge()], [], {}), seed=1, threads=1, quick=True)
    return replace(made, **changes)


def test_a_refusal_is_a_miss_and_the_job_goes_on() -> None:
    source = FakeSource(refuses=[2])
    shots = take_job(lab(source), [Wish(seed=n) for n in range(1, 5)])
    assert [s.identity is not None for s in shots] == [True, False, True, True]
    assert source.told == [0, 1, 1, 2]
    assert misses(shots) == {
        "portraits_asked": 4,
        "nobody_came": 1,
        "portraits_without_a_face": 0,
    }
    assert shots[1].landmarks is None


def test_a_portrait_without_a_face_is_counted() -> None:
    shots = take(lab(FakeSource()), [Wish(seed=1, yaw=-126.0), Wish(seed=2)])
    assert misses(shots) == {
        "portraits_asked": 2,
        "nobody_came": 0,
        "portraits_without_a_face": 1,
    }


def test_pose_is_read_off_the_portrait() -> None:
    counts, figures = generator_pose.measure(lab(FakeSource()))
    assert counts["portraits_asked"] == 12
    assert figures["bands"]["all"]["within"]["yaw"].value == 1.0
    turned = FakeSource()
    turned._person = lambda seed, size, yaw: FakeSource()._person(  # type: ignore[method-assign]
        seed, size, -yaw
    )
    within = generator_pose.measure(lab(turned))[1]["bands"]["all"]["within"]
    assert within["yaw"].value < 0.5


def test_speed_counts_warm_up_apart_and_divides_by_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source: Any = FakeSource()
    found = time_search(source, repeats=5, seed=1)
    assert {spread.n for spread in found.values()} == {5}
    assert source.searched == 7
    # Every request moves the clock on by one second.
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    ask = FakeSource.request

    def slow(self: FakeSource, **asked: Any) -> list[Identity]:
        now[0] += asked["n"] * (1.0 if asked["size"] == 256 else 4.0)
        return ask(self, **asked)

    monkeypatch.setattr(FakeSource, "request", slow)
    source.told.clear()
    times, refused = time_faces(source, repeats=3, seed=1)
    assert refused == 0
    assert len(source.told) == (2 + 3) * (1 + 4 + 8 + 1 + 1)
    assert {name: time.median for name, time in times.items()} == {
        "256 px, batch of 1": 1.0,
        "256 px, batch of 4": 1.0,
        "256 px, batch of 8": 1.0,
        "256 px, 8 people for one wish": 1.0,
        "1024 px, one": 4.0,
    }


def test_sheets_leave_nobody_out(tmp_path: Path) -> None:
    counts, figures = generator_artefacts.measure(lab(FakeSource(), sheets=tmp_path))
    requests = json.loads((tmp_path / "artefacts.json").read_text(encoding="utf-8"))
    assert counts["portraits_asked"] == len(requests) == figures["portraits"] == 12
    assert next(iter(requests)) == "001"
    assert figures["screens"]["psi"]["median"] == pytest.approx(0.7)
    shots = take(lab(FakeSource()), [Wish(seed=1), Wish(seed=2)])
    assert digest(shots) != digest(shots[::-1])


def pose_figures(source: FakeSource) -> tuple[dict[str, Any], dict[str, Any]]:
    return generator.measure(lab(source), ["pose"])


def test_a_section_measured_again_replaces_itself_only(tmp_path: Path) -> None:
    counts, figures = generator.measure(lab(FakeSource()), ["pose", "artefacts"])
    record = generator.merged({"counts": {}, "figures": {}}, counts, figures, {"seed": 1})
    generator.write_record(record, tmp_path)
    generator.count_broken(tmp_path, 1)
    old = generator.kept(tmp_path, record["weights_manifest_sha256"])
    worse = pose_figures(FakeSource(refuses=range(10**7)))
    new = generator.merged(old, *worse, {"seed": 2})
    generator.write_record(new, tmp_path)
    assert new["figures"]["artefacts"]["broken"]["hits"] == 1
    assert new["figures"]["artefacts"]["measured"]["settings"] == {"seed": 1}
    assert new["figures"]["pose"]["measured"]["settings"] == {"seed": 2}
    met = {row["what"]: (row["value"], row["met"]) for row in new["asked"]}
    assert met["yaw within 5 degrees of asked, up to 30"] == (0.0, False)
    assert generator.kept(tmp_path, "of other models") == {"counts": {}, "figures": {}}


def test_a_count_needs_sheets(tmp_path: Path) -> None:
    counts, figures = pose_figures(FakeSource())
    record = generator.merged({"counts": {}, "figures": {}}, counts, figures, {})
    generator.write_record(record, tmp_path)
    with pytest.raises(ValueError, match="artefacts"):
        generator.count_broken(tmp_path, 1)


def test_quick_runs_write_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(generator, "build_lab", lambda options: lab(FakeSource()))
    command = ["generator", "pose", "--results", str(tmp_path), "--threads", "1"]
    monkeypatch.setattr("sys.argv", [*command, "--quick"])
    generator.main()
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("sys.argv", command)
    generator.main()
    record = json.loads((tmp_path / "generator.json").read_text(encoding="utf-8"))
    assert list(record["figures"]) == ["pose"]


def test_figures_of_the_file_are_plain(rng: np.random.Generator) -> None:
    _, figures = pose_figures(FakeSource())
    assert figures == json.loads(json.dumps(rounded(figures)))
