"""Bytes -> an opened image: which formats are read, and Pillow kept from talking."""

from __future__ import annotations

import importlib
import io
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import (  # the plugins register the formats of READABLE
    AvifImagePlugin,  # noqa: F401
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    Jpeg2KImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)
from PIL.TiffImagePlugin import TiffImageFile

from anonyface.errors import InputError
from anonyface.media.containers import Layout, read_layout
from anonyface.media.directories import SUBFILE, TILE_SIZE, read_directories
from anonyface.media.exif import ORIENTATION

# Pillow reads more, among them formats that start other programs (EPS) or hold no photos.
READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000")
# ISO/IEC 14496-12 brands that HEIC files of phones carry behind "ftyp".
HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"})
# Parts that hold an Exif block; JPEG has other things in that segment, too.
EXIF_PARTS = {"JPEG": ("APP1",), "PNG": ("eXIf",), "WEBP": ("EXIF",)}
MAX_BLOCKS = 64  # in a HEIC or AVIF file; photos have one or two
_TIFF_HEADER = re.compile(rb"II\*\x00|MM\x00\*")

# The other frames of these are second views and depth of the same photo: only the first is read.
FIRST_FRAME_ONLY = frozenset({"MPO", "HEIF"})

_warnings_lock = threading.Lock()


def open_image(data: bytes, name: str, *, max_pixels: int) -> tuple[Image.Image, Layout]:
    """Identify an image without decoding its pixels.

    Args:
        data: The whole file.
        name: What to call it in an error.
        max_pixels: Largest width x height.

    Returns:
        The opened image and what its file is made of.

    Raises:
        InputError: If it is no image of a known format, too large, or built to exhaust a reader.
    """
    layout = read_layout(data, name)
    refuse_bombs(data, layout, name, max_pixels=max_pixels)
    try:
        with pillow_warnings_off():
            image: Image.Image = Image.open(io.BytesIO(data), formats=READABLE)
    except UnidentifiedImageError:
        if data[4:8] != b"ftyp" or data[8:12] not in HEIF_BRANDS:
            raise InputError(f"{name}: not an image, or of an unknown format") from None
        image = _open_heif(data, name)
    except Image.DecompressionBombError as error:
        raise InputError(f"{name}: too many pixels: {one_line(error)}") from error
    except Exception as error:  # Pillow's readers fail in many ways on broken files
        raise InputError(f"{name}: {one_line(error)}") from error
    check_pixels(image.size, name, max_pixels)
    return image, layout


def check_pixels(size_wh: tuple[int, int], name: str, max_pixels: int) -> None:
    """Check the size of a picture.

    Raises:
        InputError: If it has no pixel, or more than the limit.
    """
    width, height = size_wh
    if not 0 < width * height <= max_pixels:
        raise InputError(f"{name}: {width}x{height} pixels, the limit is {max_pixels:,}")


def refuse_bombs(data: bytes, layout: Layout, name: str, *, max_pixels: int) -> None:
    """Refuse what would make a reader collect far more bytes than the file has.

    Raises:
        InputError: If the tags of a directory, or the tiles of a TIFF file, claim too much.
    """
    for block in _directory_blocks(data, layout, name):
        found = read_directories(block)
        if found is None:
            continue
        if found.is_bomb:
            raise InputError(f"{name}: its metadata claims {found.weight:,} bytes")
        tile = [found.values.get(("0", tag), 0) for tag in TILE_SIZE]
        if tile[0] * tile[1] > max_pixels:
            raise InputError(
                f"{name}: tiles of {tile[0]}x{tile[1]} pixels, the limit is {max_pixels:,}"
            )


def _directory_blocks(data: bytes, layout: Layout, name: str) -> Iterator[bytes | memoryview]:
    """Yield the TIFF structures a reader will load: a TIFF file itself, else its Exif blocks.

    Raises:
        InputError: If there are far more of them than in any photo.
    """
    if data[:2] in (b"II", b"MM"):
        yield data
    for part in EXIF_PARTS.get(layout.container or "", ()):
        yield from layout.payloads(data, part)
    if layout.container == "ISOBMFF":  # the block is an item anywhere in the file
        for count, hit in enumerate(_TIFF_HEADER.finditer(data)):
            if count >= MAX_BLOCKS:
                raise InputError(f"{name}: more than {MAX_BLOCKS} blocks of metadata")
            yield memoryview(data)[hit.start() :]


def _open_heif(data: bytes, name: str) -> Image.Image:
    """Open a HEIC file with the optional package, without registering it in Pillow.

    Raises:
        InputError: If the package is not installed or refuses the file.
    """
    try:
        heif = importlib.import_module("pillow_heif")
    except ImportError:
        raise InputError(f"{name}: HEIC needs `pip install anonyface[heif]`") from None
    try:
        opened: Image.Image = heif.HeifImageFile(io.BytesIO(data))
    except Exception as error:
        raise InputError(f"{name}: {one_line(error)}") from error
    return opened


def tiff_orientation(image: Image.Image) -> int:
    """Return the orientation that Pillow will apply to an opened TIFF while loading; else 1."""
    value = image.tag_v2.get(ORIENTATION, 1) if isinstance(image, TiffImageFile) else 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def refuse_pages(image: Image.Image, data: bytes | None, name: str) -> None:
    """Refuse what holds several pictures of which only one would be treated.

    Raises:
        InputError: If an image is animated or has pages, or is only the preview of a raw file.
    """
    several = getattr(image, "is_animated", False) and image.format not in FIRST_FRAME_ONLY
    if image.format == "TIFF" and data is not None and (found := read_directories(data)):
        if found.values.get(("0", SUBFILE), 0) & 1:
            raise InputError(f"{name}: the first picture is a preview; raw files are not supported")
        several = several and found.pages > 1  # small copies of the first page are no pages
    if several:
        raise InputError(f"{name}: animated and multi-page images are not supported")


def one_line(error: Exception) -> str:
    """Return an error's text on one line, its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def pillow_warnings_off() -> Iterator[None]:
    """Silence Pillow while it parses a header; its warnings are about things that get dropped.

    The size warning is moot, as the limit here is checked right after. Filters are global, hence
    the lock.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
