"""Files built to hide something or to exhaust the reader: refused in one line, or cleaned."""

import io
import os
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from anonyface.errors import InputError
from anonyface.media import containers
from anonyface.media.encoding import encode_image
from anonyface.media.images import MAX_BYTES, load_image
from anonyface.media.png import encode_png16

WRITTEN = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF"]
FORMATS_IN = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "HEIF"]
WINDOW = 16  # bytes in a row that noise never has by chance


def fail(image, **limits):
    """Return the message of the InputError that loading raises; always one line."""
    with pytest.raises(InputError) as caught:
        load_image(image, **limits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def file_of(pixels, encode, file_format, **options):
    if file_format != "HEIF":
        return encode(pixels, file_format, options)
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    heif.from_pillow(Image.fromarray(pixels)).save(buffer, quality=60, **options)
    return buffer.getvalue()


def windows(data):
    return {data[i : i + WINDOW] for i in range(len(data) - WINDOW + 1)}


def shared(hidden, written):
    """Whether any run of bytes of ``hidden`` stands anywhere in ``written``."""
    return not windows(hidden).isdisjoint(windows(written))


@pytest.fixture
def noise():
    return np.random.default_rng(12).integers(0, 256, 3000, dtype=np.uint8).tobytes()


@pytest.fixture
def small_jpeg():
    """A JPEG of noise, and what only it has: its coded data."""
    rng = np.random.default_rng(13)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(buffer, "JPEG")
    data = buffer.getvalue()
    return data, data[data.index(b"\xff\xda") + 14 : -2]


# --- limits ---------------------------------------------------------------------------------------


def test_large_files_are_not_even_opened(tmp_path, monkeypatch):
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)

    def never(*given, **options):
        raise AssertionError("opened")

    monkeypatch.setattr("pathlib.Path.open", never)
    assert "the limit is 700,000,000" in fail(path)


def test_bytes_are_limited(pixels, encode):
    data = encode(pixels, "PNG")
    assert load_image(data, max_bytes=len(data)).format == "PNG"
    for given in (data, bytearray(data), memoryview(data)):
        assert f"{len(data):,} bytes, the limit is" in fail(given, max_bytes=len(data) - 1)


def test_file_objects_are_read_one_byte_beyond_the_limit():
    class Endless(io.RawIOBase):
        taken = 0

        def read(self, size=-1):
            assert size > 0
            self.taken += size
            return b"\x00" * size

    file = Endless()
    assert "larger than the limit of 1,000 bytes" in fail(file, max_bytes=1000)
    assert file.taken == 1001


def test_a_file_object_may_come_in_small_pieces(pixels, encode):
    class Slow(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 7))

    assert np.array_equal(load_image(Slow(encode(pixels, "PNG"))).pixels, pixels)


def test_a_file_that_fails_while_reading():
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise OSError("device\ngone")

    assert "device gone" in fail(Broken())


def test_devices_and_pipes_are_refused(tmp_path):
    assert "not a regular file" in fail("/dev/zero")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "not a regular file" in fail(tmp_path / "pipe.jpg")


@pytest.mark.parametrize("file_format", FORMATS_IN)
def test_pixels_are_limited_in_every_format(pixels, encode, file_format, monkeypatch):
    data = file_of(pixels, encode, file_format)
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("decoded"))
    assert "64x48 pixels, the limit is 3,071" in fail(data, max_pixels=64 * 48 - 1)


# --- bombs ----------------------------------------------------------------------------------------


def greedy_block(entries, size, order="<"):
    """An Exif block whose tags all claim the whole of it."""
    head = {"<": b"II*\x00", ">": b"MM\x00*"}[order] + struct.pack(order + "L", 8)
    body = struct.pack(order + "H", entries)
    for number in range(entries):
        body += struct.pack(order + "HHLL", 0x9000 + number % 0x1000, 7, size, 0)
    return (head + body + b"\x00" * 4).ljust(size, b"\x00")


def assert_light(data):
    """Load a bomb: refused or harmless, quickly and with little memory."""
    tracemalloc.start()
    started = time.perf_counter()
    try:
        load_image(data)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.perf_counter() - started < 5
    assert peak < 40 << 20, peak


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_exif_that_claims_itself_over_and_over(pixels, encode, file_format, order):
    block = greedy_block(4000, 60_000, order)
    if file_format == "PNG":
        data = encode_png16(pixels.astype(np.uint16), [("eXIf", block)])
    elif file_format == "JPEG":
        data = encode(pixels, "JPEG", {"exif": b"Exif\x00\x00" + block})
    else:
        exif = Image.Exif()
        exif[0x010F] = "x" * 59_000
        data = file_of(pixels, encode, file_format, exif=exif.tobytes())
        start = max(data.find(b"II*\x00"), data.find(b"MM\x00*"))
        data = data[:start] + block[:58_000] + data[start + 58_000 :]
        assert start > 0
    assert_light(data)
    assert "metadata claims" in fail(data)


