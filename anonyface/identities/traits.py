"""Gender, age and appearance group, read off the face itself and off both identity embeddings.

Embeddings were learnt on millions of people, the network that looks at the face
(`training.attributes`) on what is asked here: they err on different faces. So what a small
perceptron makes of the embeddings and what the network says are added, as log odds, with weights
fitted to faces that neither of them has seen.
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
ENDS = (2, 11)
"""Where gender and age end among the 18 logits: gender, bins of age, groups."""


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
    """Reads the embeddings, and puts together what they and the network say.

    Attributes:
        layers: Its arrays by name, as `training.fit_traits` writes them: a perceptron with one
            hidden layer for gender and age, a softmax regression for the group, and "shares",
            (2, 18), the weight of the embeddings' and of the network's logits.
    """

    layers: dict[str, FloatArray]

    def __call__(self, features: FloatArray, said: FloatArray) -> Traits:
        """Read the traits.

        Args:
            features: (257,) from `trait_features`.
            said: (18,) logits of the network: gender (male, female), nine bins of age, seven
                groups.
        """
        ours, theirs = self.layers["shares"]
        logits = ours * self.embedded(features) + theirs * said
        gender, age, group = (_shares(part) for part in np.split(logits, ENDS))
        return Traits(
            p_female=float(gender[1]),
            age=float(age @ AGE_CENTRES),
            groups=tuple(float(p) for p in group),
        )

    def embedded(self, features: FloatArray) -> FloatArray:
        """(18,) logits that are read off the embeddings alone, given as `trait_features`."""
        part = self.layers
        x = (features - part["mean"]) / part["spread"]
        hidden = np.maximum(x @ part["hidden_weight"] + part["hidden_bias"], 0)
        out = hidden @ part["out_weight"] + part["out_bias"]
        first = features[: len(part["group_weight"])]
        return np.concatenate([out, first @ part["group_weight"] + part["group_bias"]])


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


def trait_features(views: FloatArray, second: FloatArray) -> FloatArray:
    """Put together what is read off the embeddings, each part scaled to about unit variance.

    Args:
        views: (2, 128) embeddings of the chip and of its mirror image.
        second: (128,) what the second encoder says of the face in its surroundings.

    Returns:
        (257,) float32; the group is read off the first 129.
    """
    total = views.sum(axis=0)
    length = (float(np.linalg.norm(total)) - 2.8) * 3
    return np.concatenate([unit(total) * 11, [length], second * 11]).astype(np.float32)
