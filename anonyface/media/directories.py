"""TIFF directories, as in TIFF files and Exif blocks: which tags there are, and what they weigh.

A directory may name the same bytes any number of times: 65,535 tags that each claim the whole file
are 800 kB on disk and terabytes once a reader has collected them. So tags are weighed before any
reader sees them. Values are never looked at here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

# Bytes of one value by type (TIFF 6.0, section 2; BigTIFF's 16 to 18).
UNIT = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4} | {
    16: 8,
    17: 8,
    18: 8,
}
SUBFILE = 0x00FE
TILE_SIZE = (0x0142, 0x0143)
SUB_DIRECTORIES = {0x8769: "exif", 0x8825: "gps"}
MAX_DIRECTORIES = 100  # pages and parts; a longer chain is a loop or no photo
SLACK = 65536  # what tags may claim beyond the block they stand in, before they count as a bomb


@dataclass(frozen=True)
class Directories:
    """The directories of one block.

    Attributes:
        tags: Every (directory, tag number) there is; directories are called "0", "1", ... along
            the chain, and "exif" and "gps".
        values: The first number of the tags that hold one right in the entry, by the same key.
        weight: Bytes a reader collects that loads all of them.
        size: Bytes of the block.
    """

    tags: frozenset[tuple[str, int]]
    values: dict[tuple[str, int], int]
    weight: int
    size: int

    @property
    def is_bomb(self) -> bool:
        """Whether the tags claim much more than there is."""
        return self.weight > 2 * self.size + SLACK

    @property
    def pages(self) -> int:
        """How many directories the chain has that are pictures of their own, not small copies."""
        chain = {name for name, _ in self.tags if name.isdecimal()}
        return sum(not self.values.get((name, SUBFILE), 0) & 1 for name in chain)

    def has(self, *numbers: int) -> bool:
        """Say whether any directory holds one of these tags."""
        return any(number in numbers for _, number in self.tags)


def read_directories(block: bytes | memoryview) -> Directories | None:
    r"""List the directories of a TIFF file or Exif block; None if it is neither.

    Args:
        block: From the byte order mark on; a leading ``Exif\0\0`` is passed over.
    """
    if block[:6] == b"Exif\x00\x00":
        block = block[6:]
    order = {b"II": "<", b"MM": ">"}.get(bytes(block[:2]))
    if order is None or len(block) < 8:
        return None
    big = struct.unpack_from(order + "H", block, 2)[0] == 43
    if big and len(block) < 16:
        return None
    first = struct.unpack_from(order + ("Q" if big else "L"), block, 8 if big else 4)[0]
    tags: set[tuple[str, int]] = set()
    values: dict[tuple[str, int], int] = {}
    weight, seen, chain = 0, {0}, 0
    limit = 2 * len(block) + SLACK
    queue = [("0", first)]
    while queue and len(seen) <= MAX_DIRECTORIES:
        name, offset = queue.pop(0)
        if offset in seen:
            continue
        seen.add(offset)
        for tag, value, size in _entries(block, offset, order, big=big):
            if tag < 0:  # the link to the next of the chain
                if name.isdecimal() and value:
                    chain += 1
                    queue.append((str(chain), value))
                continue
            tags.add((name, tag))
            values[name, tag] = value
            weight += size
            if weight > limit:  # it need not be read to its end
                return Directories(frozenset(tags), values, weight, len(block))
            if tag in SUB_DIRECTORIES:
                queue.append((SUB_DIRECTORIES[tag], value))
    return Directories(frozenset(tags), values, weight, len(block))


def _entries(
    block: bytes | memoryview, offset: int, order: str, *, big: bool
) -> Iterator[tuple[int, int, int]]:
    """Yield (tag, first value or offset, bytes outside the entry); last (-1, next directory, 0)."""
    count_format, entry_format, link_format = ("Q", "HHQ8s", "Q") if big else ("H", "HHL4s", "L")
    inside = 8 if big else 4
    head, step = struct.calcsize(order + count_format), struct.calcsize(order + entry_format)
    if offset + head > len(block):
        return
    count = struct.unpack_from(order + count_format, block, offset)[0]
    position = offset + head
    for _ in range(min(count, (len(block) - position) // step)):
        tag, kind, length, raw = struct.unpack_from(order + entry_format, block, position)
        position += step
        size = UNIT.get(kind, 0) * length
        whole = struct.unpack(order + link_format, raw)[0]
        short = struct.unpack_from(order + "H", raw)[0]
        if size <= inside:
            yield tag, short if kind == 3 else raw[0] if kind in (1, 7) else whole, 0
        else:
            yield tag, whole, min(size, max(0, len(block) - whole))
    if position + inside <= len(block):
        yield -1, struct.unpack_from(order + link_format, block, position)[0], 0
