"""References in every form, and those that will not do."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anonyface.detection.faces import FaceFinder
from anonyface.errors import InputError
from anonyface.protection.gallery import Gallery
from anonyface.protection.portrayal import Portrayer
from anonyface.protection.quality import Quality, measure_quality, refusal, weakness
from anonyface.protection.references import References, SeveralFaces, load_references
from anonyface.types import Face
from anonyface.verification.encoder import SFaceEncoder, cosine, similarity

from .made import alike, face

Picture = NDArray[np.uint8]


class Loader:
    """`load_references` with the models of the session."""

    def __init__(self, finder: FaceFinder, portray: Portrayer) -> None:
        self.finder, self.portray = finder, portray

    def __call__(self, protect: object) -> References:
        return load_references(protect, detector=self.finder, portray=self.portray)


@pytest.fixture(scope="module")
def load(finder: FaceFinder, portray: Portrayer) -> Loader:
    return Loader(finder, portray)


def test_a_photo_in_every_form(load: Loader, portraits: list[Picture], tmp_path: Path) -> None:
    picture = Image.fromarray(portraits[0])
    path = tmp_path / "me.png"
    picture.save(path)
    data = path.read_bytes()
    with path.open("rb") as file:
        forms = [str(path), path, data, bytearray(data), io.BytesIO(data), file, portraits[0]]
        forms.append(picture)
        loaded = [load(form) for form in forms]
    for references in loaded:
        assert len(references) == 1
        np.testing.assert_allclose(references.embeddings, loaded[0].embeddings, atol=1e-6)
        assert np.linalg.norm(references.embeddings) == pytest.approx(1, abs=1e-5)
        assert np.linalg.norm(references.second) == pytest.approx(1, abs=1e-5)
        assert 200 < references.face_px[0] < 400
        assert references.notes == ()
    assert loaded[0].names == loaded[1].names == ("me.png",)
    assert loaded[2].names == ("reference 0",)
    assert not loaded[0].embeddings.flags.writeable


def test_photos_of_one_person_are_recognised_as_such(
    load: Loader, portraits: list[Picture]
) -> None:
    again = np.clip(portraits[0][:, ::-1] * 0.8 + 10, 0, 255).astype(np.uint8)
    references = load([portraits[0], portraits[2], again])
    assert references.names == ("reference 0", "reference 1", "reference 2")
    assert references.people == ("reference 0", "reference 1", "reference 0")


def test_embeddings_alone_and_beside_photos(
    load: Loader, portraits: list[Picture], axes: NDArray[np.float32]
) -> None:
    references = load([axes[:2] * 3, portraits[0], axes[2].astype(np.float64)])
    assert len(references) == 4
    assert len(set(references.people)) == 4
    np.testing.assert_allclose(references.embeddings[[0, 1, 3]], axes[:3], atol=1e-6)
    assert len(load(axes)) == 6
    assert len(load(())) == 0


def test_embeddings_of_both_encoders_lie_side_by_side(
    load: Loader, axes: NDArray[np.float32]
) -> None:
    both = np.concatenate([axes[:2] * 3, axes[2:4] * 5], axis=1)
    references = load([both, axes[4]])
    np.testing.assert_allclose(references.embeddings, axes[[0, 1, 4]], atol=1e-6)
    np.testing.assert_allclose(references.second[:2], axes[2:4], atol=1e-6)
    assert np.isnan(references.second[2]).all()
    assert len(load(both[0])) == 1


def test_the_second_encoder_sees_the_hair(
    load: Loader, portraits: list[Picture], finder: FaceFinder
) -> None:
    wide, alone = (SFaceEncoder(sees=sees, threads=1) for sees in ("surroundings", "face"))
    landmarks = finder(portraits[0])[0].landmarks
    stored = load(portraits[0]).second[0]
    assert float(cosine(stored, wide(portraits[0], landmarks))) == pytest.approx(1, abs=1e-4)
    assert float(cosine(stored, alone(portraits[0], landmarks))) < 0.95


def test_two_files_of_one_name_are_two_people(
    load: Loader, portraits: list[Picture], tmp_path: Path
) -> None:
    for folder, picture in zip("ab", portraits[1:], strict=False):
        (tmp_path / folder).mkdir()
        Image.fromarray(picture).save(tmp_path / folder / "me.png")
    references = load([tmp_path / "a" / "me.png", tmp_path / "b" / "me.png"])
    assert references.names == ("me.png", "me.png")
    assert references.people == ("me.png", "me.png (2)")


def test_a_gallery_keeps_its_names(load: Loader, axes: NDArray[np.float32]) -> None:
    gallery = Gallery()
    gallery.add("Anna", axes[0], axes[1])
    gallery.add("Berta", alike(axes[0], axes[2], 0.95))
    alone, mixed = load(gallery), load([axes[3], gallery])
    assert alone.names == alone.people == ("Anna", "Anna", "Berta")
    assert mixed.people == ("reference 0", "Anna", "Anna", "Berta")


def test_several_people_are_an_error_that_shows_them(load: Loader, scene: Picture) -> None:
    with pytest.raises(SeveralFaces, match="shows 4 faces") as caught:
        load([scene])
    error = caught.value
    assert isinstance(error, InputError)
    assert "\n" not in str(error)
    assert len(error.faces) == len(error.crops) == 4
    for (x0, y0, x1, y1), crop in zip(error.faces, error.crops, strict=True):
        assert str([x0, y0, x1, y1]) in str(error)
        assert crop.dtype == np.uint8
        assert crop.shape[0] >= 0.9 * (y1 - y0)
        # What the error shows may be given back as reference.
        assert len(load(crop)) == 1


def test_who_is_tiny_or_cut_off_does_not_count(load: Loader, portraits: list[Picture]) -> None:
    photo = np.full((500, 700, 3), 200, np.uint8)
    photo[50:450, 20:420] = portraits[0]
    alone = load(photo)
    tiny = cv2.resize(portraits[1], (28, 28), interpolation=cv2.INTER_AREA)
    photo[200:228, 500:528] = tiny
    np.testing.assert_allclose(load(photo).embeddings, alone.embeddings, atol=0.02)
    half = cv2.resize(portraits[2], (300, 300), interpolation=cv2.INTER_AREA)
    photo[100:400, 560:700] = half[:, :140]
    assert float(similarity(load(photo).embeddings[0], alone.embeddings[0])) > 0.9
    # The same person whole is somebody who might be meant.
    photo[100:400, 400:700] = half
    with pytest.raises(SeveralFaces):
        load(photo)


def test_no_face_is_an_error(load: Loader) -> None:
    with pytest.raises(InputError, match="reference 0 shows no face"):
        load(np.full((300, 300, 3), 90, np.uint8))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones((2, 512), np.float32), "must be"),
        (np.full((1, 128), np.nan, np.float32), "finite"),
        (np.ones((1, 1, 128), np.float32), "must be"),
        (np.ones((1, 129), np.float32), "must be"),
        (np.zeros(128, np.float32), "length 0"),
        (np.repeat(np.float32([1, 0]), 128), "length 0"),
    ],
)
def test_wrong_embeddings_are_errors(rows: NDArray[np.float32], message: str, load: Loader) -> None:
    with pytest.raises(InputError, match=message):
        load([rows])


def test_a_small_reference_is_noted(
    load: Loader, portraits: list[Picture], caplog: pytest.LogCaptureFixture
) -> None:
    small = cv2.resize(portraits[0], (52, 52), interpolation=cv2.INTER_AREA)
    with caplog.at_level(logging.WARNING, logger="anonyface"):
        references = load(small)
    assert len(references.notes) == 1
    assert "px high; expect misses" in references.notes[0]
    assert references.notes[0] in caplog.text
    assert references.face_px[0] < 48


def test_a_tiny_reference_is_refused(load: Loader, portraits: list[Picture]) -> None:
    tiny = cv2.resize(portraits[0], (28, 28), interpolation=cv2.INTER_AREA)
    photo = np.full((120, 120, 3), 200, np.uint8)
    photo[40:68, 40:68] = tiny
    with pytest.raises(InputError, match="at least 24 are needed"):
        load(photo)


def test_a_blurred_reference_is_noted_a_smeared_one_refused(
    load: Loader, portraits: list[Picture]
) -> None:
    blurred = load(cv2.GaussianBlur(portraits[0], (0, 0), 9))
    assert "blurred; expect misses" in blurred.notes[0]
    # It counts as a small face: strangers come closer to it.
    assert blurred.face_px[0] == 24
    with pytest.raises(InputError, match="too blurred"):
        load(cv2.GaussianBlur(portraits[3], (0, 0), 18))


def turned(by: float) -> Face:
    straight = face(0, 0, 100)
    points = straight.landmarks.copy()
    points[2, 0] += by * 40
    return Face(straight.box, points, 1.0)


def test_a_turned_reference_is_noted_a_profile_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8)
    straight, half, profile = (measure_quality(noise, turned(by)) for by in (0, 0.8, 3.0))
    assert abs(straight.turn) < 0.05
    assert weakness(straight) is None
    assert "turned to the side" in str(weakness(half))
    assert refusal(half) is None
    assert "turned away" in str(refusal(profile))
    mirrored = measure_quality(noise, turned(-0.8))
    assert mirrored.turn == pytest.approx(-half.turn, abs=0.05)


def test_sharpness_falls_with_blur_and_not_with_light(
    finder: FaceFinder, portraits: list[Picture]
) -> None:
    found = finder(portraits[0])[0]

    def sharpness(picture: Picture) -> float:
        return measure_quality(picture, found).sharpness

    clean = sharpness(portraits[0])
    assert clean > 0.25
    blurs = [sharpness(cv2.GaussianBlur(portraits[0], (0, 0), s)) for s in (4, 8, 16, 24)]
    assert [clean, *blurs] == sorted([clean, *blurs], reverse=True)
    dark = (portraits[0] * 0.5).astype(np.uint8)
    assert sharpness(dark) == pytest.approx(clean, rel=0.15)


def test_a_flat_picture_has_no_sharpness() -> None:
    flat = measure_quality(np.full((200, 200, 3), 128, np.uint8), face(20, 20, 100))
    assert flat == Quality(100, 0, flat.turn)
    assert "blurred" in str(refusal(flat))
