"""Which of those who are offered are tried, and in which order."""

from __future__ import annotations

import numpy as np
import pytest

from anonyface.replacement import FAR_TRIES, NEAR_TRIES, SHORT_LIST, choose_tries
from anonyface.types import Identity, Offer

ORIGINAL = np.eye(1, 128, dtype=np.float32)[0]
ALL = 1 + NEAR_TRIES + FAR_TRIES


def never() -> Identity:
    raise AssertionError("choosing must not render")


def offers(resemblances: list[float], *, told: bool = True) -> list[Offer]:
    """Offers that resemble the original so much; told, or to be seen by their embedding alone."""
    angles = np.arccos(resemblances)
    embeddings = np.zeros((len(angles), 128), np.float32)
    embeddings[:, 0], embeddings[:, 1] = np.cos(angles), np.sin(angles)
    said = resemblances if told else [float("nan")] * len(angles)
    return [Offer(e, never, r) for e, r in zip(embeddings, said, strict=True)]


@pytest.mark.parametrize("told", [True, False])
def test_the_best_fit_first_then_the_least_similar_near_then_far(told: bool) -> None:
    some = offers(np.random.default_rng(0).permutation(np.linspace(0, 0.9, 40)).tolist(), told=told)
    tries = choose_tries(some, ORIGINAL)
    assert len(tries) == ALL
    assert tries[0] is some[0]
    near, far = tries[1 : 1 + NEAR_TRIES], tries[1 + NEAR_TRIES :]
    for chosen, group in ((near, some[1:SHORT_LIST]), (far, some[SHORT_LIST:])):
        values = [float(o.embedding @ ORIGINAL) for o in chosen]
        assert values == sorted(float(o.embedding @ ORIGINAL) for o in group)[: len(values)]


@pytest.mark.parametrize("count", [0, 1, 3, ALL, SHORT_LIST + 2])
def test_of_few_none_is_left_out_and_none_comes_twice(count: int) -> None:
    some = offers(np.linspace(0.9, 0, count).tolist())
    tries = choose_tries(some, ORIGINAL)
    assert len(tries) == min(count, ALL)
    assert len({id(o) for o in tries}) == len(tries)
