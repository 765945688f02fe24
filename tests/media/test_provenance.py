"""What a file says about its origin is found in every format, and no file can break the search."""

import struct
import time
import zlib

import numpy as np
import pytest

from anonyface.media.images import load_image, save_image
from anonyface.media.provenance import PROVENANCE, find_provenance

# The beginning of a manifest store: superbox, description box with UUID, toggles and label.
STORE = (
    b"\x00\x00\x00\x40jumb\x00\x00\x00\x1ejumd"
    b"c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71\x03c2pa\x00" + bytes(26)
)
OTHER_STORE = STORE.replace(b"c2pa", b"abcd")
UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
LINK = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description'
    b" xmlns:dcterms='http://purl.org/dc/terms/'"
    b' dcterms:provenance="https://example.com/a.c2pa"/></rdf:RDF></x:xmpmeta>'
)

MARK = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description'
    b' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"><Iptc4xmpExt:'
    b"DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
    b"</Iptc4xmpExt:DigitalSourceType></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def app11(box):
    payload = b"JP\x00\x01\x00\x00\x00\x01" + box
    return b"\xff\xeb" + struct.pack(">H", len(payload) + 2) + payload


def chunk(kind, payload):
    return struct.pack(">L", len(payload)) + kind + payload + b"\0\0\0\0"


def riff(kind, payload):
    return kind + struct.pack("<L", len(payload)) + payload + b"\0" * (len(payload) % 2)


def box(kind, payload):
    return struct.pack(">L", len(payload) + 8) + kind + payload


def wide_box(kind, payload):
    return struct.pack(">L4sQ", 1, kind, len(payload) + 16) + payload


def in_jpeg(data, store=STORE):
    return data[:2] + app11(store) + data[2:]


def in_png(data, store=STORE):
    return data[:33] + chunk(b"caBX", store) + data[33:]


def in_webp(data, store=STORE):
    return data + riff(b"C2PA", store)


def in_tiff(data, store=STORE):
    """Put a second directory behind the file and into the chain."""
    order = "<" if data[:2] == b"II" else ">"
    first = struct.unpack_from(order + "L", data, 4)[0]
    after = first + 2 + 12 * struct.unpack_from(order + "H", data, first)[0]
    data = bytearray(data + b"\0" * (len(data) % 2))
    struct.pack_into(order + "L", data, after, len(data))
    entry = struct.pack(order + "HHLL", 0xCD41, 7, len(store), len(data) + 18)
    return bytes(data) + struct.pack(order + "H", 1) + entry + bytes(4) + store


def in_boxes(data, store=STORE):
    size = int.from_bytes(data[:4], "big")
    return data[:size] + box(b"uuid", UUID + bytes(21) + store) + data[size:]


def in_gif(data, store=STORE):
    return data[:-1] + b"\x21\xff\x0bC2PA_GIF\x01\x00\x00\x40" + store + b"\x00;"


BOMB = chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0" + zlib.compress(bytes(1 << 22)))
CARRIERS = {
    "JPEG": in_jpeg,
    "PNG": in_png,
    "WEBP": in_webp,
    "TIFF": in_tiff,
    "AVIF": in_boxes,
    "JPEG2000": in_boxes,
    "GIF": in_gif,
}


@pytest.fixture(params=CARRIERS)
def carrier(request, pixels, encode):
    """A plain file of each format, and the same with a manifest store."""
    plain = encode(pixels, request.param)
    return plain, CARRIERS[request.param](plain)


def test_a_manifest_is_found_where_each_format_keeps_it(carrier):
    plain, carrying = carrier
    assert find_provenance(plain) == ()
    assert find_provenance(carrying) == ("c2pa",)


def test_a_manifest_behind_other_segments_and_fill_bytes(pixels, encode):
    plain = encode(pixels, "JPEG", {"comment": b"\xff\xd9 not the end", "exif": b"Exif\0\0" * 9})
    quantization = plain.index(b"\xff\xdb")
    data = plain[:quantization] + b"\xff\xff" + app11(STORE) + plain[quantization:]
    assert find_provenance(data) == ("c2pa",)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda d: in_jpeg(d, OTHER_STORE), id="other JUMBF"),
        pytest.param(lambda d: d + app11(STORE), id="behind the end"),
        pytest.param(lambda d: d.replace(b"JFIF", b"C2PA"), id="the word alone"),
    ],
)
def test_what_is_no_manifest_is_not_taken_for_one(pixels, encode, wrong):
    data = encode(pixels, "JPEG")
    assert wrong(data) != data
    assert find_provenance(wrong(data)) == ()


