"""What a written file may say: a whitelist of tags rebuilt from scratch, never an edited copy.

Editing a metadata block leaves whatever the editor doesn't know: previews, maker notes with a
second preview inside, depth maps, face rectangles with names. Here every block starts empty and
takes only tags that are listed below, and only when their value has the type the tag should have.
"""

from __future__ import annotations

from functools import cache
from importlib import metadata

from PIL import Image

from anonyface.media.description import Description
from anonyface.media.exif import (
    ARTIST,
    COPYRIGHT,
    DESCRIPTION,
    EXIF_IFD,
    EXIF_VERSION,
    RATING,
    SOFTWARE,
    USER_COMMENT,
    CleanExif,
    TagValue,
)
from anonyface.media.xmp import SOURCE_TYPE_SCHEME, build_xmp
from anonyface.types import MetadataPolicy

# https://cv.iptc.org/newscodes/digitalsourcetype/: a photo with parts made by a trained model.
COMPOSITE = "compositeWithTrainedAlgorithmicMedia"
DIGITAL_SOURCE_TYPE = SOURCE_TYPE_SCHEME + COMPOSITE
MAX_PROFILE = 8 << 20  # bytes; the largest printing profiles have three million


@cache  # looked up in the installed packages, a millisecond for every file written
def software() -> str:
    """Return the name and version a written file and a report carry, e.g. ``"anonyface 0.1.0"``."""
    try:
        return f"anonyface {metadata.version('anonyface')}"
    except metadata.PackageNotFoundError:
        return "anonyface 0"


def build_metadata(
    clean: CleanExif,
    description: Description,
    *,
    policy: MetadataPolicy,
    mark: bool,
    kind: str | None,
) -> tuple[Image.Exif, bytes]:
    """Return what a file says besides its picture: a new Exif block and a new XMP packet.

    Args:
        clean: Tags that describe how the photo was taken.
        description: Texts that describe what it shows and whose it is.
        policy: "clean" leaves out texts that don't say whose it is, "none" everything but marks.
        mark: Whether to name this software and ``kind``.
        kind: Code of the digital source type, None for none.

    Returns:
        The Exif block, without orientation and second directory, and the packet; either may be
        empty.
    """
    texts = description if policy == "keep" else description.credits()
    exif = Image.Exif()
    exif.endian = "<"
    if policy == "none":
        texts = Description()
    else:
        _fill_exif(exif, clean, texts)
    if mark:
        exif[SOFTWARE] = software()
    packet = build_xmp(texts, tool=software() if mark else "", kind=kind if mark else None)
    return exif, packet


def _fill_exif(exif: Image.Exif, clean: CleanExif, texts: Description) -> None:
    """Put clean tags, and texts that have a tag, into an empty block."""
    written: dict[int, TagValue] = {
        DESCRIPTION: texts.first("caption").encode(),
        ARTIST: "; ".join(texts.texts.get("creator", ())).encode(),
        COPYRIGHT: texts.first("rights").encode(),
    }
    for tag, value in (written | dict(clean.base)).items():
        if value:
            exif[tag] = value
    if (rating := texts.first("rating")).isdecimal():
        exif[RATING] = int(rating)
    photo = exif.get_ifd(EXIF_IFD)
    photo[EXIF_VERSION] = b"0232"
    photo.update(clean.photo)
    if comment := texts.first("comment"):
        photo[USER_COMMENT] = (
            b"ASCII\x00\x00\x00" + comment.encode()
            if comment.isascii()
            else b"UNICODE\x00" + comment.encode("utf-16-le")
        )
    exif[EXIF_IFD] = photo  # the TIFF writer looks only for directories that are listed


def clean_icc(profile: object, *, space: str) -> bytes | None:
    """Return an ICC profile if it is one and describes the given space.

    Args:
        profile: What the file held as its profile, None if nothing.
        space: "RGB", "GRAY" or "CMYK": the colour space of the pixels that will be written.

    Returns:
        The profile cut to the length its header states (ICC.1:2022 section 7.2), so that nothing
        rides behind it; None if it doesn't fit.
    """
    if not isinstance(profile, bytes) or len(profile) < 128 or profile[36:40] != b"acsp":
        return None
    length = int.from_bytes(profile[:4], "big")
    if (
        not 128 <= length <= min(len(profile), MAX_PROFILE)
        or profile[16:20] != space.ljust(4).encode()
    ):
        return None
    return profile[:length]
