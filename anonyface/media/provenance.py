"""Where a photo says it comes from, found before it is dropped.

Reads bytes only, and follows the C2PA Technical Specification 2.4: appendix A ("Embedding
manifests"), and section 11.5 for a link in XMP.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Literal

# What `find_provenance` can find, in this order.
PROVENANCE = {
    "c2pa": "a C2PA manifest",
    "c2pa-link": "a link to a C2PA manifest elsewhere",
    "digital-source-type": "a statement of how the picture was made",
}
# XMP namespace and local name of the two that stand in XMP.
XMP_MARKS = {
    "c2pa-link": (b"http://purl.org/dc/terms/", b"provenance"),
    "digital-source-type": (b"http://iptc.org/std/Iptc4xmpExt/2008-02-29/", b"DigitalSourceType"),
}
MAX_PARTS = 100_000  # segments, chunks, boxes or tags looked at: what 800 MB of PNG need at 8 KiB
MAX_PACKETS = 32  # places that name an XMP namespace; a photo has a handful
XMP_REACH = 1 << 16  # bytes; a packet in a JPEG segment can't be longer
HEAD = 64  # bytes of a part that are looked at: boxes and label of a manifest store take 50
BMFF_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # specification A.5.1
TIFF_TAG = 0xCD41  # specification A.3.6
GIF_BLOCK = b"\x21\xff\x0bC2PA_GIF"  # specification A.3.8: an application extension


def find_provenance(data: bytes) -> tuple[str, ...]:
    """Say which statements of origin a file carries; whether they are true is not checked.

    Looks at the structure of JPEG, PNG, WebP, TIFF, GIF, AVIF, HEIC and JPEG 2000 and at XMP.

    Args:
        data: A whole file, of any kind and in any state.

    Returns:
        Names out of `PROVENANCE`, each once and in its order. Never raises on strange bytes.

    >>> find_provenance(b"GIF89a" + GIF_BLOCK)
    ('c2pa',)
    """
    found = {"c2pa"} if _has_manifest(data) else set()
    packets = [data, *_compressed_xmp(data)]
    for name, (namespace, term) in XMP_MARKS.items():
        if any(_xmp_says(packet, namespace, term) for packet in packets):
            found.add(name)
    return tuple(name for name in PROVENANCE if name in found)


def _has_manifest(data: bytes) -> bool:
    """Say whether there is a C2PA manifest store where the file's format keeps it."""
    if data.startswith(b"\xff\xd8"):
        return any(_is_store(head[8:]) for marker, head in _segments(data) if marker == 0xEB)
    if data.startswith(b"\x89PNG"):
        return any(kind == b"caBX" for kind, _, _ in _chunks(data, start=8, order="big"))
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return any(kind == b"C2PA" for kind, _, _ in _chunks(data, start=12, order="little"))
    if data.startswith((b"II", b"MM")):
        return TIFF_TAG in _tags(data)
    if data.startswith(b"GIF8"):
        return GIF_BLOCK in data
    if data[4:8] in (b"ftyp", b"jP  "):
        return any(
            head.startswith(BMFF_UUID) if kind == b"uuid" else kind == b"jumb" and b"c2pa" in head
            for kind, head in _boxes(data)
        )
    return False


def _is_store(box: bytes) -> bool:
    """Say whether the beginning of a JUMBF superbox is that of a manifest store."""
    return box[4:8] == b"jumb" and b"c2pa" in box[8:]


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and first bytes of the segments in front of a JPEG's pixels."""
    position = 2
    for _ in range(MAX_PARTS):
        position = data.find(b"\xff", position)
        marker = data[position + 1 : position + 2]
        if position < 0 or marker in (b"", b"\xd9", b"\xda"):  # nothing, end, pixels
            return
        if marker == b"\xff" or marker[0] <= 0x01 or 0xD0 <= marker[0] <= 0xD8:  # without a length
            position += 1
            continue
        yield marker[0], data[position + 4 : position + 4 + HEAD]
        position += 2 + max(2, int.from_bytes(data[position + 2 : position + 4], "big"))


def _chunks(
    data: bytes, *, start: int, order: Literal["big", "little"]
) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the chunks of a PNG ("big") or a RIFF file ("little")."""
    position = start
    for _ in range(MAX_PARTS):
        if position + 8 > len(data):
            return
        first, second = data[position : position + 4], data[position + 4 : position + 8]
        kind, length = (second, first) if order == "big" else (first, second)
        size = int.from_bytes(length, order)
        yield kind, position + 8, position + 8 + size
        position += 8 + size + (4 if order == "big" else size % 2)  # checksum; padding to even


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and first bytes of the outermost boxes (ISO/IEC 14496-12, 4.2)."""
    position = 0
    for _ in range(MAX_PARTS):
        size, header = int.from_bytes(data[position : position + 4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(data[position + 8 : position + 16], "big"), 16
        if position + header > len(data):
            return
        yield data[position + 4 : position + 8], data[position + header : position + header + HEAD]
        if size < header:  # 0: up to the end of the file
            return
        position += size


def _tags(data: bytes) -> Iterator[int]:
    """Yield the tags of every directory in the chain of a TIFF or BigTIFF file."""
    order: Literal["big", "little"] = "big" if data.startswith(b"MM") else "little"

    def read(offset: int, width: int) -> int:
        return int.from_bytes(data[offset : offset + width], order)

    big = read(2, 2) == 43
    pointer, counter, entry = (8, 8, 20) if big else (4, 2, 12)  # widths in bytes
    offset, left = read(8 if big else 4, pointer), MAX_PARTS
    while 0 < offset < len(data) and left > 0:  # a chain that bites its tail ends with `left`
        count = read(offset, counter)
        for k in range(min(count, left)):
            yield read(offset + counter + entry * k, 2)
        left -= count + 1
        offset = read(offset + counter + entry * count, pointer)


def _compressed_xmp(data: bytes) -> Iterator[bytes]:
    """Yield the XMP packets of a PNG that are compressed; all others are found by scanning."""
    if not data.startswith(b"\x89PNG"):
        return
    start = b"XML:com.adobe.xmp\0\x01\0"  # PNG, iTXt: keyword, compressed, by zlib
    packed_texts = (
        (begin, end)
        for kind, begin, end in _chunks(data, start=8, order="big")
        if kind == b"iTXt" and data.startswith(start, begin)
    )
    for begin, end in islice(packed_texts, MAX_PACKETS):
        text = data[begin + len(start) : min(end, begin + 16 * XMP_REACH)]
        packed = text[text.find(b"\0", text.find(b"\0") + 1) + 1 :]  # behind the two languages
        try:
            yield zlib.decompressobj().decompress(packed, 16 * XMP_REACH)
        except zlib.error:
            continue


def _xmp_says(data: bytes, namespace: bytes, term: bytes) -> bool:
    """Say whether a term of a namespace stands near a place that declares the namespace.

    XMP is made to be found by scanning (XMP specification part 3, "packet scanning"), so the kind
    of file does not matter.
    """
    position = -1
    for _ in range(MAX_PACKETS):
        position = data.find(namespace, position + 1)
        if position < 0:
            return False
        before = data[max(0, position - HEAD) : position]
        if declared := re.search(rb"xmlns:([\w.-]+)\s*=\s*[\"']$", before):
            near = data[max(0, position - XMP_REACH) : position + XMP_REACH]
            if re.search(rb"[\s</]" + re.escape(declared[1]) + b":" + term + rb"[\s=>/]", near):
                return True
    return False
