"""People in medical masks are judged by what the mask leaves bare."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.api import Anonymizer
from anonyface.detection.faces import FaceFinder
from anonyface.landmarks import topology as topo
from anonyface.landmarks.mesh import FaceMesh
from anonyface.subjects import Subject, SubjectReader
from anonyface.swapping.crop import cut_crop
from anonyface.types import Crop, Face, Identity, Mesh, Patch
from anonyface.verification.check import Verifier, built_in_judges, masked_judges
from anonyface.verification.encoder import (
    DlibEncoder,
    SFaceEncoder,
    UpperFace,
    cosine,
    similarity,
    unit,
)
from anonyface.verification.signature import Signature
from anonyface.verification.thresholds import match_threshold

Image = NDArray[np.uint8]
MASK_RGB = (225, 232, 235)
BRIDGE = 197
"""Point of the mesh on the bridge of the nose, where a mask begins."""


def wearing_masks(image: Image, faces: list[Face]) -> Image:
    """The picture with a pale mask painted on every face, from the bridge of the nose down."""
    out = image.copy()
    for mesh in FaceMesh()(image, faces):
        points = mesh.points[:, :2]
        start = float(points[BRIDGE, 1])
        outline = points[topo.FACE_OVAL].copy()
        outline[:, 1] = np.maximum(outline[:, 1], start)
        cv2.fillPoly(out, [outline.round().astype(np.int32)], MASK_RGB)
    return out


@pytest.fixture(scope="module")
def faces(scene: Image) -> list[Face]:
    return FaceFinder()(scene)


@pytest.fixture(scope="module")
def masked(scene: Image, faces: list[Face]) -> Image:
    return wearing_masks(scene, faces)


@pytest.fixture(scope="module")
def subjects(masked: Image, faces: list[Face]) -> list[Subject]:
    read = SubjectReader(encoder=DlibEncoder())
    return [read(masked, face) for face in faces]


def unchanged(image: Image, subject: Subject) -> tuple[Patch, Crop]:
    crop, _, _ = cut_crop(image, subject.mesh)
    return Patch(crop.pixels, np.ones(crop.pixels.shape[:2], np.float32)), crop


def test_the_upper_face_is_the_same_with_a_mask(
    scene: Image, masked: Image, faces: list[Face]
) -> None:
    whole, second = DlibEncoder(), SFaceEncoder(sees="upper face")
    upper = UpperFace(whole)
    for face in faces:
        bare = [e(scene, face.landmarks) for e in (whole, upper, second)]
        worn = [e(masked, face.landmarks) for e in (whole, upper, second)]
        # Cheeks at the rim of the painted mask are in view: not quite the same picture.
        assert similarity(bare[1], worn[1]) > 0.8
        assert cosine(bare[2], worn[2]) > 0.8
        assert similarity(bare[0], worn[0]) < 0.75


def test_the_upper_face_tells_people_apart(masked: Image, faces: list[Face]) -> None:
    upper = UpperFace(DlibEncoder())
    codes = [upper(masked, face.landmarks) for face in faces]
    limit = match_threshold("1e-3", face_px=140, encoder="encoder, upper face")
    pairs = [similarity(codes[i], codes[k]) for i in range(4) for k in range(i)]
    assert max(pairs) < limit


def test_masks_are_noticed(scene: Image, faces: list[Face], subjects: list[Subject]) -> None:
    read = SubjectReader(encoder=DlibEncoder())
    assert [s.upper is not None for s in subjects] == [True] * 4
    assert [read(scene, face).upper is not None for face in faces] == [False] * 4


def test_an_unchanged_masked_face_fails_at_the_first_judge(
    masked: Image, subjects: list[Subject]
) -> None:
    encoder = DlibEncoder()
    verifier = Verifier(built_in_judges(encoder), masked=masked_judges(UpperFace(encoder)))
    for subject in subjects:
        verdict = verifier(masked, subject, *unchanged(masked, subject))
        assert [c.encoder for c in verdict.checks] == ["encoder, upper face"]
        assert not verdict.checks[0].passed
        assert verdict.checks[0].after == pytest.approx(1, abs=1e-3)


def test_the_second_judge_alone_knows_an_unchanged_masked_face(
    masked: Image, subjects: list[Subject]
) -> None:
    encoder = DlibEncoder()
    first, second = masked_judges(UpperFace(encoder))
    lenient = dataclasses.replace(first, similarity=lambda a, b: np.float32(-1))
    verifier = Verifier(built_in_judges(encoder), masked=[lenient, second])
    verdict = verifier(masked, subjects[0], *unchanged(masked, subjects[0]))
    assert [c.passed for c in verdict.checks] == [True, False]


def test_another_encoder_judges_masked_faces_whole(masked: Image, subjects: list[Subject]) -> None:
    assert masked_judges(None) == ()
    verifier = Verifier(built_in_judges(DlibEncoder()))
    verdict = verifier(masked, subjects[0], *unchanged(masked, subjects[0]))
    assert [c.encoder for c in verdict.checks] == ["encoder"]


def test_masked_people_are_replaced_and_verified_by_what_is_bare(masked: Image) -> None:
    result = Anonymizer(seed=5)(masked)
    assert [o.action for o in result.faces].count("replaced") >= 3
    for outcome in result.faces:
        if outcome.action == "replaced":
            names = [c.encoder for c in outcome.checks]
            assert names == ["encoder, upper face", "second-encoder, upper face"]
            assert all(c.passed for c in outcome.checks)


def test_a_masked_face_that_is_left_as_it_is_gets_covered(masked: Image) -> None:
    def nothing(crop: Crop, mesh: Mesh, identity: Identity, /) -> Patch:
        return Patch(crop.pixels, np.ones(crop.pixels.shape[:2], np.float32))

    result = Anonymizer(seed=5, swapper=nothing)(masked[:300])  # two of the four
    assert [o.action for o in result.faces] == ["redacted"] * 2


def test_signatures_compare_what_both_have() -> None:
    rng = np.random.default_rng(0)
    a, b, c = unit(rng.normal(size=(3, 128)).astype(np.float32))
    assert Signature(a, b).resemblance(Signature(c, b)) == (1.0, "encoder, upper face")
    assert Signature(a, b).resemblance(Signature(a)) == (1.0, "encoder")
    assert Signature(a, b).matches(Signature(c, b), "1e-4", face_px=100)
    assert not Signature(a, b).matches(Signature(c), "1e-2", face_px=100)
