"""Writing photos: nothing of the old face in any corner of the file, everything else as it was."""

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageCms, JpegImagePlugin

from anonyface.media import encoding
from anonyface.media.images import load_image, save_image
from anonyface.media.metadata import DIGITAL_SOURCE_TYPE

SUFFIXES = [".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif"]
MARKED = [".jpg", ".png", ".webp", ".tif", ".avif"]
FORMAT_OF = {
    ".jpg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".bmp": "BMP",
    ".avif": "AVIF",
}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pictures_in(data):
    """Return every JPEG that can be carved out of some bytes, as sizes."""
    found = []
    start = data.find(b"\xff\xd8\xff")
    while start >= 0:
        try:
            with Image.open(io.BytesIO(data[start:])) as image:
                found.append(image.size)
        except OSError:
            pass
        start = data.find(b"\xff\xd8\xff", start + 1)
    return found


def exif_of(path):
    with Image.open(path) as image:
        image.load()
        exif = image.getexif()
        return dict(exif), dict(exif.get_ifd(0x8769)), dict(exif.get_ifd(0x8825)), exif


# --- what must be gone --------------------------------------------------------------------------


def test_the_leaky_photo_really_leaks(leaky, secrets):
    assert pictures_in(leaky.data)[1:].count((24, 16)) == 3  # maker note, thumbnail, behind the end
    assert all(secret in leaky.data for secret in secrets)
    assert all(picture in leaky.data for picture in leaky.hidden)
    with Image.open(io.BytesIO(leaky.data)) as image:
        assert image.getexif().get_ifd(0x8825)[1] == "N"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_secret_and_no_second_picture_survives(tmp_path, leaky, secrets, suffix):
    source = load_image(leaky.data)
    data = save_image(source.pixels, tmp_path / f"out{suffix}", source=source).read_bytes()
    assert [secret for secret in secrets if secret in data] == []
    assert [picture for picture in leaky.hidden if picture[2:200] in data] == []
    assert len(pictures_in(data)) == (1 if suffix in (".jpg", ".jpeg") else 0)


@pytest.mark.parametrize("suffix", MARKED)
def test_gps_and_the_thumbnail_directory_are_gone(tmp_path, leaky, suffix):
    source = load_image(leaky.data)
    base, photo, gps, exif = exif_of(
        save_image(source.pixels, tmp_path / f"a{suffix}", source=source)
    )
    assert gps == {}
    assert 0x8825 not in base
    assert 0x0112 not in base
    assert not {0x9214, 0x927C, 0x9286, 0xA431, 0xA435, 0xA005} & set(photo)
    if suffix != ".tif":  # there the next directory would be a second page
        assert exif.get_ifd(1) == {}


def test_a_jpeg_has_no_segment_that_is_not_ours(tmp_path, leaky):
    source = load_image(leaky.data)
    path = save_image(source.pixels, tmp_path / "a.jpg", source=source)
    with Image.open(path) as image:
        assert sorted(name for name, _ in image.applist) == ["APP0", "APP1", "APP1"]
    assert path.read_bytes().endswith(b"\xff\xd9")


def test_the_second_frame_of_an_mpo_is_gone(tmp_path, pixels, encode):
    other = Image.fromarray(255 - pixels)
    data = encode(pixels, "MPO", {"save_all": True, "append_images": [other]})
    assert len(pictures_in(data)) == 2
    source = load_image(data)
    written = save_image(source.pixels, tmp_path / "a.jpg", source=source).read_bytes()
    assert len(pictures_in(written)) == 1
    assert b"MPF\x00" not in written


def test_png_text_is_gone(tmp_path, pixels, encode):
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("Comment", "Anna at home")
    text.add_itxt("Description", "Anna at home")
    text.add_itxt("XML:com.adobe.xmp", "<x>Anna at home</x>")
    source = load_image(encode(pixels, "PNG", {"pnginfo": text}))
    path = save_image(source.pixels, tmp_path / "a.png", source=source)
    with Image.open(path) as image:
        image.load()
        assert set(image.text) == {"XML:com.adobe.xmp"}
    assert b"Anna" not in path.read_bytes()


def test_nothing_rides_behind_an_icc_profile(tmp_path, pixels, encode):
    source = load_image(encode(pixels, "JPEG", {"icc_profile": SRGB + b"Anna at home"}))
    assert source.icc_profile == SRGB


