"""The report: strict JSON that tells what was done and nothing that could bring a face back."""

import json

import numpy as np
import pytest

from anonyface.config import Config
from anonyface.media.images import load_image
from anonyface.report import SCHEMA, build_report, describe_face
from anonyface.types import AnonymizeResult, Face, FaceOutcome, Identity, Mesh
from anonyface.weights import ModelRecord

SEED = 987654321987654321
PLAIN = (dict, list, str, int, float, bool, type(None))


@pytest.fixture(autouse=True)
def two_models(monkeypatch):
    def record(name, digest):
        return ModelRecord(name, f"{name}.onnx", digest, 1, "CC0-1.0", "here", "an image")

    models = {"detector": record("detector", "aa" * 32), "age": record("age", "bb" * 32)}
    monkeypatch.setattr("anonyface.report.manifest", lambda: models)


def face(p_female=0.9, age=31.4, score=0.987654):
    return Face([10.4, 20.6, 110.5, 140.2], np.ones((5, 2)), np.float32(score), p_female, age)


def identity():
    return Identity(
        pixels=np.zeros((256, 256, 3)),
        mesh=Mesh(np.zeros((468, 3)), 1.0),
        latent=np.full(512, 0.123456),
        gender="female",
        age=np.float32(28.7),
        embedding=np.full(128, 0.654321),
        seed=SEED,
        source="pool:1234",
    )


@pytest.fixture
def result():
    image = np.zeros((60, 80, 3), np.uint8)
    outcomes = (
        FaceOutcome(
            face(), "replaced", "verified", np.float32(0.91), np.float32(0.123456), 0.36, identity()
        ),
        FaceOutcome(face(None, None), "redacted", "no mesh"),
        FaceOutcome(face(0.2, float("nan")), "kept", "protected", float("nan"), float("inf"), 0.36),
    )
    settings = Config(seed=SEED).as_dict()
    return AnonymizeResult(image, outcomes, settings, np.float64(1.23456), load_image(image))


def types_in(value):
    yield type(value)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield type(key)
            yield from types_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from types_in(inner)


def test_it_is_strict_json(result):
    report = build_report(result)
    assert set(types_in(report)) <= set(PLAIN)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert result.report() == report


def test_what_it_says(result):
    report = build_report(result, file_name="photo.jpg")
    assert report["schema"] == SCHEMA == "anonyface.report/1"
    assert report["software"].startswith("anonyface ")
    assert report["file"] == "photo.jpg"
    assert report["size"] == {"width": 80, "height": 60}
    assert report["seconds"] == 1.235
    assert report["settings"]["method"] == "synthetic"
    assert report["counts"] == {"found": 3, "replaced": 1, "redacted": 1, "kept": 1}
    assert report["models"] == [
        {"name": "age", "sha256": "bb" * 32},
        {"name": "detector", "sha256": "aa" * 32},
    ]
    first, second, third = report["faces"]
    assert first == {
        "index": 0,
        "box": [10, 21, 110, 140],
        "score": 0.988,
        "action": "replaced",
        "reason": "verified",
        "original": {"gender": "female", "p_female": 0.9, "age": 31.0},
        "identity": {"gender": "female", "age": 29.0},
        "similarity_before": 0.91,
        "similarity_after": 0.1235,
        "threshold": 0.36,
    }
    assert second["original"] == {"gender": None, "p_female": None, "age": None}
    assert second["identity"] is second["similarity_after"] is None
    assert (
        third["similarity_before"] is third["similarity_after"] is third["original"]["age"] is None
    )
    assert third["original"]["gender"] == "male"


def test_what_it_does_not_say(result):
    text = json.dumps(build_report(result))
    for secret in (str(SEED), "0.123456", "0.654321", "1234,", "pool", "latent", "embedding"):
        assert secret not in text, secret
    assert "/" not in text.replace(SCHEMA, "")  # no path


def test_a_seed_never_shows_whatever_the_settings_hold(result):
    result.settings.update(seed=SEED, weights=np.zeros(3), level=0.5)
    settings = build_report(result)["settings"]
    assert settings["seed"] == "given"
    assert settings["weights"] == "ndarray"
    assert settings["level"] == 0.5


def test_the_inputs_digest_is_there_if_known(tmp_path, result):
    from PIL import Image

    Image.fromarray(result.image).save(tmp_path / "a.png")
    source = load_image(tmp_path / "a.png")
    named = AnonymizeResult(result.image, (), {}, 0.1, source)
    report = build_report(named)
    assert report["input_sha256"] == source.sha256
    assert report["faces"] == []
    assert report["counts"] == {"found": 0, "replaced": 0, "redacted": 0, "kept": 0}
    assert str(tmp_path) not in json.dumps(report)
    assert build_report(result)["input_sha256"] is None


def test_describe_face():
    assert describe_face(face(0.5, 40)) == {
        "box": [10, 21, 110, 140],
        "score": 0.988,
        "gender": "female",
        "p_female": 0.5,
        "age": 40.0,
    }
