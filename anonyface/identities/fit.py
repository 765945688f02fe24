"""How far a synthetic person is from what is asked: the distance that the search minimises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anonyface.identities.face_gender import UPPER, load_face_gender
from anonyface.identities.flaws import load_flaw
from anonyface.identities.people import GROUPS, MIRRORED, SCALARS, People
from anonyface.types import FloatArray, Look

TOLERANCE = {
    "p_female": 0.15,
    "age": 4.2,
    "skin_tone": 10.0,
    "yaw": 3.0,
    "pitch": 5.5,
    "mouth_open": 0.055,
    "smile": 0.05,
    "eyes_open": 0.07,
    "side_light": 9.0,
    "shade": 12.0,
    "beard": 8.0,
    "brows": 9.0,
    "facial_hair": 0.2,
    "gaze_across": 0.05,
    "gaze_down": 0.06,
}
"""How far off a nobody may be before it shows: the unit of the search's distance. Skin tone may be
far off, because light and exposure are in it and it is matched when the face is put on; that hair,
ears and neck fit is up to the group."""
GROUP_TOLERANCE = 0.11
"""Hellinger distance of two faces' group probabilities that is as bad as one tolerance: half of
what begins to show, or resemblance to the original would be bought with the group."""
GROUP_TONES = np.array([-8, 51, 25, 38, 12, 27, 48], dtype=np.float32)
"""Skin tone the groups have in the pool, degrees (least squares, printed by training.make_pool)."""
TONE_REACH = 30.0
"""How far from what the group lets expect a tone is believed: beyond, it is the light."""
OTHER_SIDE = {"p_female": 4.0, "facial_hair": 3.0}
"""Distance added for a nobody of the other gender, or with a beard or moustache where the original
has none or the other way round, as far as the original's was sure."""
CLEARLY_READS, READS_TOLERANCE = 4.5, 0.5
"""Log odds with which a face alone, without its hair, is to read as of the gender asked, where the
original surely does, and the unit of what is less. They are predicted, to 1.2: of 50 portraits put
on women of lfw-dev before that was asked 24 read from 3 on, whom a judge all took for women, and 26
below, of whom it took 10 for men."""
EYES_READ, EYES_TOLERANCE = {True: 5.5, False: 0.0}, 0.45
"""The same of what eyes and brows tell of women and of men. Of 387 women of lfw-dev, put on without
that being asked, a judge took 33 % of the fifth that read least so for men, and 1 % of the upper
two fifths; of the pool's women four in five read as less than is asked, of those over 60 nearly
all. A man's need only not read as a woman's: more gave all men heavy brows."""
OLD_FROM, OF_THE_OLD = (66.0, 76.0), 0.5
"""Years from which on less of that is asked of women, and the share from the last on: of women of
the pool over 60 eyes and brows read half as surely as of younger ones, and where nobody comes near
what is asked, all else hardly counts."""
BARELY_BELOW, SURELY_FROM = 6.0, 24.0
"""Years up to which nothing of that is asked, and from which on all of it."""
CHILD_AGE = 17.0
"""Children get children, nobody else does: across this age a difference counts four times."""
FIRST_YEARS, OF_AGE = 1.5, 0.3
"""A year shows the more the younger somebody is: the tolerance of age is no more than the first
number of years and this share of the age, which is 3 years at 5."""
FAR_AGE = 1.5
"""Tolerances from which on a difference in age counts more and more: one sees it, however well all
else fits."""
FAR_OLDER = 2.0
"""Tolerances of age beyond which a nobody is too old for the child asked, whatever else fits: 6
years for a child of 5. A cover is better."""
WEARS = 0.4
"""Who seems to wear glasses from here on gets a nobody who does: half a frame on somebody without
is seen at once, a frame where there was none is not. Of 300 people in masks of groups-dev who were
looked at, 3 of 75 who wear some read as less, and 8 of 225 who don't as more."""
DARK_LENSES, DARK_TOLERANCE = 50.0, 2.0
"""Shade of sunglasses, L* units: `looks.LookReader` says no less of dark ones and less of all
others. How much lighter a nobody's may be then: eyes shown instead of dark
lenses are seen at once, and of all who wear glasses 1 in 15 wears dark ones."""
OTHER_LENSES, LENS_TOLERANCE = 10.0, 5.0
"""How much darker or lighter the glasses of all others may be than the original's: beyond, clear
ones become sunglasses, or the other way round. What counts as much as one tolerance then."""
HAS_GLASSES, HAS_NONE = 0.8, 0.12
"""Who seems to wear glasses gets a nobody who surely does; all others one who does not."""
HAS_CLEARLY, FAINT_TOLERANCE = 0.98, 0.06
"""Of 72 portraits with glasses that were looked at, 12 had rims or temples that fade away: one of
them among the 29 from this probability on."""
REFUSED = 100.0
"""Distance added for a mismatch that always shows, so that such people come last."""
HAIR_TOLERANCE = 0.08
"""Share of forehead and temples under hair that begins to show, in units of the distance."""
UNSOUND_TOLERANCE = 0.25
"""Probability of an artefact that is as bad as one tolerance of anything else."""
FLAW_TOLERANCE = 0.25
"""The same of hair in the face and of mixed light: such a portrait is passed over when it is looked
at, and rendered for nothing."""


