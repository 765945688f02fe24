"""Photos of more than 8-bit RGB: their samples come back, but never those of a changed pixel."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from anonyface.media.encoding import encode_image
from anonyface.media.images import load_image, save_image
from anonyface.media.native import patch
from anonyface.media.png import encode_png16
from anonyface.media.tiff import encode_tiff16

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
FACE = (slice(8, 30), slice(20, 44))
CHANNELS = {"grey": 1, "grey and opacity": 2, "colour": 3, "colour and opacity": 4}


@pytest.fixture
def deep(pixels):
    """(48, 64, 4) uint16 whose low bytes are noise, so that rounding or widening shows."""
    wide = np.concatenate([pixels, pixels[..., :1] // 2 + 100], axis=2).astype(np.uint16)
    return wide * 256 + np.random.default_rng(8).integers(0, 256, wide.shape).astype(np.uint16)


def channels_of(deep, count):
    return deep[..., {1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[count]]


def with_opencv(samples, suffix):
    """Encode by somebody else's code, where it can; it has no grey with opacity."""
    order = [2, 1, 0, 3][: samples.shape[2]] if samples.shape[2] > 2 else [0]
    return cv2.imencode(suffix, np.ascontiguousarray(samples[..., order]))[1].tobytes()


def read_with_opencv(data, count):
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded.dtype == np.uint16
    if decoded.ndim == 2:
        return decoded[..., None]
    return decoded[..., {2: [0, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[count]]


def changed(pixels):
    """Return a copy with another face, and where it differs."""
    out = pixels.copy()
    out[FACE] = 255 - out[FACE]
    return out, np.any(out != pixels, axis=2)


@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("written", ["PNG", "TIFF"])
def test_16_bits_stay_where_nothing_changed(deep, count, suffix, written):
    samples = channels_of(deep, count)
    source = load_image(with_opencv(samples, suffix))
    assert source.grey == (count == 1)
    result, mask = changed(source.pixels)
    data = encode_image(result, written, source=source.with_result(result))
    again = read_with_opencv(data, count)
    assert np.array_equal(again[~mask], samples[~mask])
    colours = min(count, 3)
    expected = result[mask][:, :colours].astype(np.uint16) * 257
    assert np.array_equal(again[mask][:, :colours], expected)
    if count == 4:
        assert np.array_equal(again[..., 3], samples[..., 3])
    assert np.array_equal(load_image(data).pixels, result)


@pytest.mark.parametrize("name", CHANNELS)
def test_what_is_written_is_read_alike_by_three_readers(deep, name):
    count = CHANNELS[name]
    samples = channels_of(deep, count)
    for data in (
        encode_png16(samples, []),
        encode_tiff16(samples, Image.Exif(), icc=None, dpi=None),
    ):
        if count != 2 or data[:4] == b"\x89PNG":
            assert np.array_equal(read_with_opencv(data, count), samples)
        if count != 2 or data[:4] == b"\x89PNG":
            assert np.array_equal(load_image(data).native.samples, samples)
            with Image.open(io.BytesIO(data)) as image:
                assert image.size == (64, 48)
                image.load()


def test_large_files_have_many_strips_and_chunks(tmp_path):
    rng = np.random.default_rng(2)
    samples = rng.integers(0, 65536, (700, 900, 3)).astype(np.uint16)
    data = encode_tiff16(samples, Image.Exif(), icc=SRGB, dpi=(300, 150))
    assert np.array_equal(read_with_opencv(data, 3), samples)
    assert np.array_equal(read_with_opencv(encode_png16(samples, []), 3), samples)
    with Image.open(io.BytesIO(data)) as image:
        assert len(image.tag_v2[273]) > 3
        assert image.info["dpi"] == (300, 150)
        assert image.info["icc_profile"] == SRGB


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("policy", ["clean", "keep", "none"])
def test_profile_tags_and_mark_are_in_16_bit_files(
    tmp_path, deep, rich_exif, suffix, policy, secrets
):
    chunks = [("eXIf", rich_exif()[6:]), ("pHYs", struct.pack(">LLB", 11811, 5906, 1))]
    chunks.append(("iCCP", b"x\x00\x00" + zlib.compress(SRGB)))
    source = load_image(encode_png16(deep[..., :3], chunks))
    path = save_image(source.pixels, tmp_path / f"a{suffix}", source=source, metadata=policy)
    data = path.read_bytes()
    gone = secrets if policy != "keep" else [s for s in secrets if s != b"Anna at home"]
    assert [secret for secret in gone if secret in data] == []
    with Image.open(path) as image:
        image.load()
        exif = image.getexif()
        assert image.info["icc_profile"] == SRGB
        assert b"DigitalSourceType" in image.info["xmp"]
        assert exif[0x0131].startswith("anonyface ")
        assert (exif.get(0x010F) == "Canon") == (policy != "none")
        assert (image.info.get("dpi", (1, 1)) != (1, 1)) == (policy != "none")
    again = load_image(path)
    assert np.array_equal(again.native.samples, deep[..., :3])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("count", [1, 3])
def test_16_bit_photos_are_turned_once(deep, orientation, file_format, count, stored_as):
    samples = channels_of(deep, count)
    stored = np.ascontiguousarray(stored_as[orientation](samples))
    exif = Image.Exif()
    exif[0x0112] = orientation
    if file_format == "PNG":
        data = encode_png16(stored, [("eXIf", exif.tobytes()[6:])])
    else:
        data = encode_tiff16(stored, exif, icc=None, dpi=None)
    source = load_image(data)
    assert np.array_equal(source.native.samples, samples)
    again = load_image(encode_image(source.pixels, file_format, source=source))
    assert np.array_equal(again.native.samples, samples)


def test_a_transparent_value_of_16_bits_becomes_opacity(deep):
    grey = deep[..., 0].copy()
    grey[3, 4] = 4711
    source = load_image(encode_png16(grey, [("tRNS", struct.pack(">H", 4711))]))
    assert source.alpha[3, 4] == 0
    assert source.alpha.sum() == (grey != 4711).sum() * 255
    again = load_image(encode_image(source.pixels, "PNG", source=source))
    assert np.array_equal(again.native.samples[..., 0], grey)
    assert np.array_equal(again.alpha, source.alpha)


def test_a_tiff_whose_white_is_zero(deep):
    grey = deep[..., 0]
    data = bytearray(encode_tiff16(65535 - grey, Image.Exif(), icc=None, dpi=None))
    at = data.index(struct.pack("<HHL", 0x0106, 3, 1)) + 8
    assert data[at] == 1
    data[at] = 0
    source = load_image(bytes(data))
    assert np.array_equal(source.native.samples[..., 0], grey)
    assert np.array_equal(source.pixels[..., 1], (grey.astype(int) + 128) // 257)


def test_a_source_with_a_result_holds_nothing_of_the_original(deep):
    source = load_image(encode_png16(deep[..., :3], []))
    result, mask = changed(source.pixels)
    kept = source.with_result(result)
    assert np.array_equal(kept.pixels, result)
    assert not np.any(np.all(kept.native.samples[mask] == deep[..., :3][mask], axis=1))
    with pytest.raises(ValueError, match="read-only"):
        kept.native.samples[0, 0] = 0
    assert np.array_equal(source.native.samples, deep[..., :3])  # the source itself is untouched


@pytest.mark.parametrize("kept", ["source", "result"])
def test_other_pixels_than_the_result_never_bring_samples_back(deep, kept):
    """Whatever is saved with whatever source: a pixel that differs is written, not the sample."""
    loaded = load_image(encode_png16(deep[..., :3], []))
    result, _ = changed(loaded.pixels)
    source = loaded if kept == "source" else loaded.with_result(result)
    later = np.zeros_like(result)
    for file_format in ("PNG", "TIFF"):
        data = encode_image(later, file_format, source=source)
        assert read_with_opencv(data, 3)[result.any(axis=2)].max() == 0


def test_a_source_without_pixels_has_no_samples(deep):
    source = load_image(encode_png16(deep[..., :3], [])).without_pixels()
    assert source.native is None
    result = np.zeros((48, 64, 3), np.uint8)
    assert load_image(encode_image(result, "PNG", source=source)).native is None


def test_ordinary_photos_have_no_samples_to_keep(pixels, encode):
    for mode in ("RGB", "L", "P", "RGBA"):
        source = load_image(encode(Image.fromarray(pixels).convert(mode), "PNG"))
        assert source.native is None
        assert source.with_result(source.pixels).pixels.size == 0


def test_formats_without_room_get_8_bits(deep):
    source = load_image(encode_png16(deep[..., :3], []))
    for file_format in ("JPEG", "WEBP", "BMP"):
        data = encode_image(source.pixels, file_format, source=source)
        assert np.abs(load_image(data).pixels.astype(int) - source.pixels).mean() < 6


def test_readers_that_disagree_cost_the_16_bits_not_the_photo(deep, monkeypatch):
    other = np.zeros((48, 64, 3), np.uint16)
    monkeypatch.setattr("anonyface.media.native.cv2.imdecode", lambda *given: other)
    source = load_image(encode_png16(deep[..., :3], []))
    assert source.native is None
    assert np.array_equal(source.pixels, deep[..., :3] >> 8)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_truncated_16_bit_files_are_refused(deep, suffix, share, capfd):
    data = with_opencv(deep[..., :3], suffix)
    with pytest.raises(ValueError, match="image"):
        load_image(data[: int(len(data) * share)])
    assert capfd.readouterr() == ("", "")


# --- CMYK ---------------------------------------------------------------------------------------


@pytest.fixture
def inks(pixels):
    """A CMYK image with black in it: not what the plain formula would give."""
    rng = np.random.default_rng(4)
    cyan, magenta, yellow = (255 - pixels[..., i] for i in range(3))
    black = np.full_like(cyan, 20) + rng.integers(0, 9, cyan.shape).astype(np.uint8)
    return np.stack([cyan // 2, magenta // 2, yellow // 2, black], axis=2)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_cmyk_tiff_stays_bit_for_bit_where_nothing_changed(inks, encode, compression):
    data = encode(Image.fromarray(inks, "CMYK"), "TIFF", {"compression": compression})
    source = load_image(data)
    result, mask = changed(source.pixels)
    kept = source.with_result(result)
    with Image.open(io.BytesIO(encode_image(result, "TIFF", source=kept))) as image:
        assert image.mode == "CMYK"
        again = np.array(image)
        shown = np.array(image.convert("RGB"))
    assert np.array_equal(again[~mask], inks[~mask])
    assert np.array_equal(shown[mask], result[mask])


def test_cmyk_jpeg_stays_cmyk(inks, encode):
    data = encode(Image.fromarray(inks, "CMYK"), "JPEG", {"quality": 92, "progressive": True})
    source = load_image(data)
    result, mask = changed(source.pixels)
    written = encode_image(result, "JPEG", source=source.with_result(result))
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(written)) as after:
        assert after.mode == "CMYK"
        assert after.quantization[0] == before.quantization[0]
        assert after.info["progressive"]
        far = cv2.dilate(mask.astype(np.uint8), np.ones((17, 17))) == 0
        difference = np.abs(np.array(before).astype(int) - np.array(after))[far]
    assert difference.max() <= 2
    assert np.abs(load_image(written).pixels.astype(int) - result)[mask].mean() < 6


def test_cmyk_becomes_rgb_where_it_must(inks, encode):
    source = load_image(encode(Image.fromarray(inks, "CMYK"), "TIFF"))
    for file_format in ("PNG", "WEBP", "BMP"):
        data = encode_image(source.pixels, file_format, source=source)
        with Image.open(io.BytesIO(data)) as image:
            assert image.mode == "RGB"


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("file_format", ["TIFF", "JPEG"])
def test_cmyk_is_turned_once(inks, encode, orientation, file_format, stored_as):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(stored_as[orientation](inks)), "CMYK")
    options = {"exif": exif} | ({"quality": 100} if file_format == "JPEG" else {})
    source = load_image(encode(stored, file_format, options))
    again = load_image(encode_image(source.pixels, file_format, source=source))
    for samples in (source.native.samples, again.native.samples):
        assert np.abs(samples.astype(int) - inks).max() <= (0 if file_format == "TIFF" else 4)


def test_a_cmyk_profile_is_kept_and_used_both_ways(inks, encode, cmyk_profile):
    options = {"icc_profile": cmyk_profile}
    source = load_image(encode(Image.fromarray(inks, "CMYK"), "TIFF", options))
    plain = np.array(Image.fromarray(inks, "CMYK").convert("RGB"))
    assert not np.array_equal(source.pixels, plain)  # the profile has been used
    assert source.icc_profile is None  # the pixels are sRGB
    result, mask = changed(source.pixels)
    data = encode_image(result, "TIFF", source=source.with_result(result))
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == cmyk_profile
        assert np.array_equal(np.array(image)[~mask], inks[~mask])
    # A small profile can't be exact, but it must be far nearer than no conversion at all.
    assert np.abs(load_image(data).pixels.astype(int) - result)[mask].mean() < 12


def test_a_useless_cmyk_profile_is_dropped(inks, encode):
    junk = bytearray(200)
    junk[:4], junk[16:20], junk[36:40] = (200).to_bytes(4, "big"), b"CMYK", b"acsp"
    source = load_image(encode(Image.fromarray(inks, "CMYK"), "TIFF", {"icc_profile": bytes(junk)}))
    assert source.native.icc_profile is None
    data = encode_image(source.pixels, "TIFF", source=source)
    with Image.open(io.BytesIO(data)) as image:
        assert "icc_profile" not in image.info


def test_patch_leaves_equal_pictures_alone(deep):
    source = load_image(encode_png16(deep[..., :3], []))
    assert patch(source.native, source.pixels, source.pixels) is source.native
