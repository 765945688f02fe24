"""PNG files of 16 bits per sample, which Pillow can't write (PNG, third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from anonyface.media.containers import PNG_SIGNATURE, Layout
from anonyface.types import ImageArray

# Colour type by number of channels (section 11.2.1).
COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
STRIPE = 1 << 20  # bytes that are filtered and compressed at once
LEVEL = 6  # of zlib: its default
# What says which colours the samples are, where there is no profile, and its only legal length.
COLOUR_CHUNKS = {"cICP": 4, "sRGB": 1, "gAMA": 4, "cHRM": 32}


def colour_chunks(data: bytes, layout: Layout) -> tuple[tuple[str, bytes], ...]:
    """Return the small chunks of a PNG file that define its colours without a profile."""
    return tuple(
        (part.name, data[part.start : part.end])
        for part in layout.parts
        if COLOUR_CHUNKS.get(part.name) == part.end - part.start
    )


def encode_png16(samples: NDArray[np.uint16], chunks: Iterable[tuple[str, bytes]]) -> bytes:
    """Encode 16-bit samples.

    Args:
        samples: (H, W) or (H, W, C) uint16: grey, grey and opacity, RGB, or RGBA.
        chunks: Name and payload of what goes between the header and the pixels.
    """
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    header = struct.pack(">LLBBBBB", width, height, 16, COLOUR_TYPE[channels], 0, 0, 0)
    parts = [("IHDR", header), *chunks]
    parts += [("IDAT", data) for data in _compressed(samples.reshape(height, -1))]
    return PNG_SIGNATURE + b"".join(_chunk(name, data) for name, data in [*parts, ("IEND", b"")])


def profile_chunk(icc: bytes) -> tuple[str, bytes]:
    """Return the chunk that holds an ICC profile."""
    return "iCCP", b"ICC Profile\x00\x00" + zlib.compress(icc)


def xmp_chunk(packet: bytes) -> tuple[str, bytes]:
    """Return the chunk that holds an XMP packet, uncompressed as its specification asks."""
    return "iTXt", b"XML:com.adobe.xmp" + b"\x00" * 5 + packet


def resolution_chunk(dpi: tuple[float, float]) -> tuple[str, bytes]:
    """Return the chunk that states the resolution, which is in pixels per metre."""
    x, y = (round(value / 0.0254) for value in dpi)
    return "pHYs", struct.pack(">LLB", x, y, 1)


def _chunk(name: str, data: bytes) -> bytes:
    """Return a chunk with its length and check sum (section 5.3)."""
    body = name.encode("ascii") + data
    return struct.pack(">L", len(data)) + body + struct.pack(">L", zlib.crc32(body))


def _compressed(rows: NDArray[np.uint16]) -> Iterator[bytes]:
    """Yield the compressed rows, each filtered by the difference to the one above (type 2)."""
    packer = zlib.compressobj(LEVEL)
    step = max(1, STRIPE // max(1, rows.shape[1] * 2))
    above: ImageArray = np.zeros((1, rows.shape[1] * 2), np.uint8)
    for start in range(0, len(rows), step):
        stripe = np.ascontiguousarray(rows[start : start + step], dtype=">u2").view(np.uint8)
        filtered = np.full((len(stripe), stripe.shape[1] + 1), 2, np.uint8)
        filtered[:, 1:] = stripe - np.concatenate([above, stripe[:-1]])
        above = stripe[-1:]
        if data := packer.compress(filtered.tobytes()):
            yield data
    yield packer.flush()
