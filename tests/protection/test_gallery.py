"""The gallery and its file."""

from __future__ import annotations

import base64
import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anonyface.detection.faces import FaceFinder
from anonyface.errors import InputError
from anonyface.protection import vault
from anonyface.protection.gallery import Entry, Gallery
from anonyface.protection.portrayal import Portrayer
from anonyface.protection.references import SeveralFaces, load_references

Axes = NDArray[np.float32]
SECRET = "correct hörse"  # noqa: S105


@pytest.fixture
def family(axes: Axes) -> Gallery:
    gallery = Gallery()
    gallery.add("Anna Müller", axes[0], np.concatenate([axes[1], axes[4]]))
    gallery.add("Berta", axes[2])
    return gallery


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cheapest key derivation that is still opened: tests write many files."""
    pytest.importorskip("cryptography")
    monkeypatch.setattr(vault, "SCRYPT", {"n": 2**14, "r": 8, "p": 1})


def entries(gallery: Gallery) -> list[Entry]:
    return [entry for person in gallery.entries().values() for entry in person]


def rows(gallery: Gallery) -> NDArray[np.float32]:
    return np.stack([e.embedding for e in entries(gallery)])


def test_people_come_and_go(family: Gallery, axes: Axes) -> None:
    assert family.names == ("Anna Müller", "Berta")
    assert len(family) == 2
    family.add("Berta", axes[3])
    assert len(family) == 2
    assert rows(family).shape == (4, 128)
    family.forget("Anna Müller")
    assert family.names == ("Berta",)
    assert "Anna Müller" not in family
    with pytest.raises(InputError, match="nobody named 'Anna"):
        family.forget("Anna Müller")
    assert "Berta" not in repr(family)


def test_photos_give_embeddings_and_nothing_else(
    finder: FaceFinder,
    portray: Portrayer,
    portraits: list[NDArray[np.uint8]],
    scene: NDArray[np.uint8],
    tmp_path: Path,
) -> None:
    photo = tmp_path / "holiday-with-secret-name.png"
    Image.fromarray(portraits[0]).save(photo)
    gallery = Gallery(detector=finder, threads=1)
    assert gallery.add("Anna", photo) == ()
    direct = load_references(photo, detector=finder, portray=portray)
    stored = load_references(gallery, detector=finder, portray=portray)
    np.testing.assert_array_equal(stored.embeddings, direct.embeddings)
    np.testing.assert_array_equal(stored.second, direct.second)
    assert stored.face_px == direct.face_px
    data = gallery.save(tmp_path / "g").read_bytes()
    assert b"holiday" not in data
    assert len(data) < 2500
    # All or nothing.
    with pytest.raises(SeveralFaces):
        gallery.add("Anna", photo, scene)
    assert rows(gallery).shape == (1, 128)


def test_what_is_saved_comes_back(family: Gallery, tmp_path: Path) -> None:
    path = family.save(tmp_path / "family.gallery")
    again = Gallery.load(path)
    assert again.names == family.names
    np.testing.assert_array_equal(rows(again), rows(family))
    seconds = [np.stack([e.second for e in entries(g)]) for g in (again, family)]
    np.testing.assert_array_equal(*seconds)
    assert np.isfinite(seconds[0]).all(axis=1).tolist() == [False, True, False]
    assert json.loads(path.read_bytes())["version"] == 1
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["family.gallery"]


def test_a_passphrase_hides_everything(
    family: Gallery, tmp_path: Path, cheap: None, axes: Axes
) -> None:
    path = family.save(tmp_path / "family.gallery", passphrase=SECRET)
    data = path.read_bytes()
    assert b"Anna" not in data
    assert b"Berta" not in data
    for row in (axes[0], axes[4]):
        assert base64.b64encode(row.tobytes())[:40] not in data
    again = Gallery.load(path, passphrase=SECRET)
    assert again.names == family.names
    np.testing.assert_array_equal(rows(again), rows(family))
    # The same letters, typed as other code points.
    assert len(Gallery.load(path, passphrase=unicodedata.normalize("NFD", SECRET))) == 2
    # Nothing repeats from one file to the next.
    salts = [json.loads(data)["encryption"]]
    salts.append(json.loads(family.save(path, passphrase=SECRET).read_bytes())["encryption"])
    assert salts[0]["salt"] != salts[1]["salt"]
    assert salts[0]["nonce"] != salts[1]["nonce"]


def test_a_new_file_costs_a_guesser_64_mib() -> None:
    assert vault.SCRYPT["n"] * vault.SCRYPT["r"] * 128 >= 64 * 2**20


@pytest.mark.parametrize(
    ("passphrase", "message"),
    [("wrong", "wrong passphrase"), (None, "a passphrase is needed"), ("", "not empty")],
)
def test_without_the_passphrase_there_is_nothing(
    passphrase: str | None, message: str, family: Gallery, tmp_path: Path, cheap: None
) -> None:
    path = family.save(tmp_path / "g", passphrase=SECRET)
    with pytest.raises(InputError, match=message) as caught:
        Gallery.load(path, passphrase=passphrase)
    assert "\n" not in str(caught.value)


def test_an_open_file_does_not_pass_for_an_encrypted_one(family: Gallery, tmp_path: Path) -> None:
    path = family.save(tmp_path / "g")
    with pytest.raises(InputError, match="not encrypted"):
        Gallery.load(path, passphrase=SECRET)


@pytest.mark.parametrize("passphrase", [None, SECRET])
def test_forgetting_reaches_the_file(
    passphrase: str | None, family: Gallery, tmp_path: Path, axes: Axes, cheap: None
) -> None:
    path = family.save(tmp_path / "g", passphrase=passphrase)
    loaded = Gallery.load(path, passphrase=passphrase)
    loaded.forget("Anna Müller")
    again = Gallery.load(path, passphrase=passphrase)
    assert again.names == ("Berta",)
    assert rows(again).shape == (1, 128)
    if passphrase is None:
        assert base64.b64encode(axes[0].tobytes()) not in path.read_bytes()
    again.forget("Berta")
    assert len(Gallery.load(path, passphrase=passphrase)) == 0


def test_any_changed_byte_of_an_encrypted_file_is_noticed(
    family: Gallery, tmp_path: Path, cheap: None
) -> None:
    path = family.save(tmp_path / "g", passphrase=SECRET)
    data = path.read_bytes()
    picked = np.random.default_rng(0).choice(len(data), 25, replace=False).tolist()
    for at in picked:
        # Another letter: the file stays JSON wherever that is possible.
        other = b"A" if data[at : at + 1] != b"A" else b"B"
        path.write_bytes(data[:at] + other + data[at + 1 :])
        with pytest.raises(InputError, match=r"\A.*\Z"):
            Gallery.load(path, passphrase=SECRET)


@pytest.mark.parametrize("passphrase", [None, SECRET])
def test_broken_files_are_one_line_errors(
    passphrase: str | None, family: Gallery, tmp_path: Path, cheap: None
) -> None:
    path = family.save(tmp_path / "g", passphrase=passphrase)
    data = path.read_bytes()
    for broken in (b"", data[:100], data[:-1], data[1:], b"\xff" * 50, b"[" * 100_000, b"null"):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="gallery") as caught:
            Gallery.load(path, passphrase=passphrase)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        Gallery.load(tmp_path / "nothing", passphrase=passphrase)
    with pytest.raises(InputError):
        Gallery.load(tmp_path, passphrase=passphrase)


def damaged(change: str, document: dict[str, Any]) -> None:
    people = document["content"]["people"]
    reference = people[0]["references"][0]
    if change == "another kind":
        document["format"] = "something"
    elif change == "a later version":
        document["version"] = 2
    elif change == "another encoder":
        document["embeddings"] = "arcface"
    elif change == "no people":
        del document["content"]["people"]
    elif change == "twice the same name":
        people.append(people[0])
    elif change == "two lines in a name":
        people[0]["name"] = "Anna\nmore"
    elif change == "nobody's references":
        people[0]["references"] = []
    elif change == "a short embedding":
        reference["embedding"] = base64.b64encode(bytes(100)).decode()
    elif change == "a zero embedding":
        reference["embedding"] = base64.b64encode(bytes(512)).decode()
    elif change == "not a number":
        row = np.full(128, np.nan, np.float32).tobytes()
        reference["embedding"] = base64.b64encode(row).decode()
    elif change == "a zero in place of the second":
        people[0]["references"][1]["second"] = base64.b64encode(bytes(512)).decode()
    elif change == "no second":
        del reference["second"]
    elif change == "no base64":
        reference["embedding"] = "***"
    elif change == "a negative size":
        reference["face_px"] = -3
    elif change == "a size that is none":
        reference["face_px"] = "NaN"


@pytest.mark.parametrize(
    "change",
    [
        "another kind",
        "a later version",
        "another encoder",
        "no people",
        "twice the same name",
        "two lines in a name",
        "nobody's references",
        "a short embedding",
        "a zero embedding",
        "not a number",
        "a zero in place of the second",
        "no second",
        "no base64",
        "a negative size",
        "a size that is none",
    ],
)
def test_what_a_file_says_is_checked(change: str, family: Gallery, tmp_path: Path) -> None:
    path = family.save(tmp_path / "g")
    document = json.loads(path.read_bytes())
    damaged(change, document)
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError, match="gallery") as caught:
        Gallery.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "cost", [{"n": 2**30}, {"n": 3}, {"n": 2**14 + 1}, {"r": 10**6}, {"p": 10**6}, {"p": True}]
)
def test_a_file_can_not_ask_for_any_amount_of_memory(
    cost: dict[str, Any], family: Gallery, tmp_path: Path, cheap: None
) -> None:
    path = family.save(tmp_path / "g", passphrase=SECRET)
    document = json.loads(path.read_bytes())
    document["encryption"] |= cost
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError, match="damaged or not supported"):
        Gallery.load(path, passphrase=SECRET)


def test_a_failed_save_leaves_the_old_file(family: Gallery, tmp_path: Path) -> None:
    path = family.save(tmp_path / "g")
    before = path.read_bytes()
    with pytest.raises(InputError, match="not empty"):
        family.save(path, passphrase="")
    assert path.read_bytes() == before
    with pytest.raises(InputError, match="there is no folder"):
        family.save(tmp_path / "none" / "g")


def test_a_photo_is_not_replaced_by_a_gallery(family: Gallery, tmp_path: Path) -> None:
    photo = tmp_path / "anna.jpg"
    photo.write_bytes(b"\xff\xd8 a photo")
    with pytest.raises(InputError, match="it is no gallery"):
        family.save(photo)
    assert photo.read_bytes() == b"\xff\xd8 a photo"


def test_encryption_says_what_to_install(
    family: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(vault.importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"anonyface\[gallery\]"):
        family.save(tmp_path / "g", passphrase=SECRET)
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00", "x" * 300, None, 3])
def test_a_name_is_one_line(name: Any, axes: Axes) -> None:
    with pytest.raises(InputError, match="name in a gallery"):
        Gallery().add(name, axes[0])


def test_a_person_needs_a_reference(axes: Axes) -> None:
    with pytest.raises(InputError, match="at least one reference"):
        Gallery().add("Anna")
