"""The parts a file is made of, by its container alone: where the picture ends and what rides along.

Nothing is decoded here. The walk is used before decoding to refuse files built to exhaust the
reader, and to name what a written file will no longer have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from anonyface.errors import InputError

Container: TypeAlias = Literal["JPEG", "PNG", "WEBP", "ISOBMFF"]

# A 100-megapixel PNG in chunks of 8 KiB has 40,000; a reader takes about a microsecond for each.
MAX_PARTS = 200_000
# libjpeg's default progression has 10 scans, jpegrescan's search up to some 60; every scan of a
# progressive file costs a pass over the whole picture, so that a tiny file can cost minutes.
MAX_SCANS = 100

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# After 0xff: no stuffed zero, no restart marker, no fill byte.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01


@dataclass(frozen=True)
class Part:
    """One piece of a container.

    Attributes:
        name: "APP1", "SOS" ... of a JPEG; the four letters of a chunk or box elsewhere.
        start: Where its payload begins in the file.
        end: Where its payload ends.
    """

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Layout:
    """What a file consists of.

    Attributes:
        container: Its kind; None if it is not one of those that are walked.
        parts: Its pieces, in the order of the file.
        end: Where the picture's container ends; what follows is a trailer.
    """

    container: Container | None
    parts: tuple[Part, ...]
    end: int

    def payloads(self, data: bytes, name: str) -> Iterator[bytes]:
        """Return the payloads of all parts of a name."""
        return (data[part.start : part.end] for part in self.parts if part.name == name)


def read_layout(data: bytes, name: str) -> Layout:
    """Walk a file's container; a broken one ends where it stops making sense.

    Args:
        data: The whole file.
        name: What to call it in an error.

    Raises:
        InputError: If it has more pieces or scans than any photo has.
    """
    kind = container_of(data)
    if kind is None:
        return Layout(None, (), len(data))
    parts: list[Part] = []
    for part in WALKERS[kind](data):
        parts.append(part)
        if len(parts) > MAX_PARTS:
            raise InputError(f"{name}: the file is made of too many pieces (over {MAX_PARTS:,})")
    scans = sum(part.name == "SOS" for part in parts) if kind == "JPEG" else 0
    if scans > MAX_SCANS:
        raise InputError(f"{name}: {scans} scans in a JPEG, the limit is {MAX_SCANS}")
    return Layout(kind, tuple(parts), _end(kind, parts, len(data)))


def _end(kind: Container, parts: list[Part], size: int) -> int:
    """Return where the last part ends; the file's end if the container is not complete."""
    last = {"JPEG": "EOI", "PNG": "IEND"}.get(kind)
    if not parts or last not in (None, parts[-1].name):
        return size
    return parts[-1].end + (4 if kind == "PNG" else 0)  # a chunk has a check sum behind it


def container_of(data: bytes) -> Container | None:
    """Return the kind of container some bytes begin with."""
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == PNG_SIGNATURE:
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return "ISOBMFF"
    return None


def _walk_jpeg(data: bytes) -> Iterator[Part]:
    """Yield the segments up to the end marker (ITU-T T.81, annex B)."""
    position = 2
    while (hit := _MARKER.search(data, position)) is not None:
        code, start = data[hit.start() + 1], hit.end()
        if code == _EOI:
            yield Part("EOI", start, start)
            return
        if code in (_SOI, _TEM):
            position = start
            continue
        end = start + int.from_bytes(data[start : start + 2], "big")
        if end < start + 2 or end > len(data):
            return
        yield Part(_segment_name(code), start + 2, end)
        position = end  # after SOS the search runs over the coded data to the next marker


def _segment_name(code: int) -> str:
    """Return what a JPEG marker is called.

    >>> _segment_name(0xE1), _segment_name(0xDA), _segment_name(0xC2)
    ('APP1', 'SOS', 'C2')
    """
    if 0xE0 <= code <= 0xEF:
        return f"APP{code - 0xE0}"
    return {_SOS: "SOS", 0xFE: "COM"}.get(code, f"{code:02X}")


def _walk_png(data: bytes) -> Iterator[Part]:
    """Yield the chunks up to IEND (PNG, third edition, section 5)."""
    position = 8
    while position + 12 <= len(data):
        start = position + 8
        end = start + int.from_bytes(data[position : position + 4], "big")
        if end + 4 > len(data):
            return
        name = data[position + 4 : start].decode("latin-1")
        yield Part(name, start, end)
        if name == "IEND":
            return
        position = end + 4


def _walk_riff(data: bytes) -> Iterator[Part]:
    """Yield the chunks of a WebP file up to the length its header states (RFC 9649, section 2)."""
    stop = min(8 + int.from_bytes(data[4:8], "little"), len(data))
    position = 12
    while position + 8 <= stop:
        start = position + 8
        end = start + int.from_bytes(data[position + 4 : start], "little")
        if end > stop:
            return
        yield Part(data[position : position + 4].decode("latin-1"), start, end)
        position = end + end % 2  # chunks are padded to even length
    if position <= stop:
        yield Part("", stop, stop)  # a pad byte belongs to the file


def _walk_boxes(data: bytes) -> Iterator[Part]:
    """Yield the top-level boxes (ISO/IEC 14496-12, section 4.2)."""
    position = 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[position + 8 : position + 16], "big"), 16
        elif size == 0:  # up to the end of the file
            size = len(data) - position
        name = data[position + 4 : position + 8]
        if size < head or position + size > len(data) or not name.isalnum():
            return
        yield Part(name.decode("latin-1"), position + head, position + size)
        position += size


WALKERS: dict[Container, Callable[[bytes], Iterator[Part]]] = {
    "JPEG": _walk_jpeg,
    "PNG": _walk_png,
    "WEBP": _walk_riff,
    "ISOBMFF": _walk_boxes,
}
