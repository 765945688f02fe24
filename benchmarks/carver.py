"""Find every picture in some bytes, wherever it is and however it is wrapped.

Nothing is taken from a file's own account of itself. The bytes are searched for the beginnings of
image files at any offset; for base64 and hexadecimal digits (in UTF-16, too), zlib, gzip and zip;
what these unpack to is searched again. Pieces that belong together (segments of a JPEG, chunks of a
PNG, blocks of a GIF) are joined first. TIFF directories are followed one by one, wherever a TIFF
header stands, which is how Exif thumbnails and SubIFDs are found. Raw pixels can be found only
where a container states their size (JFIF, JFXX, TIFF strips).
"""

from __future__ import annotations

import hashlib
import io
import struct
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageFile

from anonyface.types import ImageArray
from benchmarks.carver_streams import inner_streams

MAX_DEPTH = 4
"""A thumbnail in an Exif block in hexadecimal digits in a zlib stream in a file."""
MAX_PIXELS = 40_000_000
MIN_SIDE = 16
"""Pictures with a shorter side hold no face that anybody would recognise."""
MAX_FRAMES = 12
FILMS = frozenset({b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"qt  ", b"3gp4", b"3gp5", b"M4V "})
"""Brands of ISO/IEC 14496-12 files that hold films."""
MAX_STREAMS = 400
"""Streams searched in one file; what is left out is counted in `Haul.left_out`."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that was found.

    Attributes:
        where: How it was reached, such as "zlib@120 > base64@0 > JPEG@0".
        pixels: (H, W, 3) RGB uint8, as stored: orientation is not applied.
    """

    where: str
    pixels: ImageArray = field(repr=False)


@dataclass
class Haul:
    """All that was found.

    Attributes:
        pictures: Each once.
        streams: Everything that was searched, the file itself first: for words in metadata.
        left_out: Streams not searched because there were too many.
    """

    pictures: list[Picture] = field(default_factory=list)
    streams: list[bytes] = field(default_factory=list, repr=False)
    left_out: int = 0
    seen: set[bytes] = field(default_factory=set, repr=False)


def carve(data: bytes) -> Haul:
    """Return every picture in a file's bytes, the file's own ones first."""
    haul = Haul()
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    # Half a face is a face, too. The limit of pixels is applied here.
    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = True, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _search(data, "", MAX_DEPTH, haul)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = before
    return haul


def _search(data: bytes, where: str, depth: int, haul: Haul) -> None:
    """Search one stream and what is packed in it."""
    if not _is_new(data, haul):
        return
    if len(haul.streams) >= MAX_STREAMS:
        haul.left_out += 1
        return
    haul.streams.append(data)
    for name, offset, pixels in _pictures(data):
        if min(pixels.shape[:2]) >= MIN_SIDE and _is_new(pixels.tobytes(), haul):
            haul.pictures.append(Picture(f"{where}{name}@{offset}", pixels))
    if depth:
        for name, stream in inner_streams(data):
            _search(stream, f"{where}{name} > ", depth - 1, haul)


def _is_new(data: bytes, haul: Haul) -> bool:
    """Say whether some bytes come for the first time."""
    digest = hashlib.sha256(data).digest()
    if digest in haul.seen:
        return False
    haul.seen.add(digest)
    return True


def _pictures(data: bytes) -> Iterator[tuple[str, int, ImageArray]]:
    """Yield kind, offset and pixels of every picture that begins somewhere in some bytes."""
    for (kind, mark), (shift, read) in READERS.items():
        at = data.find(mark)
        while at >= 0:
            if at >= shift:
                for pixels in read(data, at - shift):
                    yield kind, at - shift, pixels
            at = data.find(mark, at + 1)


