"""Would a portrait show a hand at the face? Told from its latent, before it is rendered."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from anonyface.types import FloatArray
from anonyface.weights import read_weights


@dataclass(frozen=True, eq=False)
class HandModel:
    """Logistic regression: p = 1 / (1 + exp(-w . weight - bias)).

    Attributes:
        weight: (512,)
        bias: A number.
    """

    weight: FloatArray
    bias: float

    def __call__(self, w: FloatArray) -> FloatArray:
        """(n,) probabilities in [0, 1] of a hand at chin, cheek or mouth, for (n, 512) latents."""
        return np.asarray(1 / (1 + np.exp(-(w @ self.weight) - self.bias)), dtype=np.float32)


@lru_cache(maxsize=1)
def load_hands() -> HandModel:
    """Read the model shipped with the package.

    Raises:
        WeightsError: If it is missing or corrupt.
    """
    with np.load(io.BytesIO(read_weights("hands")), allow_pickle=False) as data:
        return HandModel(data["weight"], float(data["bias"]))
