"""Who wears a mask and can't be replaced loses what it leaves bare; nothing more is given away."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface import covering
from anonyface.covering import MORE, cover_bare_part, gives_away_more
from anonyface.landmarks import topology as topo
from anonyface.landmarks.mesh import five_points
from anonyface.result import Check
from anonyface.subjects import Subject
from anonyface.swapping.faceless import faceless
from anonyface.swapping.mask import face_width, fill_polygon
from anonyface.types import Crop, Face, Mesh, Occlusion
from anonyface.verification.check import VERIFY_FACE_PX, Verdict, Verifier
from anonyface.verification.signature import Signature

from .test_subjects import LOOK

Image = NDArray[np.uint8]
CLOTH = (40, 90, 170)


def check(encoder: str, after: float, threshold: float = 0.5) -> Check:
    return Check(encoder, None, after, threshold, 0.01)


def verdict(*checks: Check) -> Verdict:
    return Verdict(checks, Signature(np.eye(128, dtype=np.float32)[0]))


class Says(Verifier):
    """A verifier that says of one picture after the other what it is told."""

    def __init__(self, *verdicts: Verdict) -> None:
        self.verdicts = list(verdicts)

    def __call__(self, *_: object, **__: object) -> Verdict:
        return self.verdicts.pop(0)


@pytest.fixture
def masked(people: list[Image], meshes: list[Mesh]) -> tuple[Image, Subject]:
    """The first person at 256 px with a plain cloth over nose and mouth, and what is read of it."""
    image = np.asarray(cv2.resize(people[0], (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
    points = meshes[0].points / np.float32(4)
    edge = points[[93, 118, 5, 347, 323], :2]
    jaw = points[[361, 397, 378, 152, 149, 172, 132], :2]
    cloth = fill_polygon(np.concatenate([edge, jaw]), (256, 256)) > 0
    image[cloth] = CLOTH
    scale = 64 / 256
    worn = cv2.resize(cloth.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)
    occlusion = Occlusion(np.zeros((64, 64), np.float32), worn, np.diag([scale, scale, 1])[:2])
    mesh = Mesh(points, 1.0, occlusion=occlusion)
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    face = Face(np.concatenate([low, high]), five_points(points), 0.99)
    return image, Subject(face, mesh, LOOK, np.eye(128, dtype=np.float32)[0], None)


def test_the_bare_part_is_covered_and_the_mask_stays(masked: tuple[Image, Subject]) -> None:
    image, subject = masked
    points = subject.mesh.points
    patch = faceless(Crop(image, np.eye(2, 3)), subject.mesh, rng=np.random.default_rng(0))
    for part in (topo.LEFT_EYE, topo.RIGHT_EYE, topo.LEFT_BROW, topo.RIGHT_BROW):
        x, y = points[part, :2].round().astype(int).T
        assert patch.alpha[y, x].min() == 1
        before, after = (i[y, x].astype(float).std(axis=0).max() for i in (image, patch.pixels))
        assert after < 0.6 * before
    x, y = points[[13, 14, 17, 199], :2].round().astype(int).T
    assert patch.alpha[y, x].max() < 0.05
    np.testing.assert_allclose(patch.pixels[y, x], np.tile(CLOTH, (4, 1)), atol=3)
    far = np.ones((256, 256), bool)
    middle = points[:, :2].mean(axis=0)
    columns, rows = np.meshgrid(np.arange(256), np.arange(256))
    far[np.hypot(columns - middle[0], rows - middle[1]) < 1.1 * face_width(points)] = False
    np.testing.assert_array_equal(patch.pixels[far], image[far])
    assert (patch.alpha[far] == 0).all()


def test_of_the_bare_part_only_a_few_numbers_survive(masked: tuple[Image, Subject]) -> None:
    """Two faces that differ in fine detail alone become the same."""
    image, subject = masked
    checks = (np.indices(image.shape[:2]).sum(0) % 2 * 20 - 10)[..., None]
    base = np.clip(image.astype(int), 30, 220)
    crops = [Crop((base + sign * checks).astype(np.uint8), np.eye(2, 3)) for sign in (1, -1)]
    one, other = (faceless(c, subject.mesh, rng=np.random.default_rng(0)) for c in crops)
    whole = (one.alpha == 1) & (other.alpha == 1)
    assert whole.sum() > 2000
    difference = np.abs(one.pixels[whole].astype(int) - other.pixels[whole])
    assert difference.mean() < 3  # of 20 before; the rest is what the grain's estimate differs by


def test_eyes_are_covered_though_something_seems_to_lie_before_them(
    masked: tuple[Image, Subject],
) -> None:
    image, subject = masked
    occlusion, points = subject.mesh.occlusion, subject.mesh.points
    assert occlusion is not None
    front = np.zeros((64, 64), np.float32)
    x, y = (points[topo.LEFT_EYE, :2].mean(axis=0) / 4).round().astype(int)
    front[y - 2 : y + 3, x - 4 : x + 5] = 1
    mesh = replace(subject.mesh, occlusion=replace(occlusion, front=front))
    patch = faceless(Crop(image, np.eye(2, 3)), mesh, rng=np.random.default_rng(0))
    x, y = points[topo.LEFT_EYE, :2].round().astype(int).T
    assert patch.alpha[y, x].min() == 1


PASSED, FAILED = check("encoder", 0.2), check("encoder", 0.7)


@pytest.mark.parametrize(
    ("verdicts", "covered"),
    [
        ([verdict(PASSED)], True),
        ([verdict(FAILED), verdict(check("encoder", 0.7 - MORE / 2))], True),
        ([verdict(FAILED), verdict(check("encoder", 0.7 - 2 * MORE))], False),
        ([verdict(FAILED), verdict(PASSED)], False),
    ],
)
def test_it_must_hide_as_much_as_an_ellipse(
    verdicts: list[Verdict], covered: bool, masked: tuple[Image, Subject]
) -> None:
    image, subject = masked
    out = image.copy()
    assert cover_bare_part(out, image, subject, Says(*verdicts), seed=1) is covered
    x, y = subject.mesh.points[topo.LEFT_EYE, :2].round().astype(int).T
    changed = np.abs(out[y, x].astype(int) - image[y, x]).mean()
    assert changed > 5 if covered else np.array_equal(out, image)


def test_who_fails_before_another_judge_than_the_ellipse() -> None:
    second = check("second-encoder", 0.9)
    assert not gives_away_more(verdict(PASSED, second), verdict(FAILED))
    assert gives_away_more(verdict(PASSED, second), verdict(PASSED, check("second-encoder", 0.1)))


def test_without_a_mask_or_in_doubt_the_whole_head_has_to_be_covered(
    masked: tuple[Image, Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, subject = masked
    bare = replace(subject, mesh=replace(subject.mesh, occlusion=None))
    doubtful = replace(
        subject,
        face=replace(subject.face, score=0.4),
        mesh=replace(subject.mesh, presence=0.1),
    )
    shrink = np.array([[0.05, 0, 0], [0, 0.05, 0]])
    tiny = replace(
        subject,
        face=Face(subject.face.box * 0.05, subject.face.landmarks * np.float32(0.05), 0.99),
        mesh=subject.mesh.moved(shrink),
    )
    assert tiny.face.size < VERIFY_FACE_PX
    for unfit in (bare, doubtful, tiny):
        out = image.copy()
        assert not cover_bare_part(out, image, unfit, Says(verdict(PASSED)), seed=1)
        np.testing.assert_array_equal(out, image)
    assert cover_bare_part(image.copy(), image, subject, Says(verdict(PASSED)), seed=1)
    # What hides nearly all hides who it is from everybody but the one who asks the ellipse.
    monkeypatch.setattr(covering, "is_masked", lambda _: True)
    everywhere = Occlusion(
        np.ones((64, 64), np.float32), np.zeros((64, 64), np.float32), np.diag([0.25, 0.25, 1])[:2]
    )
    hidden = replace(subject, mesh=replace(subject.mesh, occlusion=everywhere))
    assert not cover_bare_part(image.copy(), image, hidden, Says(verdict(PASSED)), seed=1)
