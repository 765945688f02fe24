"""What nobody asked to change comes back as it was, as far as each format allows."""

import importlib.util
import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from anonyface.errors import InputError
from anonyface.media.encoding import FORMATS, encode_image, writable_suffixes
from anonyface.media.images import load_image, save_image
from anonyface.media.png import encode_png16

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
FACE = (slice(80, 160), slice(96, 176))
# Pillow's number, and outside the blocks of a face: the largest difference a value may have, in
# grey levels, and the least PSNR in dB, for the colours and for brightness alone.
#
# Encoding decoded values again with the same tables finds the same coefficients, but where rounding
# to 8 bits, twice (to colours and back), tips one over: a few levels, in few blocks. Where colour
# is stored at half the resolution, decoders blend it between neighbours, and averaging it again
# softens it at hard edges of saturated colours, of which this scene is full; brightness has no part
# in that. From 40 dB on, and with brightness unchanged, nobody sees a difference.
SUBSAMPLING = {
    "4:4:4": (0, 6, 54, 54),
    "4:2:2": (1, 24, 45, 50),
    "4:2:0": (2, 26, 42, 50),
}


@pytest.fixture(scope="module")
def scene():
    """(240, 320, 3): soft shapes with edges, texture and a little noise, like a photo."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:240, :320]
    out = np.stack([x * 0.6, 80 + y * 0.5, 200 - x * 0.3], axis=2)
    for _ in range(60):
        centre = rng.integers(0, 320, 2)
        radius, colour = int(rng.integers(5, 40)), rng.integers(0, 256, 3).tolist()
        cv2.circle(out, tuple(map(int, centre)), radius, colour, -1)
    out = cv2.GaussianBlur(out, (0, 0), 1.2)
    out += rng.normal(0, 2, out.shape)
    return np.clip(out, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def small(scene):
    """(48, 80, 3): a corner of it, where encoders are slow."""
    return np.ascontiguousarray(scene[:48, :80])


def psnr(before, after):
    error = np.mean((before.astype(float) - after) ** 2)
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def far_from_face(shape, reach):
    """Where no block, of colours halved or not, touches a changed pixel."""
    mask = np.zeros(shape, bool)
    rows, columns = FACE
    mask[rows.start - reach : rows.stop + reach, columns.start - reach : columns.stop + reach] = (
        True
    )
    return ~mask


def with_face(pixels):
    out = pixels.copy()
    out[FACE] = cv2.GaussianBlur(out[FACE][::-1], (0, 0), 5)
    return out


@pytest.mark.parametrize("quality", [50, 75, 85, 92, 98])
@pytest.mark.parametrize("sampling", SUBSAMPLING)
@pytest.mark.parametrize("progressive", [False, True])
def test_blocks_of_a_jpeg_far_from_faces(scene, encode, quality, sampling, progressive):
    number, largest, least, least_brightness = SUBSAMPLING[sampling]
    options = {"quality": quality, "subsampling": number, "progressive": progressive}
    source = load_image(encode(scene, "JPEG", options))
    result = with_face(source.pixels)
    data = encode_image(result, "JPEG", source=source.with_result(result))
    with Image.open(io.BytesIO(data)) as image:
        assert bool(image.info.get("progressive")) == progressive
    again = load_image(data).pixels
    far = far_from_face(again.shape[:2], 32)
    difference = np.abs(again.astype(int) - source.pixels)[far]
    assert difference.max() <= largest
    assert psnr(source.pixels[far], again[far]) >= least
    weights = (0.299, 0.587, 0.114)
    assert psnr((source.pixels @ weights)[far], (again @ weights)[far]) >= least_brightness
    assert psnr(result[FACE], again[FACE]) >= 28  # and the new face is really there


@pytest.mark.parametrize("quality", [50, 75, 92, 98])
def test_blocks_of_a_grey_jpeg_far_from_faces(scene, encode, quality):
    grey = Image.fromarray(scene).convert("L")
    source = load_image(encode(grey, "JPEG", {"quality": quality}))
    result = with_face(source.pixels)
    data = encode_image(result, "JPEG", source=source)
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "L"
    again = load_image(data).pixels
    far = far_from_face(again.shape[:2], 32)
    assert np.abs(again.astype(int) - source.pixels)[far].max() <= 2


# --- other formats --------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["AVIF", "HEIF", "WEBP"])
def test_lossy_formats_stay_near(scene, file_format):
    if file_format == "HEIF":
        pytest.importorskip("pillow_heif")
    source = load_image(scene)
    data = encode_image(scene, file_format, source=source)
    assert psnr(scene, load_image(data).pixels) >= (36 if file_format == "WEBP" else 40)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_avif_keeps_its_subsampling(scene, encode, subsampling):
    source = load_image(encode(scene, "AVIF", {"subsampling": subsampling}))
    assert source.chroma == subsampling
    again = load_image(encode_image(source.pixels, "AVIF", source=source))
    assert again.chroma == subsampling


@pytest.mark.parametrize("chroma", ["444", "420"])
def test_heic_keeps_its_subsampling(small, chroma):
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    heif.from_pillow(Image.fromarray(small)).save(buffer, quality=80, chroma=chroma)
    source = load_image(buffer.getvalue())
    assert source.chroma.replace(":", "") == chroma
    again = load_image(encode_image(source.pixels, "HEIF", source=source))
    assert again.chroma == source.chroma
    assert again.format == "HEIF"


@pytest.mark.parametrize("suffix", [".heic", ".heif", ".HEIC"])
def test_heic_is_written_with_profile_and_tags(tmp_path, small, encode, rich_exif, suffix):
    heif = pytest.importorskip("pillow_heif")
    data = encode(small, "JPEG", {"icc_profile": SRGB, "exif": rich_exif()})
    source = load_image(data)
    path = save_image(source.pixels, tmp_path / f"a{suffix}", source=source)
    with heif.HeifImageFile(path) as image:
        assert image.info["icc_profile"] == SRGB
        exif = image.getexif()
        assert exif[0x010F] == "Canon"
        assert exif.get_ifd(0x8825) == {}
        assert b"DigitalSourceType" in image.info["xmp"]


def test_heic_without_the_extra_can_t_be_written(tmp_path, small, monkeypatch):
    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr("anonyface.media.encoding.importlib.import_module", refuse)
    with pytest.raises(InputError, match=r"anonyface\[heif\]"):
        save_image(small, tmp_path / "a.heic", source=load_image(small))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert set(FORMATS) - set(writable_suffixes()) == {".heic", ".heif"}


def test_suffixes_that_can_be_written(tmp_path, small):
    source = load_image(small)
    for suffix in writable_suffixes():
        assert load_image(save_image(small, tmp_path / f"a{suffix}", source=source)).sha256


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_profiles_stay_in_every_format(small, encode, file_format):
    if file_format == "HEIF":
        pytest.importorskip("pillow_heif")
    source = load_image(encode(small, "PNG", {"icc_profile": SRGB}))
    for policy in ("clean", "keep", "none"):
        data = encode_image(source.pixels, file_format, source=source, metadata=policy, mark=False)
        assert load_image(data).icc_profile == SRGB


def test_palettes_come_out_in_colour(scene, encode):
    for options, mode in (({}, "RGB"), ({"transparency": 3}, "RGBA")):
        palette = Image.fromarray(scene).convert("P", palette=Image.Palette.ADAPTIVE)
        source = load_image(encode(palette, "PNG", options))
        data = encode_image(source.pixels, "PNG", source=source)
        with Image.open(io.BytesIO(data)) as image:
            assert image.mode == mode
            assert np.array_equal(np.array(image.convert("RGB")), np.array(palette.convert("RGB")))


@pytest.mark.parametrize("deep", [False, True])
def test_colour_chunks_of_png_stay(scene, deep):
    chunks = [
        ("cICP", bytes([12, 13, 0, 1])),
        ("gAMA", struct.pack(">L", 100_000)),
        ("cHRM", struct.pack(">8L", *range(30_000, 30_008))),
        ("sRGB", b"\x00 and more than it should be"),
    ]
    samples = scene.astype(np.uint16) * 257
    if deep:
        data = encode_png16(samples, chunks)
    else:
        plain = io.BytesIO()
        Image.fromarray(scene).save(plain, "PNG")
        whole, given = plain.getvalue(), encode_png16(samples, chunks)
        data = whole[:33] + given[33 : given.index(b"IDAT") - 4] + whole[33:]
    source = load_image(data)
    written = encode_image(source.pixels, "PNG", source=source, metadata="none")
    for name, payload in chunks[:3]:
        assert name.encode() + payload in written
    assert b"more than it should be" not in written


# --- orientation: once, never twice ---------------------------------------------------------------


def turned_box(file_format, orientation, pixels):
    """An AVIF or HEIC file whose container says how to turn it; Exif says so, too."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    if file_format == "AVIF":
        Image.fromarray(pixels).save(buffer, "AVIF", exif=exif, quality=100, subsampling="4:4:4")
    else:
        heif = pytest.importorskip("pillow_heif")
        image = heif.from_pillow(Image.fromarray(pixels))
        image.save(buffer, quality=-1, chroma="444", exif=exif.tobytes())
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["AVIF", "HEIF"])
@pytest.mark.parametrize("written", ["PNG", "AVIF", "HEIF", "JPEG"])
def test_what_a_container_turns_is_turned_once(small, stored_as, orientation, file_format, written):
    if written == "HEIF":
        pytest.importorskip("pillow_heif")
    stored = np.ascontiguousarray(stored_as[orientation](small))
    source = load_image(turned_box(file_format, orientation, stored))
    assert source.image_hw == small.shape[:2]
    assert psnr(source.pixels, small) > 30
    again = load_image(encode_image(source.pixels, written, source=source))
    assert psnr(again.pixels, small) > 30


