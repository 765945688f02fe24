"""Bytes -> an opened image: which formats are read, and Pillow kept from talking."""

from __future__ import annotations

import importlib
import io
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

from anonyface.errors import InputError

# Pillow reads more, among them formats that start other programs (EPS) or hold no photos.
READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000")
# ISO/IEC 14496-12 brands that HEIC files of phones carry behind "ftyp".
HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"})

_warnings_lock = threading.Lock()


def open_image(data: bytes, name: str) -> Image.Image:
    """Identify an image without decoding its pixels.

    Raises:
        InputError: If it is no image of a known format.
    """
    try:
        with pillow_warnings_off():
            return Image.open(io.BytesIO(data), formats=READABLE)
    except UnidentifiedImageError:
        if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
            return _open_heif(data, name)
        raise InputError(f"{name}: not an image, or of an unknown format") from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{name}: too many pixels: {one_line(error)}") from error
    except Exception as error:  # Pillow's readers fail in many ways on broken files
        raise InputError(f"{name}: {one_line(error)}") from error


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