def test_exif_in_png_text(pixels, encode):
    block = b"Exif\x00\x00" + greedy_block(30_000, 400_000)
    text = PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n  9\n" + block.hex(), zip=True)
    assert_light(encode(pixels, "PNG", {"pnginfo": text}))


def test_a_tiff_that_claims_itself_over_and_over():
    assert_light(greedy_block(60_000, 4 << 20))
    assert "metadata claims" in fail(greedy_block(60_000, 4 << 20))


def test_directories_that_lead_in_circles():
    block = bytearray(greedy_block(2, 400))
    struct.pack_into("<L", block, 8 + 2 + 24, 8)  # the next one is the first
    assert_light(bytes(block))
    struct.pack_into("<H", block, 10, 0x8769)  # and the Exif directory, too
    struct.pack_into("<LL", block, 14, 1, 8)
    assert_light(bytes(block))


def test_huge_tiles(pixels, encode):
    exif = Image.Exif()
    exif[322], exif[323] = 60_000, 60_000
    data = exif.tobytes()[6:]
    assert "tiles of 60000x60000" in fail(data)


@pytest.mark.parametrize("chunk", ["zTXt", "iTXt", "iCCP"])
def test_compressed_text_and_profiles(pixels, chunk):
    packed = zlib.compress(b"\x00" * (200 << 20), 1)
    head = {
        "zTXt": b"Comment\x00\x00",
        "iTXt": b"XML:com.adobe.xmp\x00\x01\x00\x00\x00",
        "iCCP": b"x\x00\x00",
    }[chunk]
    assert_light(encode_png16(pixels.astype(np.uint16), [(chunk, head + packed)]))


def test_many_text_chunks(pixels):
    packed = b"Comment\x00\x00" + zlib.compress(b"\x00" * (1 << 20))
    chunks = [("zTXt", packed)] * 200
    with pytest.raises(InputError):
        load_image(encode_png16(pixels.astype(np.uint16), chunks))


def test_very_many_pieces(monkeypatch, pixels):
    monkeypatch.setattr(containers, "MAX_PARTS", 50)
    data = encode_png16(pixels.astype(np.uint16), [("teSt", b"")] * 60)
    assert "too many pieces" in fail(data)


def test_a_jpeg_of_endless_scans(pixels, encode):
    data = encode(pixels, "JPEG", {"progressive": True})
    starts = [i for i in range(len(data)) if data[i : i + 2] == b"\xff\xda"]
    last = data[starts[-1] : -2]
    assert load_image(data).jpeg.progressive
    assert "scans in a JPEG, the limit is 100" in fail(data[:-2] + last * 200 + b"\xff\xd9")


@pytest.mark.parametrize("file_format", FORMATS_IN)
def test_broken_files_say_nothing_on_the_terminal(pixels, encode, file_format, capfd, recwarn):
    data = file_of(pixels, encode, file_format)
    rng = np.random.default_rng(21)
    for _ in range(25):
        damaged = np.frombuffer(data, np.uint8).copy()
        where = rng.integers(0, len(damaged), rng.integers(1, 12))
        damaged[where] = rng.integers(0, 256, len(where))
        for given in (damaged.tobytes(), damaged[: rng.integers(1, len(damaged))].tobytes()):
            try:
                load_image(given, max_pixels=1_000_000)
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017
    assert capfd.readouterr() == ("", "")
    assert len(recwarn) == 0


# --- what hides in a file -------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", FORMATS_IN)
@pytest.mark.parametrize("written", WRITTEN)
def test_nothing_behind_the_end_survives(pixels, encode, noise, file_format, written):
    data = file_of(pixels, encode, file_format)
    clean = load_image(data)
    for trailer in (
        noise,
        b"PK\x03\x04" + noise,
        b"MotionPhoto_Data" + b"\x00\x00ftypmp42" + noise,
    ):
        source = load_image(data + trailer)
        assert np.array_equal(source.pixels, clean.pixels)
        if file_format in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF"):
            assert "trailer" in source.found
            assert ("motion" in source.found) == trailer.startswith(b"Motion")
        for policy in ("clean", "keep"):
            out = encode_image(source.pixels, written, source=source, metadata=policy)
            assert not shared(trailer, out)


def test_padding_is_no_trailer(pixels, encode):
    for file_format in ("JPEG", "PNG", "WEBP"):
        assert load_image(encode(pixels, file_format) + b"\x00" * 99 + b"\n").found == ()