def test_a_picture_in_a_harmless_tag_is_not_carried_over(tmp_path, pixels, encode):
    exif = Image.Exif()
    exif[0x010F] = "x" * 50_000  # camera make
    exif.get_ifd(0x8769)[0xA432] = tuple(range(5000))  # lens specification, four numbers
    source = load_image(encode(pixels, "JPEG", {"exif": exif}))
    assert len(source.exif.base[0x010F]) <= 200
    assert 0xA432 not in source.exif.photo


def test_a_source_without_pixels_can_still_save(tmp_path, leaky):
    source = load_image(leaky.data)
    empty = source.without_pixels()
    assert empty.pixels.size == 0
    first = save_image(source.pixels, tmp_path / "a.jpg", source=source).read_bytes()
    assert save_image(source.pixels, tmp_path / "b.jpg", source=empty).read_bytes() == first


# --- what must stay -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", MARKED)
def test_camera_date_exposure_and_author_stay(tmp_path, leaky, suffix):
    source = load_image(leaky.data)
    base, photo, _, _ = exif_of(save_image(source.pixels, tmp_path / f"a{suffix}", source=source))
    assert base[0x010F] == "Canon"
    assert base[0x0110] == "EOS R5"
    assert base[0x0132] == "2024:05:06 07:08:09"
    assert base[0x013B].encode("latin-1").decode() == "José"
    assert base[0x8298] == "(c) 2024"
    assert photo[0x829A] == pytest.approx(1 / 250)
    assert photo[0x8827] == 400
    assert photo[0x9003] == "2024:05:06 07:08:09"
    assert photo[0x9204] == pytest.approx(-1 / 3)
    assert photo[0xA432] == (24, 70, 2.8, 2.8)


@pytest.mark.parametrize("suffix", MARKED)
def test_files_are_marked(tmp_path, pixels, suffix):
    path = save_image(pixels, tmp_path / f"a{suffix}", source=load_image(pixels))
    base = exif_of(path)[0]
    assert base[0x0131].startswith("anonyface ")
    with Image.open(path) as image:
        image.load()
        packet = image.info["xmp"]
    packet = packet.decode() if isinstance(packet, bytes) else packet
    tree = ElementTree.fromstring(packet[packet.index("<x:") : packet.rindex("<?")])  # noqa: S314
    (mark,) = [
        value
        for element in tree.iter()
        for name, value in element.attrib.items()
        if name.endswith("}DigitalSourceType")
    ]
    assert mark == DIGITAL_SOURCE_TYPE


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp"])
def test_lossless_files_hold_identical_pixels(tmp_path, pixels, suffix):
    path = save_image(pixels, tmp_path / f"a{suffix}", source=load_image(pixels))
    assert np.array_equal(load_image(path).pixels, pixels)


