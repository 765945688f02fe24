"""What is carried over under each policy, and that the rest is gone from the file's very bytes."""

import io
import re

import numpy as np
import pytest
from PIL import Image, ImageCms

from anonyface.errors import InputError
from anonyface.media.description import FIELDS
from anonyface.media.encoding import encode_image
from anonyface.media.images import load_image, save_image
from anonyface.media.iptc import read_iim
from anonyface.media.xmp import MAX_PACKET, SOURCE_TYPES, build_xmp, read_xmp, source_type

from .packets import (
    CREDITS,
    TEXTS,
    app13,
    exif_of_file,
    iim_block,
    properties,
    rich_xmp,
    xmp_of_file,
)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WRITTEN = ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"]
POLICIES = ["clean", "keep", "none"]
HIDDEN = [
    "52,31.2N",
    "BODY-4711",
    "LENS-0815",
    "Anna Muster",
    "did:4711",
    "Q0RFRkdI" * 20,
    "REGION",
]
GPS_TAG, SERIAL_TAG, NOTE_TAG = 0x8825, 0xA431, 0x927C


@pytest.fixture
def described(pixels, encode, rich_exif):
    """Return a function -> a JPEG with Exif, XMP and IPTC full of everything."""

    def build(**options):
        block = iim_block([(5, "IIM title"), (120, "IIM caption"), (25, "iim-keyword")])
        return encode(
            pixels,
            "JPEG",
            {
                "exif": rich_exif(),
                "xmp": rich_xmp(),
                "extra": app13(block),
                "icc_profile": SRGB,
                "quality": 90,
                **options,
            },
        )

    return build


@pytest.fixture(autouse=True)
def _needs_heif(request):
    if "HEIF" in request.node.callspec.params.values() if hasattr(request.node, "callspec") else 0:
        pytest.importorskip("pillow_heif")


@pytest.mark.parametrize("file_format", WRITTEN)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mark", [True, False])
def test_policies(described, file_format, policy, mark):
    data = described()
    assert all(text.encode() in data for text in HIDDEN)  # it really is there
    source = load_image(data)
    written = encode_image(source.pixels, file_format, source=source, metadata=policy, mark=mark)
    gone = [*HIDDEN, "SERIAL-4711", "MAKERNOTE", "THUMBNAIL-8BIM", "IIM ", "Ein Titel", "geo:lat"]
    assert [text for text in gone if text.encode() in written] == []
    kept = list(CREDITS.values()) if policy != "none" else []
    kept += list(TEXTS.values()) if policy == "keep" else []
    packet = xmp_of_file(written) if file_format != "HEIF" else written
    for text in [*TEXTS.values(), *CREDITS.values(), "street", "wet"]:
        expected = text in kept or (policy == "keep" and text in ("street", "wet"))
        assert (text.replace("&", "&amp;").encode() in packet) == expected, text
    assert (b"DigitalSourceType" in written) == mark
    assert (b"anonyface" in written) == mark
    base, photo = exif_of_file(written)
    assert {GPS_TAG, SERIAL_TAG, NOTE_TAG, 0x0112, 0x0201} & (base.keys() | photo.keys()) == set()
    assert (base.get(0x0110) == "EOS R5") == (policy != "none")
    assert (photo.get(0x8827) == 400) == (policy != "none")
    assert (0x0131 in base) == mark
    assert (0x010E in base) == (policy == "keep")
    assert (base.get(0x4746) == 4) == (policy == "keep")
    assert load_image(written).icc_profile == SRGB


def test_each_field_comes_out_under_its_own_name(described):
    source = load_image(described())
    data = encode_image(source.pixels, "JPEG", source=source, metadata="keep")
    found = properties(xmp_of_file(data))
    expected = {FIELDS[name].name: [text] for name, text in (TEXTS | CREDITS).items()}
    expected |= {"subject": ["street", "wet"], "Rating": ["4"]}
    assert {name: found.get(name) for name in expected} == expected
    base, photo = exif_of_file(data)
    assert base[0x010E].encode("latin-1").decode() == "The caption & more"
    assert base[0x013B].encode("latin-1").decode() == "José"  # its own, before the one of XMP
    assert photo[0x9286] == b"ASCII\x00\x00\x00Anna at home"


def test_reading_the_output_again_changes_nothing(described):
    source = load_image(described())
    for file_format in WRITTEN[:5]:
        data = encode_image(source.pixels, file_format, source=source, metadata="keep")
        again = load_image(data)
        ours = {k: v for k, v in again.description.texts.items() if k != "creator"}
        assert ours == {k: v for k, v in source.description.texts.items() if k != "creator"}


