"""What a written file may say: a whitelist of tags rebuilt from scratch, never an edited copy.

Editing a metadata block leaves whatever the editor doesn't know: previews, maker notes with a
second preview inside, depth maps, face rectangles with names. Here every block starts empty and
takes only tags that are listed below, and only when their value has the type the tag should have.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, TypeAlias
from xml.sax.saxutils import quoteattr

from PIL import Image
from PIL.TiffImagePlugin import IFDRational

log = logging.getLogger("anonyface")

# https://cv.iptc.org/newscodes/digitalsourcetype/: a photo with parts made by a trained model.
DIGITAL_SOURCE_TYPE = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)

TagValue: TypeAlias = str | bytes | int | IFDRational | tuple[int | IFDRational, ...]

# Tag numbers of Exif 2.32 (CIPA DC-008) and TIFF 6.0.
ORIENTATION = 0x0112
SOFTWARE = 0x0131
EXIF_IFD = 0x8769
EXIF_VERSION = 0x9000
XMP = 0x02BC  # XMP specification part 3: where a TIFF file keeps its XMP packet

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


def software() -> str:
    """Return the name and version a written file and a report carry, e.g. ``"anonyface 0.1.0"``."""
    try:
        return f"anonyface {metadata.version('anonyface')}"
    except metadata.PackageNotFoundError:
        return "anonyface 0"


def read_exif(image: Image.Image) -> tuple[int, CleanExif]:
    """Read the orientation and the tags worth keeping; unreadable metadata counts as none.

    Args:
        image: A loaded image (PNG and TIFF know their tags only then).

    Returns:
        The orientation, 1-8, and the clean tags.
    """
    try:
        exif = image.getexif()
        orientation = exif.get(ORIENTATION, 1)
        photo = exif.get_ifd(EXIF_IFD)
        clean = CleanExif(
            # Pillow reads text as latin-1 but writes ASCII: as bytes, UTF-8 names survive.
            base={tag: text.encode("latin-1") for tag, text in _texts(exif, BASE_TEXT).items()},
            photo={**_texts(photo, PHOTO_TEXT), **_numbers(photo, PHOTO_NUMBERS)},
        )
    except Exception as error:  # noqa: BLE001 - Pillow's parser fails in many ways on broken tags
        log.warning("metadata is not readable and is dropped: %s", error)
        return 1, CleanExif()
    valid = isinstance(orientation, int) and 1 <= orientation <= 8
    return (orientation if valid else 1), clean


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


def build_exif(clean: CleanExif, *, xmp: bytes = b"") -> Image.Exif:
    """Return a new Exif block with the clean tags and the software tag; no orientation, no IFD1.

    Args:
        clean: Tags to write.
        xmp: XMP packet to put into the first directory; only TIFF keeps it there.
    """
    exif = Image.Exif()
    for tag, value in clean.base.items():
        exif[tag] = value
    exif[SOFTWARE] = software()
    if xmp:
        exif[XMP] = xmp
    photo = exif.get_ifd(EXIF_IFD)
    photo[EXIF_VERSION] = b"0232"
    photo.update(clean.photo)
    exif[EXIF_IFD] = photo  # the TIFF writer looks only for directories that are listed
    return exif


def xmp_packet(*, synthetic: bool) -> bytes:
    """Return the XMP packet of a file (UTF-8).

    Args:
        synthetic: Whether to say that the picture has parts a trained model made.
    """
    kind = f" Iptc4xmpExt:DigitalSourceType={quoteattr(DIGITAL_SOURCE_TYPE)}" if synthetic else ""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about=""'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f" xmp:CreatorTool={quoteattr(software())}{kind}/>"
        "</rdf:RDF></x:xmpmeta>"
        '<?xpacket end="r"?>'
    ).encode()


def clean_icc(profile: object, *, space: str) -> bytes | None:
    """Return an ICC profile if it is one and describes the given space.

    Args:
        profile: What the file held as its profile, None if nothing.
        space: "RGB" or "GRAY": the colour space of the pixels that will be written.

    Returns:
        The profile cut to the length its header states (ICC.1:2022 section 7.2), so that nothing
        rides behind it; None if it doesn't fit.
    """
    if not isinstance(profile, bytes) or len(profile) < 128 or profile[36:40] != b"acsp":
        return None
    length = int.from_bytes(profile[:4], "big")
    if not 128 <= length <= len(profile) or profile[16:20] != space.ljust(4).encode():
        return None
    return profile[:length]
