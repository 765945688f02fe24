"""What a photo's metadata says, read by whitelist: how it was taken, what it shows, whose it is.

Only tags listed here are looked at, and only values of the type the tag should have are taken.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from PIL import Image
from PIL.TiffImagePlugin import IFDRational, TiffImageFile

from anonyface.media.description import Description, describe
from anonyface.media.directories import read_directories
from anonyface.media.iptc import IIM_RESOURCE, photoshop_resources, read_iim
from anonyface.media.xmp import read_xmp

log = logging.getLogger("anonyface")

TagValue: TypeAlias = str | bytes | int | IFDRational | tuple[int | IFDRational, ...]

# Tag numbers of Exif 2.32 (CIPA DC-008) and TIFF 6.0.
ORIENTATION = 0x0112
SOFTWARE = 0x0131
EXIF_IFD = 0x8769
EXIF_VERSION = 0x9000
DESCRIPTION, ARTIST, COPYRIGHT, RATING, USER_COMMENT = 0x010E, 0x013B, 0x8298, 0x4746, 0x9286
XMP = 0x02BC  # XMP specification part 3: where a TIFF file keeps its XMP packet
IPTC, PHOTOSHOP = 0x83BB, 0x8649  # the same, of IPTC-IIM and Photoshop's resources
# What Windows writes, as UTF-16, and the field it is.
XP_TEXTS = {0x9C9B: "title", 0x9C9C: "caption", 0x9C9D: "creator", 0x9C9E: "keywords"}
# CameraOwnerName, BodySerialNumber, LensSerialNumber, ImageUniqueID; and DNG's
# CameraSerialNumber, RawDataUniqueID, OriginalRawFileName.
IDENTIFIERS = (0xA430, 0xA431, 0xA435, 0xA420, 0xC62F, 0xC65D, 0xC68B)

# fmt: off
BASE_TEXT = {
    0x010F: "Make", 0x0110: "Model", 0x0132: "DateTime", 0x013B: "Artist", 0x8298: "Copyright",
}
PHOTO_TEXT = {
    0x9003: "DateTimeOriginal", 0x9004: "DateTimeDigitized",
    0x9010: "OffsetTime", 0x9011: "OffsetTimeOriginal", 0x9012: "OffsetTimeDigitized",
    0x9290: "SubSecTime", 0x9291: "SubSecTimeOriginal", 0x9292: "SubSecTimeDigitized",
    0xA433: "LensMake", 0xA434: "LensModel",
}
PHOTO_NUMBERS = {
    0x829A: "ExposureTime", 0x829D: "FNumber", 0x8822: "ExposureProgram",
    0x8827: "PhotographicSensitivity", 0x8830: "SensitivityType", 0x8831: "StandardSensitivity",
    0x8832: "RecommendedExposureIndex", 0x9201: "ShutterSpeedValue", 0x9202: "ApertureValue",
    0x9203: "BrightnessValue", 0x9204: "ExposureBiasValue", 0x9205: "MaxApertureValue",
    0x9207: "MeteringMode", 0x9208: "LightSource", 0x9209: "Flash", 0x920A: "FocalLength",
    0xA001: "ColorSpace", 0xA402: "ExposureMode", 0xA403: "WhiteBalance",
    0xA404: "DigitalZoomRatio", 0xA405: "FocalLengthIn35mmFilm", 0xA406: "SceneCaptureType",
    0xA407: "GainControl", 0xA408: "Contrast", 0xA409: "Saturation", 0xA40A: "Sharpness",
    0xA432: "LensSpecification",
}
# fmt: on
# Formats whose decoder applies the orientation that the container states.
SELF_TURNING = frozenset({"AVIF", "HEIF"})
MAX_TEXT = 200  # characters; a name or a copyright line, never room for a picture
MAX_NUMBERS = 4  # the longest tag above, LensSpecification, has four
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class CleanExif:
    """The tags of a photo that are carried over.

    Attributes:
        base: Tag number -> value of the first directory (camera, date, author).
        photo: Tag number -> value of the Exif directory (exposure, lens, dates).
    """

    base: Mapping[int, TagValue] = field(default_factory=dict)
    photo: Mapping[int, TagValue] = field(default_factory=dict)


def read_metadata(image: Image.Image) -> tuple[int, CleanExif, Description]:
    """Read the orientation and what is worth keeping; unreadable metadata counts as none.

    Args:
        image: A loaded image (PNG and TIFF know their tags only then).

    Returns:
        The orientation, 1-8, the clean tags, and the texts that describe the photo.
    """
    try:
        orientation, clean, texts = _read_exif(image)
    except Exception as error:  # noqa: BLE001 - Pillow's parser fails in many ways on broken tags
        log.warning("metadata is not readable and is dropped: %s", error)
        orientation, clean, texts = 1, CleanExif(), {}
    return orientation, clean, describe(read_xmp(xmp_of(image)), _read_iptc(image), texts)


def _read_exif(image: Image.Image) -> tuple[int, CleanExif, dict[str, list[str]]]:
    """Return the orientation, the clean tags and the texts of the Exif block.

    Raises:
        ValueError: If its tags claim more bytes than it has; and whatever Pillow's parser raises.
    """
    block = image.info.get("exif")
    if block is None and "Raw profile type exif" in image.info:
        block = bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
    directories = read_directories(block) if isinstance(block, bytes) else None
    if directories is not None and directories.is_bomb:
        raise ValueError(f"tags claim {directories.weight:,} bytes")
    exif = image.getexif()
    photo = exif.get_ifd(EXIF_IFD)
    clean = CleanExif(
        # Pillow reads text as latin-1 but writes ASCII: as bytes, UTF-8 names survive.
        base={tag: text.encode("latin-1") for tag, text in _texts(exif, BASE_TEXT).items()},
        photo={**_texts(photo, PHOTO_TEXT), **_numbers(photo, PHOTO_NUMBERS)},
    )
    # The decoder has turned these by the container's own property; what else they say is void
    # (ISO/IEC 23008-12, annex A), but Pillow would take it from the XMP packet.
    turned = image.format in SELF_TURNING and ORIENTATION not in _tags_of(block)
    orientation = 1 if turned else exif.get(ORIENTATION, 1)
    valid = isinstance(orientation, int) and 1 <= orientation <= 8
    return (orientation if valid else 1), clean, _described(exif, photo)


def _tags_of(block: object) -> frozenset[int]:
    """Return the numbers of the tags in the first directory of an Exif block."""
    found = read_directories(block) if isinstance(block, bytes) else None
    return frozenset(tag for name, tag in found.tags if name == "0") if found else frozenset()


def _described(exif: Image.Exif, photo: Mapping[int, Any]) -> dict[str, list[str]]:
    """Return the texts of an Exif block by field."""
    texts = {
        "caption": [_utf8(exif.get(DESCRIPTION))],
        "creator": _utf8(exif.get(ARTIST)).split(";"),
        "rights": [_utf8(exif.get(COPYRIGHT)).replace("\x00", " ")],
        "rating": [str(exif.get(RATING, ""))],
        "comment": [_user_comment(photo.get(USER_COMMENT))],
    }
    for tag, name in XP_TEXTS.items():
        value = exif.get(tag)
        if isinstance(value, tuple):
            value = bytes(byte for byte in value if isinstance(byte, int) and 0 <= byte < 256)
        if isinstance(value, bytes):
            text = value.decode("utf-16-le", "ignore").rstrip("\x00")
            several = text.split(";") if name in ("creator", "keywords") else [text]
            texts[name] = [*filter(None, texts.get(name, [])), *several]
    return texts


def _utf8(text: object) -> str:
    """Return an Exif text, which Pillow reads as latin-1 whatever it is."""
    if not isinstance(text, str):
        return ""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _user_comment(value: object) -> str:
    """Decode a comment by the character code in front of it (Exif 2.32, 4.6.5)."""
    if not isinstance(value, bytes):
        return ""
    code, text = value[:8], value[8:]
    if code == b"UNICODE\x00":
        # The byte order is that of the block, or not, depending on the writer: Latin text decides.
        return text.decode("utf-16-be" if text[:1] == b"\x00" else "utf-16-le", "ignore")
    return text.decode("utf-8", "ignore") if code in (b"ASCII\x00\x00\x00", b"\x00" * 8) else ""


def _read_iptc(image: Image.Image) -> Mapping[str, list[str]]:
    """Return the texts of IPTC-IIM by field, from where JPEG and TIFF keep it."""
    resources = image.info.get("photoshop")
    block = resources.get(IIM_RESOURCE) if isinstance(resources, dict) else None
    if isinstance(image, TiffImageFile):
        block = image.tag_v2.get(IPTC)
        photoshop = image.tag_v2.get(PHOTOSHOP)
        if isinstance(photoshop, bytes) and not block:
            block = dict(photoshop_resources(photoshop)).get(IIM_RESOURCE)
        if isinstance(block, tuple) and all(isinstance(n, int) for n in block):
            order: Literal["little", "big"] = "little" if image.tag_v2.prefix == b"II" else "big"
            block = b"".join((n % 2**32).to_bytes(4, order) for n in block)  # Photoshop's type
    return read_iim(block) if isinstance(block, bytes) else {}


def xmp_of(image: Image.Image) -> bytes:
    """Return the XMP packet of a loaded image, empty if there is none."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(packet, str):
        return packet.encode("utf-8", "replace")
    return packet if isinstance(packet, bytes) else b""


def _texts(tags: Mapping[int, Any], wanted: Iterable[int]) -> dict[int, str]:
    """Return the wanted tags that hold short text, in latin-1."""
    out = {}
    for tag in wanted:
        text = tags.get(tag)
        if isinstance(text, str) and (text := _CONTROL.sub(" ", text[:MAX_TEXT]).strip()):
            out[tag] = text.encode("latin-1", "replace").decode("latin-1")
    return out


def _numbers(tags: Mapping[int, Any], wanted: Iterable[int]) -> dict[int, TagValue]:
    """Return the wanted tags that hold a number or a few."""
    out: dict[int, TagValue] = {}
    for tag in wanted:
        value: Any = tags.get(tag)
        several = value if isinstance(value, tuple) else (value,)
        if 0 < len(several) <= MAX_NUMBERS and all(map(_is_number, several)):
            out[tag] = value
    return out


def _is_number(value: object) -> bool:
    """Say whether a tag's value is a 16-bit count or a fraction that can be written again."""
    if isinstance(value, IFDRational):
        return value.denominator != 0 and abs(float(value)) < 2**31
    return isinstance(value, int) and 0 <= value < 2**16
