"""PNG, TIFF, WebP, GIF, HEIC and others that hold the old face a second time."""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from benchmarks.corpus.containers import (
    ASCII,
    BYTE,
    LONG,
    SHORT,
    UNDEFINED,
    Blob,
    Ifd,
    box,
    chunk,
    into_png,
    into_webp,
    riff_chunk,
    sub_blocks,
    write_tiff,
)
from benchmarks.corpus.hidden_in_jpeg import (
    base64_of,
    exif_thumbnail,
    maker_note,
    movie,
    photoshop_thumbnail,
    strip_entries,
    xmp_thumbnails,
)
from benchmarks.corpus.kinds import SRGB, Expected, Keeps, Kind, Sitter, encode


def tiff_of(s: Sitter, more: dict[int, tuple[int, object]], following: Ifd | None = None) -> bytes:
    """Return the photo as uncompressed TIFF with more tags and directories."""
    entries = {**strip_entries(Image.fromarray(s.photo)), **more}
    return write_tiff(Ifd(entries, next=following))  # type: ignore[arg-type]


def preview_ifd(s: Sitter) -> Ifd:
    """Return a directory of TIFF with the small picture, marked as reduced."""
    return Ifd({0x00FE: (LONG, [1]), **strip_entries(s.hidden)})


def _jpeg_tables_ifd(s: Sitter) -> Ifd:
    """Return the small picture as JPEG-in-TIFF whose tables stand apart (TIFF technical note 2)."""
    tables, scan, at = b"\xff\xd8", b"\xff\xd8", 2
    while True:
        marker, size = s.thumbnail[at + 1], int.from_bytes(s.thumbnail[at + 2 : at + 4], "big")
        if marker == 0xDA:
            break
        part = s.thumbnail[at : at + 2 + size]
        if marker in (0xDB, 0xC4):
            tables += part
        elif marker != 0xE0:
            scan += part
        at += 2 + size
    scan += s.thumbnail[at:]
    return Ifd(
        {
            **strip_entries(s.hidden),
            0x0103: (SHORT, [7]),
            0x0106: (SHORT, [6]),
            0x0111: (LONG, Blob(scan)),
            0x0117: (LONG, [len(scan)]),
            0x015B: (UNDEFINED, tables + b"\xff\xd9"),
            0x0212: (SHORT, [2, 2]),
        }
    )


def _apng(s: Sitter, *, lone: bool) -> bytes:
    """Return an animation, or a picture with one frame that only animating viewers show."""
    other = Image.fromarray(np.ascontiguousarray(s.photo[:, ::-1]))
    if not lone:
        return encode(s.photo, "PNG", save_all=True, append_images=[other], duration=100)
    frame = encode(other, "PNG")
    at = frame.index(b"IDAT") - 4
    size = int.from_bytes(frame[at : at + 4], "big")
    control = b"".join(n.to_bytes(4, "big") for n in (0, other.width, other.height, 0, 0))
    data = (1).to_bytes(4, "big") + frame[at + 8 : at + 8 + size]
    return (
        into_png(s.png[:-12], chunk(b"acTL", b"\0\0\0\1\0\0\0\0"))
        + chunk(b"fcTL", control + b"\0\1\0\x0a\0\0")
        + chunk(b"fdAT", data)
        + s.png[-12:]
    )


def _raw_profile(s: Sitter) -> bytes:
    """Return Exif with a thumbnail as ImageMagick writes it: in hexadecimal digits."""
    raw = b"Exif\0\0" + exif_thumbnail(s)
    digits = raw.hex().encode()
    lines = b"\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = b"\nexif\n%8d\n" % len(raw) + lines + b"\n"
    return chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))


def _webp(s: Sitter, *chunks: bytes, **options: object) -> bytes:
    return into_webp(encode(s.photo, "WEBP", quality=92, **options), *chunks)


def _frames(s: Sitter, file_format: str) -> bytes:
    other = Image.fromarray(np.ascontiguousarray(s.photo[:, ::-1]))
    return encode(s.photo, file_format, save_all=True, append_images=[other], duration=100)


def heif(s: Sitter, file_format: str = "HEIF", **options: object) -> bytes:
    """Return the photo as HEIC or AVIF.

    Raises:
        ImportError: If the package for HEIC is not installed.
    """
    if file_format == "AVIF":
        return encode(s.photo, "AVIF", quality=90, **options)
    import pillow_heif

    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(s.photo)).save(buffer, quality=92, **options)
    return buffer.getvalue()


def _heic_two(s: Sitter) -> bytes:
    import pillow_heif

    both = pillow_heif.from_pillow(Image.fromarray(s.photo))
    both.add_from_pillow(Image.fromarray(np.ascontiguousarray(s.photo[:, ::-1])))
    buffer = io.BytesIO()
    both.save(buffer, quality=92)
    return buffer.getvalue()


def _hidden(
    name: str,
    suffix: str,
    build: Callable[[Sitter], bytes],
    expected: Expected = "ok",
    keeps: Keeps | None = None,
) -> Kind:
    return Kind(name, suffix, build, expected, hides=True, keeps=keeps or Keeps())


