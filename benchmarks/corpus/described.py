"""Files that say where, with which camera and of whom: places, serial numbers, face regions."""

from __future__ import annotations

from PIL import Image

from benchmarks.corpus.containers import (
    ASCII,
    BYTE,
    LONG,
    RATIONAL,
    SHORT,
    UNDEFINED,
    Ifd,
    Value,
    chunk,
    exif_segment,
    into_jpeg,
    into_png,
    photoshop_resource,
    segment,
    write_tiff,
    xmp_segments,
)
from benchmarks.corpus.hidden_elsewhere import heif, tiff_of
from benchmarks.corpus.hidden_in_jpeg import strip_entries
from benchmarks.corpus.kinds import GPS_NUMBERS, Kind, Sitter, encode

ALL = ("gps", "serials", "regions")


def gps_ifd() -> Ifd:
    """Return a GPS directory: latitude, longitude, time."""
    return Ifd(
        {
            1: (ASCII, b"N\0"),
            2: (RATIONAL, GPS_NUMBERS),
            3: (ASCII, b"E\0"),
            4: (RATIONAL, ((13, 1), (24, 1), (51733, 10007))),
            0x1D: (ASCII, b"2024:05:06\0"),
        }
    )


def photo_ifd() -> Ifd:
    """Return an Exif directory with dates, exposure and every number that names a camera."""
    return Ifd(
        {
            0x829A: (RATIONAL, ((1, 250),)),
            0x9003: (ASCII, b"2024:05:06 07:08:09\0"),
            0x9214: (SHORT, [240, 180, 150, 150]),
            0x927C: (UNDEFINED, b"MAKER\0SN4711X0815\0"),
            0xA420: (ASCII, b"UID77aa55ee33cc11\0"),
            0xA430: (ASCII, b"Olga Ownerova\0"),
            0xA431: (ASCII, b"SN4711X0815\0"),
            0xA435: (ASCII, b"LENS0815-99\0"),
        }
    )


def base_entries() -> dict[int, tuple[int, Value]]:
    """Return tags of the first directory; Microsoft's names of people among them."""
    return {
        0x010F: (ASCII, b"Maker\0"),
        0x0110: (ASCII, b"Model 1\0"),
        0x8298: (ASCII, b"(c) 2024 nobody\0"),
        0x8769: (LONG, [photo_ifd()]),
        0x8825: (LONG, [gps_ifd()]),
        0x9C9E: (BYTE, "Katy Keyword\0".encode("utf-16-le")),
        0xC62F: (ASCII, b"SN4711X0815\0"),
    }


def described_exif(order: str = "<") -> bytes:
    """Return an Exif block that says too much."""
    return write_tiff(Ifd(base_entries()), order=order)


def described_xmp() -> bytes:
    """Return XMP with place, serial numbers and regions in the three ways they are written."""
    return (
        b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/"'
        b' xmlns:exifEX="http://cipa.jp/exif/1.0/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/"'
        b' xmlns:dc="http://purl.org/dc/elements/1.1/"'
        b' xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"'
        b' xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"'
        b' xmlns:MP="http://ns.microsoft.com/photo/1.2/"'
        b' xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#"'
        b' xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#"'
        b' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        b' exif:GPSLatitude="52,31.20731N" exif:GPSLongitude="13,24.51733E"'
        b' aux:SerialNumber="SN4711X0815" aux:LensSerialNumber="LENS0815-99"'
        b' aux:OwnerName="Olga Ownerova" exif:ImageUniqueID="UID77aa55ee33cc11">'
        b"<exifEX:BodySerialNumber>SN4711X0815</exifEX:BodySerialNumber>"
        b"<Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>Regina Regionova</rdf:li></rdf:Bag>"
        b"</Iptc4xmpExt:PersonInImage>"
        b'<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li>'
        b'<rdf:Description mwg-rs:Name="Regina Regionova" mwg-rs:Type="Face">'
        b'<mwg-rs:Area stArea:x="0.5" stArea:y="0.5" stArea:w="0.3" stArea:h="0.4"'
        b' stArea:unit="normalized"/></rdf:Description></rdf:li></rdf:Bag></mwg-rs:RegionList>'
        b'</mwg-rs:Regions><MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag>'
        b'<rdf:li MPReg:Rectangle="0.3, 0.3, 0.3, 0.4" MPReg:PersonDisplayName='
        b'"Regina Regionova"/></rdf:Bag></MPRI:Regions></MP:RegionInfo>'
        b'</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def iptc() -> bytes:
    """Return an IPTC record inside Photoshop's block: caption, place, a word."""
    records = b""
    for number, text in ((120, b"Captain Caption"), (25, b"Katy Keyword"), (90, b"Berlin")):
        records += b"\x1c\x02" + bytes([number]) + len(text).to_bytes(2, "big") + text
    return b"Photoshop 3.0\0" + photoshop_resource(0x0404, records)


def _tiff(s: Sitter) -> bytes:
    more = {**base_entries(), 0x02BC: (BYTE, described_xmp()), 0x83BB: (UNDEFINED, iptc()[26:])}
    return tiff_of(s, more)  # type: ignore[arg-type]


def _big_endian(s: Sitter) -> bytes:
    entries = {**strip_entries(Image.fromarray(s.photo)), **base_entries()}
    return write_tiff(Ifd(entries), order=">")


def _png(s: Sitter) -> bytes:
    xmp = b"XML:com.adobe.xmp\0\0\0\0\0" + described_xmp()
    return into_png(s.png, chunk(b"eXIf", described_exif()), chunk(b"iTXt", xmp))


KINDS = (
    Kind("jpeg described in Exif", ".jpg",
         lambda s: into_jpeg(s.jpeg, exif_segment(described_exif())), secrets=ALL),
    Kind("jpeg described in Exif, big endian", ".jpg",
         lambda s: into_jpeg(s.jpeg, exif_segment(described_exif(">"))), secrets=ALL),
    Kind("jpeg described in XMP", ".jpg",
         lambda s: into_jpeg(s.jpeg, xmp_segments(described_xmp())), secrets=ALL),
    Kind("jpeg described in extended XMP", ".jpg", lambda s: into_jpeg(
         s.jpeg, xmp_segments(b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", described_xmp())),
         secrets=ALL),
    Kind("jpeg described in IPTC", ".jpg",
         lambda s: into_jpeg(s.jpeg, segment(0xED, iptc()), first=False),
         secrets=("iptc",)),
    Kind("png described", ".png", _png, secrets=ALL),
    Kind("webp described", ".webp", lambda s: encode(
         s.photo, "WEBP", quality=92, exif=described_exif(), xmp=described_xmp()), secrets=ALL),
    Kind("tiff described", ".tif", _tiff, secrets=(*ALL, "iptc")),
    Kind("tiff described, big endian", ".tif", _big_endian, secrets=ALL),
    Kind("heic described", ".heic", lambda s: heif(
         s, exif=b"Exif\0\0" + described_exif(), xmp=described_xmp()), secrets=ALL),
    Kind("avif described", ".avif", lambda s: heif(
         s, "AVIF", exif=described_exif(), xmp=described_xmp()), secrets=ALL),
)  # fmt: skip
