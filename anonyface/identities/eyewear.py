"""Does a face wear glasses? Gradients of the aligned chip, the embedding, and a regression."""

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

    def __call__(self, chip: ImageArray, embedding: FloatArray) -> float:
        """Probability in [0, 1] of glasses or sunglasses; see `eyewear_features`."""
        features = eyewear_features(chip, embedding)
        score = float((features - self.mean) @ self.weight) + self.bias
        return float(1 / (1 + np.exp(-score)))


@lru_cache(maxsize=1)
def load_eyewear() -> EyewearModel:
    """Read the model shipped with the package.

    Raises:
        WeightsError: If it is missing or corrupt.
    """
    with np.load(io.BytesIO(read_weights("eyewear")), allow_pickle=False) as data:
        return EyewearModel(data["mean"], data["weight"], float(data["bias"]))


def eyewear_features(chip: ImageArray, embedding: FloatArray) -> FloatArray:
    """Half-wave rectified gradients on a coarse grid (Dalal & Triggs 2005), and the embedding.

    The gradients are folded onto one side.

    Args:
        chip: (150, 150, 3) RGB uint8 from `align_chip`.
        embedding: (128,) of the chip under the built-in identity encoder.

    Returns:
        (752,) float32, the embedding scaled to about unit variance.
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
    gradients = np.concatenate([f.ravel() for f in folded])
    return np.concatenate([gradients, embedding * 11]).astype(np.float32)
