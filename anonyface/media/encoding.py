"""Pixels -> bytes of an image file: cleaned, marked, as close to the input's kind as it goes."""

from __future__ import annotations

import importlib
import importlib.util
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from anonyface.errors import InputError
from anonyface.media import png, tiff
from anonyface.media.exif import XMP
from anonyface.media.metadata import COMPOSITE, build_metadata
from anonyface.media.native import WRITTEN_AS, Native, patch
from anonyface.types import ImageArray, MetadataPolicy

if TYPE_CHECKING:
    from anonyface.media.images import Source

Format: TypeAlias = Literal["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF"]

FORMATS: dict[str, Format] = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
}
QUALITY = 95  # JPEG and WebP written from another format: beyond it files only grow
# On scales of their own, chosen so that a photo stays as close as in a JPEG of 95.
AVIF_QUALITY = 95
HEIF_QUALITY = 85
HEVC_PRESET = (
    "ultrafast"  # a fraction of the default's time at the same fidelity; files grow a little
)
AVIF_SPEED = 8  # of 10; slower settings save some per cent of bytes for several times the time
ALPHA_FORMATS = frozenset({"PNG", "WEBP", "TIFF", "AVIF", "HEIF"})
GREY_FORMATS = frozenset({"JPEG", "PNG", "TIFF", "BMP", "AVIF"})


@dataclass(frozen=True)
class Extras:
    """What is written beside the pixels.

    Attributes:
        icc: Profile of what is written.
        exif: Tags, maybe none.
        xmp: Packet, empty for none.
        dpi: Resolution in pixels per inch, None to state none.
    """

    icc: bytes | None
    exif: Image.Exif
    xmp: bytes
    dpi: tuple[float, float] | None


def writable_suffixes() -> tuple[str, ...]:
    """Return the suffixes that can be written here; those of HEIC need the extra ``heif``."""
    heif = importlib.util.find_spec("pillow_heif") is not None
    return tuple(suffix for suffix, kind in FORMATS.items() if heif or kind != "HEIF")


def encode_image(
    pixels: ImageArray,
    file_format: Format,
    *,
    source: Source,
    metadata: MetadataPolicy = "clean",
    mark: bool = True,
) -> bytes:
    """Encode pixels with the cleaned metadata of their source and the mark of synthetic content.

    Args:
        pixels: (H, W, 3) RGB uint8.
        file_format: What to write. BMP has no place for metadata and stays unmarked.
        source: Where the pixels came from. Of the pixels in it none is written; its 16-bit or CMYK
            samples are, where the format has room for them, but only those of pixels that are the
            same. Its opacity goes into PNG, WebP, TIFF, AVIF and HEIC; elsewhere the picture is
            laid on white.
        metadata: What is carried over: "clean" tells how the photo was taken and whose it is,
            "keep" also what it shows, "none" nothing but the colour profile.
        mark: Whether to say that this software wrote the file and that a model made parts of it.

    Returns:
        The file's bytes.

    Raises:
        InputError: If the format can't hold the image (too large for it, for one), or needs a
            package that is not installed, or the policy is none of the three.
    """
    if metadata not in get_args(MetadataPolicy):
        policies = ", ".join(get_args(MetadataPolicy))
        raise InputError(f"metadata must be one of {policies}, not {metadata!r}")
    native = source.native if source.pixels.shape == pixels.shape else None
    if native is not None and file_format in WRITTEN_AS[native.kind]:
        native = patch(native, source.pixels, pixels)
    else:
        native = None
    exif, xmp = build_metadata(
        source.exif,
        source.description,
        policy=metadata,
        mark=mark,
        kind=COMPOSITE if source.synthetic else source.earlier_mark,
    )
    image, space = _compose(pixels, file_format, source)
    extras = Extras(_profile(source, space), exif, xmp, None if metadata == "none" else source.dpi)
    buffer = io.BytesIO()
    try:
        if native is None:
            WRITERS[file_format](image, buffer, source, extras)
        else:
            _write_native(native, file_format, buffer, source, extras)
    except InputError:
        raise
    # Encoders raise whatever they like (libheif's binding its own kinds of RuntimeError).
    except (OSError, ValueError, OverflowError, RuntimeError, MemoryError) as error:
        size = "x".join(map(str, image.size))
        problem = " ".join(str(error).split())
        raise InputError(f"a {size} image can't be written as {file_format}: {problem}") from error
    return buffer.getvalue()


def _compose(
    pixels: ImageArray, file_format: Format, source: Source
) -> tuple[Image.Image, Literal["RGB", "GRAY"]]:
    """Return the image in the mode to write, without any metadata, and its colour space."""
    alpha = source.alpha
    if alpha is not None and file_format not in ALPHA_FORMATS:
        weight = alpha[..., None].astype(np.float32) / 255
        pixels = np.rint(pixels * weight + 255 * (1 - weight)).astype(np.uint8)
        alpha = None
    image = Image.fromarray(pixels)
    grey = source.grey and file_format in GREY_FORMATS
    if grey and alpha is not None and file_format == "AVIF":
        grey = False  # grey with opacity is not among what it holds
    if grey:
        image = image.convert("L")  # exact where the three channels agree
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    return image, "GRAY" if grey else "RGB"


