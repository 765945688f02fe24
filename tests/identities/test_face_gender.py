"""The gender that a face alone shows, and what it costs in the search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anonyface.errors import WeightsMissing
from anonyface.identities import face_gender
from anonyface.identities.face_gender import UPPER, load_face_gender
from anonyface.identities.fit import (
    CLEARLY_READS,
    EYES_READ,
    EYES_TOLERANCE,
    OF_THE_OLD,
    OLD_FROM,
    READS_TOLERANCE,
    eyes_asked,
    misfit,
    wanted,
)
from anonyface.identities.people import LABELS, VIEWS, People, load_pool
from anonyface.types import FloatArray


def seen(log_odds: float, eyes: float | None = None) -> FloatArray:
    """(1, len(VIEWS), 128) views that read with these log odds of female, eyes with others."""
    model = load_face_gender()
    eyes = np.sign(log_odds) * 9 if eyes is None else eyes
    out = np.zeros((1, len(VIEWS), 128), np.float32)
    along = model.upper_weight / np.square(model.upper_weight).sum()
    out[0, UPPER] = along * (eyes - model.upper_bias)
    rest = model.weight.copy()
    rest[UPPER] = 0
    out[0] += rest / np.square(rest).sum() * (log_odds - float(model(out)[0]))
    return out


def somebody(
    log_odds: float | None,
    *,
    p_female: float = 1.0,
    age: float = 40.0,
    eyes: float | None = None,
) -> People:
    """One person whose portrait, hair in view, reads as told, and whose face alone like that."""
    label = dict.fromkeys(LABELS, 0.0) | {"clear": 1.0, "sound": 1.0}
    label |= {"p_female": p_female, "age": age}
    labels = np.array([list(label.values())], np.float32)
    views = None if log_odds is None else seen(log_odds, eyes)
    return People(np.zeros((1, 0), np.float32), np.zeros((1, 128), np.float32), labels, views)


def cost(
    log_odds: float | None,
    *,
    asked: float = 1.0,
    age: float = 40.0,
    p_female: float | None = None,
    eyes: float | None = None,
) -> float:
    shown = asked if p_female is None else p_female
    people = somebody(log_odds, p_female=shown, age=age, eyes=eyes)
    return float(misfit(people, wanted(p_female=asked, age=age), mirrored=False)[0])


def test_log_odds_are_linear_in_what_the_judges_see() -> None:
    both = np.concatenate([seen(-2.0), seen(3.0)])
    np.testing.assert_allclose(load_face_gender()(both), [-2, 3], atol=1e-3)
    halfway = (seen(-2.0) + seen(3.0)) / 2
    np.testing.assert_allclose(load_face_gender()(halfway), [0.5], atol=1e-3)


def test_a_face_that_reads_clearly_costs_nothing_whatever_its_hair() -> None:
    assert cost(CLEARLY_READS) == pytest.approx(0, abs=1e-3)
    assert cost(CLEARLY_READS + 3) == pytest.approx(0, abs=1e-3)
    assert cost(-CLEARLY_READS, asked=0.0) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_face_that_reads_less_clearly_costs_the_more_the_less(sign: int) -> None:
    asked = float(sign > 0)
    one, two = (cost(sign * (CLEARLY_READS - k * READS_TOLERANCE), asked=asked) for k in (1, 2))
    assert one == pytest.approx(1, rel=1e-3)
    assert two == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_eyes_and_brows_are_asked_for_themselves(sign: int) -> None:
    asked, clearly, reads = float(sign > 0), sign * CLEARLY_READS, EYES_READ[sign > 0]
    assert cost(clearly, asked=asked, eyes=sign * reads) == pytest.approx(0, abs=1e-3)
    less = cost(clearly, asked=asked, eyes=sign * (reads - EYES_TOLERANCE))
    assert less == pytest.approx(1, rel=1e-3)


def test_of_the_very_old_less_is_asked_of_women_and_of_the_unsure() -> None:
    def asked(p_female: float, age: float) -> float:
        return eyes_asked(wanted(p_female=p_female, age=age), EYES_READ)

    assert asked(1.0, 30.0) == asked(1.0, OLD_FROM[0]) == EYES_READ[True]
    assert asked(1.0, 70.0) > asked(1.0, 80.0) == pytest.approx(OF_THE_OLD * EYES_READ[True])
    assert asked(0.0, 30.0) == asked(0.0, 80.0) == EYES_READ[False]
    assert asked(0.75, 30.0) == pytest.approx(EYES_READ[True] / 2)


def test_eyes_of_the_pool_read_mostly_as_their_portraits_do() -> None:
    people = load_pool()
    assert people.views is not None
    said, female = load_face_gender().of_eyes(people.views[:, UPPER]), people.column("p_female")
    grown = (people.column("age") > 20) & (people.column("age") < 60)
    assert 0.9 < (said[grown & (female > 0.9)] > 0).mean() < 1
    assert 0.9 < (said[grown & (female < 0.1)] < 0).mean() < 1


def test_nothing_is_asked_of_small_children_and_little_where_the_original_is_not_sure() -> None:
    assert cost(0.0, age=3.0) == pytest.approx(0, abs=1e-3)
    assert 0 < cost(0.0, age=8.0) < cost(0.0, age=16.0)
    assert cost(0.0, asked=0.5) == pytest.approx(0, abs=1e-3)
    assert cost(0.0, asked=0.75) < cost(0.0, asked=1.0)


def test_nothing_is_asked_where_nobody_knows_or_cares() -> None:
    assert cost(None) == pytest.approx(0, abs=1e-3)
    people = somebody(-5.0)
    assert misfit(people, wanted(age=40.0), mirrored=False)[0] == pytest.approx(0, abs=1e-3)
    of_any_age = replace(wanted(p_female=1.0))
    assert misfit(people, of_any_age, mirrored=False)[0] > 3


def test_faces_of_the_pool_read_mostly_as_their_portraits_do() -> None:
    people = load_pool()
    assert people.views is not None
    said, female = load_face_gender()(people.views), people.column("p_female")
    grown = people.column("age") > 20
    # Not all: that is what it is for. With a model that knows nothing it would be a half.
    assert 0.95 < (said[grown & (female > 0.9)] > 0).mean() < 1
    assert 0.95 < (said[grown & (female < 0.1)] < 0).mean() < 1


def test_a_file_of_another_layout_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(dict):
        def __enter__(self) -> Other:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    model = {"weight": np.zeros((len(VIEWS) + 1, 128)), "bias": np.float32(0)}
    model |= {"upper_weight": np.zeros(128), "upper_bias": np.float32(0)}
    monkeypatch.setattr(face_gender.np, "load", lambda *_, **__: Other(model))
    load_face_gender.cache_clear()
    with pytest.raises(WeightsMissing):
        load_face_gender()
    monkeypatch.undo()
    load_face_gender.cache_clear()
    assert load_face_gender().weight.shape == (len(VIEWS), 128)
