"""The report: strict JSON that tells what was done and nothing that could bring a face back."""

import copy
import hashlib
import json
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone

import jsonschema
import numpy as np
import pytest

from anonyface.config import Config
from anonyface.errors import InputError
from anonyface.media.images import load_image
from anonyface.report import MEASURED, SCHEMA, UNNAMED, build_report, describe_face, is_verified
from anonyface.result import AnonymizeResult, Check, FaceOutcome, Match
from anonyface.schemas import read_schema
from anonyface.types import Face, Identity, Look, Mesh, Screens
from anonyface.weights import ModelRecord

SEED = 987654321987654321
PLAIN = (dict, list, str, int, float, bool, type(None))
NOON = datetime(2026, 2, 3, 12, 0, 0, tzinfo=timezone.utc)
VALIDATOR = jsonschema.Draft202012Validator(read_schema("report"))


@pytest.fixture
def two_models(monkeypatch):
    def record(name, digest):
        return ModelRecord(name, f"{name}.onnx", digest, 1, "CC0-1.0", "here", "an image")

    models = {"detector": record("detector", "aa" * 32), "age": record("age", "bb" * 32)}
    monkeypatch.setattr("anonyface.report.manifest", lambda: models)


def face(p_female=0.9, age=31.4, score=0.987654):
    return Face([10.4, 20.6, 110.5, 140.2], np.ones((5, 2)), np.float32(score), p_female, age)


def look(**changes):
    plain = {f.name: 0.25 for f in fields(Look) if f.name != "groups"}
    groups = (0.777, 0.111, 0.012, 0.02, 0.02, 0.03, 0.03)
    return Look(**{**plain, "p_female": 0.8, "age": 33.3, "groups": groups, **changes})


def identity(**changes):
    values = {
        "pixels": np.zeros((256, 256, 3)),
        "mesh": Mesh(np.zeros((468, 3)), 1.0),
        "latent": np.full(512, 0.123456),
        "gender": "female",
        "age": np.float32(28.7),
        "embedding": np.full(128, 0.654321),
        "seed": SEED,
        "source": "pool:1234",
        "screens": Screens(np.float32(0.31), None, 0.45678, None, 0.8, 0.95),
    }
    return Identity(**{**values, **changes})


def match(**changes):
    values = ("keep", np.float32(0.71), "Ada Example", 0.62, 0.58, 1e-3)
    return replace(Match(*values), **changes)


def check(after=0.41, **changes):
    return replace(Check("encoder", 0.93, np.float32(after), 0.58, 0.01), **changes)


@pytest.fixture
def made(two_models):
    image = np.zeros((60, 80, 3), np.uint8)
    outcomes = (
        FaceOutcome(
            face(),
            "replaced",
            "verified",
            np.float32(0.91),
            np.float32(0.123456),
            0.36,
            identity(look=look(yaw=-12.4)),
            match=match(verdict="replace", score=0.4),
            checks=(check(), check(encoder="second-encoder", after=0.2, before=None)),
            look=look(yaw=-20.6),
            redraws=2,
        ),
        FaceOutcome(face(None, None), "redacted", "no mesh"),
        FaceOutcome(
            face(0.2, float("nan")), "kept", "Ada Example (similarity 0.71)", match=match()
        ),
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


def keys_in(value):
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from keys_in(inner)


# --- the schema ---------------------------------------------------------------------------------


def test_the_schemas_are_schemas():
    for name in ("report", "verify"):
        jsonschema.Draft202012Validator.check_schema(read_schema(name))
    assert read_schema("report")["properties"]["schema"]["const"] == SCHEMA == "anonyface.report/2"


@pytest.mark.parametrize("names", [False, True])
@pytest.mark.parametrize("seeds", [False, True])
def test_it_is_strict_json_of_the_schema(made, names, seeds):
    report = build_report(made, created=NOON, names=names, seeds=seeds, file_name="photo.jpg")
    VALIDATOR.validate(report)
    assert set(types_in(report)) <= set(PLAIN)
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_the_result_makes_the_same_report(made):
    made_by_result = made.report()
    VALIDATOR.validate(made_by_result)
    assert {**made_by_result, "created": None} == {**build_report(made), "created": None}


def break_at(report, *path, value):
    """Return a copy of a report with one value put in."""
    out = copy.deepcopy(report)
    inner = out
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return out


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "anonyface.report/1"),
        (("created",), "yesterday"),
        (("input_sha256",), "abc"),
        (("settings", "seed"), SEED),
        (("settings", "weights"), [1, 2]),
        (("embedding",), [0.1]),
        (("faces", 0, "action"), "forgotten"),
        (("faces", 0, "box"), [1.5, 2, 3, 4]),
        (("faces", 0, "pixels"), "R0lGOD"),
        (("faces", 0, "asked", "groups"), [0.1] * 7),
        (("faces", 0, "checks", 0, "passed"), "yes"),
        (("faces", 0, "protection", "verdict"), "maybe"),
        (("counts",), {"found": 3}),
    ],
)
def test_the_schema_refuses(made, path, value):
    report = build_report(made)
    VALIDATOR.validate(report)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(break_at(report, *path, value=value))


