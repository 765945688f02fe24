"""Comparing two photos: do-nothing is found out, a real change is not held against anybody."""

import io
import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
from PIL import Image

from anonyface.detection.faces import FaceFinder
from anonyface.errors import FaceError, InputError
from anonyface.redaction import cover_face
from anonyface.schemas import read_schema
from anonyface.types import Face
from anonyface.verification.check import Judge, built_in_judges
from anonyface.verification.compare import compare_photos
from anonyface.verification.comparison import Score, comparison_table
from anonyface.verification.encoder import DlibEncoder
from anonyface.verification.pair import face_change, pair_up
from anonyface.verification.thresholds import match_threshold

VALIDATOR = jsonschema.Draft202012Validator(read_schema("verify"))
NOON = datetime(2026, 2, 3, 12, 0, 0, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def detector():
    return FaceFinder(detail="thorough")


@pytest.fixture(scope="module")
def judges():
    return [Judge("encoder", DlibEncoder(), "1e-2")]


@pytest.fixture(scope="module")
def compare(detector, judges):
    """Return `compare_photos` with real models, every document checked against the schema."""

    def run(before, after, **options):
        found = compare_photos(before, after, detector=detector, judges=judges, **options)
        document = found.as_dict(created=NOON)
        VALIDATOR.validate(document)
        assert json.loads(json.dumps(document, allow_nan=False)) == document
        assert comparison_table(found).count("\n") >= len(found.faces)
        return found

    return run


def verdicts(comparison):
    return [face.verdict for face in comparison.faces]


def as_jpeg(image, quality, **options):
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=quality, **options)
    return out.getvalue()


# --- real models, generated people --------------------------------------------------------------


@pytest.mark.models
def test_an_unchanged_photo(compare, scene):
    comparison = compare(scene, scene)
    assert verdicts(comparison) == ["unchanged"] * 4
    assert not comparison.passed
    assert all(f.scores[0].similarity > 0.99 and f.change == 0 for f in comparison.faces)
    assert comparison.only_in_after == ()


@pytest.mark.models
def test_an_unchanged_photo_saved_as_a_poor_jpeg(compare, scene):
    comparison = compare(scene, as_jpeg(scene, 40))
    assert verdicts(comparison) == ["unchanged"] * 4
    assert all(f.change > 1 for f in comparison.faces)


@pytest.mark.models
def test_our_own_output(compare, scene, result):
    comparison = compare(scene, result.image)
    assert verdicts(comparison) == ["not recognisable"] * 4
    assert comparison.passed
    assert any(face.found is not None for face in comparison.faces)
    for face in comparison.faces:
        (score,) = face.scores
        assert (score.at_found is None) == (face.found is None)
        assert score.similarity < match_threshold("1e-3", face_px=face.size)


@pytest.mark.models
def test_a_weak_blur_hides_nobody_and_a_strong_cover_does(compare, scene, detector):
    weak = compare(scene, cv2.GaussianBlur(scene, (0, 0), 3))
    assert verdicts(weak) == ["recognisable"] * 4
    assert all("encoder" in face.reason for face in weak.faces)
    covered = scene.copy()
    for face in detector(scene):
        cover_face(covered, face, "solid", rng=np.random.default_rng(0))
    strong = compare(scene, covered)
    assert verdicts(strong) == ["not recognisable"] * 4
    assert all(face.found is None and face.overlap is None for face in strong.faces)


@pytest.mark.models
def test_two_people_who_changed_places(compare, scene):
    """Each is gone from where it was, and stands where the other one was."""
    left, right = scene[21:281, 21:281], scene[21:281, 302:562]
    swapped = scene.copy()
    swapped[21:281, 21:281], swapped[21:281, 302:562] = right.copy(), left.copy()
    comparison = compare(scene, swapped)
    moved = [face for face in comparison.faces if face.face.box[1] < 281]
    assert len(moved) == 2
    for face in moved:
        assert face.verdict == "recognisable"
        assert "elsewhere" in face.reason
        assert face.scores[0].recognised("1e-3") is False
    assert sum(v == "unchanged" for v in verdicts(comparison)) == 2


@pytest.mark.models
def test_a_mirror_image_that_stayed(compare, people, anonymizer):
    """A face gone from its place, but still there in a mirror the tool did not see."""
    before = np.full((320, 620, 3), 120, np.uint8)
    before[20:300, 20:300] = cv2.resize(people[0], (280, 280), interpolation=cv2.INTER_AREA)
    after = before.copy()
    after[20:300, 320:600] = before[20:300, 20:300][:, ::-1]
    after[20:300, 20:300] = 120
    comparison = compare(before, after)
    assert verdicts(comparison) == ["recognisable"]
    (place,) = comparison.faces[0].elsewhere
    assert place.face.box[0] > 320
    assert place.false_match_rate == "1e-4"
    assert len(comparison.only_in_after) == 1


