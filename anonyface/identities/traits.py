"""Gender, age and appearance group, read off both identity embeddings and two small networks.

Identity embeddings know more about how a face reads than the small age and gender networks do, and
two that are unlike each other more than one: a small perceptron on all of it, trained on FairFace,
is what the search for a replacement uses.
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
    """A perceptron with one hidden layer for gender and age, a softmax regression for the group.

    Attributes:
        layers: Its arrays by name, as `training.fit_traits` writes them.
    """

    layers: dict[str, FloatArray]

    def __call__(self, features: FloatArray) -> Traits:
        """Read the traits off (259,) features from `trait_features`."""
        part = self.layers
        x = (features - part["mean"]) / part["spread"]
        hidden = np.maximum(x @ part["hidden_weight"] + part["hidden_bias"], 0)
        out = hidden @ part["out_weight"] + part["out_bias"]
        first = features[: len(part["group_weight"])]
        gender, age = _shares(out[:2]), _shares(out[2:])
        group = _shares(first @ part["group_weight"] + part["group_bias"])
        return Traits(
            p_female=float(gender[1]),
            age=float(age @ AGE_CENTRES),
            groups=tuple(float(p) for p in group),
        )


def _shares(logits: FloatArray) -> FloatArray:
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum(), dtype=np.float32)


@lru_cache(maxsize=1)
def load_traits() -> TraitsModel:
    """Read the model shipped with the package.

    Raises:
        WeightsError: If it is missing or corrupt.
    """
    with np.load(io.BytesIO(read_weights("traits")), allow_pickle=False) as data:
        return TraitsModel({name: data[name] for name in data.files})


def trait_features(
    views: FloatArray, p_female: float, age: float, second: FloatArray
) -> FloatArray:
    """Put together what the model reads, each part scaled to about unit variance.

    Args:
        views: (2, 128) embeddings of the chip and of its mirror image.
        p_female: Answer of the gender network.
        age: Expected years from the age network.
        second: (128,) what the second encoder says of the face in its surroundings.

    Returns:
        (259,) float32; the group is read off the first 131.
    """
    total = views.sum(axis=0)
    p = min(max(p_female, 1e-3), 1 - 1e-3)
    rest = [np.log(p / (1 - p)) / 3, (age - 35) / 15, (float(np.linalg.norm(total)) - 2.8) * 3]
    return np.concatenate([unit(total) * 11, np.array(rest), second * 11]).astype(np.float32)
