"""Everything that decides who stays, together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.errors import FaceError, InputError
from anonyface.protection.matching import compare
from anonyface.protection.portrayal import Portrayal
from anonyface.protection.references import References
from anonyface.protection.selection import Decision, central, largest, who_stays
from anonyface.types import Face

from .made import alike, face, protected, seen

Axes = NDArray[np.float32]
NOBODY = References(np.zeros((0, 128), np.float32), (), ())
FACES = [face(0, 0, 60), face(200, 200, 120), face(500, 100, 90)]
HW = (600, 800)


def stays(
    rows: list[Any], references: References, faces: list[Face] = FACES, **options: Any
) -> list[Decision]:
    return who_stays(faces, HW, lambda k: seen(rows[k]), references, **options)


def unsure_row(axes: Axes) -> NDArray[np.float32]:
    around = compare(Portrayal(axes[0]), FACES[0], protected([axes[0]]))
    return alike(axes[0], axes[1], float(around.sure[0] + around.unsure[0]) / 2)


def test_nobody_asked_for_anybody(axes: Axes) -> None:
    def never(_: int) -> None:
        raise AssertionError("nobody is protected, nothing is to be compared")

    decisions = who_stays(FACES, HW, never, NOBODY)
    assert decisions == [Decision(False, "")] * 3
    assert who_stays([], HW, never, NOBODY, keep_largest=2, keep_central=True) == []


def test_nothing_is_compared_where_every_face_is_named(axes: Axes) -> None:
    def never(_: int) -> None:
        raise AssertionError("all faces stay anyway")

    decisions = who_stays(FACES, HW, never, protected([axes[0]]), keep=[0, 1, 2])
    assert all(d.keep for d in decisions)


def test_each_face_is_encoded_once(axes: Axes) -> None:
    calls: list[int] = []

    def portray(k: int) -> Portrayal:
        calls.append(k)
        return Portrayal(axes[k])

    decisions = who_stays(FACES, HW, portray, protected([axes[2]]))
    assert calls == [0, 1, 2]
    assert [d.keep for d in decisions] == [False, False, True]
    assert "protected" in decisions[2].reason
    assert decisions[2].match is not None


@pytest.mark.parametrize(("policy", "keep"), [("replace", False), ("keep", True)])
def test_unsure_follows_the_policy(policy: str, keep: bool, axes: Axes) -> None:
    rows = [unsure_row(axes), axes[3], axes[4]]
    decision = stays(rows, protected([axes[0]]), unsure=policy)[0]
    assert decision.keep is keep
    assert "might be" in decision.reason
    assert decision.match is not None
    assert decision.match.verdict == "unsure"


def test_unsure_can_be_an_error_that_names_the_face(axes: Axes) -> None:
    rows = [axes[3], unsure_row(axes), axes[4]]
    with pytest.raises(FaceError, match=r"face 1 might be ref0 \(similarity 0\.\d\d") as caught:
        stays(rows, protected([axes[0]]), unsure="raise")
    assert caught.value.stage == "protection"
    assert caught.value.face is FACES[1]
    # Somebody decided about the face: there is nothing to ask.
    assert stays(rows, protected([axes[0]]), unsure="raise", keep=[1])[1].keep


def test_unsure_does_not_raise_for_the_sure_and_the_strangers(axes: Axes) -> None:
    decisions = stays(list(axes[:3]), protected([axes[0]]), unsure="raise")
    assert [d.keep for d in decisions] == [True, False, False]


def test_a_face_kept_by_number_takes_its_person_with_it(axes: Axes) -> None:
    rows = [alike(axes[0], axes[1], 0.9), alike(axes[0], axes[2], 0.8), axes[4]]
    decisions = stays(rows, protected([axes[0]]), keep=[0])
    assert [d.keep for d in decisions] == [True, False, False]
    assert decisions[0].reason == "kept as asked"
    assert "matches this protected person better" in decisions[1].reason
    repeated = stays(rows, protected([axes[0]]), keep=[0], allow_repeats=True)
    assert [d.keep for d in repeated] == [True, True, False]


def test_what_can_not_be_compared_goes_and_says_so(axes: Axes) -> None:
    decisions = stays([None, axes[1], axes[2]], protected([axes[0]]), unsure="keep")
    assert [d.keep for d in decisions] == [False, False, False]
    assert "could not be compared" in decisions[0].reason


def test_only_leaves_all_others(axes: Axes) -> None:
    decisions = stays(list(axes[:3]), protected([axes[1]]), only=[1, 2])
    assert [d.keep for d in decisions] == [True, True, False]
    assert "not among" in decisions[0].reason
    assert "protected" in decisions[1].reason


def test_the_largest_and_the_central_stay() -> None:
    assert [d.keep for d in stays([], NOBODY, keep_largest=2)] == [False, True, True]
    assert [d.keep for d in stays([], NOBODY, keep_central=True)] == [False, True, False]
    assert "largest" in stays([], NOBODY, keep_largest=1)[1].reason
    assert "centre" in stays([], NOBODY, keep_central=True)[1].reason


def test_largest_counts() -> None:
    assert largest(FACES, 0) == [False] * 3
    assert largest(FACES, 9) == [True] * 3
    assert largest([face(size=50), face(size=50)], 1) == [True, False]


@pytest.mark.parametrize("n", [-1, 1.5, True, "2", None])
def test_largest_wants_a_number(n: Any) -> None:
    with pytest.raises(InputError, match="keep_largest must be an int"):
        largest(FACES, n)


def test_a_large_face_over_the_centre_beats_a_small_one_nearer_to_it() -> None:
    # The small one's middle is nearer to the centre (399.5, 299.5), but both cover it.
    small, large = face(385, 285, 30), face(250, 250, 300)
    assert central([small, large], HW) == [False, True]
    assert central([large, small], HW) == [True, False]
    # Beside the centre the distance of the border counts.
    assert central([face(420, 300, 40), face(600, 300, 200)], HW) == [True, False]
    assert central([], HW) == []
