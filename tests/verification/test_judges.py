"""Two encoders judge a replacement, and a new face must not be somebody it must not be."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.api import Anonymizer
from anonyface.detection.faces import FaceFinder
from anonyface.result import AnonymizeResult
from anonyface.subjects import Subject, SubjectReader
from anonyface.swapping.crop import cut_crop
from anonyface.types import Crop, Face, Patch
from anonyface.verification.check import Reading, Verifier, built_in_judges
from anonyface.verification.encoder import DlibEncoder, SFaceEncoder, cosine
from anonyface.verification.standing import Standing
from anonyface.verification.thresholds import EncoderName, match_threshold

from ..fakes import PutOn

Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def faces(scene: Image) -> list[Face]:
    return sorted(FaceFinder()(scene), key=lambda f: (f.box[1] > 280, f.box[0]))


@pytest.fixture(scope="module")
def subjects(scene: Image, faces: list[Face]) -> list[Subject]:
    read = SubjectReader(encoder=DlibEncoder())
    return [read(scene, face) for face in faces]


def patch_of(image: Image, subject: Subject) -> tuple[Patch, Crop]:
    crop, _, _ = cut_crop(image, subject.mesh)
    return Patch(crop.pixels, np.ones(crop.pixels.shape[:2], np.float32)), crop


def test_an_unchanged_face_fails_at_the_first_judge(scene: Image, subjects: list[Subject]) -> None:
    verdict = Verifier(built_in_judges(DlibEncoder()))(
        scene, subjects[0], *patch_of(scene, subjects[0])
    )
    assert [c.encoder for c in verdict.checks] == ["encoder"]
    assert not verdict.checks[0].passed
    assert verdict.checks[0].after == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("number", [0, 1])
def test_each_judge_alone_knows_an_unchanged_face(
    number: int, scene: Image, subjects: list[Subject]
) -> None:
    judge = built_in_judges(DlibEncoder())[number]
    verdict = Verifier([judge])(scene, subjects[0], *patch_of(scene, subjects[0]))
    if number == 0:
        assert verdict.checks[0].before is not None
        assert verdict.checks[0].before > verdict.checks[0].threshold
    # The subject's embedding is the first judge's: only there it can be compared with itself.
    old = judge.encoder(scene, subjects[0].face.landmarks)
    check = judge.check(old, old, recognised=None, face_px=140)
    assert not check.passed


def test_a_replaced_face_passes_both(result: AnonymizeResult) -> None:
    for outcome in result.faces:
        assert [c.encoder for c in outcome.checks] == ["encoder", "second-encoder"]
        assert all(c.passed for c in outcome.checks)
        assert outcome.similarity_after == outcome.checks[0].after
        assert {c.false_match_rate for c in outcome.checks} == {0.01}


def test_strict_asks_once_more(pair: Image) -> None:
    result = Anonymizer(seed=5, verify="strict")(pair)
    for outcome in result.faces:
        names = [c.encoder for c in outcome.checks]
        if outcome.action == "replaced":
            assert names[2:] == ["second-encoder, surroundings"]
        else:
            assert "still recognisable" in outcome.reason


def test_a_new_face_must_not_be_a_protected_person(pair: Image, people: list[Image]) -> None:
    result = Anonymizer(protect=[people[2]], swapper=PutOn(people[2]), seed=1)(pair)
    assert [o.action for o in result.faces] == ["redacted"] * 2
    # One of them may look too much like the protected person to begin with.
    reasons = [o.reason for o in result.faces]
    assert any("resembles a protected person" in r for r in reasons), reasons


def test_two_new_faces_must_not_be_one_person(
    scene: Image, people: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = people[3]  # like neither of the two
    anonymizer = Anonymizer(swapper=PutOn(stranger), seed=1)
    monkeypatch.setattr(Standing, "__call__", lambda *_: 0.0)  # it is laid on, not bent
    result = anonymizer(scene[:, :300])  # two of the four
    assert len(result.faces) == 2
    assert sorted(o.action for o in result.faces) == ["redacted", "replaced"]
    assert any("resembles another new face" in o.reason for o in result.faces)


def test_a_new_face_must_not_be_somebody_else_in_the_photo(
    scene: Image, people: list[Image]
) -> None:
    left = scene[:, :300]  # people 0 and 2
    result = Anonymizer(swapper=PutOn(people[2]), seed=1)(left)
    upper, lower = sorted(result.faces, key=lambda o: float(o.face.box[1]))
    assert [upper.action, lower.action] == ["redacted", "redacted"]
    assert "resembles somebody else in the photo" in upper.reason
    assert "still recognisable" in lower.reason


def test_the_original_is_read_once_for_all_tries(scene: Image, subjects: list[Subject]) -> None:
    first, second = built_in_judges(DlibEncoder())
    asked: list[Image] = []

    def counting(image: Image, landmarks: NDArray[np.float32], /) -> NDArray[np.float32]:
        asked.append(image)
        return second.encoder(image, landmarks)

    # A first judge whom everybody passes, so that the second is asked.
    lenient = dataclasses.replace(first, similarity=lambda a, b: np.float32(-1))
    verifier = Verifier([lenient, dataclasses.replace(second, encoder=counting)])
    unread = dataclasses.replace(subjects[0], seen={})
    known: dict[EncoderName, Reading] = {}
    for _ in range(2):
        patch, crop = patch_of(scene, unread)
        verdict = verifier(scene, unread, patch, crop, known=known)
        assert [c.passed for c in verdict.checks] == [True, False]
    assert sum(image is scene for image in asked) == 1
    assert len(asked) == 3
    asked.clear()  # nor is it read again where it was read before
    verifier(scene, subjects[0], *patch_of(scene, subjects[0]))
    assert not any(image is scene for image in asked)


def test_the_second_encoder_sees_the_face_alone(scene: Image, faces: list[Face]) -> None:
    face = faces[0]
    x0, y0, x1, y1 = face.box
    noise = np.random.default_rng(0).integers(0, 256, scene.shape, dtype=np.uint8)
    inside = np.zeros(scene.shape[:2], np.uint8)
    centre = (round(float(x0 + x1) / 2), round(float(y0 + y1) / 2))
    axes = (round(float(x1 - x0) * 0.62), round(float(y1 - y0) * 0.62))
    cv2.ellipse(inside, centre, axes, 0, 0, 360, 1, -1)
    lonely = np.where(inside[..., None] > 0, scene, noise)
    alone, wide = SFaceEncoder(sees="face"), SFaceEncoder(sees="surroundings")

    def same(encoder: SFaceEncoder) -> float:
        return float(cosine(encoder(scene, face.landmarks), encoder(lonely, face.landmarks)))

    assert same(alone) == pytest.approx(1, abs=1e-4)
    assert same(wide) < 0.99


def test_the_second_encoder_tells_people_apart(scene: Image, faces: list[Face]) -> None:
    encoder = SFaceEncoder()
    rows = [encoder(scene, f.landmarks) for f in faces]
    mirror = np.ascontiguousarray(scene[:, ::-1])
    flipped = faces[0].landmarks[[1, 0, 2, 4, 3]].copy()
    flipped[:, 0] = scene.shape[1] - 1 - flipped[:, 0]
    limit = match_threshold("1e-3", encoder="second-encoder")
    assert cosine(rows[0], encoder(mirror, flipped)) > limit
    assert all(cosine(rows[0], row) < limit for row in rows[1:])
    assert all(np.linalg.norm(row) == pytest.approx(1, abs=1e-5) for row in rows)
