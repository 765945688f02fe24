"""Does a face wear glasses? Gradient features of the aligned chip and a logistic regression."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from anonyface.types import FloatArray, ImageArray
from anonyface.weights import read_weights

ROWS, COLUMNS = slice(22, 82), slice(10, 140)
"""Brows to cheekbones of the 150-px chip: frames, bridge and temples lie in it."""
CELLS_WH = (26, 12)


@dataclass(frozen=True, eq=False)
class EyewearModel:
    """Logistic regression: p = 1 / (1 + exp(-(f - mean) . weight - bias))."""

    mean: FloatArray
    weight: FloatArray
    bias: float

    def __call__(self, chip: ImageArray) -> float:
        """Probability in [0, 1] of glasses or sunglasses on a (150, 150, 3) aligned chip."""
        score = float((eyewear_features(chip) - self.mean) @ self.weight) + self.bias
        return float(1 / (1 + np.exp(-score)))


@lru_cache(maxsize=1)
def load_eyewear() -> EyewearModel:
    """Read the model shipped with the package.

    Raises:
        WeightsError: If it is missing or corrupt.
    """
    with np.load(io.BytesIO(read_weights("eyewear")), allow_pickle=False) as data:
        return EyewearModel(data["mean"], data["weight"], float(data["bias"]))


def eyewear_features(chip: ImageArray) -> FloatArray:
    """Half-wave rectified gradients on a coarse grid, folded onto one side (Dalal & Triggs 2005).

    Args:
        chip: (150, 150, 3) RGB uint8 from `align_chip`.

    Returns:
        (624,) float32.
    """
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)[ROWS, COLUMNS].astype(np.float32)
    grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.2))
    grey = (grey - grey.mean()) / (grey.std() + 8)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    cells = [
        np.sqrt(cv2.resize(np.maximum(part, 0), CELLS_WH, interpolation=cv2.INTER_AREA))
        for part in (across, -across, down, -down)
    ]
    # Mirroring swaps the two horizontal directions: averaging makes the answer mirror-invariant.
    mirrored = [cells[1], cells[0], cells[2], cells[3]]
    half = CELLS_WH[0] // 2
    folded = [(a + b[:, ::-1])[:, :half] / 2 for a, b in zip(cells, mirrored, strict=True)]
    return np.concatenate([f.ravel() for f in folded]).astype(np.float32)
