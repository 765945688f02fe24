"""Reading photos: every kind of input, every orientation, every pixel format, every bad file."""

import hashlib
import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from anonyface.errors import InputError
from anonyface.media.images import load_image

# What a camera held that way stores for an upright scene (Exif 2.32, 4.6.4).
STORED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: lambda a: np.rot90(a, -1),
}


def fail(image, **limits):
    """Return the message of the InputError that loading raises; always one line."""
    with pytest.raises(InputError) as caught:
        load_image(image, **limits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_kind_of_input_gives_the_same_pixels(tmp_path, pixels, encode):
    data = encode(pixels, "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    with path.open("rb") as file, Image.open(path) as opened:
        for given in (path, str(path), data, io.BytesIO(data), file, opened, pixels):
            assert np.array_equal(load_image(given).pixels, pixels)


def test_source_knows_file_and_digest(tmp_path, pixels, encode, monkeypatch):
    data = encode(pixels, "PNG")
    (tmp_path / "photo.png").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    source = load_image("photo.png")
    assert source.path == tmp_path / "photo.png"
    assert source.sha256 == hashlib.sha256(data).hexdigest()
    assert (source.format, source.mode, source.image_hw) == ("PNG", "RGB", (48, 64))
    with open("photo.png", "rb") as file:
        assert load_image(file).path == tmp_path / "photo.png"
    assert load_image(data).path is None
    assert load_image(pixels).sha256 is None


def test_pixels_are_a_read_only_copy(pixels):
    source = load_image(pixels)
    before = source.pixels.copy()
    pixels[:] = 0
    assert np.array_equal(source.pixels, before)
    with pytest.raises(ValueError, match="read-only"):
        source.pixels[0, 0] = 0


def test_a_pil_image_is_not_changed(encode, pixels, rich_exif):
    image = Image.open(io.BytesIO(encode(pixels, "JPEG", {"exif": rich_exif(6)})))
    load_image(image)
    assert image.size == (64, 48)
    assert image.getexif()[0x0112] == 6


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 5), np.uint8),
        np.zeros((4, 5, 4), np.uint8),
        np.zeros((4, 5, 3), np.float32),
        np.zeros((0, 5, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused_with_expected_and_actual(array):
    message = fail(array)
    assert "(H, W, 3)" in message
    assert str(array.shape) in message
    assert str(array.dtype) in message


@pytest.mark.parametrize("given", [7, None, [1, 2], io.StringIO("text")])
def test_other_types_are_refused(given):
    assert "binary" in fail(given)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
def test_orientation_gives_identical_upright_pixels(pixels, encode, orientation, file_format):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif} | ({"lossless": True} if file_format == "WEBP" else {})
    stored = np.ascontiguousarray(STORED[orientation](pixels))
    source = load_image(encode(stored, file_format, options))
    assert np.array_equal(source.pixels, pixels)
    assert source.image_hw == pixels.shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_a_jpeg(encode, orientation):
    upright = np.zeros((48, 64, 3), np.uint8)
    upright[:16, :32] = (250, 250, 250)  # whole blocks: a JPEG keeps them exactly
    upright[32:, 48:] = (120, 120, 120)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    source = load_image(encode(stored, "JPEG", {"exif": exif, "quality": 100}))
    assert np.array_equal(source.pixels, upright)


def test_alpha_turns_with_the_pixels(pixels, encode):
    image = Image.fromarray(np.ascontiguousarray(np.rot90(pixels)))
    image.putalpha(Image.fromarray(np.ascontiguousarray(np.rot90(pixels[..., 0]))))
    exif = Image.Exif()
    exif[0x0112] = 6
    source = load_image(encode(image, "PNG", {"exif": exif}))
    assert np.array_equal(source.alpha, pixels[..., 0])
    assert not source.alpha.flags.writeable


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_a_senseless_orientation_counts_as_upright(pixels, encode, value):
    exif = Image.Exif()
    exif[0x0112] = value
    assert np.array_equal(load_image(encode(pixels, "PNG", {"exif": exif})).pixels, pixels)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(encode, file_format):
    wide = np.array([[0, 100, 128, 129, 256, 1000], [255, 257, 32768, 40000, 65000, 65535]])
    data = encode(Image.fromarray(wide.astype(np.uint16)), file_format)
    source = load_image(data)
    assert source.mode.startswith("I;16")
    assert source.grey
    expected = np.floor(wide / 257 + 0.5).astype(np.uint8)
    assert np.array_equal(source.pixels, np.repeat(expected[..., None], 3, axis=2))


def test_16_bit_colour_keeps_its_high_bits(pixels):
    wide = pixels.astype(np.uint16) * 257
    for suffix in (".png", ".tif"):
        encoded = cv2.imencode(suffix, cv2.cvtColor(wide, cv2.COLOR_RGB2BGR))[1].tobytes()
        assert np.array_equal(load_image(encoded).pixels, pixels)


@pytest.mark.parametrize(
    ("mode", "grey", "alpha"),
    [
        ("1", True, False),
        ("L", True, False),
        ("LA", True, True),
        ("P", False, False),
        ("PA", False, True),
        ("RGBA", False, True),
        ("CMYK", False, False),
        ("HSV", False, False),
        ("YCbCr", False, False),
    ],
)
def test_modes(pixels, mode, grey, alpha):
    image = Image.fromarray(pixels)
    image = image.convert("P").convert(mode) if mode == "PA" else image.convert(mode)
    source = load_image(image)
    assert (source.grey, source.alpha is not None) == (grey, alpha)
    expected = np.array(image.convert("RGB"))
    assert np.array_equal(source.pixels, expected)


def test_palette_transparency_becomes_alpha(encode):
    image = Image.new("P", (4, 2), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((3, 1), 1)
    source = load_image(encode(image, "PNG", {"transparency": 1}))
    assert source.alpha[1, 3] == 0
    assert source.alpha[0, 0] == 255
    assert source.pixels[0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_deep_modes_are_refused_by_name(mode):
    assert f"pixel format {mode}" in fail(Image.new(mode, (4, 4)))


def test_lab_tiff_is_converted(encode):
    from PIL import ImageCms

    grey = Image.fromarray(np.full((4, 4, 3), 119, np.uint8))
    lab = ImageCms.profileToProfile(
        grey, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    loaded = load_image(encode(lab, "TIFF")).pixels
    assert np.abs(loaded.astype(int) - 119).max() <= 2


def test_cmyk_jpeg_becomes_rgb_without_its_profile(pixels, encode):
    profile = bytearray(200)
    profile[:4] = (200).to_bytes(4, "big")
    profile[16:20] = b"CMYK"
    profile[36:40] = b"acsp"
    options = {"icc_profile": bytes(profile), "quality": 100, "subsampling": 0}
    image = Image.fromarray(pixels).convert("CMYK")
    source = load_image(encode(image, "JPEG", options))
    assert source.icc_profile is None
    assert source.mode == "CMYK"
    assert np.abs(source.pixels.astype(int) - pixels).mean() < 2


# --- files that can't be read -----------------------------------------------------------------


def test_missing_folder_empty_and_garbage(tmp_path):
    assert "No such file" in fail(tmp_path / "gone.jpg")
    assert "folder" in fail(tmp_path)
    empty = tmp_path / "empty.jpg"
    empty.touch()
    assert fail(empty) == f"{empty}: the file is empty"
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    assert str(text) in fail(text)
    assert "not an image" in fail(b"no picture")
    assert fail("null\x00byte.jpg")


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_truncated_files_are_refused(tmp_path, pixels, encode, file_format, share):
    data = encode(pixels, file_format)
    path = tmp_path / "cut"
    path.write_bytes(data[: int(len(data) * share)])
    assert str(path) in fail(path)


def test_programs_in_disguise_are_no_images():
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    assert "not an image" in fail(eps)


def png_header(width, height):
    def chunk(kind, body):
        crc = zlib.crc32(kind + body)
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", crc)

    header = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\x00"))


def test_the_pixel_limit_is_checked_before_decoding():
    assert "too many pixels" in fail(png_header(20000, 20000))  # Pillow's own error: > 179 MP
    assert "limit is 100,000,000" in fail(png_header(10001, 10000))
    assert "12x10" in fail(png_header(12, 10), max_pixels=119)


def test_pillows_size_warning_is_not_the_limit(monkeypatch, pixels, encode):
    data = encode(pixels, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels[..., 0].size - 1)
    assert np.array_equal(load_image(data).pixels, pixels)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9)
    assert "exceeds limit" in fail(data)


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_and_pages_are_refused(pixels, encode, file_format):
    other = Image.fromarray(pixels[::-1].copy())
    data = encode(pixels, file_format, {"save_all": True, "append_images": [other]})
    assert "animated and multi-page images are not supported" in fail(data)


def test_the_first_frame_of_an_mpo_is_read(pixels, encode):
    other = Image.fromarray(255 - pixels)
    data = encode(pixels, "MPO", {"save_all": True, "append_images": [other], "quality": 100})
    assert Image.open(io.BytesIO(data)).n_frames == 2
    source = load_image(data)
    assert source.format == "MPO"
    assert source.jpeg is not None
    assert np.abs(source.pixels.astype(int) - pixels).mean() < 4


def test_heic_without_the_extra_says_how_to_get_it(monkeypatch):
    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr("anonyface.media.opening.importlib.import_module", refuse)
    assert "anonyface[heif]" in fail(b"\x00\x00\x00\x18ftypheic" + b"\x00" * 64)


def test_heic_with_the_extra(pixels):
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "Apple"
    exif[0x0112] = 6
    heif.from_pillow(Image.fromarray(pixels)).save(buffer, quality=100, exif=exif.tobytes())
    source = load_image(buffer.getvalue())
    assert source.image_hw in {(48, 64), (64, 48)}
    assert source.exif.base[0x010F] == b"Apple"


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_damaged_files_load_or_raise_input_error(pixels, encode, rich_exif, file_format):
    options = {"exif": rich_exif()} if file_format not in ("GIF", "BMP") else {}
    data = encode(pixels[:16, :16].copy(), file_format, options)
    rng = np.random.default_rng(3)
    loaded = 0
    for _ in range(60):
        damaged = np.frombuffer(data, np.uint8).copy()
        where = rng.integers(0, len(damaged), rng.integers(1, 12))
        damaged[where] = rng.integers(0, 256, len(where))
        try:
            load_image(damaged.tobytes(), max_pixels=1_000_000)
            loaded += 1
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017
    assert loaded < 60


def test_pillow_is_left_as_it_was(pixels, encode):
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    load_image(encode(pixels, "JPEG"))
    fail(encode(pixels, "JPEG")[:200])
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == before == (89478485, False)


def test_a_path_object_of_another_kind_works(tmp_path, pixels, encode):
    class Elsewhere:
        def __fspath__(self):
            return str(tmp_path / "a.png")

    Path(Elsewhere()).write_bytes(encode(pixels, "PNG"))
    assert np.array_equal(load_image(Elsewhere()).pixels, pixels)
