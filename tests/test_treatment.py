"""A cover leaves the faces beside it alone, whoever asked for it: new and protected ones."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import pytest

from anonyface.config import Config
from anonyface.errors import FaceError
from anonyface.protection.selection import Decision
from anonyface.replacement import Plan, Replacer
from anonyface.treatment import Treatment
from anonyface.verification.final_look import FinalLook, Finding

from .test_subjects import subject


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
    outcomes = treat.look_again(out, outcomes, people, lambda faces: decisions)
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
