"""Files that are cut, corrupt, hostile or no images at all."""

from __future__ import annotations

import struct
import zlib
from functools import partial

import numpy as np
from PIL import Image

from benchmarks.corpus.containers import (
    ASCII,
    LONG,
    PNG_START,
    RATIONAL,
    SHORT,
    Ifd,
    chunk,
    exif_segment,
    icc_segments,
    into_jpeg,
    into_png,
    segment,
    write_tiff,
)
from benchmarks.corpus.hidden_elsewhere import heif, tiff_of
from benchmarks.corpus.hidden_in_jpeg import movie
from benchmarks.corpus.kinds import Expected, Keeps, Kind, Sitter, encode

BOMB = 300_000_000
"""Bytes a zlib bomb unpacks to: a few hundred thousand in the file."""


def png_header(width: int, height: int, *, depth: int = 8, colour: int = 2) -> bytes:
    """Return a PNG that claims a size and holds no more than one byte of it."""
    head = struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return PNG_START + body


def solid_png(width: int, height: int) -> bytes:
    """Return a complete PNG of one colour: few bytes, many pixels."""
    head = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * width)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return PNG_START + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def bomb(size: int = BOMB) -> bytes:
    """Return a zlib stream of zeros."""
    packer = zlib.compressobj(9)
    piece = bytes(10_000_000)
    return b"".join(packer.compress(piece) for _ in range(size // len(piece))) + packer.flush()


def tiff_claiming(width: int, height: int) -> bytes:
    """Return a TIFF that claims a size and has one strip of a few bytes."""
    entries = {
        0x0100: (LONG, [width]), 0x0101: (LONG, [height]), 0x0102: (SHORT, [8, 8, 8]),
        0x0103: (SHORT, [1]), 0x0106: (SHORT, [2]), 0x0111: (LONG, [8]), 0x0115: (SHORT, [3]),
        0x0116: (LONG, [height]), 0x0117: (LONG, [100]),
    }  # fmt: skip
    return write_tiff(Ifd(entries)) + bytes(200)


def looping_tiff(s: Sitter) -> bytes:
    """Return a TIFF whose directory is followed by itself."""
    data = bytearray(tiff_of(s, {}))
    start = struct.unpack_from("<L", data, 4)[0]
    count = struct.unpack_from("<H", data, start)[0]
    struct.pack_into("<L", data, start + 2 + 12 * count, start)
    return bytes(data)


def looping_exif(s: Sitter) -> bytes:
    """Return a JPEG whose Exif directories point to one another."""
    block = bytearray(write_tiff(Ifd({0x010F: (ASCII, b"Maker\0"), 0x8769: (LONG, [8])})))
    struct.pack_into("<L", block, 8 + 2 + 24, 8)
    return into_jpeg(s.jpeg, exif_segment(bytes(block)))


def deep_exif(s: Sitter) -> bytes:
    """Return a JPEG with Exif directories one inside the other, 400 deep."""
    block = b"II*\0" + struct.pack("<L", 8)
    for number in range(400):
        below = 8 + 18 * (number + 1)
        block += struct.pack("<HHHLLL", 1, 0x8769, LONG, 1, below, 0)
    return into_jpeg(s.jpeg, exif_segment(block + bytes(18)))


def _with_dpi(s: Sitter, density: bytes) -> bytes:
    head = b"JFIF\0\1\2" + density + b"\0\0"
    return into_jpeg(s.jpeg[:2] + s.jpeg[20:], segment(0xE0, head))


def _tiff_dpi(s: Sitter) -> bytes:
    return tiff_of(s, {0x011A: (RATIONAL, ((0, 0),)), 0x011B: (RATIONAL, ((1, 0),))})


def _flip(data: bytes, at: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


def _without(data: bytes, marker: int) -> bytes:
    """Drop every JPEG segment of a kind."""
    at, out = 2, data[:2]
    while data[at + 1] != 0xDA:
        size = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        out += b"" if data[at + 1] == marker else data[at : at + size]
        at += size
    return out + data[at:]


def _noise(count: int) -> bytes:
    return np.random.default_rng(8).integers(0, 256, count, np.uint8).tobytes()


def _pdf(s: Sitter) -> bytes:
    return (
        b"%PDF-1.4\n1 0 obj<</Type/XObject/Subtype/Image/Width 480/Height 360/ColorSpace/DeviceRGB"
        b"/BitsPerComponent 8/Filter/DCTDecode/Length "
        + str(len(s.jpeg)).encode() + b">>stream\n" + s.jpeg
        + b"\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
    )  # fmt: skip


def _cut(name: str, suffix: str, build: object, share: float) -> Kind:
    def cut(s: Sitter) -> bytes:
        data: bytes = build(s)  # type: ignore[operator]
        return data[: int(len(data) * share)]

    return Kind(f"{name} cut at {share:.0%}", suffix, cut, "error")


def _bad(
    name: str,
    suffix: str,
    build: object,
    expected: Expected = "error",
    keeps: Keeps | None = None,
) -> Kind:
    return Kind(name, suffix, build, expected, keeps=keeps or Keeps())  # type: ignore[arg-type]


def _flat(width: int, height: int) -> bytes:
    return encode(np.full((height, width, 3), 120, np.uint8), "PNG")


WRITERS = {
    ".jpg": lambda s: s.jpeg,
    ".png": lambda s: s.png,
    ".webp": lambda s: encode(s.photo, "WEBP", quality=90),
    ".tif": lambda s: tiff_of(s, {}),
    ".gif": lambda s: encode(s.photo, "GIF"),
    ".bmp": lambda s: encode(s.photo, "BMP"),
    ".heic": heif,
    ".avif": partial(heif, file_format="AVIF"),
    ".jp2": lambda s: encode(s.photo, "JPEG2000"),
}
CUT = tuple(
    _cut(suffix[1:], suffix, build, share)
    for suffix, build in WRITERS.items()
    for share in ((0.01, 0.5, 0.95) if suffix in (".jpg", ".png", ".tif") else (0.5,))
)
HOSTILE = (
    _bad("png bomb by its header", ".png", lambda s: png_header(60_000, 60_000)),
    _bad("png bomb just over the limit", ".png", lambda s: png_header(10_001, 10_000)),
    _bad("png of 2^31 columns", ".png", lambda s: png_header(2**31 - 1, 1)),
    _bad("png solid 121 megapixels", ".png", lambda s: solid_png(11_000, 11_000)),
    _bad("jpeg of 65,500 x 65,500", ".jpg", lambda s: s.jpeg.replace(
        b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 360, 480),
        b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 65_500, 65_500))),
    _bad("gif of 65,535 x 65,535", ".gif", lambda s: b"GIF89a" + b"\xff" * 4
         + encode(s.photo, "GIF")[10:]),
    _bad("tiff of 100,000 x 100,000", ".tif", lambda s: tiff_claiming(100_000, 100_000)),
    _bad("webp of 16,383 x 16,383", ".webp", lambda s: b"RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f"
         + struct.pack("<L", 16_382 | 16_382 << 14) + bytes(5)),
    _bad("png with a zlib bomb in iCCP", ".png", lambda s: into_png(
        s.png, chunk(b"iCCP", b"icc\0\0" + bomb())), "either"),
    _bad("png with a zlib bomb in zTXt", ".png", lambda s: into_png(
        s.png, chunk(b"zTXt", b"Comment\0\0" + bomb())), "either"),
    _bad("png with a zlib bomb in iTXt", ".png", lambda s: into_png(
        s.png, chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb())), "either"),
    _bad("png with 3,000 text chunks", ".png", lambda s: into_png(
        s.png, *(chunk(b"tEXt", b"k%d\0" % n + b"x" * 900) for n in range(3000))), "either"),
    _bad("png with a chunk of 2^31 bytes", ".png", lambda s: into_png(
        s.png, b"\x7f\xff\xff\xfftEXtshort")),
    _bad("jpeg with a segment of no length", ".jpg", lambda s: into_jpeg(
        s.jpeg, b"\xff\xe1\0\0"), "either"),
    _bad("tiff with 2^32 strips", ".tif", lambda s: tiff_of(
        s, {0x0117: (LONG, [2**32 - 1])}), "either"),
    _bad("tiff directory loop", ".tif", looping_tiff, "either"),
    _bad("jpeg Exif loop", ".jpg", looping_exif, "ok"),
    _bad("jpeg Exif 400 deep", ".jpg", deep_exif, "ok"),
    _bad("jpeg dpi zero", ".jpg", lambda s: _with_dpi(s, b"\1\0\0\0\0"), "ok"),
    _bad("jpeg dpi odd", ".jpg", lambda s: _with_dpi(s, b"\1\xff\xff\0\1"), "ok"),
    _bad("tiff dpi without a denominator", ".tif", _tiff_dpi, "either"),
    _bad("jpeg profile of noise", ".jpg", lambda s: into_jpeg(
        s.jpeg, icc_segments(_noise(3000)), first=False), "ok"),
    _bad("png profile of noise", ".png", lambda s: into_png(
        s.png, chunk(b"iCCP", b"icc\0\0" + zlib.compress(_noise(3000)))), "ok"),
    _bad("jpeg profile piece missing", ".jpg", lambda s: into_jpeg(
        s.jpeg, segment(0xE2, b"ICC_PROFILE\0\1\3" + bytes(200)), first=False), "ok"),
    _bad("jpeg Exif of noise", ".jpg", lambda s: into_jpeg(
        s.jpeg, exif_segment(b"II*\0" + _noise(2000))), "ok"),
    _bad("jpeg orientation as text", ".jpg", lambda s: into_jpeg(
        s.jpeg, exif_segment(write_tiff(Ifd({0x0112: (ASCII, b"6\0")})))), "ok"),
)  # fmt: skip
CORRUPT = (
    _bad("png checksum of the pixels wrong", ".png", lambda s: _flip(
        s.png, s.png.index(b"IDAT") + 900)),
    _bad("png checksum of the header wrong", ".png", lambda s: _flip(s.png, 30)),
    _bad("jpeg without Huffman tables", ".jpg", lambda s: _without(s.jpeg, 0xC4), "either",
         Keeps(tolerance=None)),
    _bad("jpeg without quantization tables", ".jpg", lambda s: _without(s.jpeg, 0xDB)),
    _bad("jpeg without its end", ".jpg", lambda s: s.jpeg[:-2], "either"),
    _bad("jpeg lossless by its header", ".jpg",
         lambda s: s.jpeg.replace(b"\xff\xc0", b"\xff\xc3", 1)),
    _bad("jpeg arithmetic by its header", ".jpg",
         lambda s: s.jpeg.replace(b"\xff\xc0", b"\xff\xc9", 1), "either", Keeps(tolerance=None)),
    _bad("jpeg with two starts", ".jpg", lambda s: s.jpeg[:2] + s.jpeg, "either"),
    _bad("jpeg behind noise", ".jpg", lambda s: b"noise" + s.jpeg),
    _bad("jpeg flipped bytes", ".jpg", lambda s: _flip(_flip(s.jpeg, 9_000), 15_000), "either",
         Keeps(tolerance=None)),
    _bad("webp with a wrong length", ".webp", lambda s: b"RIFF\xff\xff\xff\x7f"
         + encode(s.photo, "WEBP", quality=90)[8:], "either"),
    _bad("empty", ".jpg", lambda s: b""),
    _bad("one byte", ".jpg", lambda s: b"\xff"),
    _bad("noise", ".jpg", lambda s: _noise(5000)),
    _bad("web page", ".jpg", lambda s: b"<!doctype html><html><body>404 not found</body></html>"),
    _bad("svg", ".png", lambda s: b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    _bad("pdf", ".jpg", _pdf),
    _bad("postscript", ".tif",
         lambda s: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage"),
    _bad("film", ".jpg", movie),
    _bad("zip", ".jpg", lambda s: b"PK\x05\x06" + bytes(18)),
    _bad("1 x 1", ".png", lambda s: _flat(1, 1), "ok", Keeps(size_wh=(1, 1), tolerance=None)),
    _bad("1 x 20,000", ".png", lambda s: _flat(1, 20_000), "ok",
         Keeps(size_wh=(1, 20_000), tolerance=None)),
    _bad("20,000 x 1", ".png", lambda s: _flat(20_000, 1), "ok",
         Keeps(size_wh=(20_000, 1), tolerance=None)),
    _bad("float tiff", ".tif", lambda s: encode(
        Image.fromarray(s.photo[..., 0].astype(np.float32) / 255), "TIFF")),
)  # fmt: skip

KINDS = (*CUT, *HOSTILE, *CORRUPT)
