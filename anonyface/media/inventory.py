"""What a photo's file holds besides its picture, by name: for the report, and nothing of it kept.

The names say that something was there, never what it said. Most of it is found by the signs it
leaves in the bytes, so that a block no parser understands is still named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from PIL import Image, PngImagePlugin

from anonyface.media.containers import Layout
from anonyface.media.directories import Directories, read_directories
from anonyface.media.exif import IDENTIFIERS, xmp_of
from anonyface.media.iptc import THUMBNAIL_RESOURCES
from anonyface.media.provenance import find_provenance
from anonyface.media.xmp import source_type

# Signs in an XMP packet: names of properties and of namespaces.
XMP_SIGNS: dict[str, tuple[bytes, ...]] = {
    "gps": (b"GPSLatitude", b"GPSLongitude", b"GPSDestLatitude"),
    "serial": (b"SerialNumber", b"ImageUniqueID", b"CameraOwnerName", b"CameraSerial"),
    "document-id": (b"ns.adobe.com/xap/1.0/mm/", b"DigImageGUID"),
    "face-regions": (
        b"metadataworkinggroup.com/schemas/regions",
        b"ns.microsoft.com/photo/1.2/",
        b"ns.apple.com/faceinfo",
        b"ns.acdsee.com/regions",
        b"ImageRegion",
    ),
    "people": (b"PersonInImage",),
    "thumbnail": (b"ns.adobe.com/xap/1.0/g/img/", b"Thumbnails"),
    "preview": (b"photos/1.0/image/", b"photos/1.0/panorama/"),
    "depth": (b"photos/1.0/depthmap/", b"dynamicdepth"),
    "motion": (b"MicroVideo", b"MotionPhoto"),
    "gain-map": (b"hdr-gain-map", b"HDRGainMap"),
}
# Signs of what HEIC and AVIF files hold beside their first picture (auxiliary types and roles).
BOX_SIGNS: dict[str, tuple[bytes, ...]] = {
    "depth": (b"hevc:2015:auxid:2\x00", b"auxiliary:depth"),
    "gain-map": (b"hdrgainmap", b"tmap"),
    "thumbnail": (b"thmb",),
    "preview": (b"prem",),
}
# Signs behind the end of a picture.
TRAILER_SIGNS: dict[str, tuple[bytes, ...]] = {
    "motion": (b"MotionPhoto_Data", b"ftypmp4", b"ftypisom", b"ftypmp42", b"ftypqt"),
    "depth": (b"DualShot_DepthMap", b"Depth_Map"),
}
BOXES = {"mpvd": "motion", "sefd": "trailer"}  # top-level boxes of Google and Samsung phones
# Text of PNG files that holds something with a name of its own.
PNG_PROFILES = {"Raw profile type iptc": "iptc", "Raw profile type 8bim": "iptc"}
THUMBNAIL, SUB_PICTURES, MAKER_NOTE, COMMENT = 0x0201, 0x014A, 0x927C, 0x9286
DESCRIPTION, SUBJECT, IPTC, PHOTOSHOP = 0x010E, (0x9214, 0xA214), 0x83BB, 0x8649
XP_TEXTS = (0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F)
_PADDING = re.compile(rb"[\x00\xff\s]*")


def take_inventory(
    image: Image.Image, data: bytes | None, layout: Layout | None
) -> tuple[str, ...]:
    """Return the names of what was found, in alphabetical order.

    Args:
        image: The loaded image.
        data: The file it was read from, None if it came as an image.
        layout: How the file is made up, None if it came as an image.
    """
    found = {*_in_exif(image, data), *_in_xmp(image, data, layout), *_in_info(image)}
    if data is not None and layout is not None:
        found.update(_in_container(data, layout))
        found.update(_behind(data, layout))
        # What it says of the source type is named with its value above.
        found.update(name for name in find_provenance(data) if name.startswith("c2pa"))
    return tuple(sorted(found))


def _in_exif(image: Image.Image, data: bytes | None) -> Iterator[str]:
    block = image.info.get("exif")
    if image.format == "TIFF" and data is not None:
        block = data
    directories = read_directories(block) if isinstance(block, bytes) else None
    if directories is not None:
        yield from _directory_names(directories)


def _directory_names(directories: Directories) -> Iterator[str]:
    has = directories.has
    later = {name for name, _ in directories.tags if name.isdecimal() and name != "0"}
    signs = {
        "gps": any(name == "gps" for name, _ in directories.tags) or has(0x8825),
        "serial": has(*IDENTIFIERS),
        "maker-note": has(MAKER_NOTE, 0xC634),
        "thumbnail": bool(later) or has(THUMBNAIL),
        "preview": has(SUB_PICTURES),
        "subject-area": has(*SUBJECT),
        "comment": has(COMMENT),
        "description": has(DESCRIPTION, *XP_TEXTS),
        "iptc": has(IPTC),
    }
    yield from (name for name, there in signs.items() if there)


def _in_xmp(image: Image.Image, data: bytes | None, layout: Layout | None) -> Iterator[str]:
    packets = [xmp_of(image)]
    if data is not None and layout is not None and layout.container == "JPEG":
        packets += [p for p in layout.payloads(data, "APP1") if p[:20] == b"http://ns.adobe.com/"]
    for packet in packets:
        plain = packet.replace(b"\x00", b"")  # UTF-16 becomes ASCII
        if plain:
            yield "xmp"
        for name, signs in XMP_SIGNS.items():
            if any(sign in plain for sign in signs):
                yield name
        if (code := source_type(plain)) is not None:
            yield f"digital-source-type:{code}"


def _in_info(image: Image.Image) -> Iterator[str]:
    """Name what Pillow and its plugins have read into ``info``."""
    info = image.info
    resources = info.get("photoshop")
    if isinstance(resources, dict):
        yield "iptc"
        if THUMBNAIL_RESOURCES & resources.keys():
            yield "thumbnail"
    if info.get("comment"):
        yield "comment"
    if isinstance(image, PngImagePlugin.PngImageFile):
        for key in image.text:
            yield PNG_PROFILES.get(key, "comment" if not key.startswith("XML:com") else "xmp")
    if image.format == "MPO":
        yield "mpo-frames"
    for key, name in (("thumbnails", "thumbnail"), ("depth_images", "depth"), ("aux", "auxiliary")):
        if image.format == "HEIF" and info.get(key):
            yield name


def _in_container(data: bytes, layout: Layout) -> Iterator[str]:
    if layout.container == "JPEG":
        if any(
            p[:4] == b"JFXX" or p[12:14] not in (b"\x00\x00", b"")
            for p in layout.payloads(data, "APP0")
        ):
            yield "thumbnail"
        if any(p[:4] == b"MPF\x00" for p in layout.payloads(data, "APP2")):
            yield "mpo-frames"
    names = {part.name for part in layout.parts}
    yield from (BOXES[name] for name in names & BOXES.keys())
    if layout.container == "ISOBMFF":
        for meta in layout.payloads(data, "meta"):
            yield from (n for n, signs in BOX_SIGNS.items() if any(sign in meta for sign in signs))


def _behind(data: bytes, layout: Layout) -> Iterator[str]:
    """Name what follows the end of the picture; padding is nothing."""
    if _PADDING.fullmatch(data, layout.end):
        return
    yield "trailer"
    for name, signs in TRAILER_SIGNS.items():
        if any(data.find(sign, layout.end) >= 0 for sign in signs):
            yield name
