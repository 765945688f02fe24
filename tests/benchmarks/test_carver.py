"""The carver and the judge: if they were blind, "no old face in any output" would mean nothing."""

import base64
import gzip
import io
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from benchmarks.carver import carve
from benchmarks.carver_streams import MAX_INFLATED, inner_streams
from benchmarks.corpus.broken import bomb
from benchmarks.corpus.described import described_exif, described_xmp
from benchmarks.corpus.kinds import GREY, P3, SECRETS, Sitter, encode
from benchmarks.corpus.people import make_sitter
from benchmarks.corpus.registry import GROUPS, KINDS
from benchmarks.remains import NAMES, Judge, words_left

ALL = tuple(NAMES)


@pytest.fixture(scope="module")
def sitter():
    return make_sitter()


@pytest.fixture(scope="module")
def judge():
    return Judge()


@pytest.fixture(scope="module")
def known(judge, sitter):
    return judge.known(sitter.photo)


@pytest.fixture
def small():
    """A picture that is not the sitter's: a ramp of 40 x 24."""
    y, x = np.mgrid[:24, :40]
    return np.stack([6 * x, 10 * y, 255 - 6 * x], axis=2).astype(np.uint8)


def sizes(data):
    return [picture.pixels.shape[:2] for picture in carve(data).pictures]


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda data: data,
        lambda data: b"noise" * 31 + data + b"more noise" * 9,
        lambda data: b"x " + base64.b64encode(data),
        lambda data: b"ab" + base64.encodebytes(data),
        lambda data: data.hex().encode(),
        lambda data: b"junk" + zlib.compress(data),
        lambda data: gzip.compress(data),
        lambda data: base64.b64encode(zlib.compress(base64.b64encode(data))),
        lambda data: base64.b64encode(data).decode().encode("utf-16-le"),
    ],
    ids=["bare", "amid", "base64", "lines", "hex", "zlib", "gzip", "nested", "utf16"],
)
def test_a_picture_is_found_however_it_is_wrapped(small, file_format, wrap):
    assert (24, 40) in sizes(wrap(encode(small, file_format)))


def test_pictures_in_a_zip_are_found(small):
    buffer = io.BytesIO(b"before")
    buffer.seek(6)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bmp", encode(small, "BMP"))
        archive.writestr("b.png", encode(small[:20], "PNG"))
    assert {(24, 40), (20, 40)} <= set(sizes(buffer.getvalue()))


def test_half_a_picture_is_found(small):
    big = np.repeat(np.repeat(small, 8, axis=0), 8, axis=1)
    data = encode(big, "JPEG", quality=95)
    assert (192, 320) in sizes(b"head" + data[: len(data) // 2])


def test_noise_holds_no_picture():
    noise = np.random.default_rng(1).integers(0, 256, 300_000, np.uint8).tobytes()
    assert carve(noise).pictures == []


def test_each_picture_comes_once(small):
    data = encode(small, "PNG")
    assert len(carve(data + data + base64.b64encode(data)).pictures) == 1


def test_a_bomb_is_inflated_only_so_far():
    assert max(len(stream) for _, stream in inner_streams(bomb(60_000_000))) == MAX_INFLATED


# All of them are tried by `python -m benchmarks.reliability`.
@pytest.mark.parametrize("kind", GROUPS["hides a face"][3::5], ids=lambda kind: kind.name)
def test_hidden_faces_of_the_corpus_are_found(kind, sitter, judge, known):
    if kind.suffix == ".heic":
        pytest.importorskip("pillow_heif")
    pictures = carve(kind.build(sitter)).pictures
    assert len(judge.recognise(pictures, known)) >= 2  # the photo itself, and the hidden one


def test_other_people_are_not_recognised(judge, known):
    other = make_sitter(seed=7)
    pictures = carve(other.jpeg).pictures
    assert pictures
    assert judge.recognise(pictures, known) == []


def test_a_face_upside_down_is_recognised(sitter, judge, known):
    turned = Image.fromarray(sitter.photo).rotate(180)
    assert judge.recognise(carve(encode(turned, "PNG")).pictures, known)


def test_a_photo_without_a_face_makes_no_judge(judge):
    with pytest.raises(ValueError, match="no face"):
        judge.known(np.full((200, 200, 3), 120, np.uint8))


@pytest.mark.parametrize("kind", GROUPS["says too much"], ids=lambda kind: kind.name)
def test_every_planted_word_is_found(kind, sitter):
    if kind.suffix == ".heic":
        pytest.importorskip("pillow_heif")
    found = words_left(carve(kind.build(sitter)), groups=(*ALL, "iptc"))
    assert {line.partition(":")[0] for line in found} >= set(kind.secrets)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tags_are_found_even_if_their_values_say_nothing(order):
    data = described_exif(order)
    for word in (word for words in SECRETS.values() for word in words):
        data = data.replace(word, b"?" * len(word))
    found = words_left(carve(data), groups=ALL)
    assert {"gps: tag 8825", "gps: latitude as fractions", "serials: tag A431"} <= set(found)


def test_words_in_a_compressed_stream_are_found():
    found = words_left(carve(b"PNG " + zlib.compress(described_xmp())), groups=ALL)
    assert "gps: GPSLatitude" in found
    assert "regions: Regina Regionova" in found


def test_a_plain_photo_says_nothing(sitter):
    assert words_left(carve(sitter.jpeg), groups=(*ALL, "iptc")) == []


def test_the_corpus_is_large_and_its_names_are_unique():
    assert len(KINDS) >= 60
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert sum(kind.hides for kind in KINDS) >= 40


@pytest.mark.parametrize(("profile", "mode"), [(P3, "RGB"), (GREY, "L")])
def test_profiles_made_here_are_real(profile, mode):
    from PIL import ImageCms

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    image = Image.new(mode, (4, 4), 128 if mode == "L" else (200, 60, 60))
    target = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    assert converted is not None
    red, green, _ = converted.getpixel((0, 0))
    assert abs(red - 128) < 4 if mode == "L" else red > green + 100


def test_files_of_the_corpus_are_the_same_each_time(sitter):
    again = Sitter(sitter.photo, sitter.clear)
    for kind in KINDS[:6]:
        assert kind.build(again) == kind.build(sitter)