def _with_pillow(data: bytes, offset: int) -> Iterator[ImageArray]:
    """Yield the frames of an image file that begins at an offset."""
    try:
        with Image.open(io.BytesIO(data[offset:])) as image:
            for number in range(min(getattr(image, "n_frames", 1), MAX_FRAMES)):
                image.seek(number)
                yield _to_rgb(image)
    except Exception:  # noqa: BLE001 - most offsets hold no picture
        return


def _to_rgb(image: Image.Image) -> ImageArray:
    """Decode an opened image.

    Raises:
        ValueError: If it is too large.
    """
    if image.width * image.height > MAX_PIXELS:
        raise ValueError("too large")
    if image.mode.startswith("I;16"):
        return np.asarray((np.asarray(image) >> 8)[..., None].repeat(3, axis=2), np.uint8)
    # Without the opacity: what is hidden under full transparency is in the file all the same.
    if image.mode in ("RGBA", "LA", "PA"):
        bands = image.convert("RGBA").split()[:3]
        return np.asarray(Image.merge("RGB", bands))
    return np.asarray(image.convert("RGB"))


def _bitmap(data: bytes, offset: int) -> Iterator[ImageArray]:
    """Yield a BMP if what stands behind its two letters makes sense."""
    header = data[offset : offset + 34]
    if len(header) == 34 and struct.unpack_from("<L", header, 14)[0] in (12, 40, 52, 56, 108, 124):
        yield from _with_pillow(data, offset)


def _tiff(data: bytes, offset: int) -> Iterator[ImageArray]:
    """Yield the picture of every directory, whichever tag leads there."""
    block = data[offset:]
    order = "<" if block[:2] == b"II" else ">"
    for start, tags in directories(block):
        moved = block[:4] + struct.pack(order + "L", start) + block[8:]
        yield from _one_frame(moved)
        if 0x0201 in tags and 0x0202 in tags:
            yield from _with_pillow(block, tags[0x0201])


def _one_frame(data: bytes) -> Iterator[ImageArray]:
    try:
        with Image.open(io.BytesIO(data), formats=["TIFF"]) as image:
            yield _to_rgb(image)
    except Exception:  # noqa: BLE001 - a directory without a picture
        return


def directories(block: bytes) -> Iterator[tuple[int, dict[int, int]]]:
    """Follow the directories of a TIFF or Exif block: the chain and everything tags point to.

    Args:
        block: Bytes from the byte order on.

    Yields:
        Offset of a directory, and its tags with the number in their value field: the value where it
        fits there, else where it is.
    """
    order = "<" if block[:2] == b"II" else ">"
    if len(block) < 8:
        return
    ahead, seen = [struct.unpack_from(order + "L", block, 4)[0]], set()
    while ahead and len(seen) < 200:
        start = ahead.pop()
        if start in seen or not 8 <= start <= len(block) - 6:
            continue
        seen.add(start)
        count = struct.unpack_from(order + "H", block, start)[0]
        end = start + 2 + 12 * count
        if count > 500 or end > len(block):
            continue
        tags: dict[int, int] = {}
        for at in range(start + 2, end, 12):
            tag, kind, number, value = struct.unpack_from(order + "HHLL", block, at)
            tags[tag] = value
            if kind in (4, 13) and tag in (0x014A, 0x8769, 0x8825, 0xA005):
                one = number == 1
                ahead += [value] if one else _offsets(block, value, min(number, 50), order)
        if end + 4 <= len(block):
            ahead.append(struct.unpack_from(order + "L", block, end)[0])
        yield start, tags


