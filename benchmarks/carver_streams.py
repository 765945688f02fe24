"""Unpack what is packed inside some bytes: joined pieces, text encodings, compression."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator

MAX_INFLATED = 32_000_000
MIN_BYTES = 72
"""Shorter streams hold no picture."""
MIN_DIGITS = 100

_ENTITY = re.compile(rb"&#(?:x0*[aAdD]|10|13|0*9);")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-](?:[A-Za-z0-9+/_-]|\s(?=\S)){%d,}={0,2}" % MIN_DIGITS)
_HEX = re.compile(rb"[0-9A-Fa-f](?:[0-9A-Fa-f]|\s(?=\S)){%d,}" % MIN_DIGITS)
_WIDE_LE = re.compile(rb"(?:[\t\n\r\x20-\x7e]\0){%d,}" % MIN_DIGITS)
_WIDE_BE = re.compile(rb"(?:\0[\t\n\r\x20-\x7e]){%d,}" % MIN_DIGITS)
_SPACE = re.compile(rb"\s+")
_DEFLATE = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08|PK\x03\x04")

# JPEG: how a segment's payload begins -> bytes to drop before pieces are joined.
JOINED = {
    b"http://ns.adobe.com/xmp/extension/\0": 35 + 40,
    b"ICC_PROFILE\0": 14,
    b"Photoshop 3.0\0": 14,
    b"Exif\0\0": 6,
    b"FPXR\0": 5,
    b"JP": 8,
}


def inner_streams(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield how and what of everything that can be unpacked from some bytes, one layer deep."""
    for name, found in _layers(data):
        if len(found) >= MIN_BYTES and found != data:
            yield name, found


def _layers(data: bytes) -> Iterator[tuple[str, bytes]]:
    yield from _jpeg_joined(data)
    yield from _png_joined(data)
    yield from _gif_joined(data)
    yield from _inflated(data)
    text = _ENTITY.sub(b"", data)
    for match in (*_WIDE_LE.finditer(data), *_WIDE_BE.finditer(data)):
        yield f"UTF-16@{match.start()}", match.group().replace(b"\0", b"")
    for match in _HEX.finditer(text):
        digits = _SPACE.sub(b"", match.group())
        for phase in range(2):
            run = digits[phase:]
            run = run[: len(run) // 2 * 2]
            yield f"hex@{match.start()}+{phase}", binascii.unhexlify(run)
    for match in _BASE64.finditer(text):
        yield from _base64(match)


def _base64(match: re.Match[bytes]) -> Iterator[tuple[str, bytes]]:
    """Decode a run of base64 from each of the places where it may have begun."""
    digits = _SPACE.sub(b"", match.group()).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    for phase in range(4):
        run = digits[phase:]
        run = run[: len(run) - (len(run) % 4 == 1)]
        yield f"base64@{match.start()}+{phase}", base64.b64decode(run + b"=" * (-len(run) % 4))


def _jpeg_joined(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Join the segments of every JPEG that belong together."""
    begin = data.find(b"\xff\xd8\xff")
    while begin >= 0:
        joined: dict[tuple[int, bytes], bytearray] = {}
        at = begin + 2
        while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
            marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
            payload = data[at + 4 : at + 2 + size]
            start = next((s for s in JOINED if payload.startswith(s)), b"")
            if marker >= 0xE0:
                joined.setdefault((marker, start), bytearray()).extend(
                    payload[JOINED.get(start, 0) :]
                )
            at += 2 + max(size, 2)
        for (marker, _), parts in joined.items():
            yield f"segments {marker:02X}@{begin}", bytes(parts)
        begin = data.find(b"\xff\xd8\xff", max(at, begin + 1))


def _png_joined(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Join the chunks of every PNG by kind; frames of an animation become PNG files."""
    begin = data.find(b"\x89PNG\r\n\x1a\n")
    while begin >= 0:
        joined: dict[bytes, bytearray] = {}
        frames = bytearray()
        at = begin + 8
        while at + 12 <= len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
            if not kind.isalpha():
                break
            if kind == b"fdAT":
                frames += _chunk(b"IDAT", body[4:])
            joined.setdefault(kind, bytearray()).extend(body)
            at += 12 + size
        if frames and b"IHDR" in joined:
            head = _chunk(b"IHDR", bytes(joined[b"IHDR"]))
            yield f"frame of PNG@{begin}", b"\x89PNG\r\n\x1a\n" + head + bytes(frames)
        for kind, parts in joined.items():
            yield f"chunks {kind.decode('latin-1')}@{begin}", bytes(parts)
        begin = data.find(b"\x89PNG\r\n\x1a\n", begin + 8)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def _gif_joined(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Join the sub-blocks of every GIF extension."""
    if b"GIF8" not in data:
        return
    for mark in (b"\x21\xfe", b"\x21\xff\x0b"):
        begin = data.find(mark)
        while begin >= 0:
            at, parts = begin + 2, bytearray()
            while at < len(data) and data[at]:
                parts += data[at + 1 : at + 1 + data[at]]
                at += 1 + data[at]
            yield f"blocks@{begin}", bytes(parts)
            begin = data.find(mark, begin + 1)


def _inflated(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Inflate whatever begins like zlib, gzip or a member of a zip file."""
    for match in _DEFLATE.finditer(data):
        begin, mark = match.start(), match.group()
        if mark.startswith(b"PK"):
            names = data[begin + 26 : begin + 30].ljust(4, b"\0")
            body = 30 + int.from_bytes(names[:2], "little") + int.from_bytes(names[2:], "little")
            found = _inflate(data, begin + body, -15)
        else:
            found = _inflate(data, begin, 31 if mark[0] == 0x1F else 15)
        if found:
            yield f"deflate@{begin}", found


def _inflate(data: bytes, begin: int, bits: int) -> bytes:
    """Return as much as comes out of a stream, nothing if it is none."""
    engine = zlib.decompressobj(bits)
    out = bytearray()
    view = memoryview(data)[begin:]
    try:
        for at in range(0, len(view), 65_536):
            out += engine.decompress(view[at : at + 65_536], MAX_INFLATED - len(out))
            if engine.eof or len(out) >= MAX_INFLATED or engine.unconsumed_tail:
                break
    except zlib.error:
        pass  # a broken end is no reason to look away from what came before
    return bytes(out)
