"""Who is tried for a face, in which order: what their portraits show decides, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from anonyface.identities.showing import SPOILT
from anonyface.subjects import Subject
from anonyface.types import FloatArray, Identity, Look, Mesh, Offer
from anonyface.verification.encoder import similarity

NEAR_TRIES, FAR_TRIES, OTHER_TRIES = 3, 3, 5
"""Redraws before a face is covered: first from among those who fit nearly as well as the first
choice, then from all of them, at last from those of other groups."""
SHORT_LIST, LONG_LIST, ALL = 9, 24, 40
"""Offers among which the near and the far redraws are looked for, and how many are heard at most:
the rest only when all of those have failed."""
FIRST_CHOICES = 4
"""So many of the best are looked at for one whose portrait shows what was predicted."""
Likeness: TypeAlias = Callable[[Mesh, Look, Identity], bool]
"""Says whether a portrait shows a face of this mesh and look: a `PortraitCheck`."""


@dataclass(frozen=True, eq=False)
class Portrayal:
    """Somebody who was looked at.

    Attributes:
        offer: Who it is.
        identity: The same with a portrait, or with a sketch of it where there is one.
        alike: Whether the portrait shows what it should.
    """

    offer: Offer
    identity: Identity
    alike: bool


def choose_tries(offers: Sequence[Offer], original: FloatArray) -> list[Offer]:
    """Return the offer that fits best; for redraws those that resemble the original least.

    The later tries are the least similar of a longer list, if it is longer.

    Args:
        offers: Best first; who is offered in want of others is left out.
        original: (128,) embedding of whom they are to replace.
    """
    fitting = [offer for offer in offers if offer.fitting]
    near = _least_similar(fitting[1:SHORT_LIST], original)
    far = _least_similar(fitting[SHORT_LIST:], original)
    tries = [*fitting[:1], *near[:NEAR_TRIES], *far[:FAR_TRIES], *near[NEAR_TRIES:]]
    return tries[: 1 + NEAR_TRIES + FAR_TRIES]


def choose_others(
    offers: Sequence[Offer], tried: Sequence[Offer], original: FloatArray
) -> list[Offer]:
    """Return whom to try when nobody else is left: lesser fits, better than a cover.

    Of those who are offered in want of others the least similar, then who fits but was not chosen:
    where few are offered, as to the last of many alike in one photo, all of them are tried.

    Args:
        offers: All who are offered.
        tried: Those whom `choose_tries` chose.
        original: (128,) embedding of whom they are to replace.
    """
    left = [offer for offer in offers if all(offer is not one for one in tried)]
    other = _least_similar([offer for offer in left if not offer.fitting], original)
    rest = _least_similar([offer for offer in left if offer.fitting], original)
    most = 1 + NEAR_TRIES + FAR_TRIES + OTHER_TRIES - len(tried)
    return [*other[:OTHER_TRIES], *rest, *other[OTHER_TRIES:]][:most]


def _least_similar(offers: Sequence[Offer], original: FloatArray) -> list[Offer]:
    def resemblance(offer: Offer) -> float:
        if not np.isnan(offer.resemblance):
            return offer.resemblance
        return float(similarity(offer.embedding, original))

    return sorted(offers, key=resemblance)


def portray(original: Subject, shows_alike: Likeness, offer: Offer) -> Portrayal:
    """Render the portrait of an offer, or a sketch of it, and look at it.

    Args:
        original: Who is replaced.
        shows_alike: Compares the portrait with them.
        offer: Whose portrait.

    Raises:
        FaceError: If it can't be rendered or looked at.
    """
    identity = (offer.sketch or offer.render)()
    alike = shows_alike(original.mesh, original.look, identity)
    return Portrayal(offer, identity, alike)


def showing_first(offers: Sequence[Offer], look_at: Callable[[Offer], Portrayal]) -> list[Offer]:
    """Return offers, at their head the first of the best few whose portrait shows what it should.

    Args:
        offers: Best first.
        look_at: Renders a portrait, see `portray`.
    """
    for number, offer in enumerate(offers[:FIRST_CHOICES]):
        if look_at(offer).alike:
            return [offer, *offers[:number], *offers[number + 1 :]]
    return list(offers)


def in_turn(
    offers: Sequence[Offer],
    others: Callable[[], Sequence[Offer]],
    look_at: Callable[[Offer], Portrayal],
    faults: Callable[[Portrayal], float],
) -> Iterator[Iterator[Portrayal]]:
    """Render one offer after the other, each only when it is asked for, in three turns.

    First those who fit and whose portrait shows what it should, then the same of others, at last
    those whose portrait shows something else, the best first, unless it is spoilt: a cover is
    better than half a pair of glasses.

    Args:
        offers: Who fits, in the order of tries.
        others: Called after these: who is tried then.
        look_at: Renders a portrait, see `portray`.
        faults: How bad it is what a portrait shows, see `anonyface.identities.showing.SPOILT`.
    """
    unlike: list[Portrayal] = []

    def alike(some: Sequence[Offer]) -> Iterator[Portrayal]:
        for portrayal in map(look_at, some):
            if portrayal.alike:
                yield portrayal
            else:
                unlike.append(portrayal)

    yield alike(offers)
    yield alike(others())
    graded = sorted(((faults(one), number) for number, one in enumerate(unlike)))
    yield (unlike[number] for fault, number in graded if fault < SPOILT)
