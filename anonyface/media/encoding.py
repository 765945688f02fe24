"""Pixels -> bytes of an image file: cleaned, marked, as close to the input's kind as it goes."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from PIL import Image, JpegImagePlugin
from PIL.PngImagePlugin import PngInfo

from anonyface.errors import InputError
from anonyface.media.metadata import build_exif, xmp_packet
from anonyface.types import ImageArray

if TYPE_CHECKING:
    from anonyface.media.images import Source

Format: TypeAlias = Literal["JPEG", "PNG", "WEBP", "TIFF", "BMP"]

FORMATS: dict[str, Format] = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
QUALITY = 95  # JPEG and WebP written from another format: beyond it files only grow
ALPHA_FORMATS = frozenset({"PNG", "WEBP", "TIFF"})
GREY_FORMATS = frozenset({"JPEG", "PNG", "TIFF", "BMP"})


@dataclass(frozen=True)
class JpegSettings:
    """How a JPEG was encoded, so that it can be encoded the same way.

    Attributes:
        tables: Quantization tables, 64 steps each in row order, luminance first.
        subsampling: Pillow's number: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0.
        progressive: Whether the scan order is progressive.
    """

    tables: tuple[tuple[int, ...], ...]
    subsampling: int
    progressive: bool


def read_jpeg_settings(image: Image.Image, *, orientation: int) -> JpegSettings | None:
    """Return how a JPEG was encoded; None for other images.

    Args:
        image: An opened image.
        orientation: 1-8. From 5 on the pixels get their axes swapped, so do the tables; and 4:2:2,
            which halves columns only, becomes 4:4:4.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return None
    tables = [tuple(table) for _, table in sorted(image.quantization.items())]
    if image.mode == "CMYK":
        tables = tables[:2]  # it is written with three channels
    if not 0 < len(tables) < 5 or any(len(table) != 64 for table in tables):
        return None
    subsampling = JpegImagePlugin.get_sampling(image)
    if orientation >= 5:
        tables = [tuple(np.reshape(table, (8, 8)).T.ravel().tolist()) for table in tables]
        subsampling = 0 if subsampling == 1 else subsampling
    progressive = bool(image.info.get("progressive", False))
    return JpegSettings(tuple(tables), max(subsampling, 0), progressive)


def is_lossless_webp(data: bytes) -> bool:
    """Say whether a WebP file's picture is stored without loss (its chunk is "VP8L")."""
    position = 12  # behind "RIFF", size, "WEBP"
    while position + 8 <= len(data):
        kind = data[position : position + 4]
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + size + size % 2  # chunks are padded to even length
    return False


def encode_image(pixels: ImageArray, file_format: Format, *, source: Source) -> bytes:
    """Encode pixels with the cleaned metadata of their source and the mark of synthetic content.

    Args:
        pixels: (H, W, 3) RGB uint8.
        file_format: What to write. BMP has no place for metadata and stays unmarked.
        source: Where the pixels came from; the pixels in it are not used. Its opacity goes into
            PNG, WebP and TIFF; elsewhere the picture is laid on white.

    Returns:
        The file's bytes.

    Raises:
        InputError: If the format can't hold the image (too large for it, for one).
    """
    image, space = _compose(pixels, file_format, source)
    buffer = io.BytesIO()
    try:
        WRITERS[file_format](image, buffer, source, _profile(source, space))
    except (OSError, ValueError, OverflowError, RuntimeError) as error:
        size = "x".join(map(str, image.size))
        raise InputError(f"a {size} image can't be written as {file_format}: {error}") from error
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
    if grey:
        image = image.convert("L")  # exact where the three channels agree
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    return image, "GRAY" if grey else "RGB"


def _profile(source: Source, space: Literal["RGB", "GRAY"]) -> bytes | None:
    """Return the source's profile if it describes the space that is written."""
    return source.icc_profile if source.grey == (space == "GRAY") else None


def _write_jpeg(image: Image.Image, file: io.BytesIO, source: Source, icc: bytes | None) -> None:
    jpeg = source.jpeg
    image.save(
        file,
        "JPEG",
        quality=-1 if jpeg else QUALITY,  # Pillow would scale the tables by a quality
        qtables=jpeg.tables if jpeg else None,
        subsampling=jpeg.subsampling if jpeg else 0,
        progressive=jpeg.progressive if jpeg else False,
        dpi=source.dpi or (0, 0),
        icc_profile=icc,
        exif=build_exif(source.exif),
        xmp=xmp_packet(synthetic=source.synthetic),
    )


def _write_png(image: Image.Image, file: io.BytesIO, source: Source, icc: bytes | None) -> None:
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp_packet(synthetic=source.synthetic).decode())
    exif = build_exif(source.exif)
    image.save(file, "PNG", dpi=source.dpi, icc_profile=icc, exif=exif, pnginfo=text)


def _write_webp(image: Image.Image, file: io.BytesIO, source: Source, icc: bytes | None) -> None:
    image.save(
        file,
        "WEBP",
        lossless=source.lossless_webp,
        quality=QUALITY,
        exact=True,  # colours under full transparency stay as they are
        icc_profile=icc,
        exif=build_exif(source.exif),
        xmp=xmp_packet(synthetic=source.synthetic),
    )


def _write_tiff(image: Image.Image, file: io.BytesIO, source: Source, icc: bytes | None) -> None:
    # Uncompressed, as Pillow's compressing writer can't keep the Exif directory.
    exif = build_exif(source.exif, xmp=xmp_packet(synthetic=source.synthetic))
    image.save(file, "TIFF", compression="raw", dpi=source.dpi, icc_profile=icc, exif=exif)


def _write_bmp(image: Image.Image, file: io.BytesIO, source: Source, icc: bytes | None) -> None:
    image.save(file, "BMP", dpi=source.dpi or (96, 96))


WRITERS: dict[Format, Callable[[Image.Image, io.BytesIO, Source, bytes | None], None]] = {
    "JPEG": _write_jpeg,
    "PNG": _write_png,
    "WEBP": _write_webp,
    "TIFF": _write_tiff,
    "BMP": _write_bmp,
}
