"""Scenes of generated people, annotated, and the shipped detector in torch."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="training/ needs the extra 'train'")
pytest.importorskip("onnx", reason="training/ needs the extra 'train'")

from training.manifest import WEIGHTS
from training.retinaface.cache import SIDE, Entry
from training.retinaface.checkpoints import load_onnx
from training.retinaface.compose import Sticker, sticker
from training.retinaface.network import RetinaFace

TRAITS = ((1.0, 3, -1.0), (0.0, 4, 33.0), (1.0, 7, -1.0), (0.0, 1, 6.0))
"""Made-up labels of the four people: female, bin, years or -1."""


@pytest.fixture(scope="session")
def detector() -> RetinaFace:
    """The shipped detector, with new gender and age heads."""
    return load_onnx(WEIGHTS / "detector.onnx", traits=True)


@pytest.fixture(scope="session")
def entries(people: list[NDArray[np.uint8]]) -> list[Entry]:
    """The four people as labelled pictures."""
    return [
        Entry(
            np.asarray(cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8),
            female,
            age,
            0,
            years,
        )
        for p, (female, age, years) in zip(people, TRAITS, strict=True)
    ]


@pytest.fixture(scope="session")
def stickers(entries: list[Entry], detector: RetinaFace) -> list[Sticker]:
    """The four people, ready to paste."""
    found = [sticker(e, detector) for e in entries]
    assert all(found)
    return [s for s in found if s is not None]


@pytest.fixture(scope="session")
def scenes(stickers: list[Sticker], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four annotated scenes."""
    from training.retinaface.compose import write_scenes

    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(stickers, folder, count=4, seed=3)
    return folder