def test_lossless_webp_stays_lossless(tmp_path, pixels, encode):
    options = {"lossless": True, "icc_profile": SRGB}  # with a profile: the extended container
    source = load_image(encode(pixels, "WEBP", options))
    path = save_image(source.pixels, tmp_path / "a.webp", source=source)
    assert np.array_equal(load_image(path).pixels, pixels)
    image = Image.fromarray(pixels)
    image.putalpha(Image.fromarray(pixels[..., 0] // 128 * 255))  # partly with alpha 0
    source = load_image(encode(image, "WEBP", {"lossless": True, "exact": True}))
    path = save_image(source.pixels, tmp_path / "a.webp", source=source)
    assert np.array_equal(load_image(path).pixels, pixels)
    lossy = load_image(encode(pixels, "WEBP", {"quality": 80}))
    assert not lossy.lossless_webp


@pytest.mark.parametrize("quality", [30, 75, 96])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_encoded_like_its_input(
    tmp_path, pixels, encode, quality, subsampling, progressive
):
    options = {"quality": quality, "subsampling": subsampling, "progressive": progressive}
    data = encode(pixels, "JPEG", options)
    source = load_image(data)
    path = save_image(source.pixels, tmp_path / "a.jpg", source=source)
    with Image.open(io.BytesIO(data)) as before, Image.open(path) as after:
        assert after.quantization == before.quantization
        assert JpegImagePlugin.get_sampling(after) == subsampling
        assert bool(after.info.get("progressive")) == progressive
    assert 0.8 < path.stat().st_size / len(data) < 1.25 + 1500 / len(data)


def test_a_turned_jpeg_gets_turned_tables(tmp_path, pixels, encode, rich_exif):
    data = encode(pixels, "JPEG", {"quality": 60, "subsampling": 1, "exif": rich_exif(6)})
    source = load_image(data)
    path = save_image(source.pixels, tmp_path / "a.jpg", source=source)
    with Image.open(io.BytesIO(data)) as before, Image.open(path) as after:
        for key, table in before.quantization.items():
            expected = np.reshape(table, (8, 8)).T
            assert np.array_equal(np.reshape(after.quantization[key], (8, 8)), expected)
        assert JpegImagePlugin.get_sampling(after) == 0


def test_a_jpeg_of_anything_else_has_high_quality_and_full_colour(tmp_path, pixels):
    path = save_image(pixels, tmp_path / "a.jpg", source=load_image(pixels))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    with Image.open(path) as image, Image.open(buffer) as reference:
        assert image.quantization == reference.quantization
        assert JpegImagePlugin.get_sampling(image) == 0


def test_jpeg_round_trips_hardly_change_pixels(tmp_path, pixels, encode):
    source = load_image(encode(pixels, "JPEG", {"quality": 85, "subsampling": 0}))
    path = save_image(source.pixels, tmp_path / "a.jpg", source=source)
    assert np.abs(load_image(path).pixels.astype(int) - source.pixels).max() <= 3


@pytest.mark.parametrize("mode", ["L", "1"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp", ".webp"])
def test_grey_stays_grey(tmp_path, pixels, encode, mode, suffix):
    source = load_image(encode(Image.fromarray(pixels).convert(mode), "PNG"))
    path = save_image(source.pixels, tmp_path / f"a{suffix}", source=source)
    with Image.open(path) as image:
        assert image.mode == ("RGB" if suffix == ".webp" else "L")
    if suffix in (".png", ".tif", ".bmp"):
        assert np.array_equal(load_image(path).pixels, source.pixels)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif", ".heic"])
def test_alpha_stays(tmp_path, pixels, encode, mode, suffix):
    box = suffix in (".avif", ".heic")
    if suffix == ".heic":
        pytest.importorskip("pillow_heif")
    image = Image.fromarray(pixels).convert(mode)
    image.putalpha(Image.fromarray(pixels[..., 1].copy()))
    source = load_image(encode(image, "PNG"))
    again = load_image(save_image(source.pixels, tmp_path / f"a{suffix}", source=source))
    assert np.abs(again.alpha.astype(int) - pixels[..., 1]).max() <= (4 if box else 0)
    if suffix in (".png", ".tif"):
        assert np.array_equal(again.pixels, source.pixels)


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_without_room_for_alpha_the_picture_lies_on_white(tmp_path, suffix):
    image = Image.new("RGBA", (32, 16), (200, 0, 0, 255))
    image.paste((0, 0, 0, 0), (16, 0, 32, 16))
    source = load_image(image)
    written = load_image(save_image(source.pixels, tmp_path / f"a{suffix}", source=source)).pixels
    assert np.abs(written[:, :16].astype(int) - (200, 0, 0)).max() <= 3
    assert written[:, 16:].min() >= 252


@pytest.mark.parametrize("suffix", MARKED)
def test_icc_profile_stays(tmp_path, pixels, encode, suffix):
    source = load_image(encode(pixels, FORMAT_OF[suffix], {"icc_profile": SRGB}))
    path = save_image(source.pixels, tmp_path / f"a{suffix}", source=source)
    with Image.open(path) as image:
        assert image.info["icc_profile"] == SRGB


def test_a_grey_profile_is_not_put_on_colour(tmp_path, pixels, encode):
    profile = bytearray(SRGB)
    profile[16:20] = b"GRAY"
    data = encode(Image.fromarray(pixels).convert("L"), "PNG", {"icc_profile": bytes(profile)})
    source = load_image(data)
    for suffix, expected in ((".png", bytes(profile)), (".webp", None)):
        path = save_image(source.pixels, tmp_path / f"a{suffix}", source=source)
        with Image.open(path) as image:
            assert image.info.get("icc_profile") == expected


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_resolution_stays_and_turns(tmp_path, pixels, encode, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    source = load_image(encode(pixels, "PNG", {"dpi": (300, 150), "exif": exif}))
    path = save_image(source.pixels, tmp_path / f"a{suffix}", source=source)
    with Image.open(path) as image:
        assert image.info["dpi"] == pytest.approx((150, 300), abs=0.1)


def test_damaged_metadata_never_stops_a_photo(pixels, encode, rich_exif):
    small = pixels[:8, :8].copy()
    rng = np.random.default_rng(1)
    for _ in range(150):
        block = np.frombuffer(rich_exif(), np.uint8).copy()
        where = rng.integers(6, len(block), rng.integers(1, 20))
        block[where] = rng.integers(0, 256, len(where))
        source = load_image(encode(small, "JPEG", {"exif": block.tobytes()}))
        for file_format in FORMAT_OF.values():
            assert encoding.encode_image(small, file_format, source=source)
