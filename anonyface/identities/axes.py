"""Identity axes: directions in which a latent becomes somebody else who looks as before.

Who resembles the original is not only left out: they are moved away from it. In the style space the
embeddings of the judges change almost linearly, and so do the labels; along these axes the former
change and the latter, to first order, do not (`training.identity_axes`). Of each axis a person is
moved forwards or backwards, by as much as all others: a few bits that their name can hold, and that
tell next to nothing of the face they stand in for.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anonyface.errors import WeightsMissing
from anonyface.identities.people import VIEWS
from anonyface.types import FloatArray
from anonyface.weights import read_weights, weights_dir

COUNT = 12
"""Axes; how many bits a code has."""
STAYS = -1
"""The code of who is not moved."""
APART = 0.3
"""How far the others are, in units of the average distance of a style from the mean."""


class IdentityAxes:
    """The shipped axes.

    Attributes:
        axes: (COUNT, 512) what a style changes along each, in units of its average distance from
            the mean; all together of length 1, whatever the signs.
        slopes: (COUNT, 1 + len(VIEWS), 128) how the embeddings change along each: under the
            built-in encoder and under the other judges, in the order of `VIEWS`.

    Raises:
        WeightsError: If the file is missing, corrupt or of another layout.
    """

    def __init__(self) -> None:
        with np.load(io.BytesIO(read_weights("identity-axes")), allow_pickle=False) as data:
            self.axes = data["axes"].astype(np.float32)
            self.slopes = data["slopes"].astype(np.float32)
        if self.axes.shape != (COUNT, 512) or self.slopes.shape != (COUNT, 1 + len(VIEWS), 128):
            raise WeightsMissing("identity-axes", weights_dir())
        self._bits = 1 << np.arange(COUNT)

    def code(self, rises: FloatArray) -> NDArray[np.intp]:
        """(n,) codes of steps that lower something.

        Args:
            rises: (n, COUNT) by how much it rises along each axis.
        """
        return np.asarray((rises < 0) @ self._bits, dtype=np.intp)

    def step(self, codes: NDArray[np.intp]) -> FloatArray:
        """(n, 512) steps for (n,) codes, in units of the average distance from the mean."""
        return np.asarray(np.float32(APART) * self._signs(codes) @ self.axes)

    def seen(self, codes: NDArray[np.intp]) -> FloatArray:
        """(n, len(VIEWS), 128) by how much a step changes the views of the other judges."""
        change = np.tensordot(self._signs(codes), self.slopes[:, 1:], axes=1)
        return np.asarray(np.float32(APART) * change)

    def _signs(self, codes: NDArray[np.intp]) -> FloatArray:
        forwards = (codes[:, None] & self._bits) != 0
        signs = np.where(forwards, np.float32(1), np.float32(-1))
        return np.asarray(np.where(codes[:, None] == STAYS, np.float32(0), signs))


@lru_cache(maxsize=1)
def load_axes() -> IdentityAxes:
    """Read the shipped axes once."""
    return IdentityAxes()