@pytest.mark.models
def test_a_photo_of_another_size(compare, scene, result):
    half = cv2.resize(scene, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    comparison = compare(scene, half)
    assert comparison.scaled
    assert all(v in ("recognisable", "unchanged") for v in verdicts(comparison))
    assert [f.size for f in comparison.faces] == pytest.approx(
        [f.face.size / 2 for f in comparison.faces], rel=0.01
    )
    assert "was scaled" in comparison_table(comparison)
    larger = cv2.resize(result.image, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
    assert compare(scene, larger).passed


@pytest.mark.models
def test_files_with_an_orientation_and_a_thumbnail(compare, scene, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter
    Image.fromarray(np.rot90(scene)).save(tmp_path / "b.jpg", quality=95, exif=exif)
    inside = as_jpeg(scene[::4, ::4], 80)
    segment = b"\xff\xef" + (len(inside) + 2).to_bytes(2, "big") + inside
    plain = as_jpeg(scene, 95)
    (tmp_path / "a.jpg").write_bytes(plain[:2] + segment + plain[2:])
    comparison = compare(tmp_path / "b.jpg", tmp_path / "a.jpg")
    assert verdicts(comparison) == ["unchanged"] * 4
    side = -(-scene.shape[0] // 4)
    assert comparison.embedded_pictures == (f"JPEG of {side}x{side} at byte 6",)
    document = comparison.as_dict(before_name="b.jpg", created=NOON)
    assert document["before"]["file"] == "b.jpg"
    assert document["after"]["file"] is None
    assert all(len(document[k]["sha256"]) == 64 for k in ("before", "after"))
    assert "inside the second file: JPEG" in comparison_table(comparison)


def test_what_the_file_hides_is_held_against_it():
    comparison = run(photo((A, RED)), photo((A, BLUE)), [A])
    assert comparison.passed
    harmless = replace(comparison, metadata_found=("gps", "xmp"))
    assert harmless.passed
    assert "metadata of the second file: gps, xmp" in comparison_table(harmless)
    film = replace(comparison, metadata_found=("gps", "motion"))
    assert not film.passed
    assert "may show the original: motion" in comparison_table(film)
    assert not replace(comparison, embedded_pictures=("JPEG of 2x2 at byte 9",)).passed


# --- made-up detectors and encoders -------------------------------------------------------------


def face_at(x, y, size=60.0, score=0.9):
    points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]) * size
    return Face([x, y, x + size, y + size], np.add(points, (x, y)), score)


class ByColour:
    """An encoder that sees only the colour at the nose: red, green, blue are three people."""

    def __call__(self, image, landmarks, /):
        x, y = landmarks[2].round().astype(int)
        colour = image[y, x].astype(np.float32)
        if not colour.any():
            raise FaceError("black", stage="verification")
        out = np.zeros(128, np.float32)
        out[:3] = colour / np.linalg.norm(colour)
        return out


RED, GREEN, BLUE, BLACK = (250, 0, 0), (0, 250, 0), (0, 0, 250), (0, 0, 0)


def photo(*patches, shape=(200, 400)):
    image = np.full((*shape, 3), 128, np.uint8)
    for face, colour in patches:
        x0, y0, x1, y1 = face.box.astype(int)
        image[y0:y1, x0:x1] = colour
    return image


def run(before, after, faces, faces_after=None, **options):
    """Compare with a detector that finds what it is told to."""
    answers = [faces, faces if faces_after is None else faces_after]
    comparison = compare_photos(
        before,
        after,
        detector=lambda image: answers.pop(0),
        judges=[Judge("encoder", ByColour(), "1e-2")],
        **options,
    )
    VALIDATOR.validate(comparison.as_dict(created=NOON))
    return comparison


A, B, SMALL = face_at(20, 20), face_at(200, 20), face_at(120, 120, size=20)


def test_verdicts():
    before = photo((A, RED), (B, GREEN), (SMALL, BLUE))
    after = photo((A, BLUE), (B, GREEN), (SMALL, RED))
    comparison = run(before, after, [A, B, SMALL])
    assert verdicts(comparison) == ["not recognisable", "unchanged", "too small to tell"]
    assert not comparison.passed
    assert comparison.faces[2].scores == ()
    text = comparison_table(comparison)
    assert text.startswith(
        "3 faces: 1 unchanged, 1 not recognisable, 1 too small to tell (false match rate 1e-3)"
    )
    assert "20 px, an encoder needs 24" in text


def test_a_small_face_that_did_not_change_is_unchanged():
    before = photo((SMALL, RED))
    assert verdicts(run(before, before, [SMALL])) == ["unchanged"]


def test_a_face_only_the_second_look_sees_was_there_before():
    """What the detector overlooks in the original must not slip through."""
    before = photo((A, RED), (B, GREEN))
    after = photo((A, BLUE), (B, GREEN))
    comparison = run(before, after, [A], [A, B])
    assert verdicts(comparison) == ["not recognisable", "unchanged"]
    assert [f.seen_only_after for f in comparison.faces] == [False, True]
    assert comparison.only_in_after == ()
    assert not comparison.passed


def test_a_face_that_was_added_is_told():
    comparison = run(photo((A, RED), (B, RED)), photo((A, GREEN), (B, BLUE)), [A], [A, B])
    assert verdicts(comparison) == ["not recognisable"]
    assert comparison.only_in_after == (B,)
    assert "only in the second photo: a face at [200, 20, 260, 80]" in comparison_table(comparison)


def test_kept_people_are_not_held_against_the_photo():
    before = photo((A, RED), (B, GREEN))
    after = photo((A, BLUE), (B, GREEN))
    assert not run(before, after, [A, B]).passed
    kept = run(before, after, [A, B], keep=[1])
    assert kept.passed
    assert "kept as asked" in comparison_table(kept)
    # Somebody who looks like a kept person is not found in that person's place.
    twin = run(photo((A, GREEN), (B, GREEN)), after, [A, B], keep=[1])
    assert verdicts(twin) == ["not recognisable", "unchanged"]
    assert [place.kept for place in twin.faces[0].elsewhere] == [True]
    assert twin.passed


def test_what_an_encoder_can_not_read_is_not_passed():
    comparison = run(photo((A, RED)), photo((A, BLACK)), [A])
    assert verdicts(comparison) == ["not measurable"]
    assert not comparison.passed
    assert comparison.faces[0].scores[0].recognised("1e-3") is None


def test_the_higher_score_counts():
    score = Score("encoder", 0.4, 0.9, {"1e-2": 0.5, "1e-3": 0.6, "1e-4": 0.95})
    assert score.similarity == 0.9
    assert [score.recognised(rate) for rate in ("1e-2", "1e-3", "1e-4")] == [True, True, False]
    # The eyes moved: only at the landmarks found now is the old face to be seen.
    moved = Face(A.box + 5, np.add(A.landmarks, 20), 0.9)
    after = photo((A, BLUE))
    x, y = moved.landmarks[2].round().astype(int)
    after[y, x] = RED
    (face,) = run(photo((A, RED)), after, [A], [moved]).faces
    assert face.verdict == "recognisable"
    assert face.scores[0].at_original < face.scores[0].at_found == 1


def test_photos_without_faces():
    comparison = run(photo(), photo(), [])
    assert comparison.passed
    assert comparison_table(comparison).startswith("no faces found in the first photo")


def test_the_rate_decides():
    colour = np.array([190, 165, 0]) * 0.9  # close to red, but not much
    before, after = photo((A, RED)), photo((A, colour.astype(np.uint8)))
    (face,) = run(before, after, [A]).faces
    value = face.scores[0].similarity
    limits = face.scores[0].thresholds
    assert limits["1e-2"] < limits["1e-3"] < limits["1e-4"]
    for rate, limit in limits.items():
        (face,) = run(before, after, [A], rate=rate).faces
        assert (face.verdict == "recognisable") == (value >= limit)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": "0.5"}, "rate must be one of"),
        ({"keep": [7]}, "there is no face 7, 1 were found"),
        ({"judges": []}, "at least one encoder"),
    ],
)
def test_bad_options(options, message):
    options = {"judges": [Judge("encoder", ByColour(), "1e-2")], **options}
    with pytest.raises(InputError, match=message):
        compare_photos(photo((A, RED)), photo(), detector=lambda image: [A], **options)


