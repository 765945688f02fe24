"""Who resembles the original to a judge is told without a portrait, and comes later."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from anonyface.identities.axes import STAYS
from anonyface.identities.latents import LatentModel, Recipe
from anonyface.identities.people import VIEWS, load_pool
from anonyface.identities.resemblance import MASKED, excess
from anonyface.identities.source import LatentIdentities
from anonyface.types import FloatArray, IdentityRequest
from anonyface.verification.encoder import unit
from anonyface.verification.thresholds import EncoderName

PEOPLE = load_pool()
UNLIKE = PEOPLE.embeddings[int((PEOPLE.embeddings @ PEOPLE.embeddings[17]).argmin())]


def stranger(seed: int = 0) -> FloatArray:
    return unit(np.random.default_rng(seed).standard_normal(128).astype(np.float32))


def ask(row: int, seen: dict[EncoderName, FloatArray]) -> IdentityRequest:
    """Ask for somebody who looks like one of the pool."""
    nobody = np.zeros((0, 128), np.float32)
    return IdentityRequest(
        look=PEOPLE.look(row, mirrored=False),
        face_px=100,
        avoid=UNLIKE[None],
        taken=nobody,
        seed=3,
        seen=seen,
    )


@pytest.mark.parametrize("judge", VIEWS)
def test_who_is_seen_as_the_original_exceeds_all_others(judge: EncoderName) -> None:
    assert PEOPLE.views is not None
    seen = {name: stranger(i + 1) for i, name in enumerate(MASKED if "upper" in judge else ())}
    seen[judge] = PEOPLE.views[17, VIEWS.index(judge)]
    found = excess(PEOPLE, replace(ask(17, seen), avoid=stranger()[None]))
    assert found.argmax() == 17
    assert found[17] > np.partition(found, -2)[-2] + 0.005


def test_without_views_only_the_first_judge_counts() -> None:
    request = ask(17, {"second-encoder": stranger(5)})
    bare = replace(PEOPLE, views=None)
    assert np.array_equal(excess(bare, request), excess(bare, replace(request, seen={})))
    assert not np.allclose(excess(PEOPLE, request), excess(bare, request))


def test_people_the_second_judge_would_recognise_come_later() -> None:
    """The very person comes first as long as nobody knows that the judge sees the original."""
    assert PEOPLE.views is not None
    source = LatentIdentities(max_resemblance=0.58, max_sibling_similarity=0.62)
    # A woman whose eyes read as clearly as is asked: others come before who reads less so.
    row = 13
    known = {"second-encoder": PEOPLE.views[row, VIEWS.index("second-encoder")]}

    def place(request: IdentityRequest) -> int:
        recipe = source.search(request).recipe
        alone = (recipe.mother == row) & (recipe.father == row) & ~recipe.mirrored
        alone &= recipe.code == STAYS
        return int(np.flatnonzero(alone)[0])

    assert place(ask(row, {})) < 20
    assert place(ask(row, known)) > 100


def test_offers_tell_what_is_expected() -> None:
    source = LatentIdentities(max_resemblance=0.58, max_sibling_similarity=0.62)
    offers = islice(source(ask(17, {"second-encoder": stranger(9)})), 6)
    told = [offer.resemblance for offer in offers]
    assert np.isfinite(told).all()
    assert len(set(told)) == len(told)


def test_children_are_seen_between_their_parents() -> None:
    assert PEOPLE.views is not None
    recipe = Recipe(
        mother=np.array([3, 3]),
        father=np.array([3, 90]),
        share=np.array([1, 0.5], np.float32),
        mirrored=np.zeros(2, np.bool_),
        code=np.full(2, STAYS),
    )
    views = LatentModel().breed(PEOPLE, recipe, PEOPLE.look(3, mirrored=False)).views
    assert views is not None
    np.testing.assert_allclose(views[0], PEOPLE.views[3], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(views, axis=2), 1, atol=1e-5)
    parents = PEOPLE.views[[3, 90]]
    child = (views[1][None] * parents).sum(axis=-1)
    assert (child > (parents[0] * parents[1]).sum(axis=-1) + 0.03).all()
