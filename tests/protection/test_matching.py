"""Keep, replace or unsure; and each protected person once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.protection.matching import compare, decide, lost_to_another
from anonyface.protection.portrayal import Portrayal
from anonyface.protection.references import References
from anonyface.result import Match
from anonyface.types import Face

from .made import alike, face, protected, seen

Axes = NDArray[np.float32]


def matched(
    rows: list[Any], faces: list[Face], references: References, *, allow_repeats: bool = False
) -> list[Match | None]:
    return decide([seen(row) for row in rows], faces, references, allow_repeats=allow_repeats)


def verdicts(
    rows: list[NDArray[np.float32] | None], references: References, *, allow_repeats: bool = False
) -> list[str | None]:
    faces = [face(100 * k) for k in range(len(rows))]
    matches = matched(rows, faces, references, allow_repeats=allow_repeats)
    return [m.verdict if m else None for m in matches]


def test_the_person_stays_a_stranger_does_not(axes: Axes) -> None:
    references = protected([axes[0]])
    sure, stranger = matched(
        [axes[0], axes[1]], [face(), face(100)], references, allow_repeats=False
    )
    assert sure is not None
    assert stranger is not None
    assert (sure.verdict, sure.score, sure.reference) == ("keep", pytest.approx(1), "ref0")
    assert (stranger.verdict, stranger.score) == ("replace", pytest.approx(1 - np.sqrt(2)))
    assert sure.unsure < sure.sure
    assert sure.false_match_rate == 1e-3


def test_between_the_thresholds_lies_unsure(axes: Axes) -> None:
    references = protected([axes[0]])
    around = compare(Portrayal(axes[0]), face(), references)
    sure, unsure = float(around.sure[0]), float(around.unsure[0])
    for score, expected in (
        (sure + 0.02, "keep"),
        ((sure + unsure) / 2, "unsure"),
        (unsure - 0.02, "replace"),
    ):
        row = alike(axes[0], axes[1], score)
        assert verdicts([row], references) == [expected]


def test_more_references_ask_for_more(axes: Axes) -> None:
    one, many = protected([axes[0]]), protected(list(axes))
    at = [float(compare(Portrayal(axes[0]), face(), r).sure[0]) for r in (one, many)]
    assert at[0] < at[1]
    # As if each comparison may fail six times less often.
    shared = float(compare(Portrayal(axes[0]), face(), one, among=6).sure[0])
    assert shared == pytest.approx(at[1])


def test_a_small_face_asks_for_more(axes: Axes) -> None:
    references = protected([axes[0]])
    small, large = (
        float(compare(Portrayal(axes[0]), face(size=s), references).sure[0]) for s in (30, 300)
    )
    assert small > large + 0.003


def test_a_person_is_in_a_photo_once(axes: Axes) -> None:
    references = protected([axes[0]])
    worse, better = alike(axes[0], axes[1], 0.8), alike(axes[0], axes[2], 0.9)
    assert verdicts([worse, better], references) == ["replace", "keep"]
    assert verdicts([worse, better], references, allow_repeats=True) == ["keep", "keep"]
    lost = matched([worse, better], [face(), face(100)], references, allow_repeats=False)[0]
    assert lost is not None
    assert lost_to_another(lost)
    stranger = matched([axes[3]], [face()], references, allow_repeats=False)[0]
    assert stranger is not None
    assert not lost_to_another(stranger)


def test_two_references_of_one_person_are_one_person(axes: Axes) -> None:
    rows = [axes[0], alike(axes[0], axes[1], 0.8)]
    faces = [alike(axes[0], axes[2], 0.9), alike(rows[1], axes[3], 0.9)]
    assert verdicts(faces, protected(rows, ("Anna", "Anna"))).count("keep") == 1
    assert verdicts(faces, protected(rows, ("Anna", "Berta"))) == ["keep", "keep"]


def test_who_loses_a_person_may_be_another(axes: Axes) -> None:
    # Sisters: the first face resembles both, the second is the first sister herself.
    sister = alike(axes[0], axes[1], 0.75)
    references = protected([axes[0], sister])
    middle = axes[0] + sister
    middle /= np.linalg.norm(middle)
    matches = matched([middle, axes[0]], [face(), face(100)], references, allow_repeats=False)
    assert [m.reference for m in matches if m] == ["ref1", "ref0"]
    assert [m.verdict for m in matches if m] == ["keep", "keep"]


def test_what_can_not_be_compared_is_no_match(axes: Axes) -> None:
    references = protected([axes[0]])
    broken = np.full(128, np.nan, np.float32)
    assert verdicts([None, broken, axes[0]], references) == [None, None, "keep"]
    assert matched([axes[0]], [face(size=20)], references) == [None]


def test_nobody_protected_nobody_faces(axes: Axes) -> None:
    nobody = References(np.zeros((0, 128), np.float32), (), ())
    assert len(nobody) == 0
    assert verdicts([axes[0]], nobody) == [None]
    assert verdicts([], protected([axes[0]])) == []


def test_references_check_their_lengths(axes: Axes) -> None:
    with pytest.raises(ValueError, match="as many names"):
        References(axes, ("one",), ("one",))


@pytest.mark.parametrize(
    ("first", "second", "expected", "mean"),
    [(0, 1, "keep", 1), (0, 2, "replace", 0.5), (3, 1, "replace", 0.5), (3, 2, "replace", 0)],
)
def test_both_encoders_have_a_say(
    first: int, second: int, expected: str, mean: float, axes: Axes
) -> None:
    references = protected([axes[0]], second=[axes[1]])
    faces = [seen(axes[first], axes[second])]
    (match,) = decide(faces, [face()], references, allow_repeats=False)
    assert match is not None
    assert match.verdict == expected
    assert match.score == pytest.approx(mean, abs=1e-6)


def test_the_second_encoder_keeps_whom_the_first_doubts(axes: Axes) -> None:
    references = protected([axes[0]], second=[axes[1]])
    row = alike(axes[0], axes[2], 0.5)
    assert verdicts([row], references) == ["replace"]
    (match,) = decide([seen(row, axes[1])], [face()], references, allow_repeats=False)
    assert match is not None
    assert match.verdict == "keep"


def test_where_one_side_knows_one_encoder_that_one_decides(axes: Axes) -> None:
    unknown = np.full(128, np.nan, np.float32)
    mixed = protected([axes[0], axes[1]], second=[unknown, axes[3]])
    alone = protected([axes[0], axes[1]])
    by_first = compare(Portrayal(axes[0]), face(), alone)
    both = compare(Portrayal(axes[0], axes[4]), face(), mixed)
    assert (both.score[0], both.sure[0], both.unsure[0]) == (
        by_first.score[0],
        by_first.sure[0],
        by_first.unsure[0],
    )
    assert both.score[1] == pytest.approx(0, abs=1e-6)
    assert both.sure[1] != by_first.sure[1]
    unread = compare(Portrayal(axes[0], unknown), face(), mixed)
    np.testing.assert_array_equal(unread.score, by_first.score)
    np.testing.assert_array_equal(unread.sure, by_first.sure)
