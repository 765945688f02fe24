"""Anonymized photos are made once for each photo, seed and version of the code."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from anonyface.types import Face
from benchmarks import anonymized
from benchmarks.anonymized import SEED_BLOCK, SEEDS_APART, Darkroom, fingerprint, seed_for

FACE = Face(np.array([5.0, 5.0, 25.0, 25.0], np.float32), np.ones((5, 2), np.float32), 0.9)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of all photos that were really anonymized: each is painted in its seed."""
    seeds: list[int] = []

    def fake(*, seed: int, threads: int) -> Any:
        def call(image: np.ndarray) -> Any:
            seeds.append(seed)
            outcome = SimpleNamespace(face=FACE, action="replaced", reason="as asked")
            return SimpleNamespace(image=np.full_like(image, seed), faces=[outcome])

        return call

    monkeypatch.setattr(anonymized, "Anonymizer", fake)
    return seeds


def room(cache: Path | None, version: str = "1") -> Darkroom:
    return Darkroom(lambda image: [FACE], threads=1, cache=cache, version=version)


def test_a_second_run_takes_what_is_there(made: list[int], tmp_path: Path) -> None:
    photo = np.zeros((30, 40, 3), np.uint8)
    first, again = (room(tmp_path)(photo, FACE, 7) for _ in range(2))
    assert made == [7]
    assert (again.image == 7).all()
    assert (again.image.shape, again.action, again.reason) == (photo.shape, "replaced", "as asked")
    assert first.face is again.face is FACE


def test_photo_seed_and_version_make_another_result(made: list[int], tmp_path: Path) -> None:
    photo = np.zeros((30, 40, 3), np.uint8)
    room(tmp_path)(photo, FACE, 7)
    room(tmp_path)(photo, FACE, 8)
    room(tmp_path)(photo + 1, FACE, 7)
    room(tmp_path, "2")(photo, FACE, 7)
    assert made == [7, 8, 7, 7]


def test_without_a_folder_nothing_is_kept(made: list[int], tmp_path: Path) -> None:
    photo = np.zeros((30, 40, 3), np.uint8)
    room(None).all([photo, photo], [FACE, None], [1, 1])
    assert made == [1, 1]
    assert not list(tmp_path.iterdir())


def test_no_face_is_said(made: list[int]) -> None:
    one = room(None)(np.zeros((30, 40, 3), np.uint8), None, 1)
    assert (one.action, one.face, one.landmarks) == ("not found", None, None)


def test_no_two_roles_share_a_seed() -> None:
    seeds = {seed_for(role, 1, n) for role in SEEDS_APART for n in (0, 499, SEED_BLOCK - 1)}
    assert len(seeds) == 3 * len(SEEDS_APART)


def test_the_fingerprint_stays_while_the_code_does() -> None:
    assert fingerprint() == fingerprint()
    assert len(fingerprint()) == 16
