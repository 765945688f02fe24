"""A cover leaves the faces beside it alone, whoever asked for it: new and protected ones."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import pytest

from anonyface.config import Config
from anonyface.errors import FaceError
from anonyface.protection.selection import Decision
from anonyface.replacement import Given, Plan, Replacer
from anonyface.result import FaceOutcome
from anonyface.treatment import Treatment
from anonyface.types import ImageArray, Placed
from anonyface.verification.final_look import FinalLook, Finding

from .test_subjects import subject

RED = np.array([255, 0, 0], np.uint8)


class Refuses:
    """A replacer that can't replace anybody."""

    verifier = None

    def plan(self, subjects: list[Any], seeds: list[int]) -> list[Plan]:
        return [Plan() for _ in subjects]

    def __call__(self, *_: object) -> None:
        raise FaceError("nobody fits", stage="identities")


@pytest.mark.parametrize("by_the_last_look", [False, True])
def test_the_protected_neighbour_of_a_covered_face_stays_as_it_was(
    by_the_last_look: bool,
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (200, 260, 3), dtype=np.uint8)
    stranger, friend = subject(80, 80), subject(140, 60)
    people = [stranger, friend]
    found = [Finding(stranger.face, 0, "still there")] if by_the_last_look else []
    treat = Treatment(
        Config(seed=1),
        replacer=cast(Replacer, Refuses()),
        final_look=cast(FinalLook, lambda *_: found),
    )
    faces = [p.face for p in people]
    decisions = [Decision(by_the_last_look, ""), Decision(True, "protected")]
    out, outcomes = treat(image, faces, people, decisions)
    outcomes = treat.look_again(out, image, outcomes, people, lambda faces: decisions)
    assert [o.action for o in outcomes] == ["redacted", "kept"]
    assert friend.outline is not None
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [friend.outline.round().astype(np.int32)], 1)
    inside = cv2.erode(inside, np.ones((5, 5), np.uint8))
    inside[:, : round(80 + 40 * 1.15)] = 0  # as far as the stranger's own face reaches
    assert inside[:, : round(80 + 40 * 1.25)].any()  # the cover would have reached farther
    assert (out == image)[inside > 0].all()
    x, y = stranger.face.landmarks.mean(axis=0).round().astype(int)
    assert (out[y - 9 : y + 9, x - 9 : x + 9] != image[y - 9 : y + 9, x - 9 : x + 9]).mean() > 0.9


class GivesRed:
    """A replacer that can't replace the first face, and paints the others red."""

    verifier = None

    def plan(self, subjects: list[Any], seeds: list[int]) -> list[Plan]:
        return [Plan(subject=s) for s in subjects]

    def __call__(
        self, out: ImageArray, original: ImageArray, plan: Plan, given: Given
    ) -> FaceOutcome:
        assert plan.subject is not None
        face = plan.subject.face
        if face.size > 70:
            raise FaceError("nobody fits", stage="identities")
        x0, y0, x1, y1 = face.box.round().astype(int)
        out[y0:y1, x0:x1] = RED
        alpha = np.ones((y1 - y0, x1 - x0), np.float32)
        given.placed.append(Placed(face, (slice(y0, y1), slice(x0, x1)), alpha))
        return FaceOutcome(face, "replaced", "painted")


def test_a_cover_ends_at_a_new_face_behind_it() -> None:
    image = np.random.default_rng(0).integers(0, 256, (200, 260, 3), dtype=np.uint8)
    stranger, other = subject(80, 80), subject(125, 60)
    people, faces = [stranger, other], [stranger.face, other.face]
    treat = Treatment(
        Config(seed=1),
        replacer=cast(Replacer, GivesRed()),
        final_look=cast(FinalLook, lambda *_: []),
    )
    out, outcomes = treat(image, faces, people, [Decision(False, "")] * 2)
    assert [o.action for o in outcomes] == ["redacted", "replaced"]
    x0, y0, x1, y1 = other.face.box.round().astype(int)
    edge = 3  # the cover ends softly, inside of the new face
    assert (out[y0 + edge : y1 - edge, x0 + edge : x1 - edge] == RED).all()
    # Nothing of the original is left where the stranger was and the new face is not.
    left, top = stranger.face.box[:2].round().astype(int)
    assert left < x0 < stranger.face.box[2]
    inside = (slice(top + 20, y1 - 20), slice(left + 20, x0))
    assert (out[inside] == image[inside]).all(axis=-1).mean() < 0.01


def test_the_last_look_covers_a_new_face_itself() -> None:
    image = np.random.default_rng(0).integers(0, 256, (200, 260, 3), dtype=np.uint8)
    other = subject(125, 60)
    treat = Treatment(
        Config(seed=1),
        replacer=cast(Replacer, GivesRed()),
        final_look=cast(FinalLook, lambda *_: [Finding(other.face, 0, "still there")]),
    )
    out, outcomes = treat(image, [other.face], [other], [Decision(False, "")])
    x0, y0, x1, y1 = other.face.box.round().astype(int)
    out[y0:y1, x0:x1] = 255 - image[y0:y1, x0:x1]  # of one colour it looks the same covered
    before = out.copy()
    outcomes = treat.look_again(out, image, outcomes, [other], lambda faces: [])
    assert outcomes[0].action == "redacted"
    assert (out[y0:y1, x0:x1] != before[y0:y1, x0:x1]).any(axis=-1).mean() > 0.9