def test_iptc_counts_where_there_is_no_xmp(pixels, encode):
    block = iim_block([(5, "Título"), (25, "a"), (25, "b"), (80, "Zoë"), (116, "(c) Z"), (90, "X")])
    jpeg = encode(pixels, "JPEG", {"extra": app13(block)})
    tiff = encode(pixels, "TIFF", {"tiffinfo": {33723: block}})
    for data in (jpeg, tiff):
        source = load_image(data)
        assert "iptc" in source.found
        assert source.description.texts == {
            "title": ("Título",),
            "keywords": ("a", "b"),
            "creator": ("Zoë",),
            "rights": ("(c) Z",),
            "city": ("X",),
        }
        written = encode_image(source.pixels, "JPEG", source=source, metadata="clean")
        assert exif_of_file(written)[0][0x8298] == "(c) Z"
        assert "Título".encode() not in written
        assert "Título".encode() in encode_image(
            source.pixels, "JPEG", source=source, metadata="keep"
        )


def test_iptc_without_a_stated_encoding():
    assert read_iim(iim_block([(5, "Zoë")], utf8=False)) == {"title": ["Zoë"]}
    assert read_iim(b"\x1c\x02\x05\xff\xff" + b"x" * 99) == {}
    assert read_iim(b"\x1c\x02\x05\x00\x09short") == {}


def test_windows_texts_are_read(pixels, encode):
    exif = Image.Exif()
    exif[0x9C9B] = "Ein Titel".encode("utf-16-le") + b"\0\0"
    exif[0x9C9E] = "eins;zwei".encode("utf-16-le") + b"\0\0"
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\x00" + "Grüße".encode("utf-16-le")
    texts = load_image(encode(pixels, "JPEG", {"exif": exif})).description.texts
    assert texts == {"title": ("Ein Titel",), "keywords": ("eins", "zwei"), "comment": ("Grüße",)}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xmp_of_any_encoding_is_read(encoding):
    text = rich_xmp().decode()
    body = text[text.index("<x:") : text.rindex("<?xpacket")]
    head = '<?xml version="1.0" encoding="UTF-16"?>' if encoding == "utf-16" else ""
    assert read_xmp((head + body).encode(encoding))["city"] == ["Lisboa"]


def test_hostile_xmp_is_dropped_in_a_moment():
    entity = '<!DOCTYPE x [<!ENTITY a "{}">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&a;</x:xmpmeta>'
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    for packet in (
        entity.format("Anna").encode(),
        entity.format("Anna").encode("utf-16"),
        f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]><x>&l9;</x>'.encode(),
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        b"<a>" * 100_000,
        b"<x:xmpmeta>unbound",
        b"\xff\xfe\x00",
        b"<" * 1000,
        b" " * (MAX_PACKET + 1) + rich_xmp() + b"x" * MAX_PACKET,
    ):
        assert read_xmp(packet) == {}


def test_a_region_is_no_title(pixels, encode):
    region = (
        rich_xmp().replace(b"<dc:title>", b"<dc:nothing>").replace(b"</dc:title>", b"</dc:nothing>")
    )
    assert "title" not in load_image(encode(pixels, "JPEG", {"xmp": region})).description.texts


def test_long_texts_and_many_keywords_are_cut():
    from anonyface.media.description import describe

    texts = describe(
        {"caption": ["word " * 2000], "keywords": [f"k{i}" for i in range(1000)], "rating": ["77"]}
    ).texts
    assert len(texts["caption"][0]) <= 2000
    assert len(texts["keywords"]) == 100
    assert "rating" not in texts


def test_markup_in_a_text_stays_text():
    from anonyface.media.description import Description

    nasty = "a <b attr=\"x\"> & ]]> 'c'"
    packet = build_xmp(Description({"title": (nasty,), "city": (nasty,)}), tool=nasty, kind=None)
    assert read_xmp(packet) == {"title": [nasty], "city": [nasty]}


# --- marks ----------------------------------------------------------------------------------------


def with_source_type(code, form):
    uri = f"http://cv.iptc.org/newscodes/digitalsourcetype/{code}"
    if form == "attribute":
        return rich_xmp(f'Iptc4xmpExt:DigitalSourceType="{uri}"')
    name = "Iptc4xmpExt:DigitalSourceType"
    value = {"text": f"<{name}>{uri}</{name}>", "resource": f'<{name} rdf:resource="{uri}"/>'}
    packet = rich_xmp().replace(b"<photoshop:Source>", value[form].encode() + b"<photoshop:Source>")
    return packet