@pytest.mark.parametrize("file_format", ["AVIF", "HEIF"])
def test_xmp_does_not_turn_what_the_container_does_not(small, file_format):
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    buffer = io.BytesIO()
    if file_format == "AVIF":
        Image.fromarray(small).save(buffer, "AVIF", xmp=packet)
        data = buffer.getvalue()
    else:
        heif = pytest.importorskip("pillow_heif")
        heif.from_pillow(Image.fromarray(small)).save(
            buffer, quality=90, xmp=packet.replace(b"6", b"1")
        )
        data = buffer.getvalue().replace(b'Orientation="1"', b'Orientation="6"')
    assert load_image(data).image_hw == small.shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_output_states_no_orientation(scene, encode, stored_as, orientation, file_format):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(stored_as[orientation](scene))
    source = load_image(encode(stored, file_format, {"exif": exif, "quality": 95}))
    assert psnr(source.pixels, scene) > 28
    data = encode_image(source.pixels, file_format, source=source, metadata="keep")
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (320, 240)
        image.load()
        assert 0x0112 not in image.getexif()
    assert psnr(load_image(data).pixels, scene) > 28


def test_a_turned_tiff_keeps_its_resolution_the_right_way_round(scene, encode):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(np.rot90(scene).copy(), "TIFF", {"exif": exif, "dpi": (300, 150)})
    assert load_image(data).dpi == (150, 300)


def test_no_resolution_stays_none(scene, encode):
    for file_format in ("PNG", "TIFF", "JPEG"):
        assert load_image(encode(scene, file_format)).dpi is None