def test_every_field_is_in_the_docs():
    from pathlib import Path

    text = (Path(__file__).parents[1] / "docs" / "report.md").read_text("utf-8")
    for name in ("report", "verify"):
        schema = read_schema(name)
        for key in {*property_names(schema)}:
            assert f"`{key}`" in text, f"{name}: {key}"


def property_names(schema):
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for inner in schema.values():
            yield from property_names(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from property_names(inner)


@pytest.mark.models
def test_reports_of_real_runs(anonymizer, result, pair):
    for real in (result, anonymizer(pair, keep=[0]), anonymizer(np.full_like(pair, 90))):
        report = build_report(real, seeds=True, names=True)
        VALIDATOR.validate(report)
        VALIDATOR.validate(real.report())
        assert set(types_in(report)) <= set(PLAIN)
        replaced = [f for f in report["faces"] if f["action"] == "replaced"]
        assert all(f["verified"] and f["seed"] is not None for f in replaced)
        assert all(f["asked"]["gender"] and f["got"]["gender"] for f in replaced)
        worn = [o.identity.source for o in real.faces if o.identity is not None]
        assert len(worn) == len(replaced)
        assert all(persona.startswith("pool:") for persona in worn)
        assert "pool:" not in json.dumps(report)
    assert len(result.faces) == 4


# --- what it says -------------------------------------------------------------------------------


def test_what_it_says_of_the_photo(made):
    report = build_report(made, file_name="photo.jpg", created=NOON)
    assert report["schema"] == SCHEMA
    assert report["software"].startswith("anonyface ")
    assert report["created"] == "2026-02-03T12:00:00Z"
    assert report["file"] == "photo.jpg"
    assert report["size"] == {"width": 80, "height": 60}
    assert report["seconds"] == 1.235
    assert report["settings"]["method"] == "synthetic"
    assert report["settings"]["seed"] == "given"
    assert report["counts"] == {"found": 3, "replaced": 1, "redacted": 1, "kept": 1}
    assert report["models"] == [
        {"name": "age", "sha256": "bb" * 32},
        {"name": "detector", "sha256": "aa" * 32},
    ]


def test_what_it_says_of_a_replaced_face(made):
    first = build_report(made)["faces"][0]
    asked, got = first.pop("asked"), first.pop("got")
    assert first.pop("screens") == {
        "original": 0.31,
        "protected": None,
        "taken": 0.4568,
        "denied": None,
        "psi": 0.8,
        "sound": 0.95,
    }
    assert first == {
        "index": 0,
        "box": [10, 21, 110, 140],
        "score": 0.988,
        "action": "replaced",
        "reason": "verified",
        "protection": {
            "verdict": "replace",
            "score": 0.4,
            "sure": 0.62,
            "unsure": 0.58,
            "false_match_rate": 0.001,
            "reference": None,
        },
        "similarity_before": 0.91,
        "similarity_after": 0.1235,
        "threshold": 0.36,
        "checks": [
            {
                "encoder": "encoder",
                "before": 0.93,
                "after": 0.41,
                "threshold": 0.58,
                "false_match_rate": 0.01,
                "passed": True,
            },
            {
                "encoder": "second-encoder",
                "before": None,
                "after": 0.2,
                "threshold": 0.58,
                "false_match_rate": 0.01,
                "passed": True,
            },
        ],
        "verified": True,
        "seed": None,
        "fallback": {"redraws": 2, "covered": False},
    }
    assert asked == {
        **{name: got[name] for name in got},
        "gender": "female",
        "age": 33.0,
        "yaw": -21.0,
    }
    assert (got["gender"], got["age"], got["yaw"], got["smile"]) == ("female", 29.0, -12.0, 0.25)
    assert set(asked) == set(got) == {"gender", "age", *MEASURED}


def test_what_it_says_of_the_others(made):
    _, covered, kept = build_report(made)["faces"]
    assert covered["fallback"] == {"redraws": 0, "covered": True}
    for other in (covered, kept):
        assert other["verified"] is other["asked"] is other["got"] is other["seed"] is None
        assert other["checks"] == []
    assert covered["protection"] is None
    assert kept["protection"]["verdict"] == "keep"
    made.settings.update(method="blur")
    assert build_report(made)["faces"][1]["fallback"]["covered"] is False  # as asked


def test_a_face_whose_look_was_not_read(made):
    outcome = FaceOutcome(face(0.2, 61.4), "replaced", "done", identity=identity())
    report = build_report(replace(made, faces=(outcome,)))
    VALIDATOR.validate(report)
    (only,) = report["faces"]
    assert (only["asked"]["gender"], only["asked"]["age"]) == ("male", 61.0)
    assert (only["got"]["gender"], only["got"]["age"]) == ("female", 29.0)
    assert only["asked"]["yaw"] is only["got"]["yaw"] is only["verified"] is None


def test_no_number_is_infinite(made):
    outcome = FaceOutcome(
        face(float("nan"), float("inf"), float("nan")),
        "replaced",
        "done",
        float("nan"),
        float("-inf"),
        0.3,
        identity(look=look(yaw=float("nan"))),
    )
    report = build_report(replace(made, faces=(outcome,), seconds=float("nan")))
    VALIDATOR.validate(report)
    json.dumps(report, allow_nan=False)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"similarity_after": 0.3, "threshold": 0.5}, True),
        ({"similarity_after": 0.5, "threshold": 0.5}, False),
        ({"checks": (check(),)}, True),
        ({"checks": (check(), check(after=0.58))}, False),
        ({"checks": (check(after=float("nan")),)}, False),
        ({"checks": (check(),), "action": "redacted"}, None),
    ],
)
def test_verified(changes, expected):
    outcome = replace(FaceOutcome(face(), "replaced", ""), **changes)
    assert is_verified(outcome) is expected


