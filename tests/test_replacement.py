"""Who of those who are tried is put on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface import attempts
from anonyface.errors import FaceError
from anonyface.identities.showing import SPOILT
from anonyface.replacement import CLEARLY_GONE, CLOSE_CALLS, Given, Plan, Replacer
from anonyface.result import Check, FaceOutcome
from anonyface.types import Crop, Identity, Look, Mesh, Offer, Patch
from anonyface.verification.check import Verdict
from anonyface.verification.signature import Signature
from anonyface.verification.standing import STANDS_BADLY

from .test_tries import original

Image = NDArray[np.uint8]
LIMIT = 0.5
FINISHED = 100
NOBODY = np.zeros((0, 128), np.float32)


class Paint:
    """A swapper that paints faces in a grey of their own; some can't be put on."""

    def __init__(self, failing: set[int]) -> None:
        self.failing, self.painted = failing, list[int]()

    def __call__(self, crop: Crop, mesh: Mesh, identity: Identity, /) -> Patch:
        if identity.seed in self.failing:
            raise FaceError("no way", stage="swapping")
        self.painted.append(identity.seed)
        grey = np.full_like(crop.pixels, identity.seed)
        return Patch(grey, np.ones(grey.shape[:2], np.float32))


class Say:
    """A verifier that finds the new faces so similar to the original, by their greys."""

    def __init__(self, similarities: list[float], finished: list[float]) -> None:
        self.similarities, self.finished = similarities, finished

    def __call__(self, *args: Any, **kwargs: Any) -> Verdict:
        patch: Patch = args[2]
        grey = int(np.median(patch.pixels[patch.alpha > 0.9]))
        said = self.finished if grey >= FINISHED else self.similarities
        check = Check("encoder", 0.99, said[grey % FINISHED], LIMIT, 0.01)
        return Verdict((check,), Signature(np.eye(128, dtype=np.float32)[grey], None))


class Likes:
    """A check of portraits: some show something else, by so much."""

    def __init__(self, other: set[int], fault: float) -> None:
        self.other, self.fault = other, fault

    def __call__(self, mesh: Mesh, look: Look, identity: Identity) -> bool:
        return identity.seed not in self.other

    def faults(self, mesh: Mesh, look: Look, identity: Identity) -> float:
        return self.fault


class Stand:
    """Says how badly the new faces stand, by their greys."""

    def __init__(self, faults: dict[int, float]) -> None:
        self.faults = faults

    def before(self, crop: Crop, mesh: Mesh) -> NDArray[np.float32]:
        return mesh.points

    def __call__(self, *args: Any) -> float:
        patch: Patch = args[4]
        return self.faults.get(int(np.median(patch.pixels[patch.alpha > 0.9])), 0.0)


def put_on(
    photo: Image,
    mesh: Mesh,
    similarities: list[float],
    *,
    other: set[int] | None = None,
    lesser: set[int] | None = None,
    failing: set[int] | None = None,
    finished: list[float] | None = None,
    fault: float = 1.0,
    at_first: int | None = None,
    badly: dict[int, float] | None = None,
) -> tuple[FaceOutcome, Paint, Given]:
    """Try people who come out so similar.

    ``other`` show something else than was asked, by a ``fault``, ``lesser`` are offered in want of
    others; those beyond ``at_first`` must not be looked for unless these fail. With ``finished``,
    what is tried are sketches, and the portraits come out so similar. Some stand ``badly``.
    """
    subject = original(mesh)
    swapper, given = Paint(failing or set()), Given()

    def offer(number: int) -> Offer:
        pixels = np.zeros((256, 256, 3), np.uint8)
        row = np.eye(128, dtype=np.float32)[number]
        one = Identity(pixels, mesh, np.zeros(512), "male", 30.0, row, seed=number, source="test")
        fitting = number not in (lesser or set())
        large = replace(one, seed=number + FINISHED)
        if finished:
            return Offer(row, lambda: large, number / 100, fitting, sketch=lambda: one)
        return Offer(row, lambda: one, number / 100, fitting)  # tried in turn

    replacer = Replacer(
        verifier=Say(similarities, finished or []), protected=NOBODY, swapper=swapper
    )  # type: ignore[arg-type]
    replacer.shows_alike = Likes(other or set(), fault)  # type: ignore[assignment]
    replacer.standing = Stand(badly or {})  # type: ignore[assignment]
    offers = tuple(offer(number) for number in range(len(similarities)))
    more = iter(offers[len(offers) if at_first is None else at_first :])
    out = photo.copy()
    outcome = replacer(out, photo, Plan(subject, offers[:at_first], more), given)
    if at_first is not None:
        found = outcome.identity is not None and outcome.identity.seed >= at_first
        assert (next(more, None) is None) == found
    middle = mesh.points[:, :2].mean(axis=0).round().astype(int)
    assert outcome.identity is not None
    assert out[middle[1], middle[0]].tolist() == [outcome.identity.seed] * 3
    assert [int(signature.whole.argmax()) for signature in given.worn] == [outcome.identity.seed]
    return outcome, swapper, given