PNG_KINDS = (
    _hidden("png Exif thumbnail", ".png", lambda s: into_png(
        s.png, chunk(b"eXIf", exif_thumbnail(s)))),
    _hidden("png zTXt base64", ".png", lambda s: into_png(
        s.png, chunk(b"zTXt", b"preview\0\0" + zlib.compress(base64_of(s))))),
    _hidden("png iTXt base64", ".png", lambda s: into_png(
        s.png, chunk(b"iTXt", b"preview\0\1\0\0\0" + zlib.compress(base64_of(s))))),
    _hidden("png tEXt base64", ".png", lambda s: into_png(
        s.png, chunk(b"tEXt", b"preview\0" + base64_of(s)))),
    _hidden("png Exif in digits", ".png", lambda s: into_png(s.png, _raw_profile(s))),
    _hidden("png XMP thumbnails", ".png", lambda s: into_png(
        s.png, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp_thumbnails(s)))),
    _hidden("png behind the end", ".png", lambda s: s.png + chunk(b"prVt", s.thumbnail)),
    _hidden("png PNG behind the end", ".png", lambda s: s.png + encode(s.hidden, "PNG")),
    _hidden("png private chunk", ".png", lambda s: into_png(s.png, chunk(b"prVt", s.thumbnail))),
    _hidden("png chunk inflated", ".png", lambda s: into_png(
        s.png, chunk(b"prVt", zlib.compress(encode(s.hidden, "BMP"))))),
    _hidden("png picture behind the profile", ".png", lambda s: into_png(
        s.png, chunk(b"iCCP", b"icc\0\0" + zlib.compress(SRGB + s.thumbnail))),
        keeps=Keeps(icc=SRGB)),
    _hidden("png content credentials", ".png", lambda s: into_png(
        s.png, chunk(b"caBX", box(b"jumb", box(b"bidb", s.thumbnail))))),
    _hidden("apng two frames", ".png", lambda s: _apng(s, lone=False), "either"),
    _hidden("apng one hidden frame", ".png", lambda s: _apng(s, lone=True), "either"),
)  # fmt: skip
TIFF_KINDS = (
    _hidden("tiff second page preview", ".tif", lambda s: tiff_of(
        s, {}, preview_ifd(s)), "either"),
    _hidden("tiff SubIFD preview", ".tif", lambda s: tiff_of(
        s, {0x014A: (LONG, [preview_ifd(s)])})),
    _hidden("tiff SubIFD JPEGTables", ".tif", lambda s: tiff_of(
        s, {0x014A: (LONG, [_jpeg_tables_ifd(s)])})),
    _hidden("tiff private tag", ".tif", lambda s: tiff_of(
        s, {0xC7A1: (UNDEFINED, s.thumbnail)})),
    _hidden("tiff Photoshop thumbnail", ".tif", lambda s: tiff_of(
        s, {0x8649: (BYTE, photoshop_thumbnail(s)[14:])})),
    _hidden("tiff XMP thumbnails", ".tif", lambda s: tiff_of(
        s, {0x02BC: (BYTE, xmp_thumbnails(s))})),
    _hidden("tiff description base64", ".tif", lambda s: tiff_of(
        s, {0x010E: (ASCII, base64_of(s) + b"\0")})),
    _hidden("tiff behind the end", ".tif", lambda s: tiff_of(s, {}) + s.thumbnail),
)  # fmt: skip
OTHER_KINDS = (
    _hidden("webp Exif thumbnail", ".webp", lambda s: _webp(s, exif=exif_thumbnail(s))),
    _hidden("webp XMP thumbnails", ".webp", lambda s: _webp(s, xmp=xmp_thumbnails(s))),
    _hidden("webp unknown chunk", ".webp", lambda s: _webp(
        s, riff_chunk(b"PREV", s.thumbnail), exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")),
    _hidden("webp behind the end", ".webp", lambda s: _webp(s) + s.thumbnail),
    _hidden("webp animated", ".webp", lambda s: _frames(s, "WEBP"), "either"),
    _hidden("gif animated", ".gif", lambda s: _frames(s, "GIF"), "either"),
    _hidden("gif comment", ".gif", lambda s: encode(s.photo, "GIF")[:-1]
            + b"\x21\xfe" + sub_blocks(base64.b64encode(s.thumbnail)) + b";",
            keeps=Keeps(tolerance=8)),
    _hidden("gif application block", ".gif", lambda s: encode(s.photo, "GIF")[:-1]
            + b"\x21\xff\x0bPREVIEW 1.0" + sub_blocks(s.thumbnail) + b";",
            keeps=Keeps(tolerance=8)),
    _hidden("gif behind the end", ".gif", lambda s: encode(s.photo, "GIF") + s.thumbnail,
            keeps=Keeps(tolerance=8)),
    _hidden("heic Exif thumbnail", ".heic", lambda s: heif(
        s, exif=b"Exif\0\0" + exif_thumbnail(s))),
    _hidden("heic XMP thumbnails", ".heic", lambda s: heif(s, xmp=xmp_thumbnails(s))),
    _hidden("heic second picture", ".heic", _heic_two, "either"),
    _hidden("heic film behind the end", ".heic", lambda s: heif(s) + box(b"mpvd", movie(s))),
    _hidden("avif maker note preview", ".avif", lambda s: heif(s, "AVIF", exif=maker_note(s))),
    _hidden("avif free box", ".avif", lambda s: heif(s, "AVIF") + box(b"free", s.thumbnail)),
    _hidden("bmp behind the end", ".bmp", lambda s: encode(s.photo, "BMP") + s.thumbnail),
    _hidden("jp2 box with a picture", ".jp2", lambda s: encode(s.photo, "JPEG2000")
            + box(b"uuid", bytes(16) + s.thumbnail)),
)  # fmt: skip
KINDS = (*PNG_KINDS, *TIFF_KINDS, *OTHER_KINDS)
