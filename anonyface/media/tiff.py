"""TIFF files of 16 bits per sample, which Pillow writes in grey only (TIFF 6.0)."""

from __future__ import annotations

import struct
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Tags of TIFF 6.0, section 8 and part 2, and of ICC.1:2022, annex B.
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 0x0100, 0x0101, 0x0102, 0x0103, 0x0106
STRIP_OFFSETS, SAMPLES, ROWS, STRIP_BYTES = 0x0111, 0x0115, 0x0116, 0x0117
X_RESOLUTION, Y_RESOLUTION, UNIT, EXTRA_SAMPLES = 0x011A, 0x011B, 0x0128, 0x0152
PROFILE = 0x8773
STRIP = 1 << 20  # bytes


def encode_tiff16(
    samples: NDArray[np.uint16],
    exif: Image.Exif,
    *,
    icc: bytes | None,
    dpi: tuple[float, float] | None,
) -> bytes:
    """Encode 16-bit samples, uncompressed.

    Args:
        samples: (H, W) or (H, W, C) uint16: grey, grey and opacity, RGB, or RGBA.
        exif: Directories to write; gets the tags of the picture, too.
        icc: Profile of the samples.
        dpi: Resolution in pixels per inch.
    """
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    row = width * channels * 2
    rows = max(1, min(height, STRIP // row))
    lengths = [row * min(rows, height - start) for start in range(0, height, rows)]
    # As Exif is a TIFF structure, Pillow's writer makes the whole of it but for the strips' places.
    tags: dict[int, object] = {
        WIDTH: width,
        LENGTH: height,
        BITS: (16,) * channels,
        COMPRESSION: 1,
        PHOTOMETRIC: 2 if channels > 2 else 1,
        STRIP_OFFSETS: (0,) * len(lengths),  # known once the size of the block is
        SAMPLES: channels,
        ROWS: rows,
        STRIP_BYTES: tuple(lengths),
    }
    if channels in (2, 4):
        tags[EXTRA_SAMPLES] = 2  # opacity that is not multiplied into the colours
    if icc:
        tags[PROFILE] = icc
    if dpi:
        tags |= {X_RESOLUTION: dpi[0], Y_RESOLUTION: dpi[1], UNIT: 2}
    for tag, value in tags.items():
        exif[tag] = value
    exif.endian = "<"
    block = bytearray(exif.tobytes()[6:])
    block += b"\x00" * (len(block) % 2)
    _place_strips(block, list(accumulate(lengths[:-1], initial=len(block))))
    return bytes(block) + np.ascontiguousarray(samples, dtype="<u2").tobytes()


def _place_strips(block: bytearray, offsets: list[int]) -> None:
    """Write where the strips are into the first directory of a little-endian block."""
    position = struct.unpack_from("<L", block, 4)[0] + 2
    while struct.unpack_from("<H", block, position)[0] != STRIP_OFFSETS:
        position += 12
    at = position + 8 if len(offsets) == 1 else struct.unpack_from("<L", block, position + 8)[0]
    struct.pack_into("<HL", block, position + 2, 4, len(offsets))
    struct.pack_into(f"<{len(offsets)}L", block, at, *offsets)