def test_boxes_of_every_size_notation():
    brand = box(b"ftyp", b"avif\0\0\0\0")
    store = UUID + bytes(21) + STORE
    assert find_provenance(brand + wide_box(b"free", bytes(9)) + box(b"uuid", store)) == ("c2pa",)
    assert find_provenance(brand + wide_box(b"uuid", store)) == ("c2pa",)
    assert find_provenance(brand + b"\0\0\0\0uuid" + store) == ("c2pa",)  # up to the end
    assert find_provenance(brand + b"\0\0\0\0mdat" + box(b"uuid", store)) == ()
    assert find_provenance(brand + box(b"uuid", UUID[::-1] + store)) == ()


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_bigtiff_directory(order):
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HHHQ", 43, 8, 0, 16)
    entries = [(256, 3, 1, 1), (0xCD41, 7, len(STORE), 72)]
    directory = b"".join(struct.pack(order + "HHQQ", *entry) for entry in entries)
    data = head + struct.pack(order + "Q", 2) + directory + bytes(8) + STORE
    assert find_provenance(data) == ("c2pa",)
    assert find_provenance(data.replace(struct.pack(order + "H", 0xCD41), b"\0\x07")) == ()


# --- XMP ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "AVIF"])
def test_a_link_in_xmp(pixels, encode, file_format):
    assert find_provenance(encode(pixels, file_format, {"xmp": LINK})) == ("c2pa-link",)


@pytest.mark.parametrize(
    "element",
    [
        b"<rdf:Description xmlns:t='http://purl.org/dc/terms/'><t:provenance>x</t:provenance>",
        b'<rdf:Description t:provenance="x" xmlns:t = "http://purl.org/dc/terms/"/>',
    ],
)
def test_a_link_under_any_prefix(element):
    assert find_provenance(b"\xff\xd8" + element) == ("c2pa-link",)


@pytest.mark.parametrize(
    "element",
    [
        b"<rdf:Description xmlns:t='http://purl.org/dc/terms/' t:rights='x' u:provenance='x'/>",
        b"<rdf:Description xmlns:t='http://purl.org/dc/elements/1.1/' t:provenance='x'/>",
        b"see http://purl.org/dc/terms/ for dcterms:provenance=",
    ],
)
def test_other_terms_and_namespaces_are_no_link(element):
    assert find_provenance(b"\xff\xd8" + element) == ()


def test_a_statement_of_how_the_picture_was_made(pixels, encode):
    marked = encode(pixels, "JPEG", {"xmp": MARK})
    unmarked = encode(pixels, "JPEG", {"xmp": MARK.replace(b"SourceType", b"SourceKind")})
    assert find_provenance(marked) == ("digital-source-type",)
    assert find_provenance(unmarked) == ()


def test_the_mark_of_a_file_written_here_is_found(pixels, encode, tmp_path):
    source = load_image(encode(pixels, "PNG"))
    path = save_image(source.pixels, tmp_path / "a.jpg", source=source)
    assert find_provenance(path.read_bytes()) == ("digital-source-type",)


def test_compressed_xmp_of_a_png(pixels, encode):
    plain = encode(pixels, "PNG")
    head = b"XML:com.adobe.xmp\0\x01\0en\0XMP\0"
    data = plain[:33] + chunk(b"iTXt", head + zlib.compress(LINK)) + plain[33:]
    assert find_provenance(data) == ("c2pa-link",)
    assert find_provenance(data.replace(zlib.compress(LINK)[:9], b"notzlib!!")) == ()


def test_everything_at_once_in_a_fixed_order(pixels, encode):
    data = encode(pixels, "JPEG", {"xmp": MARK + LINK})
    assert find_provenance(in_jpeg(data)) == tuple(PROVENANCE)


# --- files that want to break it ----------------------------------------------------------------


def test_no_cut_and_no_flipped_byte_raises(carrier):
    rng = np.random.default_rng(3)
    _, data = carrier
    for end in (*range(min(len(data), 400)), *rng.integers(0, len(data), 100)):
        assert set(find_provenance(data[:end])) <= {"c2pa"}
    for _ in range(300):
        broken = bytearray(data)
        for at in rng.integers(0, min(len(data), 600), 4):
            broken[at] = rng.choice([0, 1, 0x7F, 0xFF, rng.integers(256)])
        assert set(find_provenance(bytes(broken))) <= {"c2pa"}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 2_000_000, id="segments"),
        pytest.param(b"\xff\xd8" + b"\xff" * 8_000_000, id="fill"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(8_000_000), id="chunks"),
        pytest.param(b"RIFF\0\0\0\0WEBP" + b"ABCD\0\0\0\0" * 1_000_000, id="riff"),
        pytest.param(b"\0\0\0\x08ftyp" * 1_000_000, id="boxes"),
        pytest.param(b"\0\0\0\x08ftyp\0\0\0\x01free" + bytes(8_000_000), id="no progress"),
        pytest.param(b"II*\0\x08\0\0\0\0\0\x08\0\0\0", id="directory that names itself"),
        pytest.param(b"II*\0\x08\0\0\0\xff\xff" + b"\x01" * 8_000_000, id="tags"),
        pytest.param(b"MM\0+\0\x08\0\0" + bytes(7) + b"\x10" + b"\xff" * 99, id="2**64 tags"),
        pytest.param(b"xmlns:t='http://purl.org/dc/terms/'" * 200_000, id="namespaces"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + BOMB * 2000, id="zlib bombs"),
    ],
)
def test_hostile_files_take_no_time(data):
    started = time.perf_counter()
    assert find_provenance(data) == ()
    assert time.perf_counter() - started < 2
