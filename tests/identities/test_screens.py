"""Who is held against whom, and how near is too near."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.identities import screens
from anonyface.identities.fit import wanted
from anonyface.identities.screens import Limits, hold_against
from anonyface.types import IdentityRequest
from anonyface.verification.encoder import similarity, unit

Rows = NDArray[np.float32]
LIMITS = Limits(real=0.58, sibling=0.62)


def rows(n: int, seed: int) -> Rows:
    """People who are more or less alike: some pairs lie on either side of the limits."""
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.2, 1.0, (n, 1))
    return unit((1 + spread * rng.normal(size=(n, 128))).astype(np.float32))


def request(avoid: Rows, taken: Rows, denied: Rows | None) -> IdentityRequest:
    return IdentityRequest(
        look=wanted(), face_px=100, avoid=avoid, taken=taken, seed=0, denied=denied
    )


@pytest.mark.parametrize("at_once", [3, 1000])
def test_those_apart_are_found_as_one_by_one(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screens, "AT_ONCE", at_once)
    people, asked = rows(200, 0), request(rows(5, 1), rows(7, 2), rows(4, 3))
    expected = [
        LIMITS.admit(hold_against(person, asked, psi=0.5, sound=1.0), margin=0.01)
        for person in people
    ]
    assert 20 < sum(expected) < 180
    assert LIMITS.apart(people, asked, margin=0.01).tolist() == expected


def test_nobody_named_means_everybody_apart() -> None:
    nobody = rows(0, 0)
    assert LIMITS.apart(rows(9, 0), request(nobody, nobody, None)).all()


def test_each_figure_is_the_nearest_of_its_kind() -> None:
    avoid, taken, denied = rows(3, 1), rows(2, 2), rows(2, 3)
    (person,) = rows(1, 4)
    found = hold_against(person, request(avoid, taken, denied), psi=0.7, sound=0.9)
    assert found.original == pytest.approx(float(similarity(person, avoid[0])))
    assert found.protected == pytest.approx(float(similarity(person, avoid[1:]).max()))
    assert found.taken == pytest.approx(float(similarity(person, taken).max()))
    assert found.denied == pytest.approx(float(similarity(person, denied).max()))
    assert (found.psi, found.sound) == (0.7, 0.9)
