"""The fuzzer's judge: right about good files, and not blind to a reader that runs something."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")

import generators.checkpoint  # noqa: E402
from fuzz.checkpoint import Watch, judge, seeds  # noqa: E402


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


def test_every_seed_is_judged(watch: Watch, tmp_path: Path) -> None:
    results = {name: judge(data, watch, tmp_path / "file") for name, data in seeds()}
    assert len(results) == 8
    for name, result in results.items():
        assert result == ("unsafe" if name.startswith("payload") else "built"), name
    assert judge(b"nothing", watch, tmp_path / "file") == "refused"
    assert judge(pickle.dumps({"G": torch.ones(2)}), watch, tmp_path / "file") == "read"


class Payload:
    """Unpickled in the usual way, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def test_a_payload_that_would_write_a_file_is_refused(watch: Watch, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    assert judge(pickle.dumps({"G": Payload(trace)}), watch, tmp_path / "file") == "unsafe"
    assert not trace.exists()


def test_a_reader_that_runs_something_is_found_out(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(path: Path) -> Any:
        pickle.loads(path.read_bytes())  # noqa: S301 the mistake to be found
        return {}

    monkeypatch.setattr(generators.checkpoint, "load_networks", careless)
    with pytest.raises(AssertionError, match="had something run"):
        judge(pickle.dumps(Payload(tmp_path / "trace")), watch, tmp_path / "file")