def exif_with_thumbnail(thumbnail):
    """Exif with the small picture in the second directory and in the maker note."""
    exif = Image.Exif()
    exif[0x010F] = "Canon"
    exif.get_ifd(0x8769)[0x927C] = b"NOTE" + thumbnail
    block = bytearray(exif.tobytes()[6:])
    order = "<" if block[:2] == b"II" else ">"
    pointer = 8 + 2 + 12 * struct.unpack_from(order + "H", block, 8)[0]
    struct.pack_into(order + "L", block, pointer, len(block))
    at = len(block) + 2 + 3 * 12 + 4
    block += struct.pack(order + "H", 3) + struct.pack(order + "HHLHH", 0x0103, 3, 1, 6, 0)
    block += struct.pack(order + "HHLL", 0x0201, 4, 1, at)
    block += struct.pack(order + "HHLL", 0x0202, 4, 1, len(thumbnail)) + b"\x00" * 4
    return b"Exif\x00\x00" + bytes(block) + thumbnail


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_no_byte_of_an_exif_thumbnail_survives(pixels, encode, small_jpeg, file_format):
    thumbnail, coded = small_jpeg
    data = file_of(pixels, encode, file_format, exif=exif_with_thumbnail(thumbnail))
    assert shared(coded, data)
    source = load_image(data)
    assert "maker-note" in source.found
    for written in WRITTEN:
        for policy in ("clean", "keep", "none"):
            out = encode_image(source.pixels, written, source=source, metadata=policy)
            assert not shared(coded, out), (written, policy)


def test_no_byte_of_a_tiff_preview_survives(pixels, encode, small_jpeg):
    """A second, smaller page and a preview in a tag."""
    thumbnail, coded = small_jpeg
    buffer = io.BytesIO()
    small = Image.fromarray(pixels[::4, ::4].copy())
    small.encoderinfo = {"tiffinfo": {0x00FE: 1, 0xC6F9: thumbnail}}
    Image.fromarray(pixels).save(
        buffer, "TIFF", save_all=True, append_images=[small], tiffinfo={0xC6FA: thumbnail}
    )
    data = buffer.getvalue()
    assert shared(coded, data)
    source = load_image(data)
    assert "thumbnail" in source.found
    assert np.array_equal(source.pixels, pixels)
    for written in WRITTEN:
        out = encode_image(source.pixels, written, source=source, metadata="keep")
        assert not shared(coded, out)
        with Image.open(io.BytesIO(out)) if written != "HEIF" else Image.new("L", (1, 1)) as image:
            assert getattr(image, "n_frames", 1) == 1


def test_heic_thumbnails_and_second_pictures_are_gone(pixels):
    heif = pytest.importorskip("pillow_heif")
    photo = heif.from_pillow(Image.fromarray(pixels).resize((512, 384)))
    photo.add_from_pillow(Image.fromarray(255 - pixels))
    buffer = io.BytesIO()
    photo[0].info["thumbnails"] = [64]
    photo.save(buffer, quality=60)
    assert len(heif.open_heif(buffer.getvalue())) == 2
    source = load_image(buffer.getvalue())
    assert source.image_hw == (384, 512)
    assert "thumbnail" in source.found
    again = heif.open_heif(encode_image(source.pixels, "HEIF", source=source))
    assert len(again) == 1
    assert not again[0].info.get("thumbnails")


def test_the_carver_finds_what_is_there(noise, small_jpeg):
    assert shared(noise, b"abc" + noise[100:200])
    assert not shared(noise, noise[::-1])
    assert len(windows(small_jpeg[1])) > 300


# --- several pictures -----------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_animations_and_pages_are_refused_by_name(tmp_path, pixels, encode, file_format):
    other = Image.fromarray(pixels[::-1].copy())
    options = {"save_all": True, "append_images": [other], "duration": 50}
    if file_format == "TIFF":
        options.pop("duration")
    path = tmp_path / "moving"
    path.write_bytes(encode(pixels, file_format, options))
    assert fail(path) == f"{path}: animated and multi-page images are not supported"
    with Image.open(path) as image:
        assert "animated and multi-page" in fail(image)


def test_a_single_frame_is_no_animation(pixels, encode):
    for file_format in ("GIF", "PNG", "WEBP", "AVIF", "TIFF"):
        options = {"save_all": True}
        assert load_image(encode(pixels, file_format, options)).image_hw == (48, 64)


def test_a_raw_file_is_not_taken_for_its_preview(pixels, encode):
    data = encode(pixels, "TIFF", {"tiffinfo": {0x00FE: 1}})
    assert "raw files are not supported" in fail(data)


def test_mpo_frames_are_named(pixels, encode):
    options = {"save_all": True, "append_images": [Image.fromarray(255 - pixels)]}
    found = load_image(encode(pixels, "MPO", options)).found
    assert {"mpo-frames", "trailer"} <= set(found)
