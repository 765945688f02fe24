"""Fixtures of protection; people are generated ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.detection.faces import FaceFinder
from anonyface.protection.portrayal import Portrayer


@pytest.fixture(scope="session")
def finder() -> FaceFinder:
    return FaceFinder(threads=1)


@pytest.fixture(scope="session")
def portray() -> Portrayer:
    return Portrayer(threads=1)


@pytest.fixture(scope="session")
def portraits(people: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The people of the session at 400 px, faces about 290 px high."""
    return [cv2.resize(p, (400, 400), interpolation=cv2.INTER_AREA) for p in people]


@pytest.fixture(scope="session")
def axes() -> NDArray[np.float32]:
    """(6, 128) embeddings that have nothing in common."""
    values = np.random.default_rng(3).normal(size=(128, 6))
    return np.linalg.qr(values)[0].T.astype(np.float32)
