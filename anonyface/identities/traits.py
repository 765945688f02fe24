"""Gender, age and appearance group, read off the identity embedding and two small networks.

The identity embedding knows more about how a face reads than the small age and gender networks do:
a logistic regression on all of it, trained on FairFace, is what the search for a replacement uses.
The group is never reported: it only finds somebody to whom hair, ears and neck fit.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from anonyface.types import FloatArray
from anonyface.verification.encoder import unit
from anonyface.weights import read_weights

AGE_CENTRES = np.array([1, 6, 14, 24.5, 34.5, 44.5, 54.5, 64.5, 76], dtype=np.float32)
"""Middles of FairFace's nine age bins, years."""


@dataclass(frozen=True)
class Traits:
    """How a face reads.

    Attributes:
        p_female: Probability in [0, 1].
        age: Expected years.
        groups: Seven probabilities, FairFace's groups in alphabetical order.
    """

    p_female: float
    age: float
    groups: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class TraitsModel:
    """Softmax regressions: for each trait a (features, classes) weight and a (classes,) bias."""

    weights: dict[str, FloatArray]
    biases: dict[str, FloatArray]

    def __call__(self, features: FloatArray) -> Traits:
        """Read the traits off (131,) features from `trait_features`."""
        gender, age, group = (self._probabilities(features, t) for t in ("gender", "age", "group"))
        return Traits(
            p_female=float(gender[1]),
            age=float(age @ AGE_CENTRES),
            groups=tuple(float(p) for p in group),
        )

    def _probabilities(self, features: FloatArray, trait: str) -> FloatArray:
        logits = features @ self.weights[trait] + self.biases[trait]
        powers = np.exp(logits - logits.max())
        return np.asarray(powers / powers.sum(), dtype=np.float32)


@lru_cache(maxsize=1)
def load_traits() -> TraitsModel:
    """Read the model shipped with the package.

    Raises:
        WeightsError: If it is missing or corrupt.
    """
    names = ("gender", "age", "group")
    with np.load(io.BytesIO(read_weights("traits")), allow_pickle=False) as data:
        return TraitsModel(
            {n: data[f"{n}_weight"] for n in names}, {n: data[f"{n}_bias"] for n in names}
        )


def trait_features(views: FloatArray, p_female: float, age: float) -> FloatArray:
    """Put together what the regressions read, each part scaled to about unit variance.

    Args:
        views: (2, 128) embeddings of the chip and of its mirror image.
        p_female: Answer of the gender network.
        age: Expected years from the age network.

    Returns:
        (131,) float32.
    """
    total = views.sum(axis=0)
    p = min(max(p_female, 1e-3), 1 - 1e-3)
    rest = [np.log(p / (1 - p)) / 3, (age - 35) / 15, (float(np.linalg.norm(total)) - 2.8) * 3]
    return np.concatenate([unit(total) * 11, np.array(rest)]).astype(np.float32)
