"""The promises of the design, each on real models and generated people, in the face region."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import anonyface
from anonyface.api import Anonymizer
from anonyface.detection.boxes import iou
from anonyface.errors import FaceError, WeightsCorrupt, WeightsMissing
from anonyface.result import AnonymizeResult
from anonyface.swapping.crop import cut_crop
from anonyface.types import Identity, Mesh
from anonyface.verification.encoder import similarity
from anonyface.verification.thresholds import match_threshold

from .fakes import DoNothing, Failing, face_change, still_there

Image = NDArray[np.uint8]
LEAST_CHANGE = 4.0
"""Grey levels by which the inner face must change; saving a photo as JPEG changes it by 1 to 2."""


def overlapping(people: list[Image]) -> Image:
    """Two portraits of which the second covers the first's cheek."""
    canvas = np.full((420, 560, 3), 90, np.uint8)
    first, second = (cv2.resize(p, (380, 380), interpolation=cv2.INTER_AREA) for p in people[:2])
    canvas[20:400, 20:400] = first
    yy, xx = np.mgrid[0:380, 0:380]
    inside = ((xx - 190) / 120) ** 2 + ((yy - 215) / 165) ** 2 < 1
    canvas[20:400, 165:545][inside] = second[inside]
    return canvas


# 1. fail closed --------------------------------------------------------------------------------


def test_every_face_is_replaced_and_not_recognised_any_more(
    result: AnonymizeResult, scene: Image
) -> None:
    assert [o.action for o in result.faces] == ["replaced"] * 4
    faces = [o.face for o in result.faces]
    assert not any(still_there(scene, result.image, faces))
    assert all(still_there(scene, scene, faces))  # the check itself recognises who is there
    assert all(face_change(scene, result.image, f) > LEAST_CHANGE for f in faces)
    for outcome in result.faces:
        assert outcome.similarity_after is not None
        assert outcome.threshold is not None
        assert outcome.similarity_after < outcome.threshold
        assert outcome.similarity_before is not None
        assert outcome.similarity_before > outcome.threshold


def test_a_swapper_that_does_nothing_ends_in_covered_faces(pair: Image) -> None:
    result = Anonymizer(swapper=DoNothing(), seed=1)(pair)
    assert [o.action for o in result.faces] == ["redacted"] * 2
    assert all("still recognisable" in o.reason for o in result.faces)
    assert all(face_change(pair, result.image, o.face) > LEAST_CHANGE for o in result.faces)


def test_a_face_that_fails_is_covered_and_says_why(scene: Image) -> None:
    result = Anonymizer(swapper=Failing(), seed=1)(scene)
    assert [o.action for o in result.faces] == ["redacted"] * 4
    assert all("no way" in o.reason for o in result.faces)
    assert all(face_change(scene, result.image, o.face) > LEAST_CHANGE for o in result.faces)


def test_a_failing_face_raises_when_asked_to(scene: Image) -> None:
    with pytest.raises(FaceError, match="no way") as caught:
        Anonymizer(swapper=Failing(), on_failure="raise")(scene)
    assert caught.value.stage == "swapping"


def test_an_unexpected_error_passes_and_no_image_comes_back(scene: Image) -> None:
    with pytest.raises(ZeroDivisionError):
        Anonymizer(swapper=Failing(ZeroDivisionError()))(scene)


def test_no_identity_left_means_covered(scene: Image) -> None:
    result = Anonymizer(identities=lambda request: iter(()), seed=1)(scene)
    assert [o.action for o in result.faces] == ["redacted"] * 4
    assert all(face_change(scene, result.image, o.face) > LEAST_CHANGE for o in result.faces)