def misfit(people: People, look: Look, *, mirrored: bool | NDArray[np.bool_]) -> FloatArray:
    """(n,) distance of every person to a look, in tolerances.

    Args:
        people: Whom to choose from.
        look: What is asked; NaN for what does not matter.
        mirrored: Whether their portraits are to be mirrored, all or (n,) one by one.
    """
    total = np.square((1 - people.column("clear")) / HAIR_TOLERANCE)
    total += np.square((1 - people.column("sound")) / UNSOUND_TOLERANCE)
    for name, usual in TOLERANCE.items():
        asked = believable_tone(look) if name == "skin_tone" else getattr(look, name)
        tolerance = usual
        if name == "age":
            tolerance = age_tolerance(asked)
        if np.isnan(asked):
            continue
        have = people.column(name)
        if name in MIRRORED:
            have = np.where(mirrored, -have, have)
        off = (have - np.float32(asked)) / np.float32(tolerance)
        off = np.where(np.isnan(off), np.float32(1), off)  # asked, but not known of this person
        if name == "age":
            off = np.abs(off) * np.maximum(1, np.abs(off) / FAR_AGE)
            off = np.where((have < CHILD_AGE) != (asked < CHILD_AGE), 4 * off, off)
        if name in OTHER_SIDE:
            across = (have >= 0.5) != (asked >= 0.5)
            off = np.abs(off) + across * np.float32(OTHER_SIDE[name] * abs(2 * asked - 1))
        total += np.square(off)
    total += _group_misfit(people, look) + _eyewear_misfit(people, look)
    total += _gender_misfit(people, look) + _flaw_misfit(people)
    return np.asarray(np.sqrt(total), dtype=np.float32)


def age_tolerance(asked: float) -> float:
    """Return by how many years a nobody may be off before it shows, for the years asked.

    >>> round(age_tolerance(5.0), 3), age_tolerance(40.0)
    (3.0, 4.2)
    """
    return min(TOLERANCE["age"], FIRST_YEARS + OF_AGE * max(asked, 0.0))


def far_older(years: FloatArray | float, asked: float) -> NDArray[np.bool_]:
    """Whether people of these years, any shape, are far too old for the child asked.

    Never so if an adult is asked, or nobody of a certain age (NaN).

    >>> far_older(np.array([6.0, 15.0]), 5.0), far_older(70.0, 20.0)
    (array([False,  True]), np.False_)
    """
    most = asked + FAR_OLDER * age_tolerance(asked)
    return np.asarray(years) > (most if asked < CHILD_AGE else np.inf)


def believable_tone(look: Look) -> float:
    """Return the skin tone of a look without what only dim or glaring light explains.

    A pale face in the dark measures like a dark one. The photo's light is matched when the face is
    put on; here somebody is chosen who would look like that in it.
    """
    expected = float(np.array(look.groups, dtype=np.float32) @ GROUP_TONES)
    if np.isnan(expected):
        return look.skin_tone
    return float(np.clip(look.skin_tone, expected - TONE_REACH, expected + TONE_REACH))


def _group_misfit(people: People, look: Look) -> FloatArray:
    asked = np.array(look.groups, dtype=np.float32)
    if np.isnan(asked).any():
        return np.zeros(len(people), dtype=np.float32)
    have = np.stack([people.column(g) for g in GROUPS], axis=1)
    hellinger = np.square(np.sqrt(have) - np.sqrt(asked)).sum(axis=1)
    return np.asarray(hellinger / np.float32(GROUP_TOLERANCE**2), dtype=np.float32)