def _profile(source: Source, space: Literal["RGB", "GRAY"]) -> bytes | None:
    """Return the source's profile if it describes the space that is written."""
    return source.icc_profile if source.grey == (space == "GRAY") else None


def _write_native(
    native: Native, file_format: Format, file: io.BytesIO, source: Source, extras: Extras
) -> None:
    """Write samples of 16 bits, or of CMYK with their own profile."""
    if native.kind == "cmyk":
        image = Image.fromarray(native.samples, "CMYK")
        own = Extras(native.icc_profile, extras.exif, extras.xmp, extras.dpi)
        WRITERS[file_format](image, file, source, own)
    elif file_format == "TIFF":
        if extras.xmp:
            extras.exif[XMP] = extras.xmp
        file.write(tiff.encode_tiff16(native.samples, extras.exif, icc=extras.icc, dpi=extras.dpi))
    else:
        chunks = [png.profile_chunk(extras.icc)] if extras.icc else list(source.colour)
        if extras.dpi:
            chunks.append(png.resolution_chunk(extras.dpi))
        if extras.exif:
            chunks.append(("eXIf", extras.exif.tobytes()[6:]))
        if extras.xmp:
            chunks.append(png.xmp_chunk(extras.xmp))
        file.write(png.encode_png16(native.samples, chunks))


def _write_jpeg(image: Image.Image, file: io.BytesIO, source: Source, extras: Extras) -> None:
    jpeg = source.jpeg
    # Of CMYK all four channels are stored as they are, with the table for brightness.
    inks = image.mode == "CMYK"
    tables = None if jpeg is None else jpeg.tables[:1] if inks else jpeg.tables
    image.save(
        file,
        "JPEG",
        quality=-1 if tables else QUALITY,  # Pillow would scale the tables by a quality
        qtables=tables,
        subsampling=jpeg.subsampling if jpeg and not inks else 0,
        progressive=jpeg.progressive if jpeg else False,
        dpi=extras.dpi or (0, 0),
        icc_profile=extras.icc,
        exif=extras.exif or b"",
        xmp=extras.xmp,
    )


def _write_png(image: Image.Image, file: io.BytesIO, source: Source, extras: Extras) -> None:
    text = PngInfo()
    if not extras.icc:
        for name, data in source.colour:
            text.add(name.encode("ascii"), data)
    if extras.xmp:
        text.add_itxt("XML:com.adobe.xmp", extras.xmp.decode())
    image.save(
        file,
        "PNG",
        dpi=extras.dpi,
        icc_profile=extras.icc,
        exif=extras.exif or None,
        pnginfo=text,
    )


def _write_webp(image: Image.Image, file: io.BytesIO, source: Source, extras: Extras) -> None:
    image.save(
        file,
        "WEBP",
        lossless=source.lossless_webp,
        quality=QUALITY,
        exact=True,  # colours under full transparency stay as they are
        icc_profile=extras.icc,
        exif=extras.exif or b"",
        xmp=extras.xmp,
    )


def _write_tiff(image: Image.Image, file: io.BytesIO, source: Source, extras: Extras) -> None:
    # Uncompressed, as Pillow's compressing writer can't keep the Exif directory.
    if extras.xmp:
        extras.exif[XMP] = extras.xmp
    image.save(
        file,
        "TIFF",
        compression="raw",
        dpi=extras.dpi,
        icc_profile=extras.icc,
        exif=extras.exif,
    )


def _write_bmp(image: Image.Image, file: io.BytesIO, source: Source, extras: Extras) -> None:
    image.save(file, "BMP", dpi=extras.dpi or (96, 96))


def _write_avif(image: Image.Image, file: io.BytesIO, source: Source, extras: Extras) -> None:
    image.save(
        file,
        "AVIF",
        quality=AVIF_QUALITY,
        speed=AVIF_SPEED,
        subsampling="4:0:0" if image.mode == "L" else source.chroma,
        icc_profile=extras.icc,
        exif=extras.exif.tobytes() if extras.exif else None,
        xmp=extras.xmp or None,
    )


def _write_heif(image: Image.Image, file: io.BytesIO, source: Source, extras: Extras) -> None:
    try:
        heif = importlib.import_module("pillow_heif")
    except ImportError:
        raise InputError("HEIC needs `pip install anonyface[heif]`") from None
    if extras.icc:
        image.info["icc_profile"] = extras.icc
    heif.from_pillow(image).save(
        file,
        format="HEIF",
        quality=HEIF_QUALITY,
        chroma=source.chroma.replace(":", ""),
        enc_params={"preset": HEVC_PRESET},
        exif=extras.exif.tobytes() if extras.exif else None,
        xmp=extras.xmp or None,
    )


WRITERS: dict[Format, Callable[[Image.Image, io.BytesIO, Source, Extras], None]] = {
    "JPEG": _write_jpeg,
    "PNG": _write_png,
    "WEBP": _write_webp,
    "TIFF": _write_tiff,
    "BMP": _write_bmp,
    "AVIF": _write_avif,
    "HEIF": _write_heif,
}
