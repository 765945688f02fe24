"""Requested people: turned where they are off, measured once, chosen by what the portrait shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from anonyface.identities.candidates import Candidates
from anonyface.identities.certification import CERTIFIED, TURNED_FROM, Certifier
from anonyface.identities.fit import FAR_OLDER, REFUSED, age_tolerance, misfit, wanted
from anonyface.identities.screens import MAX_PSI
from anonyface.identities.source import LatentIdentities
from anonyface.landmarks.pose import estimate_pose
from anonyface.types import IdentityRequest, Look

NONE = np.zeros((0, 128), np.float32)
POSES = [(-25.0, 8.0), (18.0, -9.0), (5.0, 9.0), (-8.0, -8.0), (-20.0, -12.0)]


@pytest.fixture(scope="module")
def source() -> LatentIdentities:
    return LatentIdentities(max_resemblance=0.58, max_sibling_similarity=0.62)


def asking(**sides: float) -> IdentityRequest:
    return IdentityRequest(look=wanted(**sides), face_px=0, avoid=NONE, taken=NONE, seed=1)


def poses(source: LatentIdentities) -> list[Look]:
    found = [
        source.request(gender="female", age=35, yaw=y, pitch=p, seed=int(y) + 50)[0].look
        for y, p in POSES
    ]
    return [look for look in found if look is not None]


def off(looks: list[Look]) -> float:
    pairs = zip(looks, POSES, strict=True)
    return float(np.mean([abs(f.yaw - y) + abs(f.pitch - p) for f, (y, p) in pairs]))


def test_heads_are_turned_once_more_where_they_are_off(
    source: LatentIdentities, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pose is nearer to what was asked than the first portrait of the same search."""
    twice = off(poses(source))
    monkeypatch.setattr(
        source.certifier, "_turned", lambda one, asked: (one, source.portraits(one, asked))
    )
    assert twice < 0.9 * off(poses(source))


