"""Which of those who are offered are tried, and in which order."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest

from anonyface.identities.showing import SPOILT
from anonyface.landmarks.mesh import five_points
from anonyface.landmarks.pose import estimate_pose
from anonyface.subjects import Subject
from anonyface.tries import (
    FAR_TRIES,
    FIRST_CHOICES,
    NEAR_TRIES,
    OTHER_TRIES,
    SHORT_LIST,
    Portrayal,
    choose_others,
    choose_tries,
    in_turn,
    portray,
    showing_first,
)
from anonyface.types import Face, Identity, Look, Mesh, Offer

from .test_subjects import LOOK

ORIGINAL = np.eye(1, 128, dtype=np.float32)[0]
FITTING = 1 + NEAR_TRIES + FAR_TRIES
ALL = FITTING + OTHER_TRIES


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
    assert len(tries) == FITTING
    assert tries[0] is some[0]
    near, far = tries[1 : 1 + NEAR_TRIES], tries[1 + NEAR_TRIES :]
    for chosen, group in ((near, some[1:SHORT_LIST]), (far, some[SHORT_LIST:])):
        values = [float(o.embedding @ ORIGINAL) for o in chosen]
        assert values == sorted(float(o.embedding @ ORIGINAL) for o in group)[: len(values)]


@pytest.mark.parametrize(("fitting", "tried"), [(3, 3), (20, FITTING)])
def test_who_is_offered_in_want_of_others_comes_last(fitting: int, tried: int) -> None:
    some = offers(np.random.default_rng(1).permutation(np.linspace(0.3, 0.9, 40)).tolist())
    some = [replace(o, fitting=number < fitting) for number, o in enumerate(some)]
    tries = choose_tries(some, ORIGINAL)
    assert [o.fitting for o in tries] == [True] * tried
    others = choose_others(some, tries, ORIGINAL)
    assert len(tries) + len(others) == ALL
    assert [o.fitting for o in others[:OTHER_TRIES]] == [False] * OTHER_TRIES
    seen = [float(o.embedding @ ORIGINAL) for o in others[:OTHER_TRIES]]
    assert seen == sorted(float(o.embedding @ ORIGINAL) for o in some[fitting:])[: len(seen)]


@pytest.mark.parametrize("count", [0, 1, 3, ALL, SHORT_LIST + 2])
def test_of_few_none_is_left_out_and_none_comes_twice(count: int) -> None:
    some = offers(np.linspace(0.9, 0, count).tolist())
    tries = choose_tries(some, ORIGINAL)
    both = [*tries, *choose_others(some, tries, ORIGINAL)]
    assert len(both) == min(count, ALL)
    assert len({id(o) for o in both}) == len(both)


def original(mesh: Mesh) -> Subject:
    """Who is replaced: a face with this mesh."""
    low, high = mesh.points[:, :2].min(axis=0), mesh.points[:, :2].max(axis=0)
    face = Face(np.concatenate([low, high]), five_points(mesh.points), 0.99)
    return Subject(face, mesh, LOOK, ORIGINAL, None)


def same_pose(mesh: Mesh, look: Look, identity: Identity) -> bool:
    """Stands for a `PortraitCheck`: only the pose counts."""
    return abs(estimate_pose(mesh.points).yaw - estimate_pose(identity.mesh.points).yaw) < 10


class Booth:
    """Renders portraits: those named show another pose than was asked."""

    def __init__(self, mesh: Mesh, look_away: set[int]) -> None:
        self.mesh, self.look_away, self.rendered = mesh, look_away, list[int]()

    def offers(self, count: int) -> list[Offer]:
        return [Offer(np.eye(128)[k], partial(self.portrait, k)) for k in range(count)]

    def portrait(self, number: int) -> Identity:
        self.rendered.append(number)
        mesh = self.mesh
        if number in self.look_away:
            turn = cv2.Rodrigues(np.array([0, 0.6, 0]))[0]
            mesh = Mesh((mesh.points @ turn.T).astype(np.float32), 1.0)
        pixels = np.full((1024, 1024, 3), 128, np.uint8)
        return Identity(
            pixels, mesh, np.zeros(512), "male", 30.0, np.eye(128)[0], seed=number, source="test"
        )


@pytest.mark.parametrize(
    ("look_away", "order"),
    [
        (set(), [0, 1, 2, 3, 4, 5]),
        ({0}, [1, 0, 2, 3, 4, 5]),
        ({0, 1, 2}, [3, 0, 1, 2, 4, 5]),
        ({0, 1, 2, 3}, [0, 1, 2, 3, 4, 5]),  # nobody of the best few: no more are looked at
    ],
)
def test_the_first_of_the_best_few_who_shows_what_is_asked_comes_first(
    meshes: list[Mesh], look_away: set[int], order: list[int]
) -> None:
    booth = Booth(meshes[0], look_away)
    some = booth.offers(6)
    got = showing_first(some, partial(portray, original(meshes[0]), same_pose))
    assert [some.index(offer) for offer in got] == order
    assert len(booth.rendered) <= FIRST_CHOICES


def test_who_shows_something_else_is_tried_last_but_tried(meshes: list[Mesh]) -> None:
    booth = Booth(meshes[0], {0, 2, 4})
    some = booth.offers(6)
    look_at = partial(portray, original(meshes[0]), same_pose)
    bad = {0: 1.5, 2: SPOILT, 4: 0.5}

    def faults(one: Portrayal) -> float:
        return bad[one.identity.seed]

    turns = [list(turn) for turn in in_turn(some[:4], lambda: some[4:], look_at, faults)]
    # The worst of them is not put on at all.
    assert [[one.identity.seed for one in turn] for turn in turns] == [[1, 3], [5], [4, 0]]
    assert [[one.alike for one in turn] for turn in turns] == [[True] * 2, [True], [False] * 2]
    assert booth.rendered == [0, 1, 2, 3, 4, 5]


def test_nobody_is_rendered_or_looked_for_before_they_are_needed(meshes: list[Mesh]) -> None:
    booth = Booth(meshes[0], set())

    def others() -> list[Offer]:
        raise AssertionError("somebody is left")

    look_at = partial(portray, original(meshes[0]), same_pose)
    turns = in_turn(booth.offers(2), others, look_at, lambda one: 0.0)
    first = next(turns)
    assert booth.rendered == []
    assert next(first).identity.seed == 0
    assert booth.rendered == [0]
    assert [one.identity.seed for one in first] == [1]
    with pytest.raises(AssertionError, match="somebody is left"):
        next(turns)
