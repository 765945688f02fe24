"""Along the identity axes people become others who look as before."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from anonyface.errors import WeightsMissing
from anonyface.identities import axes
from anonyface.identities.axes import APART, COUNT, STAYS, IdentityAxes, load_axes
from anonyface.identities.candidates import Candidates, recipe_of
from anonyface.identities.fit import TOLERANCE, wanted
from anonyface.identities.latents import LatentModel
from anonyface.identities.people import VIEWS, People, load_pool
from anonyface.identities.resemblance import MASKED, SEEN_BY, WHOLE, excess, rises
from anonyface.identities.source import LatentIdentities
from anonyface.types import IdentityRequest
from anonyface.verification.thresholds import EncoderName

PEOPLE = load_pool()
ROWS = np.random.default_rng(3).choice(len(PEOPLE), 200, replace=False)


def away_from(row: int, judges: tuple[EncoderName, ...] = WHOLE) -> IdentityRequest:
    """Ask for somebody who is not this one of the pool, as the judges see them."""
    assert PEOPLE.views is not None
    seen = {n: PEOPLE.views[row, VIEWS.index(n)] for n in judges if n in VIEWS}
    nobody = PEOPLE.embeddings[:0]
    look = PEOPLE.look(row, mirrored=False)
    return IdentityRequest(look, 100, PEOPLE.embeddings[[row]], nobody, seed=5, seen=seen)


def moved(people: People, request: IdentityRequest) -> People:
    found = load_axes()
    codes = found.code(rises(people, request, found.slopes))
    return LatentModel().moved(people, found.step(codes), found.seen(codes))


def test_steps_are_as_long_as_said_and_who_stays_stays() -> None:
    found = load_axes()
    codes = np.array([0, 5, 2**COUNT - 1, STAYS])
    steps = found.step(codes)
    np.testing.assert_allclose(np.linalg.norm(steps[:3], axis=1), APART, rtol=0.01)
    np.testing.assert_allclose(steps[0], -steps[2], atol=1e-6)
    np.testing.assert_allclose(found.seen(codes)[0], -found.seen(codes)[2], atol=1e-6)
    assert not steps[3].any()
    assert not found.seen(codes)[3].any()
    assert found.seen(codes).shape == (4, len(VIEWS), 128)


def test_a_code_says_where_it_falls() -> None:
    falls = np.ones((1, COUNT), np.float32)
    falls[0, [0, 3]] = -1
    found = load_axes()
    assert found.code(falls).tolist() == [0b1001]
    along = found.step(found.code(falls)) @ found.axes.T  # the axes are at right angles
    assert (along[0, [0, 3]] > 0).all()
    assert (np.delete(along[0], [0, 3]) < 0).all()


@pytest.mark.parametrize("judges", [WHOLE, MASKED, WHOLE[:1]])
def test_rises_are_the_slopes_of_the_excess(judges: tuple[EncoderName, ...]) -> None:
    request, people, step = away_from(17, judges), PEOPLE[ROWS], np.float32(1e-3)
    assert people.views is not None
    slopes = load_axes().slopes
    told = rises(people, request, slopes)
    for axis in (0, COUNT - 1):
        views = people.views + step * slopes[axis, 1:]
        there = replace(people, embeddings=people.embeddings + step * slopes[axis, 0], views=views)
        found = (excess(there, request) - excess(people, request)) / step
        # Up to what the cosine's length does, and rounding.
        np.testing.assert_allclose(told[:, axis], found, atol=0.02)
        assert np.corrcoef(told[:, axis], found)[0, 1] > 0.98


@pytest.mark.parametrize("judges", [WHOLE, MASKED])
def test_people_who_are_moved_resemble_less_and_look_as_before(
    judges: tuple[EncoderName, ...],
) -> None:
    people, request = PEOPLE[ROWS], away_from(17, judges)
    there = moved(people, request)
    change = excess(there, request) - excess(people, request)
    assert np.mean(change < 0) > 0.97
    assert np.median(change) < -0.08
    for name in ("age", "yaw", "pitch", "mouth_open", "p_female"):
        off = np.abs(there.column(name) - people.column(name)) / TOLERANCE[name]
        assert np.median(off) < 1, name
    # Not just any step does that: one as long along a random direction changes more of them.
    some = np.random.default_rng(0).standard_normal((len(people), 512)).astype(np.float32)
    some *= np.float32(APART) / np.linalg.norm(some, axis=1, keepdims=True)
    other = LatentModel().moved(people, some, np.zeros_like(load_axes().seen(np.array([0]))))
    assert np.median(excess(other, request) - excess(people, request)) > -0.02


def test_the_search_offers_who_was_moved_and_they_resemble_less() -> None:
    source = LatentIdentities(max_resemblance=0.58, max_sibling_similarity=0.62)
    request = away_from(17)
    found = source.search(request)
    stay = np.flatnonzero(found.recipe.code == STAYS)
    assert len(found.people) == 2 * len(stay)
    assert np.mean(found.recipe.code[:20] != STAYS) > 0.5
    assert found.misfits[:20].mean() < found.misfits[stay[:20]].mean() - 0.3
    assert excess(found.people[slice(20)], request).mean() < -0.1


def test_without_anybody_to_move_away_from_nobody_is_moved() -> None:
    source = LatentIdentities(max_resemblance=0.58, max_sibling_similarity=0.62)
    request = replace(away_from(17), look=wanted(age=40.0), avoid=PEOPLE.embeddings[:0], seen={})
    assert (source.search(request).recipe.code == STAYS).all()


def test_a_persona_holds_the_code_and_leads_back() -> None:
    source = LatentIdentities(max_resemblance=0.58, max_sibling_similarity=0.62)
    request = away_from(17)
    found = source.search(request)
    row = int(np.flatnonzero(found.recipe.code != STAYS)[0])
    persona = found.persona(row)
    assert "~" in persona
    recipe = recipe_of(persona, len(PEOPLE))
    for name in ("mother", "father", "share", "mirrored", "code"):
        assert getattr(recipe, name)[0] == pytest.approx(getattr(found.recipe, name)[row])
    again = source.again(persona, request)
    assert float(again.embedding @ found.people.embeddings[row]) > 0.99


def test_names_from_before_there_were_axes_are_known() -> None:
    recipe = recipe_of("pool:12x345@0.40m", len(PEOPLE))
    assert (recipe.mother[0], recipe.father[0], recipe.code[0]) == (12, 345, STAYS)
    assert Candidates(PEOPLE[:1], recipe, np.zeros(1, np.float32)).persona(0) == "pool:12x345@0.40m"


def test_axes_of_another_layout_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    np.savez(stream, axes=np.zeros((3, 512)), slopes=np.zeros((3, 4, 128)))
    monkeypatch.setattr(axes, "read_weights", lambda name: stream.getvalue())
    with pytest.raises(WeightsMissing, match="identity-axes"):
        IdentityAxes()


def test_all_that_people_are_seen_by_has_slopes() -> None:
    assert load_axes().slopes.shape[1] == len(SEEN_BY)
