"""The distance of the search: what counts, what does not, and what is not believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anonyface.identities.fit import (
    FAR_AGE,
    GROUP_TONES,
    REFUSED,
    TOLERANCE,
    TONE_REACH,
    believable_tone,
    misfit,
    wanted,
)
from anonyface.identities.people import LABELS, MIRRORED, People, load_pool
from anonyface.types import Look

WHITE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
ASKED = replace(
    wanted(
        p_female=1.0, age=30.0, skin_tone=45.0, yaw=12.0, pitch=0.0, mouth_open=0.1, smile=0.6,
        eyes_open=0.3, side_light=4.0, shade=30.0, beard=5.0, brows=15.0, facial_hair=0.1,
        gaze_across=0.05, gaze_down=0.0, eyewear=0.02, roll=0.0,
    ),
    groups=WHITE,
)  # fmt: skip


def somebody(look: Look, **changes: float) -> People:
    """One person who looks as asked but for some sides."""
    label = dict.fromkeys(LABELS, 0.0) | {"clear": 1.0, "sound": 1.0}
    label |= {name: getattr(look, name) for name in LABELS if hasattr(look, name)}
    label |= {f"group_{i}": share for i, share in enumerate(look.groups)} | changes
    labels = np.array([[label[name] for name in LABELS]], np.float32)
    return People(np.zeros((1, 0), np.float32), np.zeros((1, 128), np.float32), labels)


def distance(changes: dict[str, float], *, mirrored: bool = False) -> float:
    return float(misfit(somebody(ASKED, **changes), ASKED, mirrored=mirrored)[0])


def test_a_perfect_fit_has_no_distance() -> None:
    assert distance({}) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("name", list(TOLERANCE))
def test_one_tolerance_off_is_a_distance_of_one(name: str) -> None:
    off = TOLERANCE[name] * (-1 if name in ("p_female", "skin_tone") else 1)
    assert distance({name: getattr(ASKED, name) + off}) == pytest.approx(1, rel=0.02)


def test_a_mirrored_person_looks_the_other_way() -> None:
    flipped = {name: -getattr(ASKED, name) for name in MIRRORED}
    assert distance(flipped, mirrored=True) == pytest.approx(0, abs=1e-3)
    assert distance(flipped) > 5


def test_sides_left_open_cost_nothing() -> None:
    people, older = somebody(ASKED), 30 + TOLERANCE["age"]
    assert misfit(people, wanted(age=30.0), mirrored=False)[0] == pytest.approx(0, abs=1e-3)
    assert misfit(people, wanted(age=older), mirrored=False)[0] == pytest.approx(1, rel=0.01)


def test_a_large_difference_in_age_counts_more_than_in_proportion() -> None:
    near, far = (
        misfit(somebody(ASKED), wanted(age=30 + off * TOLERANCE["age"]), mirrored=False)[0]
        for off in (1, 4)
    )
    assert far == pytest.approx(16 / FAR_AGE * near, rel=0.01)


@pytest.mark.parametrize(
    "changes",
    [{"eyewear": 0.9}, {"p_female": 0.0}, {"group_6": 0.0, "group_1": 1.0}, {"sound": 0.0}],
)
def test_what_always_shows_costs_most(changes: dict[str, float]) -> None:
    assert distance(changes) > 3.9
    assert (distance(changes) >= REFUSED) == ("eyewear" in changes)


@pytest.mark.parametrize("eyewear", [0.62, 0.68, 0.95])
def test_who_seems_to_wear_glasses_gets_somebody_who_does(eyewear: float) -> None:
    asked = replace(ASKED, eyewear=eyewear)
    with_some, without = (
        misfit(somebody(ASKED, eyewear=have), asked, mirrored=False)[0] for have in (1.0, 0.02)
    )
    assert with_some < 1
    assert without >= REFUSED


def test_sunglasses_ask_for_dark_lenses() -> None:
    sunglasses = replace(ASKED, eyewear=0.95, shade=56.0)
    dark, tinted, clear = (
        misfit(somebody(ASKED, eyewear=1.0, shade=shade), sunglasses, mirrored=False)[0]
        for shade in (56.0, 50.0, 25.0)
    )
    assert dark < 0.1
    assert dark < tinted < clear
    assert clear > 5


@pytest.mark.parametrize(("asked", "near", "across"), [(0.9, 0.6, 0.4), (0.1, 0.4, 0.6)])
def test_a_beard_does_not_come_or_go(asked: float, near: float, across: float) -> None:
    look = replace(ASKED, facial_hair=asked)
    stays, changes = (
        misfit(somebody(look, facial_hair=have), look, mirrored=False)[0] for have in (near, across)
    )
    assert changes > stays + 2


def test_children_are_for_children() -> None:
    child, teenager = replace(ASKED, age=15.0), replace(ASKED, age=19.0)
    far = misfit(somebody(teenager), child, mirrored=False)[0]
    near = misfit(somebody(replace(ASKED, age=11.0)), child, mirrored=False)[0]
    assert far > 3 * near


def test_a_pale_face_in_the_dark_is_not_taken_for_a_dark_one() -> None:
    dim = replace(ASKED, skin_tone=-30.0)
    assert believable_tone(dim) == pytest.approx(GROUP_TONES[6] - TONE_REACH)
    assert believable_tone(ASKED) == 45
    assert believable_tone(wanted(skin_tone=-30.0)) == -30  # no group to doubt it by


def test_a_year_shows_more_in_a_child() -> None:
    def apart(asked: float, have: float) -> float:
        people = load_pool()[:1]
        labels = people.labels.copy()
        labels[:, LABELS.index("age")] = have
        one = People(people.latents, people.embeddings, labels)
        base = misfit(one, wanted(), mirrored=False)[0]
        total = misfit(one, wanted(age=asked), mirrored=False)[0]
        return float(np.sqrt(total**2 - base**2))

    assert apart(40, 45) < 1.5
    assert apart(5, 10) > 1.7
    # The best of those left for a child of five must not be somebody of fifteen: a cover is better.
    assert apart(5, 15) > 7