def test_only_one_portrait_of_a_person_is_measured(
    source: LatentIdentities, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Encoders and readers cost as much as half a portrait: they see those that are turned."""
    calls: Counter[str] = Counter()
    turned, measured = source.certifier._turned, source.certifier._measured
    render = source.portraits.generator.render

    def count(name: str, call: Any) -> Any:
        def counted(*given: Any, **named: Any) -> Any:
            calls[name] += 1
            return call(*given, **named)

        return counted

    monkeypatch.setattr(source.certifier, "_turned", count("people", turned))
    monkeypatch.setattr(source.certifier, "_measured", count("measured", measured))
    monkeypatch.setattr(source.portraits.generator, "render", count("rendered", render))
    for seed, (yaw, pitch) in enumerate(POSES):
        source.request(gender="male", age=28, yaw=yaw, pitch=pitch, seed=900 + seed)
    assert calls["measured"] == calls["people"] <= CERTIFIED * len(POSES)
    assert calls["people"] <= calls["rendered"] <= 2 * calls["people"]


def test_a_steered_person_is_nearer_to_what_is_asked_and_stays_within_the_limit(
    source: LatentIdentities,
) -> None:
    asked = asking(p_female=1.0, age=30.0, yaw=20.0, pitch=-5.0)
    found = source.search(asked)[np.arange(40)]
    look = wanted(yaw=8.0, pitch=4.0)
    side = found.recipe.mirrored
    steered = source.model.steer(found.people, side, look, longest_step=0.3, max_psi=0.95)
    before, after = (misfit(p, look, mirrored=side) for p in (found.people, steered))
    assert np.median(after) < 0.5 * np.median(before)
    assert source.model.psi(steered.latents).max() < 0.952


def test_nobody_is_turned_whose_pose_is_right(source: LatentIdentities) -> None:
    asked = asking(p_female=0.0, age=40.0, yaw=0.0, pitch=0.0)
    one = source.search(asked)[np.array([0])]
    pose = estimate_pose(source.portraits(one, asked).mesh.points)
    for yaw in (pose.yaw, pose.yaw + TURNED_FROM - 0.5, float("nan"), 80.0):  # 80 is beyond help
        other = replace(asked, look=wanted(yaw=yaw))
        assert source.certifier._turned(one, other)[0] is one
    other = replace(asked, look=wanted(yaw=pose.yaw + TURNED_FROM + 4))
    assert source.certifier._turned(one, other)[0] is not one


def test_who_is_turned_passes_the_limit_of_distance_from_the_mean(source: LatentIdentities) -> None:
    for seed in range(3):
        asked = replace(asking(p_female=1.0, age=45.0, yaw=22.0), seed=seed)
        one = source.search(asked)[np.array([0])]
        yaw = 22.0 - 2 * TURNED_FROM if seed % 2 else 22.0 + 2 * TURNED_FROM
        people = source.certifier._turned(one, replace(asked, look=wanted(yaw=yaw)))[0].people
        assert source.model.psi(people.latents).max() <= max(
            MAX_PSI, float(source.model.psi(one.people.latents).max())
        )


def stand_in(
    source: LatentIdentities, monkeypatch: pytest.MonkeyPatch, looks: list[Look]
) -> tuple[Certifier, Iterator[Candidates]]:
    """A certifier that reads these looks one after the other, and candidates for them."""
    asked = asking(p_female=1.0, age=30.0)
    somebody = next(source._passing(source.search(asked), asked, related=True))
    left = iter(looks)
    monkeypatch.setattr(source.certifier, "_looks", lambda *_given: next(left))
    return source.certifier, iter([somebody] * len(looks))


def test_people_with_glasses_are_no_choice_for_who_wants_none(
    source: LatentIdentities, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asking(p_female=1.0, age=30.0, eyewear=0.0)
    without = replace(asked.look, age=34.0)
    with_some = replace(asked.look, eyewear=0.9)
    certifier, people = stand_in(source, monkeypatch, [with_some] * (CERTIFIED + 1) + [without])
    chosen = certifier(people, asked)
    assert chosen is not None
    assert chosen[0].look == without
    certifier, people = stand_in(source, monkeypatch, [with_some] * 3)
    chosen = certifier(people, asked)
    assert chosen is not None  # better than nobody, but told
    assert chosen[1] >= REFUSED


@pytest.mark.parametrize(("asked", "rather", "other"), [(1.0, 0.6, 0.4), (0.0, 0.1, 0.2)])
def test_glasses_asked_may_be_rather_there_and_others_must_not_even_be_perhaps(
    asked: float,
    rather: float,
    other: float,
    source: LatentIdentities,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = asking(p_female=1.0, age=30.0, eyewear=asked)
    looks = [replace(request.look, eyewear=seen) for seen in (other, rather)]
    certifier, people = stand_in(source, monkeypatch, looks)
    chosen = certifier(people, request)
    assert chosen is not None
    assert chosen[0].look == looks[1]


def test_nobody_reads_as_far_older_than_the_child_asked(
    source: LatentIdentities, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asking(p_female=1.0, age=5.0)
    limit = 5.0 + FAR_OLDER * age_tolerance(5.0)
    assert limit == 11
    looks = [replace(asked.look, age=years) for years in (15.0, limit + 0.1, 15.0, limit - 0.1)]
    certifier, people = stand_in(source, monkeypatch, looks)
    chosen = certifier(people, asked)
    assert chosen is not None
    assert chosen[0].age == pytest.approx(limit - 0.1)
    certifier, people = stand_in(source, monkeypatch, looks[:3])
    assert certifier(people, asked) is None


def test_a_small_boy_with_glasses_comes_without_rather_than_not_at_all(
    source: LatentIdentities,
) -> None:
    (boy,) = source.request(gender="male", age=4, yaw=-22, glasses=True, seed=5)
    assert boy.age <= 11