CLOSE, LESS = LIMIT - 0.02, LIMIT - 0.06
GONE, STILL = LIMIT + CLEARLY_GONE - 0.01, LIMIT + 0.1


@pytest.mark.parametrize(
    ("similarities", "chosen", "tried", "redraws"),
    [
        ([CLOSE, LESS, CLOSE, GONE], 1, 3, 0),  # of the first few who pass the least similar
        ([CLOSE, CLOSE, LESS, GONE], 2, 3, 0),
        ([LESS, CLOSE, CLOSE, GONE], 0, 3, 0),
        ([GONE, LESS, CLOSE], 0, 1, 0),  # so far away that nobody else is looked for
        ([CLOSE, GONE, LESS], 1, 2, 0),
        ([CLOSE], 0, 1, 0),
    ],
)
def test_the_least_similar_of_those_who_pass_is_put_on(
    people: list[Image],
    meshes: list[Mesh],
    similarities: list[float],
    chosen: int,
    tried: int,
    redraws: int,
) -> None:
    assert CLOSE_CALLS == 3
    outcome, swapper, _ = put_on(people[0], meshes[0], similarities)
    assert outcome.identity is not None
    assert outcome.identity.seed == chosen
    assert (len(swapper.painted), outcome.redraws) == (tried, redraws)
    assert outcome.similarity_after == similarities[chosen]


def test_who_is_refused_counts_as_a_redraw(people: list[Image], meshes: list[Mesh]) -> None:
    outcome, swapper, given = put_on(people[0], meshes[0], [STILL, CLOSE, STILL, LESS, CLOSE, GONE])
    assert outcome.identity is not None
    assert (outcome.identity.seed, outcome.redraws) == (3, 2)
    assert swapper.painted == [0, 1, 2, 3, 4]
    assert [int(row.argmax()) for row in given.offered] == [3]


def test_who_shows_something_else_is_put_on_only_where_nobody_else_passes(
    people: list[Image], meshes: list[Mesh]
) -> None:
    outcome, swapper, _ = put_on(people[0], meshes[0], [CLOSE, GONE], other={1})
    assert outcome.identity is not None
    assert outcome.identity.seed == 0
    assert swapper.painted == [0]
    outcome, _, _ = put_on(people[0], meshes[0], [STILL, CLOSE], other={1})
    assert outcome.identity is not None
    assert outcome.identity.seed == 1


def test_more_people_are_looked_for_only_when_all_others_failed(
    people: list[Image], meshes: list[Mesh]
) -> None:
    for similarities, chosen in (([CLOSE, STILL, GONE], 0), ([STILL, STILL, CLOSE], 2)):
        outcome, _, _ = put_on(people[0], meshes[0], similarities, at_first=2)
        assert outcome.identity is not None
        assert outcome.identity.seed == chosen


def test_a_face_is_covered_rather_than_given_a_spoilt_portrait(
    people: list[Image], meshes: list[Mesh]
) -> None:
    with pytest.raises(FaceError, match="shows something else"):
        put_on(people[0], meshes[0], [GONE, GONE], other={0, 1}, fault=SPOILT)


def test_who_stands_badly_is_put_on_only_where_nobody_else_passes(
    people: list[Image], meshes: list[Mesh]
) -> None:
    def chosen(similarities: list[float], badly: dict[int, float], **more: Any) -> int:
        outcome, _, _ = put_on(people[0], meshes[0], similarities, badly=badly, **more)
        assert outcome.identity is not None
        assert outcome.redraws == sum(s == STILL for s in similarities)
        return outcome.identity.seed

    assert chosen([GONE, CLOSE], {0: 0.6}) == 1
    assert chosen([GONE, CLOSE, STILL], {0: 0.6, 1: 0.5}) == 1  # the least bad, not the least like
    assert chosen([GONE, CLOSE], {0: 0.6}, other={1}) == 0  # before portraits of something else


