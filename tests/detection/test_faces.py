"""The detector on generated people: each way up, in a batch, and what it makes of doubtful ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.detection.boxes import iou
from anonyface.detection.faces import FaceFinder, is_accepted
from anonyface.detection.retinaface import SURE_SCORE, RetinaFace
from anonyface.errors import InputError
from anonyface.types import Detail, Face, ImageArray

Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder(detail="normal")


def turned_back(faces: list[Face], turns: int, side: int) -> np.ndarray:
    """Boxes of faces found in a square photo after ``np.rot90(photo, turns)``."""
    boxes = np.stack([f.box for f in faces])
    for _ in range(turns):
        x0, y0, x1, y1 = boxes.T
        boxes = np.stack([side - y1, x0, side - y0, x1], axis=1)
    return boxes


def test_normal_finds_each_person_once(finder: FaceFinder, scene: Image) -> None:
    faces = finder(scene)
    assert len(faces) == 4
    assert min(face.score for face in faces) > SURE_SCORE
    assert all((f.box[:2] < f.landmarks).all() and (f.landmarks < f.box[2:]).all() for f in faces)


def test_a_small_copy_is_found_too(finder: FaceFinder, scene: Image) -> None:
    """Faces of 20 px, which a native pass alone is not sure of."""
    tiny = cv2.resize(scene, (85, 85), interpolation=cv2.INTER_AREA)
    photo = np.full((900, 900, 3), 120, np.uint8)
    photo[400:485, 300:385] = tiny
    assert len(finder(photo)) == 4


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_thorough_finds_photos_that_lie_on_their_side(
    finder: FaceFinder, scene: Image, turns: int
) -> None:
    upright = np.stack([f.box for f in finder(scene)])
    photo = np.ascontiguousarray(np.rot90(scene, turns))
    found = FaceFinder(detail="thorough")(photo)
    assert len(found) == 4
    boxes = turned_back(found, turns, scene.shape[0])
    assert (iou(upright, boxes.astype(np.float32)).max(axis=1) > 0.7).all()
    # The landmarks say which way is up: the eyes lie on the side of the hair.
    for face in found:
        eyes, mouth = face.landmarks[:2].mean(axis=0), face.landmarks[3:].mean(axis=0)
        down = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)][turns])
        assert (mouth - eyes) @ down > 0.2 * face.size


def test_a_batch_finds_what_single_calls_find(scene: Image) -> None:
    detector = RetinaFace(detail="normal")
    frames: list[ImageArray] = [scene, np.ascontiguousarray(scene[::-1, ::-1]), scene // 2]
    for alone, together in zip(map(detector, frames), detector.batch(frames), strict=True):
        assert len(alone) == len(together)
        for a, b in zip(alone, together, strict=True):
            np.testing.assert_allclose(a.box, b.box, atol=0.1)
            assert a.score == pytest.approx(b.score, abs=1e-3)
    assert detector.batch([]) == []


def test_a_batch_of_two_sizes_is_refused(scene: Image) -> None:
    with pytest.raises(InputError, match="one size"):
        RetinaFace().batch([scene, scene[1:]])


def test_an_unsure_candidate_needs_the_mesh(finder: FaceFinder, scene: Image) -> None:
    (best, *_) = finder(scene)
    photo = np.full_like(scene, 120)
    x0, y0, x1, y1 = best.box.astype(int)
    photo[y0 - 30 : y1 + 30, x0 - 30 : x1 + 30] = scene[y0 - 30 : y1 + 30, x0 - 30 : x1 + 30]
    away = np.array([200, 200], np.float32) * np.where(best.box[:2] > 300, -1, 1)
    doubtful = [
        Face(best.box, best.landmarks, 0.25),
        Face(best.box + np.tile(away, 2), best.landmarks + away, 0.25),
    ]
    assert finder.choose(photo, doubtful) == doubtful[:1]


@pytest.mark.parametrize(
    ("detail", "size", "score", "accepted"),
    [
        ("fast", 100, 0.45, False),
        ("fast", 10, 0.6, False),
        ("normal", 100, 0.45, True),
        ("normal", 100, 0.35, False),
        ("normal", 10, 0.35, True),
        ("normal", 40, 0.35, True),
        ("normal", 40, 0.25, False),
        ("thorough", 100, 0.35, True),
        ("thorough", 100, 0.25, False),
        ("thorough", 40, 0.25, True),
    ],
)
def test_the_more_looks_the_lower_the_level(
    detail: Detail, size: float, score: float, accepted: bool
) -> None:
    face = Face(np.array([0, 0, size, size], np.float32), np.zeros((5, 2), np.float32), score)
    assert is_accepted(face, detail) is accepted
