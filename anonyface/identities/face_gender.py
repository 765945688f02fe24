"""Does the face alone read as a woman's? Its hair does not count: that of the original stays.

Read with its hair, many a portrait with long hair is a woman's whose face, put under another
woman's hair, is a man's. Most of that is seen at eyes and brows.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from anonyface.errors import WeightsMissing
from anonyface.identities.people import VIEWS
from anonyface.types import FloatArray
from anonyface.weights import read_weights, weights_dir

UPPER = VIEWS.index("encoder, upper face")
"""The view that tells most of eyes and brows."""


@dataclass(frozen=True, eq=False)
class FaceGender:
    """Logistic regressions on what the judges of a replacement see, hair and surroundings left out.

    Attributes:
        weight: (len(VIEWS), 128), of all of them.
        bias: A number.
        upper_weight: (128,), of view `UPPER` alone, fitted to grown-ups.
        upper_bias: A number.
    """

    weight: FloatArray
    bias: float
    upper_weight: FloatArray
    upper_bias: float

    def __call__(self, views: FloatArray) -> FloatArray:
        """(n,) log odds of female, of (n, len(VIEWS), 128) embeddings in the order of `VIEWS`."""
        flat = views.reshape(len(views), -1)
        return np.asarray(flat @ self.weight.ravel() + np.float32(self.bias), dtype=np.float32)

    def of_eyes(self, upper: FloatArray) -> FloatArray:
        """(n,) log odds of female of a grown-up, told by eyes and brows.

        Args:
            upper: (n, 128) embeddings by `anonyface.verification.encoder.UpperFace`.
        """
        return np.asarray(upper @ self.upper_weight + np.float32(self.upper_bias), dtype=np.float32)


@lru_cache(maxsize=1)
def load_face_gender() -> FaceGender:
    """Read the model shipped with the package.

    Raises:
        WeightsError: If it is missing, corrupt or of another layout.
    """
    with np.load(io.BytesIO(read_weights("face-gender")), allow_pickle=False) as data:
        weight, bias = data["weight"], float(data["bias"])
        upper, upper_bias = data["upper_weight"], float(data["upper_bias"])
    if weight.shape != (len(VIEWS), 128) or upper.shape != (128,):
        raise WeightsMissing("face-gender", weights_dir())
    return FaceGender(weight, bias, upper, upper_bias)