def test_a_face_is_covered_rather_than_given_one_that_stands_elsewhere(
    people: list[Image], meshes: list[Mesh]
) -> None:
    with pytest.raises(FaceError, match=r"does not stand as the old one did, after 2 tries"):
        put_on(people[0], meshes[0], [GONE, GONE], badly={0: STANDS_BADLY, 1: STANDS_BADLY + 1})
    # In full resolution it is looked at again.
    outcome, _, _ = put_on(
        people[0], meshes[0], [GONE] * 2, finished=[GONE] * 2, badly={FINISHED: STANDS_BADLY}
    )
    assert outcome.identity is not None
    assert outcome.identity.seed == FINISHED + 1


def test_who_is_offered_in_want_of_others_is_put_on_only_where_nobody_else_passes(
    people: list[Image], meshes: list[Mesh]
) -> None:
    outcome, swapper, _ = put_on(people[0], meshes[0], [CLOSE, GONE], lesser={1})
    assert outcome.identity is not None
    assert outcome.identity.seed == 0
    assert swapper.painted == [0]
    outcome, _, _ = put_on(people[0], meshes[0], [STILL, STILL, CLOSE], lesser={1, 2})
    assert outcome.identity is not None
    assert outcome.identity.seed == 2


def test_who_passed_is_kept_if_the_next_cannot_be_put_on(
    people: list[Image], meshes: list[Mesh]
) -> None:
    outcome, _, _ = put_on(people[0], meshes[0], [CLOSE, GONE], failing={1})
    assert outcome.identity is not None
    assert outcome.identity.seed == 0
    with pytest.raises(FaceError, match="no way"):
        put_on(people[0], meshes[0], [CLOSE, GONE], failing={0})


def test_where_nobody_passes_the_face_is_not_replaced(
    people: list[Image], meshes: list[Mesh]
) -> None:
    with pytest.raises(FaceError, match=r"still recognisable .* after 3 tries"):
        put_on(people[0], meshes[0], [STILL] * 3)


def test_the_portrait_of_a_sketch_that_passes_is_judged_again(
    people: list[Image], meshes: list[Mesh]
) -> None:
    outcome, swapper, _ = put_on(people[0], meshes[0], [CLOSE, LESS], finished=[LESS, CLOSE])
    assert outcome.identity is not None
    assert outcome.identity.seed == FINISHED
    assert (swapper.painted, outcome.redraws) == ([0, FINISHED], 0)
    assert outcome.similarity_after == LESS
    # Recognised in full resolution: the next one is tried.
    outcome, _, _ = put_on(people[0], meshes[0], [CLOSE, LESS], finished=[STILL, CLOSE])
    assert outcome.identity is not None
    assert (outcome.identity.seed, outcome.redraws) == (FINISHED + 1, 1)
    with pytest.raises(FaceError, match=r"still recognisable .* after 2 tries"):
        put_on(people[0], meshes[0], [CLOSE, LESS], finished=[STILL, STILL])


def test_a_portrait_with_hair_that_its_sketch_hid_gives_way_to_the_next(
    people: list[Image], meshes: list[Mesh], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "_has_strands", lambda identity: identity.seed == FINISHED)
    outcome, swapper, _ = put_on(people[0], meshes[0], [CLOSE, LESS], finished=[LESS, CLOSE])
    assert outcome.identity is not None
    assert (outcome.identity.seed, outcome.redraws) == (FINISHED + 1, 1)
    assert FINISHED not in swapper.painted
    monkeypatch.setattr(attempts, "_has_strands", lambda identity: True)
    with pytest.raises(FaceError, match="hair hangs into the new face, after 2 tries"):
        put_on(people[0], meshes[0], [CLOSE, LESS], finished=[LESS, CLOSE])


def test_if_no_portrait_passes_the_next_are_tried(people: list[Image], meshes: list[Mesh]) -> None:
    outcome, swapper, _ = put_on(
        people[0], meshes[0], [GONE, CLOSE, CLOSE], finished=[STILL, CLOSE, CLOSE], other={1, 2}
    )
    assert outcome.identity is not None
    assert (outcome.identity.seed, outcome.redraws) == (FINISHED + 1, 1)
    assert swapper.painted == [0, FINISHED, 1, FINISHED + 1]


def test_a_portrait_that_cannot_be_put_on_gives_way_to_the_next(
    people: list[Image], meshes: list[Mesh]
) -> None:
    one = put_on(people[0], meshes[0], [CLOSE, LESS], finished=[CLOSE, CLOSE], failing={FINISHED})[
        0
    ]
    assert one.identity is not None
    assert one.identity.seed == FINISHED + 1