@pytest.mark.parametrize("damage", ["corrupt", "missing"])
def test_a_damaged_model_is_an_error(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anonyface import runtime, weights

    copy = tmp_path / "weights"
    shutil.copytree(weights.weights_dir(), copy)
    if damage == "corrupt":
        data = bytearray((copy / "detector.onnx").read_bytes())
        data[len(data) // 2] ^= 1
        (copy / "detector.onnx").write_bytes(data)
    else:
        (copy / "detector.onnx").unlink()
    monkeypatch.setattr(weights, "weights_dir", lambda: copy)
    monkeypatch.setattr(runtime, "_sessions", {})
    with pytest.raises({"corrupt": WeightsCorrupt, "missing": WeightsMissing}[damage]):
        Anonymizer()


# 2. nothing else changes -----------------------------------------------------------------------


def test_pixels_outside_the_faces_are_bit_identical(result: AnonymizeResult, scene: Image) -> None:
    changed = (result.image != scene).any(axis=2)
    allowed = np.zeros_like(changed)
    for outcome in result.faces:
        x0, y0, x1, y1 = outcome.face.box
        margin = 0.15 * outcome.face.size  # the mesh reaches a little over the detector's box
        allowed[
            max(0, int(y0 - margin)) : int(y1 + margin), max(0, int(x0 - margin)) : int(x1 + margin)
        ] = True
    assert changed.any()
    assert not changed[~allowed].any()


def test_the_input_array_is_not_touched(anonymizer: Anonymizer, scene: Image) -> None:
    copy = scene.copy()
    anonymizer(scene)
    np.testing.assert_array_equal(scene, copy)


def test_overlapping_faces_are_both_gone(anonymizer: Anonymizer, people: list[Image]) -> None:
    photo = overlapping(people)
    result = anonymizer(photo)
    assert len(result.faces) == 2
    assert {o.action for o in result.faces} <= {"replaced", "redacted"}
    faces = [o.face for o in result.faces]
    assert float(iou(faces[0].box[None], faces[1].box[None])[0, 0]) > 0.02  # they do overlap
    assert not any(still_there(photo, result.image, faces))
    assert all(face_change(photo, result.image, f) > LEAST_CHANGE for f in faces)


def test_leaving_one_of_two_overlapping_faces_would_be_noticed(
    anonymizer: Anonymizer, people: list[Image]
) -> None:
    photo = overlapping(people)
    result = anonymizer(photo)
    faces = [o.face for o in result.faces]
    spoiled = result.image.copy()
    x0, y0, x1, y1 = (int(v) for v in faces[0].box)
    spoiled[y0:y1, x0:x1] = photo[y0:y1, x0:x1]  # what cropping from the input would do
    assert any(still_there(photo, spoiled, faces))


# 3. nobody's face ------------------------------------------------------------------------------


def test_identities_resemble_neither_the_original_nor_each_other(
    anonymizer: Anonymizer, result: AnonymizeResult, scene: Image
) -> None:
    limit, siblings = match_threshold("1e-2"), match_threshold("1e-3")
    embeddings = [o.identity.embedding for o in result.faces if o.identity is not None]
    assert len(embeddings) == 4
    for i, one in enumerate(embeddings):
        own = anonymizer._encoder(scene, result.faces[i].face.landmarks)
        assert float(similarity(one, own)) < limit
        for other in embeddings[:i]:
            assert float(similarity(one, other)) < siblings


def test_identities_match_gender_and_age(result: AnonymizeResult) -> None:
    for outcome in result.faces:
        assert outcome.identity is not None
        assert outcome.face.p_female is not None
        assert (outcome.face.p_female >= 0.5) == (outcome.identity.gender == "female")
        assert outcome.face.age is not None
        assert abs(outcome.face.age - outcome.identity.age) < 15


# 4. measured -----------------------------------------------------------------------------------


def test_the_report_is_json_without_embeddings_pixels_or_seed(result: AnonymizeResult) -> None:
    text = json.dumps(result.report(), allow_nan=False)
    assert "GDPR" not in text
    assert "embedding" not in text
    assert '"latent"' not in text  # the model called latents is named
    report = json.loads(text)
    assert report["counts"] == {"found": 4, "replaced": 4, "redacted": 0, "kept": 0}
    assert all(f["similarity_after"] < f["threshold"] for f in report["faces"])
    assert len(text) < 8000


# 5. reproducible, unlinkable -------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(scene: Image, result: AnonymizeResult) -> None:
    again = Anonymizer(seed=5)(scene)
    assert again.image.tobytes() == result.image.tobytes()


def test_a_face_does_not_depend_on_the_others(
    anonymizer: Anonymizer, scene: Image, result: AnonymizeResult
) -> None:
    # Not kept for the first face of the scene: two of its offers double a redraw of another.
    for i in (1, 3):
        outcome, alone = result.faces[i], anonymizer(scene, only=[i])
        assert [o.action for o in alone.faces].count("replaced") == 1
        x0, y0, x1, y1 = (int(v) for v in outcome.face.box)
        np.testing.assert_array_equal(
            alone.image[y0:y1, x0:x1], result.image[y0:y1, x0:x1], strict=True
        )


def test_a_batch_gives_the_same_bytes_as_single_photos(
    anonymizer: Anonymizer, scene: Image, result: AnonymizeResult
) -> None:
    mirrored = np.ascontiguousarray(scene[:300, ::-1])
    batch = [r.image.tobytes() for r in anonymizer.batch([mirrored, scene])]
    assert batch[1] == result.image.tobytes()
    assert batch[0] != batch[1]


def test_without_a_seed_every_run_gives_other_people(one: Image) -> None:
    anonymizer = Anonymizer()
    sources = [[o.identity.source for o in anonymizer(one).faces if o.identity] for _ in range(2)]
    assert len(sources[0]) == 1
    assert sources[0] != sources[1]


# 6. offline and light --------------------------------------------------------------------------


def test_import_is_inert() -> None:
    code = (
        "import sys, anonyface; "
        "loaded = {m.split('.')[0] for m in sys.modules}; "
        "print(sorted(loaded & {'torch', 'onnxruntime', 'cv2', 'numpy', 'PIL', 'click'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_photo_needs_no_network(pair: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("tried to reach the network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    assert len(anonyface.anonymize(pair, seed=3).faces) == 2


def test_the_public_names_are_these() -> None:
    assert set(dir(anonyface)) == set(anonyface.__all__)
    for name in anonyface.__all__:
        assert getattr(anonyface, name).__name__ == name


# sizes and places ------------------------------------------------------------------------------


@pytest.mark.parametrize("height", [16, 22, 32, 60, 500])
def test_faces_of_every_size_are_treated(
    height: int, anonymizer: Anonymizer, people: list[Image]
) -> None:
    side = round(height / 0.55)
    photo = np.full((max(320, side + 20), max(320, side + 20), 3), 110, np.uint8)
    photo[10 : 10 + side, 10 : 10 + side] = cv2.resize(
        people[0], (side, side), interpolation=cv2.INTER_AREA
    )
    result = anonymizer(photo)
    assert len(result.faces) == 1
    assert result.faces[0].action == "replaced"
    assert face_change(photo, result.image, result.faces[0].face) > LEAST_CHANGE


@pytest.mark.parametrize("cut", ["left", "right", "top", "bottom"])
def test_faces_cut_by_the_border_are_treated(
    cut: str, anonymizer: Anonymizer, people: list[Image]
) -> None:
    portrait = cv2.resize(people[1], (400, 400), interpolation=cv2.INTER_AREA)
    rows = {"top": slice(170, 400), "bottom": slice(0, 270)}.get(cut, slice(0, 400))
    columns = {"left": slice(170, 400), "right": slice(0, 230)}.get(cut, slice(0, 400))
    photo = np.ascontiguousarray(portrait[rows, columns])
    result = anonymizer(photo)
    assert len(result.faces) == 1
    assert result.faces[0].action in ("replaced", "redacted")
    assert not any(still_there(photo, result.image, [result.faces[0].face]))


def test_no_face_no_change(anonymizer: Anonymizer) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    noise = np.ascontiguousarray(cv2.GaussianBlur(noise, (0, 0), 8))
    result = anonymizer(noise)
    assert result.faces == ()
    np.testing.assert_array_equal(result.image, noise)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (7, 5)])
def test_tiny_and_thin_images_pass(shape: tuple[int, int], anonymizer: Anonymizer) -> None:
    image = np.zeros((*shape, 3), np.uint8)
    assert anonymizer(image).image.shape == image.shape


def test_cut_crop_refuses_a_face_outside_the_image() -> None:
    mesh = Mesh(np.random.default_rng(0).uniform(500, 600, (468, 3)), 1.0)
    with pytest.raises(FaceError, match="outside"):
        cut_crop(np.zeros((100, 100, 3), np.uint8), mesh)


def test_types_are_read_only(result: AnonymizeResult) -> None:
    identity = result.faces[0].identity
    assert isinstance(identity, Identity)
    for array in (result.image, result.faces[0].face.box, identity.pixels, identity.latent):
        with pytest.raises(ValueError, match="read-only"):
            array.flat[0] = 0


# threads and marks ------------------------------------------------------------------------------


def test_threads_may_share_one_anonymizer(one: Image, anonymizer: Anonymizer) -> None:
    shared = Anonymizer(seed=5)
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(shared, [one] * 2))
    assert {r.image.tobytes() for r in done} == {anonymizer(one).image.tobytes()}


@pytest.mark.parametrize("method", ["synthetic", "blur"])
def test_only_files_with_synthetic_parts_say_so(method: str, pair: Image, tmp_path: Path) -> None:
    Anonymizer(method=method)(pair).save(tmp_path / "out.jpg")  # type: ignore[arg-type]
    marked = b"compositeWithTrainedAlgorithmicMedia" in (tmp_path / "out.jpg").read_bytes()
    assert marked == (method == "synthetic")