def test_photos_of_other_proportions_are_refused():
    with pytest.raises(InputError, match="differ in their proportions: 400x200 and 200x400"):
        run(photo(), photo(shape=(400, 200)), [])


@pytest.mark.parametrize("size_wh", [(4000, 2667), (1333, 889), (160, 107), (8000, 5334)])
def test_rounded_sizes_have_the_same_proportions(size_wh):
    before = np.zeros((2667, 4000, 3), np.uint8)
    after = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    pair = pair_up(before, after)
    assert pair.after.shape == before.shape
    assert pair.scale == pytest.approx(min(1, size_wh[1] / 2667))


def test_a_dark_face_that_was_covered_is_not_unchanged():
    """In a dark photo a cover changes few grey levels; it still changes the face."""
    rng = np.random.default_rng(0)
    before = rng.integers(2, 10, (200, 400, 3), np.uint8)
    after = before.copy()
    after[20:80, 20:80] = 6
    change, same = face_change(pair_up(before, after), A)
    assert 1 < change < 5
    assert not same
    assert face_change(pair_up(before, before), A) == (0, True)


def test_files_that_are_not_there(tmp_path):
    Image.fromarray(photo()).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"gone\.png"):
        run(tmp_path / "a.png", tmp_path / "gone.png", [])
    assert run(str(tmp_path / "a.png"), Path(tmp_path / "a.png"), []).embedded_pictures == ()


def test_each_judge_is_asked_on_its_own_scale(scene, detector):
    """The second encoder's thresholds are cosines: distances would let nearly everybody pass."""
    (second,) = [j for j in built_in_judges(DlibEncoder()) if j.name == "second-encoder"]
    brighter = np.clip(scene.astype(np.int16) + 12, 0, 255).astype(np.uint8)
    smaller = cv2.resize(brighter, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    found = compare_photos(scene, smaller, detector=detector, judges=[second])
    assert len(found.faces) == 4
    for face in found.faces:
        assert face.verdict == "recognisable"
        # Half the size and a little brighter: a cosine of 0.9 is a distance of 0.45.
        assert face.scores[0].similarity > 0.8
