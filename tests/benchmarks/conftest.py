"""Pictures for the tests of the benchmarks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from .made import Image


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(8)


@pytest.fixture
def texture(rng: np.random.Generator) -> Image:
    """(96, 96, 3) soft noise."""
    noise = cv2.GaussianBlur(rng.standard_normal((96, 96)), (0, 0), 1.0)
    grey = np.clip(120 + 30 * noise / noise.std(), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
