"""Hold a synthetic person against everybody it must not resemble."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonyface.types import FloatArray, IdentityRequest, Screens
from anonyface.verification.encoder import similarity

MAX_PSI, MIN_SOUND = 1.05, 0.5
"""Farthest from the mean, and least sure to be without artefact, that is given to anybody."""
MARGIN = 0.015
"""What a similarity measured on a portrait must keep from its limit: cut out a little differently,
the same portrait compares a little differently."""
AT_ONCE = 1024
"""People compared with the whole pool at once: bounds memory for long deny lists."""


@dataclass(frozen=True)
class Limits:
    """How similar a synthetic person may be.

    Attributes:
        real: To people who exist: the one it replaces, the protected, the denied.
        sibling: To the synthetic people given out before in the job.
    """

    real: float
    sibling: float

    def admit(self, screens: Screens, *, margin: float = 0.0) -> bool:
        """Whether somebody with these figures, similarities so far below, may be given away."""
        real = (screens.original, screens.protected, screens.denied)
        return (
            all(figure is None or figure < self.real - margin for figure in real)
            and (screens.taken is None or screens.taken < self.sibling - margin)
            and screens.psi <= MAX_PSI
            and screens.sound >= MIN_SOUND
        )

    def apart(
        self, embeddings: FloatArray, request: IdentityRequest, *, margin: float = 0.0
    ) -> NDArray[np.bool_]:
        """(n,) which of many people resemble nobody a request names, with a margin."""
        real = [request.avoid] if request.denied is None else [request.avoid, request.denied]
        out = np.ones(len(embeddings), dtype=bool)
        for others, limit in ((np.concatenate(real), self.real), (request.taken, self.sibling)):
            for start in range(0, len(others), AT_ONCE):
                out &= _closest(embeddings, others[start : start + AT_ONCE]) < limit - margin
        return out


def hold_against(
    embedding: FloatArray, request: IdentityRequest, *, psi: float, sound: float
) -> Screens:
    """Compare a person with everybody a request names.

    Args:
        embedding: (128,) of the person.
        request: Whom to avoid.
        psi: Copied, as is ``sound``.
        sound: See `anonyface.types.Screens`.
    """

    def closest(others: FloatArray | None) -> float | None:
        if others is None or not len(others):
            return None
        return float(similarity(embedding, others).max())

    return Screens(
        original=closest(request.avoid[:1]),
        protected=closest(request.avoid[1:]),
        taken=closest(request.taken),
        denied=closest(request.denied),
        psi=psi,
        sound=sound,
    )


def _closest(embeddings: FloatArray, others: FloatArray) -> FloatArray:
    """(n,) similarity, as `similarity` has it, of (n, d) people to the nearest of (m, d) others."""
    squares = np.square(embeddings).sum(axis=1)[:, None] + np.square(others).sum(axis=1)
    nearest = (squares - 2 * embeddings @ others.T).min(axis=1)
    return np.asarray(1 - np.sqrt(np.maximum(nearest, 0)), dtype=np.float32)