def gender_share(look: Look) -> float:
    """How surely a face is to read as a woman's, 1, or a man's, -1; 0 where that is not known.

    The less, the less sure the original's own gender is; nothing is asked of small children.

    >>> gender_share(wanted(p_female=0.75, age=40.0)), gender_share(wanted(p_female=0.0, age=3.0))
    (0.5, -0.0)
    """
    return 0.0 if np.isnan(look.p_female) else (2 * look.p_female - 1) * _grown(look.age)


def eyes_asked(look: Look, sure: Mapping[bool, float]) -> float:
    """Log odds with which eyes and brows are to read as of the gender of a look.

    Args:
        look: What was read off the original.
        sure: The same where it surely is a woman (True) or a man (False), grown up and not old.
    """
    share = gender_share(look)
    years = np.nan_to_num(look.age, nan=SURELY_FROM)
    old = np.interp(years, OLD_FROM, (1, OF_THE_OLD)) if share > 0 else 1.0
    return sure[share > 0] * abs(share) * float(old)


def _grown(age: float) -> float:
    """How far somebody's gender shows in the face, 0 to 1."""
    years = np.nan_to_num(age, nan=SURELY_FROM)
    return float(np.interp(years, (BARELY_BELOW, SURELY_FROM), (0, 1)))


def _gender_misfit(people: People, look: Look) -> FloatArray:
    """What a face costs that, put under the original's hair, reads as of the other gender."""
    share = gender_share(look)
    if people.views is None or not share:
        return np.zeros(len(people), dtype=np.float32)
    sign, model = np.float32(np.sign(share)), load_face_gender()
    whole = np.float32(CLEARLY_READS * abs(share)) - model(people.views) * sign
    eyes = np.float32(eyes_asked(look, EYES_READ)) - model.of_eyes(people.views[:, UPPER]) * sign
    less = np.square(np.clip(whole, 0, None) / np.float32(READS_TOLERANCE))
    less += np.square(np.clip(eyes, 0, None) / np.float32(EYES_TOLERANCE))
    return np.asarray(less * np.float32(_grown(look.age)), dtype=np.float32)


def _flaw_misfit(people: People) -> FloatArray:
    if not people.latents.shape[1]:  # somebody who was looked at: nothing is to be foretold
        return np.zeros(len(people), dtype=np.float32)
    likely = [load_flaw(flaw)(people.latents) for flaw in ("hair", "light")]
    total = np.square(np.stack(likely) / np.float32(FLAW_TOLERANCE)).sum(axis=0)
    return np.asarray(total, dtype=np.float32)


def _eyewear_misfit(people: People, look: Look) -> FloatArray:
    if np.isnan(look.eyewear):
        return np.zeros(len(people), dtype=np.float32)
    glasses = people.column("eyewear")
    if look.eyewear < WEARS:
        return np.asarray((glasses > HAS_NONE) * np.float32(REFUSED**2), dtype=np.float32)
    worn = np.clip((HAS_CLEARLY - glasses) / FAINT_TOLERANCE, 0, None)
    if look.shade >= DARK_LENSES:
        lighter = np.clip((look.shade - people.column("shade")) / DARK_TOLERANCE, 0, None)
        worn = np.hypot(worn, lighter)
    elif not np.isnan(look.shade):
        off = np.abs(people.column("shade") - look.shade) - OTHER_LENSES
        worn = np.hypot(worn, np.clip(np.nan_to_num(off), 0, None) / LENS_TOLERANCE)
    return np.square(np.where(glasses < HAS_GLASSES, REFUSED, worn), dtype=np.float32)


def of_any_group(look: Look) -> Look:
    """Return a look to which nobody's group matters."""
    return replace(look, groups=(float("nan"),) * len(GROUPS))


def wanted(**sides: float | None) -> Look:
    """Return a look that asks for some sides only.

    Args:
        sides: Fields of a look but its groups; those left out or None do not matter.
    """
    known = {name: float("nan") if value is None else value for name, value in sides.items()}
    groups = (float("nan"),) * len(GROUPS)
    return Look(**{**dict.fromkeys(SCALARS, float("nan")), **known}, groups=groups)
