"""Files that are written: whole or not at all, never over the input, errors in one line."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from anonyface.errors import InputError
from anonyface.media import encoding
from anonyface.media.images import load_image, save_image

SUFFIXES = [".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif"]


@pytest.fixture
def photo(tmp_path, pixels, encode):
    path = tmp_path / "photo.png"
    path.write_bytes(encode(pixels, "PNG"))
    return path


def test_the_input_is_never_overwritten(tmp_path, photo, monkeypatch):
    before = photo.read_bytes()
    (tmp_path / "soft.png").symlink_to(photo)
    (tmp_path / "hard.png").hardlink_to(photo)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    for given in (photo, tmp_path / "soft.png", "../photo.png"):
        source = load_image(given)
        for target in (photo, "../photo.png", tmp_path / "soft.png", tmp_path / "hard.png"):
            with pytest.raises(InputError, match="refusing to overwrite the input"):
                save_image(source.pixels, target, source=source)
    with Image.open(photo) as opened:
        source = load_image(opened)
    with pytest.raises(InputError, match="refusing to overwrite the input"):
        save_image(source.pixels, photo, source=source)
    assert photo.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "hard.png",
        "photo.png",
        "soft.png",
        "sub",
    ]


def test_other_files_are_replaced_with_the_users_mode(tmp_path, photo):
    source = load_image(photo)
    target = tmp_path / "out.png"
    target.write_bytes(b"old")
    mask = os.umask(0o027)
    try:
        assert save_image(source.pixels, str(target), source=source) == target
    finally:
        os.umask(mask)
    assert np.array_equal(load_image(target).pixels, source.pixels)
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("failing", ["encoder", "write", "replace"])
def test_a_failure_leaves_nothing_behind(tmp_path, photo, monkeypatch, failing):
    source = load_image(photo)
    target = tmp_path / "out.png"
    target.write_bytes(b"old")

    def fail(image, file, *rest):
        file.write(b"half a file")
        raise OSError("no space left on device")

    if failing == "encoder":
        monkeypatch.setitem(encoding.WRITERS, "PNG", fail)
    elif failing == "replace":
        monkeypatch.setattr("os.replace", lambda *names: fail(None, io.BytesIO()))
    else:
        monkeypatch.setattr("builtins.open", full_disk)
    with pytest.raises(InputError, match="no space left"):
        save_image(source.pixels, target, source=source)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.png", "photo.png"]
    monkeypatch.undo()
    assert target.read_bytes() == b"old"


REAL_OPEN = open


def full_disk(path, mode="r", **options):
    """Open a file that takes half of what it gets; files to read are left alone."""
    if mode != "xb":
        return REAL_OPEN(path, mode, **options)

    class Full(io.FileIO):
        def write(self, data):
            super().write(data[: len(data) // 2])
            raise OSError("no space left on device")

    return Full(path, "x")


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, photo, monkeypatch):
    source = load_image(photo)

    def interrupt(*names):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_image(source.pixels, tmp_path / "out.png", source=source)
    assert [p.name for p in tmp_path.iterdir()] == ["photo.png"]


@pytest.mark.parametrize("name", ["a", "a.jp2", "a.gif", "a.jpg.exe"])
def test_unknown_suffixes_are_refused(tmp_path, pixels, name):
    with pytest.raises(InputError, match=r"suffix must be one of \.jpg"):
        save_image(pixels, tmp_path / name, source=load_image(pixels))


def test_suffixes_may_be_upper_case(tmp_path, pixels):
    path = save_image(pixels, tmp_path / "a.JPG", source=load_image(pixels))
    assert load_image(path).format == "JPEG"


def test_folders_are_checked(tmp_path, pixels, monkeypatch):
    source = load_image(pixels)
    with pytest.raises(InputError, match="no folder"):
        save_image(pixels, tmp_path / "gone" / "a.png", source=source)
    (tmp_path / "a.png").mkdir()
    with pytest.raises(InputError, match="it is a folder"):
        save_image(pixels, tmp_path / "a.png", source=source)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(InputError, match="not writable"):
        save_image(pixels, tmp_path / "b.png", source=source)


def test_pixels_must_have_the_sources_size_and_type(tmp_path, pixels):
    source = load_image(pixels)
    for wrong in (pixels[1:], pixels[..., 0], pixels.astype(np.float32)):
        with pytest.raises(InputError, match=r"expected \(48, 64, 3\) uint8 pixels, got"):
            save_image(wrong, tmp_path / "a.png", source=source)


def test_a_format_that_is_too_small_says_so(tmp_path):
    wide = np.zeros((1, 17_000, 3), np.uint8)  # WebP ends at 16,383 pixels
    with pytest.raises(InputError, match="17000x1 image can't be written as WEBP"):
        save_image(wide, tmp_path / "a.webp", source=load_image(wide))
    assert list(tmp_path.iterdir()) == []


def test_pixels_of_the_caller_are_not_touched(tmp_path, pixels):
    before = pixels.copy()
    source = load_image(pixels)
    for suffix in SUFFIXES:
        save_image(pixels, tmp_path / f"a{suffix}", source=source)
    assert np.array_equal(pixels, before)
