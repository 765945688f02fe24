"""XMP: descriptions read out of a packet that may be hostile, and a packet written from scratch."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from anonyface.media.description import (
    DC,
    EXIF,
    FIELDS,
    IPTC_CORE,
    PHOTOSHOP,
    XMP,
    XMP_RIGHTS,
    Description,
    Field,
)

log = logging.getLogger("anonyface")

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC_EXT = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
XML = "http://www.w3.org/XML/1998/namespace"
PREFIXES = {
    "dc": DC,
    "photoshop": PHOTOSHOP,
    "xmp": XMP,
    "xmpRights": XMP_RIGHTS,
    "Iptc4xmpCore": IPTC_CORE,
    "Iptc4xmpExt": IPTC_EXT,
    "exif": EXIF,
}
MAX_PACKET = 4 << 20  # bytes; editors that store brush masks reach one or two MiB
MAX_DEPTH = 64  # of elements

# https://cv.iptc.org/newscodes/digitalsourcetype/, retired codes included.
SOURCE_TYPES = frozenset(
    """digitalCapture computationalCapture negativeFilm positiveFilm print minorHumanEdits
    humanEdits compositeWithTrainedAlgorithmicMedia algorithmicallyEnhanced softwareImage digitalArt
    digitalCreation dataDrivenMedia trainedAlgorithmicMedia algorithmicMedia screenCapture
    virtualRecording composite compositeCapture compositeSynthetic multiFrameComputationalCapture
    """.split()
)
SOURCE_TYPE_SCHEME = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_SOURCE_TYPE = re.compile(
    rb"""DigitalSourceType\s*(?:=\s*["']|>\s*|\s+[\w:]*resource\s*=\s*["'])([^"'<>]{1,200})""",
)


def source_type(packet: bytes) -> str | None:
    """Return the code of the digital source type a packet states; "other" if it is not a known one.

    >>> source_type(b'<rdf:Description Iptc4xmpExt:DigitalSourceType="http://x/composite"/>')
    'composite'
    """
    hit = _SOURCE_TYPE.search(packet.replace(b"\x00", b""))  # UTF-16 becomes ASCII
    if hit is None:
        return None
    code = hit[1].decode("ascii", "replace").strip().rstrip("/").rpartition("/")[2]
    return code if code in SOURCE_TYPES else "other"


def read_xmp(packet: bytes) -> Mapping[str, list[str]]:
    """Return the texts of the fields a packet has; nothing of one that is broken or too large.

    Document types and entities are refused, so that nothing can expand or point elsewhere.

    Args:
        packet: The packet, in any encoding XML knows.
    """
    if b"\x00" not in packet[:4]:  # else it is UTF-16, where zeros at the end count
        packet = packet.strip(b"\x00 \t\r\n")
    if not packet:
        return {}
    if len(packet) > MAX_PACKET:
        log.warning("an XMP packet of %d bytes is dropped unread", len(packet))
        return {}
    reader = _Reader()
    try:
        reader.read(packet)
    except (expat.ExpatError, ValueError, LookupError) as error:
        log.warning("XMP is not readable and is dropped: %s", error)
        return {}
    return reader.texts


class _Reader:
    """Collects the simple and array properties of ``rdf:Description`` that are in `FIELDS`."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self._known = {f"{f.namespace} {f.name}": name for name, f in FIELDS.items()}
        self._path: list[str] = []
        self._text: list[str] = []
        self._default = False  # whether the current item is the default language

    def read(self, packet: bytes) -> None:
        """Parse a packet.

        Raises:
            ExpatError: If it is not well-formed.
            ValueError: If it has a document type or is nested too deep.
        """
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.EntityDeclHandler = _refuse_doctype
        parser.Parse(packet, True)

    def _property(self, depth: int) -> str | None:
        """Return the field whose element stands ``depth`` levels up, if it is one of ours."""
        path = self._path
        if len(path) < depth + 3 or path[-depth - 3 : -depth - 1] != [
            f"{RDF} RDF",
            f"{RDF} Description",
        ]:
            return None
        return self._known.get(path[-depth - 1])

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        self._text.clear()
        if self._path[-2:] == [f"{RDF} RDF", f"{RDF} Description"]:
            for key, value in attributes.items():
                if key in self._known:
                    self.texts.setdefault(self._known[key], []).append(value)
        self._default = attributes.get(f"{XML} lang") == "x-default"
        if (field := self._property(0)) and f"{RDF} resource" in attributes:
            self.texts.setdefault(field, []).append(attributes[f"{RDF} resource"])

    def _end(self, name: str) -> None:
        text = "".join(self._text).strip()
        field = self._property(2) if name == f"{RDF} li" else self._property(0)
        if field and text:
            texts = self.texts.setdefault(field, [])
            texts.insert(0 if self._default else len(texts), text)
        self._text.clear()
        self._path.pop()


def _refuse_doctype(*declared: object) -> None:
    """Stop at a document type or an entity.

    Raises:
        ValueError: Always.
    """
    raise ValueError("it declares a document type")


def build_xmp(description: Description, *, tool: str, kind: str | None) -> bytes:
    """Return a packet (UTF-8); empty if there is nothing to say.

    Args:
        description: Texts to write.
        tool: Name of the software, empty for none.
        kind: Code of the digital source type, None for none.
    """
    attributes = f" xmp:CreatorTool={quoteattr(tool)}" if tool else ""
    if kind is not None:
        attributes += f" Iptc4xmpExt:DigitalSourceType={quoteattr(SOURCE_TYPE_SCHEME + kind)}"
    elements = "".join(_elements(description))
    if not attributes and not elements:
        return b""
    prefixes = "".join(
        f" xmlns:{prefix}={quoteattr(uri)}"
        for prefix, uri in PREFIXES.items()
        if f"{prefix}:" in attributes + elements
    )
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about=""{prefixes}{attributes}>{elements}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def _elements(description: Description) -> Iterator[str]:
    """Yield one property element per field."""
    prefix_of = {uri: prefix for prefix, uri in PREFIXES.items()}
    for name, texts in description.texts.items():
        rules = FIELDS[name]
        tag = f"{prefix_of[rules.namespace]}:{rules.name}"
        yield f"<{tag}>{_value(rules, texts)}</{tag}>"


def _value(rules: Field, texts: tuple[str, ...]) -> str:
    """Return the content of a property element."""
    array = {"alternatives": "Alt", "bag": "Bag", "sequence": "Seq"}.get(rules.form)
    if array is None:
        return escape(texts[0])
    language = ' xml:lang="x-default"' if array == "Alt" else ""
    items = "".join(f"<rdf:li{language}>{escape(text)}</rdf:li>" for text in texts)
    return f"<rdf:{array}>{items}</rdf:{array}>"
