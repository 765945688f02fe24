"""The last look: who is still there, and who was missed at first."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.api import Anonymizer
from anonyface.detection.faces import FaceFinder
from anonyface.errors import FaceError
from anonyface.result import AnonymizeResult
from anonyface.types import Face
from anonyface.verification.encoder import DlibEncoder
from anonyface.verification.final_look import (
    FinalLook,
    has_no_own_eye,
    is_between,
    mirrored_faces,
    place_of,
)
from anonyface.verification.signature import Signature

from ..fakes import face_change, still_there

Image = NDArray[np.uint8]


def forgetful(**options: Any) -> Anonymizer:
    """An anonymizer whose detector misses the face in the upper left; its last look does not."""
    anonymizer = Anonymizer(**options)
    finder = FaceFinder()

    def find(image: Image, /) -> list[Face]:
        return [f for f in finder(image) if f.box[0] > 280 or f.box[1] > 280]

    anonymizer._detector = find
    return anonymizer


def upper_left(faces: Sequence[Face]) -> Face:
    return next(f for f in faces if f.box[0] < 280 and f.box[1] < 280)


@pytest.fixture(scope="module")
def faces(scene: Image) -> list[Face]:
    return FaceFinder()(scene)


@pytest.fixture(scope="module")
def look() -> FinalLook:
    return FinalLook(find=partial(mirrored_faces, FaceFinder(detail="fast")), encoder=DlibEncoder())


def test_faces_in_the_mirror_are_where_they_are(scene: Image, faces: list[Face]) -> None:
    seen = mirrored_faces(FaceFinder(), scene)
    assert len(seen) == len(faces)
    for face in faces:
        twin = min(seen, key=lambda other: float(np.abs(other.box - face.box).max()))
        # The network is not symmetric: a few per cent of the face, far less than its width.
        assert np.abs(twin.box - face.box).max() < 0.1 * face.size
        assert np.abs(twin.landmarks - face.landmarks).max() < 0.1 * face.size


def test_a_face_missed_at_first_is_covered(scene: Image, faces: list[Face]) -> None:
    result = forgetful(seed=3)(scene)
    assert len(result.faces) == 4
    missed = result.faces[-1]
    assert (missed.action, missed.reason) == ("redacted", "found only by the last look")
    assert place_of(missed.face, [upper_left(faces)]) == 0
    assert not still_there(scene, result.image, [upper_left(faces)])[0]


def test_a_face_missed_at_first_may_be_a_protected_person(
    scene: Image, people: list[Image], faces: list[Face]
) -> None:
    result = forgetful(protect=[people[0][:, ::-1].copy()], seed=3)(scene)
    assert result.faces[-1].action == "kept"
    assert "protected" in result.faces[-1].reason
    assert face_change(scene, result.image, upper_left(faces)) == 0


def test_with_only_a_face_nobody_named_stays(scene: Image) -> None:
    result = forgetful(method="solid")(scene, only=[0])
    assert [o.action for o in result.faces] == ["redacted", "kept", "kept", "kept"]


def test_a_face_missed_at_first_raises_when_asked_to(scene: Image) -> None:
    with pytest.raises(FaceError, match="last look"):
        forgetful(on_failure="raise", seed=3)(scene)


def test_covering_methods_look_again_too(scene: Image, faces: list[Face]) -> None:
    result = forgetful(method="pixelate")(scene)
    assert [o.action for o in result.faces] == ["redacted"] * 4
    assert not still_there(scene, result.image, [upper_left(faces)])[0]


def test_originals_in_the_finished_picture_are_found(
    look: FinalLook, scene: Image, faces: list[Face]
) -> None:
    gone = [Signature(look.encoder(scene, f.landmarks)) for f in faces]
    findings = look(scene, scene, faces, [True] * 4, gone)
    assert sorted(f.index for f in findings if f.index is not None) == [0, 1, 2, 3]
    assert all("still recognisable" in f.reason for f in findings)


def test_an_original_in_another_place_is_found(
    look: FinalLook, scene: Image, faces: list[Face]
) -> None:
    first = Signature(look.encoder(scene, faces[0].landmarks))
    findings = look(scene, scene, faces, [True] * 4, [None, first, None, None])
    assert [(f.index, "as the person of face 1" in f.reason) for f in findings] == [(0, True)]


def test_kept_and_covered_faces_are_left_alone(
    look: FinalLook, scene: Image, faces: list[Face]
) -> None:
    gone = [Signature(look.encoder(scene, f.landmarks)) for f in faces]
    assert look(scene, scene, faces, [False] * 4, gone) == []


def test_a_good_result_is_left_alone(
    look: FinalLook, scene: Image, result: AnonymizeResult
) -> None:
    before = [o.face for o in result.faces]
    gone = [look.encoder(result.image, f.landmarks) for f in before]
    strangers: list[Signature | None] = [Signature(-row) for row in gone]
    assert look(result.image, scene, before, [True] * 4, strangers) == []


def test_the_place_of_a_face() -> None:
    def at(x: float, y: float, side: float) -> Face:
        return Face(np.array([x, y, x + side, y + side]), np.zeros((5, 2)), 1.0)

    assert place_of(at(0, 0, 10), []) is None
    assert place_of(at(0, 0, 10), [at(100, 100, 10), at(2, 2, 10)]) == 1
    assert place_of(at(4, 4, 3), [at(0, 0, 10)]) == 0  # an eye taken for a face
    assert place_of(at(9, 9, 10), [at(0, 0, 10)]) is None


def test_a_detector_of_ones_own_is_asked_again_as_it_is(scene: Image, faces: list[Face]) -> None:
    asked: list[Image] = []

    def known(image: Image, /) -> list[Face]:
        asked.append(image)
        return faces[:1]

    result = Anonymizer(detector=known, method="solid")(scene)
    assert [o.action for o in result.faces] == ["redacted"]
    assert len(asked) == 2
    assert (asked[1] == result.image).all()


@pytest.mark.parametrize("painted", [True, False])
def test_what_two_new_faces_are_taken_for_together_is_no_missed_face(
    look: FinalLook, scene: Image, faces: list[Face], painted: bool
) -> None:
    # Both halves of a face belong to faces found at first: only new pixels make it nobody.
    seen = upper_left(faces)
    x0, y0, x1, y1 = seen.box
    middle, wider = (x0 + x1) / 2, 0.6 * (x1 - x0)
    halves = [
        Face(np.array(box, np.float32), seen.landmarks, 1.0)
        for box in ((middle - 2 * wider, y0, middle, y1), (middle, y0, middle + 2 * wider, y1))
    ]
    assert place_of(seen, halves) is None
    photo = scene.copy()
    if painted:
        rows, columns = slice(int(y0), int(y1) + 1), slice(int(x0), int(x1) + 1)
        photo[rows, columns] = 255 - photo[rows, columns]
    known = [*halves, *(f for f in faces if f is not seen)]
    findings = look(scene, photo, known, [False] * 5, [None] * 5)
    assert [f.reason for f in findings] == ([] if painted else ["found only by the last look"])


def test_between_means_inside_two_boxes_together() -> None:
    def box(x0: float, x1: float) -> Face:
        return Face(np.array([x0, 0, x1, 10], np.float32), np.zeros((5, 2)), 1.0)

    assert is_between(box(5, 15), [box(0, 10), box(10, 20)])
    assert not is_between(box(5, 15), [box(0, 9), box(12, 20)])
    assert not is_between(box(5, 15), [box(0, 13)])
    assert not is_between(box(5, 15), [box(0, 12), box(1, 12)])  # the same part twice


def test_one_eye_of_the_photo_is_enough_to_be_somebody(scene: Image, faces: list[Face]) -> None:
    other = 255 - scene
    x, y = faces[0].landmarks[0].round().astype(int)
    assert has_no_own_eye(other, scene, faces[0])
    other[y - 9 : y + 9, x - 9 : x + 9] = scene[y - 9 : y + 9, x - 9 : x + 9]
    assert not has_no_own_eye(other, scene, faces[0])