def _offsets(block: bytes, start: int, count: int, order: str) -> list[int]:
    room = max(0, (len(block) - start) // 4)
    return list(struct.unpack_from(f"{order}{min(count, room)}L", block, start)) if room else []


def _jfif(data: bytes, offset: int) -> Iterator[ImageArray]:
    """Yield the raw thumbnail of a JFIF segment."""
    width, height = data[offset + 12 : offset + 14].ljust(2, b"\0")
    raw = data[offset + 14 : offset + 14 + 3 * width * height]
    if raw and len(raw) == 3 * width * height:
        yield np.frombuffer(raw, np.uint8).reshape(height, width, 3)


def _jfxx(data: bytes, offset: int) -> Iterator[ImageArray]:
    """Yield the thumbnail of a JFXX segment that is not a JPEG itself."""
    kind, width, height = data[offset + 5 : offset + 8].ljust(3, b"\0")
    start, count = offset + 8, width * height
    if kind == 0x13:
        raw = np.frombuffer(data[start : start + 3 * count], np.uint8)
        if raw.size == 3 * count > 0:
            yield raw.reshape(height, width, 3)
    elif kind == 0x11:
        palette = np.frombuffer(data[start : start + 768], np.uint8)
        raw = np.frombuffer(data[start + 768 : start + 768 + count], np.uint8)
        if palette.size == 768 and raw.size == count > 0:
            yield palette.reshape(256, 3)[raw].reshape(height, width, 3)


def _swapped_thumbnail(data: bytes, offset: int) -> Iterator[ImageArray]:
    """Yield Photoshop 4's thumbnail the right way round: its JPEG has red and blue swapped."""
    at = data.find(b"\xff\xd8\xff", offset, offset + 64)
    if at >= 0:
        for pixels in _with_pillow(data, at):
            yield np.ascontiguousarray(pixels[..., ::-1])


def _boxes(data: bytes, offset: int) -> Iterator[ImageArray]:
    """Yield the pictures of HEIC and AVIF, and frames of films."""
    brand = data[offset + 8 : offset + 12]
    if brand in (b"avif", b"avis"):
        yield from _with_pillow(data, offset)
    elif brand in FILMS:
        yield from _film(data[offset:])
    else:
        yield from _heif(data[offset:])


def _heif(data: bytes) -> Iterator[ImageArray]:
    """Yield every picture of a HEIC file.

    Raises:
        ImportError: If the package for it is not installed: not to look is not to find nothing.
    """
    import pillow_heif

    try:
        for image in pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True):
            yield np.asarray(image.to_pillow().convert("RGB"))
    except Exception:  # noqa: BLE001 - four letters by chance, or a broken file
        return


def _film(data: bytes) -> Iterator[ImageArray]:
    """Yield the first frames of a film."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        path.write_bytes(data)
        film = cv2.VideoCapture(str(path))
        for _ in range(3):
            there, frame = film.read()
            if not there:
                break
            yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
        film.release()


Reader = Callable[[bytes, int], Iterator[ImageArray]]
READERS: dict[tuple[str, bytes], tuple[int, Reader]] = {
    ("JPEG", b"\xff\xd8\xff"): (0, _with_pillow),
    ("PNG", b"\x89PNG\r\n\x1a\n"): (0, _with_pillow),
    ("WebP", b"WEBPVP8"): (8, _with_pillow),
    ("GIF", b"GIF87a"): (0, _with_pillow),
    ("GIF", b"GIF89a"): (0, _with_pillow),
    ("TIFF", b"II*\0"): (0, _tiff),
    ("TIFF", b"MM\0*"): (0, _tiff),
    ("BigTIFF", b"II+\0\x08\0\0\0"): (0, _with_pillow),
    ("BMP", b"BM"): (0, _bitmap),
    ("JPEG 2000", b"\0\0\0\x0cjP  \r\n\x87\n"): (0, _with_pillow),
    ("JPEG 2000", b"\xff\x4f\xff\x51\0"): (0, _with_pillow),
    ("boxes", b"ftyp"): (4, _boxes),
    ("JFIF", b"JFIF\0"): (0, _jfif),
    ("JFXX", b"JFXX\0"): (0, _jfxx),
    ("8BIM 1033", b"8BIM\x04\x09"): (0, _swapped_thumbnail),
}
"""Kind and how it is recognised -> bytes before the mark, and its reader."""
