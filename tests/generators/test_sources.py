"""Training images from folders and zip files, and everything that can be wrong with them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")

from anonyface.errors import InputError  # noqa: E402
from generators.sources import FolderSource  # noqa: E402

RED, BLUE = (255, 0, 0), (0, 0, 255)


def paint(path: Path, colour: Any = RED, *, side: int = 8, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), colour).convert(mode).save(path)
    return path


def rng(seed: int = 0) -> Any:
    return torch.Generator().manual_seed(seed)


def zipped(folder: Path) -> Path:
    target = folder.parent / "images.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder).as_posix())
    return target


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    for index in range(3):
        paint(tmp_path / "data" / "red people" / f"{index}.png", RED)
        paint(tmp_path / "data" / "blue" / f"{index}.png", BLUE)
    return tmp_path / "data"


@pytest.mark.parametrize("where", [lambda f: f, zipped], ids=["folder", "zip"])
def test_labels_come_from_the_sub_folders(where: Callable[[Path], Path], labelled: Path) -> None:
    source = FolderSource(where(labelled), resolution=8)
    assert source.label_names == ("blue", "red people")
    images, labels = source.batch(40, rng())
    assert images.shape == (40, 3, 8, 8)
    assert images.dtype == labels.dtype == torch.float32
    assert labels.sum(dim=1).eq(1).all()
    assert set(labels.argmax(dim=1).tolist()) == {0, 1}
    # Red images have label 1: channel 0 is 1 in [-1, 1], channel 2 is -1.
    assert torch.equal(images[:, 0, 0, 0], 2 * labels[:, 1] - 1)
    assert torch.equal(images[:, 2, 7, 7], 2 * labels[:, 0] - 1)


def test_the_same_seed_draws_the_same_batch(labelled: Path) -> None:
    source = FolderSource(labelled, resolution=8)
    first, second, other = (source.batch(20, rng(seed))[1] for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_labels_come_from_the_table(tmp_path: Path) -> None:
    paint(tmp_path / "a.png", RED)
    paint(tmp_path / "b.jpg", BLUE)
    (tmp_path / "labels.csv").write_text("file,label\na.png,female <10\nb.jpg,male 60+\n")
    source = FolderSource(tmp_path, resolution=8)
    assert source.label_names == ("female <10", "male 60+")
    images, labels = source.batch(10, rng())
    assert torch.equal(images[:, 0, 0, 0] > 0, labels[:, 0] == 1)


def test_without_labels_there_are_none(tmp_path: Path) -> None:
    paint(tmp_path / "only" / "a.png")
    source = FolderSource(tmp_path, resolution=8)
    assert source.label_names == ()
    assert source.batch(3, rng())[1].shape == (3, 0)


def test_larger_images_are_averaged(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[::2, :, :] = 200  # rows of 200 and 0 average to 100
    Image.fromarray(pixels).save(tmp_path / "a.png")
    images, _ = FolderSource(tmp_path, resolution=8).batch(1, rng())
    assert torch.allclose(images, torch.full_like(images, 100 / 127.5 - 1))


def test_half_of_the_images_are_mirrored_when_asked(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, 0] = 255  # white on the left
    Image.fromarray(pixels).save(tmp_path / "a.png")
    plain, _ = FolderSource(tmp_path, resolution=8).batch(100, rng())
    assert (plain[:, 0, 0, 0] == 1).all()
    mirrored, _ = FolderSource(tmp_path, resolution=8, mirror=True).batch(100, rng())
    left = (mirrored[:, 0, 0, 0] == 1) & (mirrored[:, 0, 0, 7] == -1)
    right = (mirrored[:, 0, 0, 0] == -1) & (mirrored[:, 0, 0, 7] == 1)
    assert (left | right).all()
    assert 30 <= int(right.sum()) <= 70


def refused(path: Path, *, resolution: int = 8) -> str:
    with pytest.raises(InputError) as caught:
        FolderSource(path, resolution=resolution).batch(4, rng())
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_missing_empty_and_foreign_places_are_refused(tmp_path: Path) -> None:
    assert "no folder or zip file" in refused(tmp_path / "nothing")
    (tmp_path / "notes.txt").write_text("no image")
    assert "no images" in refused(tmp_path)
    assert "neither a folder nor a zip file" in refused(tmp_path / "notes.txt")


@pytest.mark.parametrize("side", [4, 12])
def test_images_of_another_resolution_are_named(side: int, tmp_path: Path) -> None:
    paint(tmp_path / "good.png")
    paint(tmp_path / "wrong.png", side=side)
    message = refused(tmp_path)
    assert "wrong.png" in message
    assert f"{side}x{side}" in message


def test_images_that_are_not_square_are_named(tmp_path: Path) -> None:
    Image.new("RGB", (8, 16)).save(tmp_path / "tall.png")
    assert "tall.png" in refused(tmp_path)


def test_transparent_images_are_named(tmp_path: Path) -> None:
    paint(tmp_path / "glass.png", mode="RGBA")
    assert "glass.png" in refused(tmp_path)
    assert "RGBA" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_images_are_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(content)
    assert "broken.png" in refused(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp"])
def test_images_that_stop_in_the_middle_are_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"cut.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    assert path.name in refused(tmp_path)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("file,label\na.png,x\n", "no label for b.png"),
        ("file,label\na.png,x\nb.png,y\nc.png,z\n", "c.png"),
        ("file,label\na.png,x\na.png,y\nb.png,y\n", "twice"),
        ("file,label\na.png,x\nb.png,\n", "needs a file and a label"),
        ("name,class\na.png,x\nb.png,y\n", "needs a file and a label"),
        ("", "needs a file and a label"),
    ],
)
def test_tables_that_do_not_fit_are_refused(table: str, problem: str, tmp_path: Path) -> None:
    paint(tmp_path / "a.png")
    paint(tmp_path / "b.png")
    (tmp_path / "labels.csv").write_text(table)
    message = refused(tmp_path)
    assert problem in message
    assert "labels.csv" in message


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    paint(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00file")
    assert "labels.csv" in refused(tmp_path)


def test_an_image_beside_the_label_folders_is_refused(labelled: Path) -> None:
    paint(labelled / "stray.png")
    assert "stray.png" in refused(labelled)


def test_a_damaged_zip_member_is_named(labelled: Path) -> None:
    path = zipped(labelled)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("blue/0.png")
    start = entry.header_offset + 30 + len("blue/0.png") + 20
    data[start : start + 10] = bytes(10)
    path.write_bytes(data)
    assert "blue/0.png" in refused(path)
