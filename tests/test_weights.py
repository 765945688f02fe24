"""The shipped models: complete, intact, described, and small enough."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from anonyface.errors import BackendError, WeightsCorrupt, WeightsMissing
from anonyface.runtime import open_session, run, usable_cores
from anonyface.weights import manifest, read_weights, weights_dir

PERMISSIVE = {"MIT", "Apache-2.0", "CC0-1.0", "BSD-3-Clause"}


@pytest.mark.parametrize("name", sorted(manifest()))
def test_every_model_is_what_the_manifest_says(name: str) -> None:
    record = manifest()[name]
    data = read_weights(name)
    assert hashlib.sha256(data).hexdigest() == record.sha256
    assert len(data) == record.bytes
    assert record.licence in PERMISSIVE
    assert record.origin
    assert record.input
    card = (weights_dir() / "cards" / f"{name}.md").read_text(encoding="utf-8")
    for part in (
        record.sha256,
        record.licence,
        "**Lineage.**",
        "**Limits.**",
        "| figure | value |",
    ):
        assert part in card


def test_nothing_else_lies_in_the_folder_and_it_is_small() -> None:
    files = [p for p in weights_dir().iterdir() if p.suffix in {".onnx", ".npz"}]
    assert {p.name for p in files} == {r.file for r in manifest().values()}
    assert sum(p.stat().st_size for p in files) <= 75e6  # of 100 that the package index takes


@pytest.mark.parametrize("name", sorted(n for n, r in manifest().items() if ".onnx" in r.file))
def test_every_network_opens_with_bounded_threads(name: str) -> None:
    session = open_session(name, threads=1)
    assert session.get_session_options().intra_op_num_threads == 1
    assert open_session(name, threads=1) is session  # loaded once
    every = open_session(name).get_session_options().intra_op_num_threads
    assert every == usable_cores()


def test_an_unknown_model_is_missing() -> None:
    with pytest.raises(WeightsMissing) as caught:
        read_weights("swapper")
    assert caught.value.name == "swapper"


def test_a_changed_file_is_corrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anonyface import weights

    record = manifest()["iris"]
    data = bytearray(read_weights("iris"))
    data[100] ^= 255
    (tmp_path / record.file).write_bytes(data)
    monkeypatch.setattr(weights, "weights_dir", lambda: tmp_path)
    with pytest.raises(WeightsCorrupt) as caught:
        read_weights("iris")
    assert caught.value.expected == record.sha256
    assert caught.value.actual == hashlib.sha256(data).hexdigest()


def test_a_wrong_feed_is_a_backend_error() -> None:
    with pytest.raises(BackendError, match="inference failed"):
        run(open_session("mapping"), {"nonsense": None}, ["w"])  # type: ignore[dict-item]


def test_the_manifest_is_plain_json() -> None:
    data = json.loads((weights_dir() / "manifest.json").read_text(encoding="utf-8"))
    assert data["schema"] == "anonyface.weights/1"
    assert len({m["name"] for m in data["models"]}) == len(data["models"])
