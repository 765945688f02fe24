"""Who is tried for a face, in which order: what their portraits show decides, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from anonyface.subjects import Subject
from anonyface.types import FloatArray, Identity, Look, Mesh, Offer
from anonyface.verification.encoder import similarity

NEAR_TRIES, FAR_TRIES, OTHER_TRIES = 3, 3, 5
"""Redraws before a face is covered: first from among those who fit nearly as well as the first
choice, then from all of them, at last from those of other groups."""
SHORT_LIST, LONG_LIST = 9, 40
"""Offers among which the near and all redraws are looked for."""
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

    The later tries are the least similar of a longer list, and of those who are offered in want of
    others: lesser fits, better than a cover. Where few are offered, as to the last of many alike in
    one photo, all of them are tried.

    Args:
        offers: Best first.
        original: (128,) embedding of whom they are to replace.
    """

    def resemblance(offer: Offer) -> float:
        if not np.isnan(offer.resemblance):
            return offer.resemblance
        return float(similarity(offer.embedding, original))

    def least_similar(some: Sequence[Offer]) -> list[Offer]:
        return sorted(some, key=resemblance)

    fitting = [offer for offer in offers[1:] if offer.fitting]
    near = least_similar(fitting[: SHORT_LIST - 1])
    far = least_similar(fitting[SHORT_LIST - 1 :])
    other = least_similar([offer for offer in offers[1:] if not offer.fitting])
    tries = [*offers[:1], *near[:NEAR_TRIES], *far[:FAR_TRIES], *other[:OTHER_TRIES]]
    rest = [*far[FAR_TRIES:], *near[NEAR_TRIES:], *other[OTHER_TRIES:]]
    return [*tries, *rest][: 1 + NEAR_TRIES + FAR_TRIES + OTHER_TRIES]


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


def in_order_of_likeness(
    offers: Sequence[Offer], look_at: Callable[[Offer], Portrayal]
) -> Iterator[Portrayal]:
    """Render one offer after the other; whose portrait shows something else comes last.

    Args:
        offers: In the order of tries.
        look_at: Renders a portrait, see `portray`.
    """
    others = []
    for offer in offers:
        portrayal = look_at(offer)
        if portrayal.alike:
            yield portrayal
        else:
            others.append(portrayal)
    yield from others
