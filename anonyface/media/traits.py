"""How a file was encoded, so that it can be encoded the same way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, JpegImagePlugin

from anonyface.media.containers import Layout


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


def is_lossless_webp(layout: Layout) -> bool:
    """Say whether a WebP file's picture is stored without loss (its chunk is "VP8L")."""
    kinds = [part.name for part in layout.parts if part.name in ("VP8L", "VP8 ")]
    return layout.container == "WEBP" and kinds[:1] == ["VP8L"]


def chroma_subsampling(data: bytes) -> str:
    """Return how an AVIF or HEIC file stores colour: "4:4:4", "4:2:2" or "4:2:0".

    Taken from the decoder's configuration: AV1 in ISOBMFF section 2.3.3, ISO/IEC 14496-15 section
    8.3.3.1.
    """
    at = data.find(b"av1C")
    if 0 <= at < len(data) - 7:
        halved = data[at + 6] >> 2 & 3  # chroma_subsampling_x and _y
        return {3: "4:2:0", 2: "4:2:2"}.get(halved, "4:4:4")
    at = data.find(b"hvcC")
    if 0 <= at < len(data) - 21:
        return {3: "4:4:4", 2: "4:2:2"}.get(data[at + 20] & 3, "4:2:0")
    return "4:4:4"
