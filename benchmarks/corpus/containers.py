"""Writers of the containers photos travel in, byte by byte: libraries refuse to write strange ones.

JPEG segments (ITU-T T.81), PNG chunks (PNG 3rd edition), RIFF (WebP), ISO-BMFF boxes, and TIFF
directories (TIFF 6.0), which are also what Exif consists of.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
SIZE = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, UNDEFINED: 1}
SEGMENT_ROOM = 65_533
"""Bytes one JPEG segment holds: its length is 16 bits and counts itself."""
PNG_START = b"\x89PNG\r\n\x1a\n"
XMP_START = b"http://ns.adobe.com/xap/1.0/\x00"
XMP_EXTENSION_START = b"http://ns.adobe.com/xmp/extension/\x00"


@dataclass
class Ifd:
    """A TIFF directory.

    Attributes:
        entries: Tag -> type and value: bytes, numbers, pairs of numbers for RATIONAL; a `Blob` or
            directories are written elsewhere in the file, and the tag gets where.
        next: The directory the chain goes on with.
    """

    entries: Mapping[int, tuple[int, Value]]
    next: Ifd | None = None


@dataclass(frozen=True)
class Blob:
    """Bytes a tag points to, such as a strip of an image."""

    data: bytes = field(repr=False)


Value: TypeAlias = bytes | Sequence[int] | Sequence[tuple[int, int]] | Blob | Sequence[Ifd]


def write_tiff(first: Ifd, *, order: str = "<") -> bytes:
    """Lay out directories and what they point to.

    Args:
        first: The first directory; the ones behind it follow in its chain.
        order: "<" for little endian, ">" for big endian.

    Returns:
        A TIFF file, or the inside of an Exif block.
    """
    body = bytearray(b"II*\0" if order == "<" else b"MM\0*") + bytes(4)
    struct.pack_into(order + "L", body, 4, _place(first, body, order))
    return bytes(body)


def _place(ifd: Ifd, body: bytearray, order: str) -> int:
    """Append a directory and everything it leads to; return where it starts."""
    start = len(body)
    table = 2 + 12 * len(ifd.entries) + 4
    body += bytes(table)
    struct.pack_into(order + "H", body, start, len(ifd.entries))
    for number, (tag, (kind, value)) in enumerate(sorted(ifd.entries.items())):
        raw, count = _raw(kind, value, body, order)
        if len(raw) > 4:
            raw = struct.pack(order + "L", _append(raw, body))
        at = start + 2 + 12 * number
        struct.pack_into(order + "HHL4s", body, at, tag, kind, count, raw)
    if ifd.next is not None:
        following = _place(ifd.next, body, order)
        struct.pack_into(order + "L", body, start + table - 4, following)
    return start


def _raw(kind: int, value: Value, body: bytearray, order: str) -> tuple[bytes, int]:
    """Return a value's bytes and its count, after what it points to has been appended."""
    if isinstance(value, Blob):
        return struct.pack(order + "L", _append(value.data, body)), 1
    if isinstance(value, bytes):
        return value, len(value) // SIZE[kind]
    if value and isinstance(value[0], Ifd):
        offsets = [_place(child, body, order) for child in value if isinstance(child, Ifd)]
        return struct.pack(f"{order}{len(offsets)}L", *offsets), len(offsets)
    flat: list[int] = []
    for item in value:
        flat += item if isinstance(item, tuple) else [item]  # type: ignore[list-item]
    letter = {BYTE: "B", SHORT: "H", LONG: "L", RATIONAL: "L"}[kind]
    return struct.pack(f"{order}{len(flat)}{letter}", *flat), len(value)


def _append(data: bytes, body: bytearray) -> int:
    """Append bytes at an even offset and return it."""
    body += bytes(len(body) % 2)
    body += data
    return len(body) - len(data)


def segment(marker: int, payload: bytes) -> bytes:
    """Return one JPEG segment, such as marker 0xE1 for APP1."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def into_jpeg(jpeg: bytes, *segments: bytes, first: bool = True) -> bytes:
    """Put segments into a JPEG.

    Args:
        jpeg: The file.
        segments: What to put in.
        first: Whether right behind its start, else behind the JFIF segment that Pillow writes.
    """
    at = 2 if first or jpeg[2:4] != b"\xff\xe0" else 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:at] + b"".join(segments) + jpeg[at:]


def without_jfif(jpeg: bytes) -> bytes:
    """Drop the JFIF segment that Pillow puts first."""
    return jpeg[:2] + jpeg[4 + int.from_bytes(jpeg[4:6], "big") :]


def exif_segment(tiff: bytes) -> bytes:
    """Return Exif as a JPEG segment."""
    return segment(0xE1, b"Exif\x00\x00" + tiff)


def xmp_segments(packet: bytes, extension: bytes = b"", digest: bytes = b"0" * 32) -> bytes:
    """Return XMP as JPEG segments, what is too large for one as extended XMP (XMP part 3, 1.1.3).

    Args:
        packet: The main packet.
        extension: The rest, cut into segments.
        digest: 32 hex digits that name the extension.
    """
    room = SEGMENT_ROOM - len(XMP_EXTENSION_START) - 40
    parts = [segment(0xE1, XMP_START + packet)]
    for at in range(0, len(extension), room):
        head = XMP_EXTENSION_START + digest + struct.pack(">LL", len(extension), at)
        parts.append(segment(0xE1, head + extension[at : at + room]))
    return b"".join(parts)


def icc_segments(profile: bytes) -> bytes:
    """Return an ICC profile as JPEG segments (ICC.1:2022, B.4)."""
    room = SEGMENT_ROOM - 14
    pieces = [profile[at : at + room] for at in range(0, len(profile), room)]
    return b"".join(
        segment(0xE2, b"ICC_PROFILE\x00" + bytes([number, len(pieces)]) + piece)
        for number, piece in enumerate(pieces, 1)
    )


def photoshop_resource(number: int, data: bytes) -> bytes:
    """Return one image resource block of Photoshop (8BIM), without a name."""
    return b"8BIM" + struct.pack(">HHL", number, 0, len(data)) + data + bytes(len(data) % 2)


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return one PNG chunk with its checksum."""
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def into_png(png: bytes, *chunks: bytes) -> bytes:
    """Put chunks into a PNG, right behind its header."""
    at = len(PNG_START) + 25
    return png[:at] + b"".join(chunks) + png[at:]


def riff_chunk(kind: bytes, body: bytes) -> bytes:
    """Return one chunk of a WebP file."""
    return kind + struct.pack("<L", len(body)) + body + bytes(len(body) % 2)


def into_webp(webp: bytes, *chunks: bytes) -> bytes:
    """Append chunks inside a WebP file."""
    body = webp[8:] + b"".join(chunks)
    return b"RIFF" + struct.pack("<L", len(body)) + body


def box(kind: bytes, body: bytes) -> bytes:
    """Return one ISO-BMFF box."""
    return struct.pack(">L", len(body) + 8) + kind + body


def sub_blocks(data: bytes) -> bytes:
    """Return data cut the way GIF cuts it: up to 255 bytes behind a byte that counts them."""
    pieces = (data[at : at + 255] for at in range(0, len(data), 255))
    return b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\x00"
