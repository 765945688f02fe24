"""What would spoil a portrait: told from its latent, before it is rendered.

Hands, hair in the face and light of several colours show in the style almost linearly.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np

from anonyface.types import FloatArray
from anonyface.weights import read_weights

Flaw: TypeAlias = Literal["hands", "hair", "light"]
"""A hand at chin, cheek or mouth; hair that hangs into the face, see
`anonyface.identities.clearness`; light of several colours."""


@dataclass(frozen=True, eq=False)
class FlawModel:
    """Logistic regression: p = 1 / (1 + exp(-w . weight - bias)).

    Attributes:
        weight: (512,)
        bias: A number.
    """

    weight: FloatArray
    bias: float

    def __call__(self, w: FloatArray) -> FloatArray:
        """(n,) probabilities in [0, 1] that portraits of (n, 512) latents have the flaw."""
        return np.asarray(1 / (1 + np.exp(-(w @ self.weight) - self.bias)), dtype=np.float32)


@lru_cache(maxsize=3)
def load_flaw(flaw: Flaw) -> FlawModel:
    """Read a model shipped with the package.

    Raises:
        WeightsError: If it is missing or corrupt.
    """
    with np.load(io.BytesIO(read_weights(flaw)), allow_pickle=False) as data:
        return FlawModel(data["weight"], float(data["bias"]))