@pytest.mark.parametrize("form", ["attribute", "text", "resource"])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("synthetic", [True, False])
@pytest.mark.parametrize("mark", [True, False])
def test_an_earlier_mark_survives_and_is_reported(pixels, encode, form, policy, synthetic, mark):
    from dataclasses import replace

    code = "trainedAlgorithmicMedia"
    source = load_image(encode(pixels, "JPEG", {"xmp": with_source_type(code, form)}))
    assert f"digital-source-type:{code}" in source.found
    source = replace(source.with_result(source.pixels), synthetic=synthetic)
    data = encode_image(pixels, "PNG", source=source, metadata=policy, mark=mark)
    expected = None
    if mark:
        expected = "compositeWithTrainedAlgorithmicMedia" if synthetic else code
    assert source_type(xmp_of_file(data)) == expected


def test_a_camera_is_no_mark_and_is_not_repeated(pixels, encode):
    from dataclasses import replace

    packet = with_source_type("digitalCapture", "attribute")
    source = load_image(encode(pixels, "JPEG", {"xmp": packet}))
    assert "digital-source-type:digitalCapture" in source.found
    source = replace(source, synthetic=False)
    assert source_type(xmp_of_file(encode_image(pixels, "PNG", source=source))) is None


def test_only_known_source_types_are_named():
    def stated(value):
        return source_type(f'Iptc4xmpExt:DigitalSourceType="{value}"'.encode())

    assert stated("http://cv.iptc.org/newscodes/digitalsourcetype/composite") == "composite"
    assert stated("trainedAlgorithmicMedia") == "trainedAlgorithmicMedia"
    assert stated("http://example.com/AnnaMusterAlgorithmicMedia") == "other"
    assert "compositeWithTrainedAlgorithmicMedia" in SOURCE_TYPES


@pytest.mark.parametrize("file_format", WRITTEN)
def test_nothing_at_all_is_written_when_asked(described, file_format):
    source = load_image(described())
    data = encode_image(source.pixels, file_format, source=source, metadata="none", mark=False)
    assert b"http://ns.adobe.com" not in data
    assert b"xmpmeta" not in data
    assert b"Exif\x00\x00" not in data


def test_bmp_has_no_room_for_anything(tmp_path, described):
    source = load_image(described())
    data = save_image(
        source.pixels, tmp_path / "a.bmp", source=source, metadata="keep"
    ).read_bytes()
    assert b"anonyface" not in data
    assert b"Canon" not in data


# --- what was found -------------------------------------------------------------------------------


def test_everything_found_is_named_and_nothing_is_quoted(described):
    found = load_image(described()).found
    assert set(found) >= {
        "gps",
        "serial",
        "thumbnail",
        "maker-note",
        "face-regions",
        "people",
        "motion",
        "depth",
        "xmp",
        "iptc",
        "document-id",
        "subject-area",
        "comment",
        "description",
    }
    assert list(found) == sorted(set(found))
    assert all(re.fullmatch(r"[a-z0-9-]+(:[A-Za-z]+)?", name) for name in found)


def test_a_plain_photo_has_nothing_to_report(pixels, encode):
    for file_format in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000"):
        assert load_image(encode(pixels, file_format)).found in ((), ("comment",)), file_format
    assert load_image(pixels).found == ()


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_is_searched_in_every_format(pixels, encode, rich_exif, file_format):
    found = load_image(encode(pixels, file_format, {"exif": rich_exif()})).found
    assert {"gps", "serial", "maker-note", "comment"} <= set(found)


def test_a_pil_image_is_searched_too(described):
    with Image.open(io.BytesIO(described())) as image:
        assert {"gps", "serial", "thumbnail", "xmp"} <= set(load_image(image).found)


def test_unknown_policies_are_refused(pixels):
    with pytest.raises(InputError, match=r"metadata must be one of clean, keep, none"):
        encode_image(pixels, "PNG", source=load_image(pixels), metadata="cleen")


def test_pixels_do_not_depend_on_the_policy(described):
    source = load_image(described())
    for file_format in ("PNG", "TIFF"):
        for policy in POLICIES:
            data = encode_image(source.pixels, file_format, source=source, metadata=policy)
            assert np.array_equal(load_image(data).pixels, source.pixels)
