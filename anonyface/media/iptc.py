"""IPTC-IIM: descriptions out of the blocks that came before XMP (IIM version 4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from anonyface.media.description import FIELDS

IIM_RESOURCE = 0x0404
THUMBNAIL_RESOURCES = frozenset({0x0409, 0x040C})
_UTF8 = b"\x1b%G"  # ISO 2022 escape that dataset 1:90 holds where the text is UTF-8
_NAMES = {rules.iim: name for name, rules in FIELDS.items() if rules.iim is not None}


def photoshop_resources(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (number, data) of Photoshop's image resources; a broken block ends early.

    Args:
        block: Resources, from the first ``8BIM`` on.
    """
    position = 0
    while block[position : position + 4] == b"8BIM" and position + 12 <= len(block):
        number = int.from_bytes(block[position + 4 : position + 6], "big")
        name = block[position + 6] + 1
        position += 6 + name + name % 2
        size = int.from_bytes(block[position : position + 4], "big")
        data = block[position + 4 : position + 4 + size]
        if len(data) < size:
            return
        yield number, data
        position += 4 + size + size % 2


def read_iim(block: bytes) -> Mapping[str, list[str]]:
    r"""Return the texts of the fields an IIM block has.

    Args:
        block: Datasets, each with the marker 0x1c in front.

    >>> read_iim(b"\x1c\x02\x05\x00\x02Hi\x1c\x02\x19\x00\x01a\x1c\x02\x19\x00\x01b")
    {'title': ['Hi'], 'keywords': ['a', 'b']}
    """
    texts: dict[str, list[str]] = {}
    encoding = ""
    position = 0
    while position + 5 <= len(block) and block[position] == 0x1C:
        record, dataset = block[position + 1], block[position + 2]
        size = int.from_bytes(block[position + 3 : position + 5], "big")
        data = block[position + 5 : position + 5 + size]
        if size >= 1 << 15 or len(data) < size:  # an extended dataset holds no text of ours
            break
        position += 5 + size
        if (record, dataset) == (1, 90) and data == _UTF8:
            encoding = "utf-8"
        elif record == 2 and dataset in _NAMES:
            texts.setdefault(_NAMES[dataset], []).append(_decode(data, encoding))
    return texts


def _decode(data: bytes, encoding: str) -> str:
    """Return text whose encoding is often not stated: UTF-8 if it is that, else Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode(encoding or "latin-1", "replace")
