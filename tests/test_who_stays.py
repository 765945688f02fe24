"""Protected people, kept faces, and options that are wrong."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface import api
from anonyface.api import Anonymizer
from anonyface.demo import make_scene
from anonyface.errors import InputError, WeightsMissing
from anonyface.protection import portrayal
from anonyface.protection.gallery import Gallery
from anonyface.protection.references import SeveralFaces
from anonyface.protection.selection import who_stays
from anonyface.result import AnonymizeResult
from anonyface.types import Face

from .fakes import face_change, still_there

Image = NDArray[np.uint8]


def test_a_protected_person_stays_and_the_others_go(scene: Image, people: list[Image]) -> None:
    reference = cv2.resize(people[2], (400, 400), interpolation=cv2.INTER_AREA)
    result = Anonymizer(protect=[reference[:, ::-1].copy()], seed=2)(scene)
    kept = [o for o in result.faces if o.action == "kept"]
    assert len(kept) == 1
    assert "protected" in kept[0].reason
    x, y = kept[0].face.landmarks[2]
    assert x < 300 < y  # the third of four prints lies in the lower left
    assert face_change(scene, result.image, kept[0].face) == 0
    others = [o.face for o in result.faces if o.action != "kept"]
    assert not any(still_there(scene, result.image, others))


def test_a_gallery_protects_by_name(scene: Image, people: list[Image]) -> None:
    gallery = Gallery()
    for name, person in zip(("Anna", "Berta"), people, strict=False):
        gallery.add(name, cv2.resize(person, (400, 400), interpolation=cv2.INTER_AREA))
    result = Anonymizer(protect=gallery, method="solid")(scene)
    kept = {o.match.reference: o for o in result.faces if o.action == "kept" and o.match}
    assert set(kept) == {"Anna", "Berta"}
    assert kept["Anna"].face.landmarks[2, 0] < 300 < kept["Berta"].face.landmarks[2, 0]
    others = [o.face for o in result.faces if o.action != "kept"]
    assert len(others) == 2
    assert not any(still_there(scene, result.image, others))


def test_a_second_picture_of_a_protected_person_goes_unless_repeats_are_allowed(
    people: list[Image],
) -> None:
    reference = cv2.resize(people[0], (400, 400), interpolation=cv2.INTER_AREA)
    photo = make_scene([people[0], people[0][:, ::-1].copy()], side=260, columns=2)
    once = Anonymizer(protect=reference, method="solid")(photo)
    assert sorted(o.action for o in once.faces) == ["kept", "redacted"]
    both = Anonymizer(protect=reference, method="solid", allow_repeats=True)(photo)
    assert [o.action for o in both.faces] == ["kept", "kept"]


def test_the_largest_and_the_central_face_stay(anonymizer: Anonymizer, scene: Image) -> None:
    faces = anonymizer.detect(scene)
    first = max(range(len(faces)), key=lambda k: faces[k].size)
    largest = anonymizer(scene, keep_largest=1)
    assert [o.action == "kept" for o in largest.faces] == [k == first for k in range(len(faces))]
    middle = Anonymizer(method="solid")(scene, keep_central=True)
    assert [o.action for o in middle.faces].count("kept") == 1


@pytest.mark.parametrize("form", ["index", "box", "callable"])
def test_keep_in_every_form(
    form: str, anonymizer: Anonymizer, scene: Image, result: AnonymizeResult
) -> None:
    face = result.faces[1].face

    def is_it(other: Face) -> bool:
        return bool(np.abs(other.box - face.box).max() < 1)

    keep = {"index": [1], "box": [face.box.tolist()], "callable": is_it}[form]
    again = anonymizer(scene, keep=keep)
    assert [o.action for o in again.faces].count("kept") == 1
    assert again.faces[1].action == "kept"
    assert face_change(scene, again.image, face) == 0


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ([9], "there is no face 9"),
        ([[0, 0, 5, 5]], "no face was found at box"),
        (["me"], "neither an index nor a box"),
        ("me", "must be indices, boxes or a callable"),
        ([True], "neither an index nor a box"),
    ],
)
def test_a_wrong_keep_is_a_clear_error(
    keep: object, message: str, anonymizer: Anonymizer, scene: Image
) -> None:
    with pytest.raises(InputError, match=message):
        anonymizer(scene, keep=keep)  # type: ignore[arg-type]


def test_the_second_encoder_rests_where_nobody_is_protected(
    scene: Image, people: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise WeightsMissing("second-encoder", Path("nowhere"))

    monkeypatch.setattr(portrayal, "SFaceEncoder", broken)
    assert len(Anonymizer(method="solid")(scene).faces) == 4
    # Where somebody is, a broken model is an error, not a weaker comparison.
    with pytest.raises(WeightsMissing):
        Anonymizer(method="solid", protect=cv2.resize(people[0], (400, 400)))
    stored = Anonymizer(method="solid", protect=np.eye(1, 128, dtype=np.float32))
    with pytest.raises(WeightsMissing):
        stored(scene)


def test_looking_does_not_stop_at_a_doubtful_face(
    scene: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def noting(*args: object, unsure: str, **options: object) -> object:
        asked.append(unsure)
        return who_stays(*args, unsure=unsure, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(api, "who_stays", noting)
    careful = Anonymizer(method="solid", unsure="raise")
    careful.review(scene)
    careful(scene)
    assert asked[:2] == ["replace", "raise"]


def test_a_reference_with_several_faces_is_refused(scene: Image) -> None:
    with pytest.raises(SeveralFaces, match="shows 4 faces"):
        Anonymizer(protect=[scene])


def test_a_reference_without_a_face_is_refused() -> None:
    with pytest.raises(InputError, match="shows no face"):
        Anonymizer(protect=[np.full((200, 200, 3), 128, np.uint8)])


def test_an_embedding_of_another_length_is_refused() -> None:
    with pytest.raises(InputError, match="must be"):
        Anonymizer(protect=np.ones((1, 512), np.float32))


@pytest.mark.parametrize(
    "options",
    [{"method": "blurr"}, {"detail": "high"}, {"on_failure": "skip"}, {"seed": -1}, {"seed": True}],
)
def test_misspelt_options_raise(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Anonymizer(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["blur", "pixelate", "solid"])
def test_covering_methods_cover_every_face(method: str, scene: Image) -> None:
    result = Anonymizer(method=method)(scene)  # type: ignore[arg-type]
    assert [o.action for o in result.faces] == ["redacted"] * 4
    assert not any(still_there(scene, result.image, [o.face for o in result.faces]))


def test_faces_that_were_read_are_not_encoded_again(
    scene: NDArray[np.uint8], people: list[NDArray[np.uint8]]
) -> None:
    def refuse(image: NDArray[np.uint8], landmarks: NDArray[np.float32], /) -> NDArray[np.float32]:
        raise AssertionError("encoded a second time")

    anonymizer = Anonymizer(protect=[people[0]], seed=3)
    anonymizer._portray.first = anonymizer._portray.second = refuse
    assert [o.action for o in anonymizer(scene).faces].count("kept") == 1
