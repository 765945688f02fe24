"""How like the original a judge will find a nobody: told from the pool, before any portrait."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anonyface.identities.people import VIEWS, People
from anonyface.result import Check
from anonyface.types import FloatArray, IdentityRequest
from anonyface.verification.encoder import cosine, similarity
from anonyface.verification.thresholds import EncoderName, match_threshold

WHOLE: tuple[EncoderName, EncoderName] = ("encoder", "second-encoder")
MASKED: tuple[EncoderName, EncoderName] = ("encoder, upper face", "second-encoder, upper face")
"""The two judges of a face, and of one in a medical mask."""
SEEN_BY = (WHOLE[0], *VIEWS)
"""Under whom people have embeddings: the built-in encoder, then who gave their views."""
SECOND_SHARE = 0.3
"""What a later judge's similarity counts beside the first one's. An encoder that has no say here it
tells a tenth as much (least squares on up to 15 new faces for each of 92 people), but that judge
must be convinced, too: with 0.2 more of those whom it refuses are covered."""
STRANGER = -0.25
"""What the second judge says of strangers, from its threshold on; taken where it was not asked."""
FROM, TOLERANCE = -0.33, 0.045
"""Excess from which on a nobody costs the more the closer it is to the original, and the unit of
that cost: far ones need no redraw. As strict as the fit allows: with 0.035, before people were
moved away, brows and group strayed, the more the larger the face. Since portraits are turned as the
original's head is, an encoder that has no say here knew 10.5 and 17.8 % of 304 new faces of
lfw-dev, fed in two ways, with 0.055, and 8.9 and 16.4 % with 0.045; the fit is the same."""


def excess(people: People, request: IdentityRequest) -> FloatArray:
    """(n,) similarity of people to the original beyond what the judges accept, both judges' added.

    Of portraits in good light: put on a face, all come out more similar, by much the same. The
    order is what counts.

    Args:
        people: Of whom.
        request: Whom they are to replace; at least one in ``avoid``.
    """
    first, second = _judges(people, request)
    original = request.seen.get(first, request.avoid[0])
    theirs = _views(people, first)
    total = similarity(theirs, original) - np.float32(match_threshold("1e-2", encoder=first))
    beyond: FloatArray | float = STRANGER
    if second is not None:
        asked = cosine(_views(people, second), request.seen[second])
        beyond = asked - np.float32(match_threshold("1e-2", encoder=second))
    return np.asarray(total + np.float32(SECOND_SHARE) * beyond, dtype=np.float32)


def rises(people: People, request: IdentityRequest, slopes: FloatArray) -> FloatArray:
    """(n, k) by how much the `excess` of people rises along k axes, to first order.

    Args:
        people: Of whom.
        request: Whom they are to replace; at least one in ``avoid``.
        slopes: (k, 1 + len(VIEWS), 128) how their embeddings change along each axis.
    """
    first, second = _judges(people, request)
    apart = _views(people, first) - request.seen.get(first, request.avoid[0])
    length = np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-6)
    total = -(apart / length) @ slopes[:, SEEN_BY.index(first)].T  # of 1 - |apart|
    if second is not None:
        share = np.float32(SECOND_SHARE)
        total += share * slopes[:, SEEN_BY.index(second)] @ request.seen[second]
    return np.asarray(total, dtype=np.float32)


def closeness(checks: Sequence[Check]) -> float:
    """How like the original a new face is, beyond what the judges accept; the order is what counts.

    Args:
        checks: What all judges say of it, the first one's first; of none a face is far away.
    """
    beyond = [check.after - check.threshold for check in checks]
    return beyond[0] + SECOND_SHARE * sum(beyond[1:]) if beyond else float("-inf")


def cost(of: FloatArray) -> FloatArray:
    """What an `excess` costs in the search, in tolerances.

    >>> cost(np.array([-0.5, -0.24], dtype=np.float32)).round(3).tolist()
    [0.0, 2.0]
    """
    return np.asarray(np.maximum(0, of - FROM) / TOLERANCE, dtype=np.float32)


def _judges(people: People, request: IdentityRequest) -> tuple[EncoderName, EncoderName | None]:
    """Who judges, and who does so after; None where it was not asked or nobody knows."""
    if people.views is None:
        return WHOLE[0], None
    first, second = MASKED if MASKED[0] in request.seen else WHOLE
    return first, second if second in request.seen else None


def _views(people: People, judge: EncoderName) -> FloatArray:
    """(n, 128) embeddings under one of the judges."""
    if judge == WHOLE[0] or people.views is None:
        return people.embeddings
    return np.asarray(people.views[:, VIEWS.index(judge)])