def test_the_files_digests(tmp_path, made):
    from PIL import Image

    Image.fromarray(made.image).save(tmp_path / "a.png")
    source = load_image(tmp_path / "a.png")
    named = AnonymizeResult(made.image, (), {}, 0.1, source)
    written = named.save(tmp_path / "b.png")
    report = build_report(named, output=written)
    VALIDATOR.validate(report)
    assert report["input_sha256"] == source.sha256
    assert report["output_sha256"] == hashlib.sha256(written.read_bytes()).hexdigest()
    assert report["faces"] == []
    assert report["counts"] == {"found": 0, "replaced": 0, "redacted": 0, "kept": 0}
    assert str(tmp_path) not in json.dumps(report)
    assert build_report(made)["input_sha256"] is build_report(named)["output_sha256"] is None
    with pytest.raises(InputError, match=r"gone\.png: No such file"):
        build_report(named, output=tmp_path / "gone.png")


def test_the_time_is_utc(made):
    at = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert build_report(made, created=at)["created"] == "2026-02-03T12:00:00Z"
    with pytest.raises(InputError, match="time zone"):
        build_report(made, created=NOON.replace(tzinfo=None))
    stated = datetime.fromisoformat(build_report(made)["created"].replace("Z", "+00:00"))
    assert abs(datetime.now(timezone.utc) - stated) < timedelta(minutes=5)


# --- what it does not say -----------------------------------------------------------------------


def test_what_it_does_not_say(made):
    report = build_report(made)
    text = json.dumps(report)
    for secret in (str(SEED), "0.123456", "0.654321", "1234,", "pool", "latent", "embedding"):
        assert secret not in text, secret
    for secret in ("Ada", "0.777", "0.78,", "groups", "shade"):
        assert secret not in text, secret
    assert "/" not in text.replace(SCHEMA, "")  # no path
    assert not {"pixels", "latent", "mesh", "source", "groups"} & set(keys_in(report))


@pytest.mark.parametrize("names", [False, True])
@pytest.mark.parametrize("seeds", [False, True])
def test_no_persona_leaves(made, names, seeds):
    # As `LatentIdentities` names its people: who has it can make the same one again.
    persona = "pool:12x345@0.40"
    worn = identity(source=persona, look=look())
    outcomes = (replace(made.faces[0], identity=worn), *made.faces[1:])
    text = json.dumps(build_report(replace(made, faces=outcomes), names=names, seeds=seeds))
    assert "pool:" not in text
    assert persona.removeprefix("pool:") not in text
    assert (str(SEED) in text) == seeds  # the face itself is told


def test_names_and_seeds_are_given_when_asked_for(made):
    first, _, kept = build_report(made, names=True, seeds=True)["faces"]
    assert kept["protection"]["reference"] == "Ada Example"
    assert kept["reason"] == "Ada Example (similarity 0.71)"
    assert first["seed"] == SEED
    assert kept["seed"] is None
    nameless = build_report(made)["faces"][2]
    assert nameless["reason"] == f"{UNNAMED} (similarity 0.71)"
    assert nameless["protection"]["reference"] is None


def test_a_seed_never_shows_in_the_settings(made):
    made.settings.update(seed=SEED, weights=np.zeros(3), level=0.5)
    settings = build_report(made, seeds=True)["settings"]
    assert settings["seed"] == "given"
    assert settings["weights"] == "ndarray"
    assert settings["level"] == 0.5


def test_describe_face():
    assert describe_face(face(0.5, 40)) == {
        "box": [10, 21, 110, 140],
        "score": 0.988,
        "gender": "female",
        "p_female": 0.5,
        "age": 40.0,
    }
