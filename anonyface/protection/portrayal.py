"""A face as both identity encoders see it, and how alike two faces are.

The encoders err on different faces, as they learned from other people with another loss. Together
they tell people apart where one of them does not, above all in small faces and large galleries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from anonyface.errors import FaceError
from anonyface.protocols import Encoder
from anonyface.types import BoolArray, FloatArray, ImageArray
from anonyface.verification.encoder import DlibEncoder, SFaceEncoder, cosine, similarity


@dataclass(frozen=True, eq=False)
class Portrayal:
    """One face as the encoders see it.

    Attributes:
        first: (128,) of length 1, from the first encoder.
        second: (128,) of length 1, from the second; None where it is not known.
    """

    first: FloatArray
    second: FloatArray | None = None


class Portrayer:
    """Reads faces with both encoders; each model is loaded when it is needed.

    Args:
        encoder: The first encoder; the built-in one if None.
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(self, encoder: Encoder | None = None, *, threads: int = 0) -> None:
        self._given, self._threads = encoder, threads

    @cached_property
    def first(self) -> Encoder:
        """The encoder that other stages use, too."""
        return self._given or DlibEncoder(threads=self._threads)

    @cached_property
    def second(self) -> Encoder:
        """The one that sees the hair as well: protected people keep theirs."""
        return SFaceEncoder(sees="surroundings", threads=self._threads)

    def __call__(
        self,
        image: ImageArray,
        landmarks: FloatArray,
        *,
        first: FloatArray | None = None,
        second: FloatArray | None = None,
    ) -> Portrayal:
        """Read one face.

        Args:
            image: (H, W, 3) RGB uint8.
            landmarks: (5, 2) points x y in pixels, in the order of `Face.landmarks`.
            first: (128,) what the first encoder says, if that is known already.
            second: (128,) what the second one says, surroundings in view, if that is known.

        Raises:
            FaceError: The first encoder can't read the face.
            WeightsError: A model file is missing or corrupt.
            BackendError: The inference engine failed.
        """
        embedding = self.first(image, landmarks) if first is None else first
        if second is not None:
            return Portrayal(embedding, second)
        try:
            return Portrayal(embedding, self.second(image, landmarks))
        except FaceError:
            # The thresholds of the first encoder alone are as safe, they only miss more.
            return Portrayal(embedding)


def resemblance(
    first: FloatArray, second: FloatArray, face: Portrayal
) -> tuple[FloatArray, BoolArray]:
    """Return how alike a face is to others, and where both encoders say so.

    The similarity of both is the mean of their cosines, that is, the cosine of embeddings put side
    by side. Unequal weights, sums of standardised scores, a veto of the first encoder and the
    second alone were tried, thresholds from one half of the people of lfw-dev and the others
    tested: none of them does better for faces of all sizes.

    Args:
        first: (n, 128) of length 1, from the first encoder.
        second: (n, 128) from the second; NaN in the rows where it is not known.
        face: The face.

    Returns:
        (n,) similarities, by the first encoder alone where the second is not known of both; and
        (n,) whether they are by both. The two kinds have thresholds of their own.
    """
    alone = similarity(first, face.first)
    if face.second is None:
        return alone, np.zeros(len(first), np.bool_)
    together = (cosine(first, face.first) + cosine(second, face.second)) / 2
    both = np.isfinite(together)
    return np.asarray(np.where(both, together, alone), np.float32), both
