"""A photo from anywhere -> upright RGB pixels; pixels -> a cleaned, marked file."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from PIL import Image

from anonyface.errors import InputError
from anonyface.media.encoding import (
    FORMATS,
    JpegSettings,
    encode_image,
    is_lossless_webp,
    read_jpeg_settings,
)
from anonyface.media.files import check_target, replace_file
from anonyface.media.metadata import CleanExif, read_exif
from anonyface.media.modes import decode_mode, turn_upright
from anonyface.media.opening import one_line, open_image, pillow_warnings_off
from anonyface.types import ImageArray, freeze

ImageLike: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | ImageArray

MAX_PIXELS = 100_000_000  # a 100-megapixel camera; 300 MB of RGB
# The other frames of these are second views and depth of the same photo: only the first is read.
FIRST_FRAME_ONLY = frozenset({"MPO", "HEIF"})


@dataclass(frozen=True, eq=False)
class Source:
    """A photo as it came in, and what is needed to write it back as the same kind of file.

    Attributes:
        pixels: (H, W, 3) RGB uint8, upright, read-only.
        image_hw: Height and width of ``pixels``.
        path: Absolute path of the input file, None if there was none.
        format: Pillow's name of the input's format, None for arrays.
        mode: Pillow's name of the input's pixel format.
        grey: Whether the input's mode is grey; then a written file is, too.
        alpha: (H, W) uint8 opacity, upright, read-only; None where there is none.
        icc_profile: Profile that describes ``pixels`` (their grey value if ``grey``).
        exif: The tags that are carried over.
        dpi: Horizontal and vertical resolution in pixels per inch, None if not stated.
        jpeg: How the input was encoded if it was a JPEG.
        lossless_webp: Whether the input was a lossless WebP.
        sha256: Hex digest of the input's bytes, None if it did not come as bytes.
        synthetic: Whether what is written has synthetic parts and is to be marked so.
    """

    pixels: ImageArray = field(repr=False)
    image_hw: tuple[int, int]
    path: Path | None = None
    format: str | None = None
    mode: str = "RGB"
    grey: bool = False
    alpha: ImageArray | None = field(default=None, repr=False)
    icc_profile: bytes | None = field(default=None, repr=False)
    exif: CleanExif = field(default_factory=CleanExif, repr=False)
    dpi: tuple[float, float] | None = None
    jpeg: JpegSettings | None = field(default=None, repr=False)
    lossless_webp: bool = False
    sha256: str | None = None
    synthetic: bool = True

    def without_pixels(self) -> Source:
        """Return the same without the original pixels: enough to save, nothing to leak."""
        return replace(self, pixels=freeze(np.empty((0, 0, 3)), np.uint8, (0, 0, 3), "pixels"))


def load_image(image: ImageLike, *, max_pixels: int = MAX_PIXELS) -> Source:
    """Read a photo, upright, and judge it before its pixels are decoded.

    Args:
        image: Path, bytes, binary file object (read from where it stands), PIL image, or
            (H, W, 3) RGB uint8 array (copied).
        max_pixels: Largest width x height of a file or PIL image.

    Returns:
        The photo; 16-bit images as 8 bits, CMYK and Lab as sRGB.

    Raises:
        InputError: With one line that names the file, if it is missing, empty, truncated, no
            image, too large, animated or of an unsupported pixel format; or if ``image`` is of
            another type or an array of another shape or dtype.
    """
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, Image.Image):
        name = getattr(image, "filename", "")
        path = _existing(name)
        return _from_pillow(image, name=name or "PIL image", max_pixels=max_pixels, path=path)
    data, path, name = _read(image)
    if not data:
        raise InputError(f"{name}: the file is empty")
    with open_image(data, name) as opened:
        source = _from_pillow(opened, name=name, max_pixels=max_pixels, path=path)
    lossless = source.format == "WEBP" and is_lossless_webp(data)
    return replace(source, lossless_webp=lossless, sha256=hashlib.sha256(data).hexdigest())


def save_image(pixels: ImageArray, path: str | Path, *, source: Source) -> Path:
    """Write pixels as a cleaned, marked file; the format follows the suffix.

    A JPEG made from a JPEG keeps its quantization tables and subsampling; any other JPEG or WebP
    gets quality 95. The file appears whole or not at all.

    Args:
        pixels: (H, W, 3) RGB uint8 of the source's size.
        path: Target with suffix .jpg .jpeg .png .webp .tif .tiff or .bmp; an existing file is
            replaced in one step.
        source: Where the pixels came from.

    Returns:
        The path written.

    Raises:
        InputError: Unknown suffix, missing or unwritable folder, ``path`` is the input itself, the
            size differs from the source's, or the format can't hold the image.
    """
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        known = " ".join(FORMATS)
        raise InputError(f"can't write {target}: the suffix must be one of {known}")
    expected = (*source.image_hw, 3)
    if pixels.shape != expected or pixels.dtype != np.uint8:
        actual = f"{pixels.shape} {pixels.dtype}"
        raise InputError(f"can't write {target}: expected {expected} uint8 pixels, got {actual}")
    check_target(target, inputs=[] if source.path is None else [source.path])
    replace_file(target, encode_image(pixels, FORMATS[target.suffix.lower()], source=source))
    return target


def _from_array(array: np.ndarray[Any, Any]) -> Source:
    """Wrap a copy of an array.

    Raises:
        InputError: If it is not (H, W, 3) uint8 with at least one pixel.
    """
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
        actual = f"{array.shape} {array.dtype}"
        raise InputError(f"an array must be RGB of shape (H, W, 3) and dtype uint8, got {actual}")
    pixels = freeze(array, np.uint8, (None, None, 3), "image")
    return Source(pixels, image_hw=(pixels.shape[0], pixels.shape[1]))


def _read(image: str | os.PathLike[str] | bytes | BinaryIO) -> tuple[bytes, Path | None, str]:
    """Return the bytes, the file's absolute path if it has one, and what to call it.

    Raises:
        InputError: If there is nothing to read, or ``image`` is of another type.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image), None, "image"
    if isinstance(image, str | os.PathLike):
        path = Path(image)
        if path.is_dir():
            raise InputError(f"{path}: this is a folder, not an image")
        try:
            return path.read_bytes(), path.absolute(), str(path)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            problem = getattr(error, "strerror", None) or str(error)
            raise InputError(f"{path}: {problem}") from error
    if not hasattr(image, "read"):
        raise InputError(
            "an image is a path, bytes, a binary file, a PIL image or an RGB uint8 array, "
            f"not {type(image).__name__}"
        )
    data = image.read()
    if not isinstance(data, bytes):
        raise InputError("the file object must be opened in binary mode")
    name = getattr(image, "name", None)
    return data, _existing(name), str(name) if isinstance(name, str) else "image"


def _existing(name: object) -> Path | None:
    """Return the absolute path of a file that a name leads to, else None."""
    if isinstance(name, str | os.PathLike) and os.fspath(name) and Path(name).is_file():
        return Path(name).absolute()
    return None


def _from_pillow(image: Image.Image, *, name: str, max_pixels: int, path: Path | None) -> Source:
    """Check, decode and turn upright an opened image.

    Raises:
        InputError: If it is too large, animated, truncated or of an unsupported pixel format.
    """
    width, height = image.size
    if not 0 < width * height <= max_pixels:
        raise InputError(f"{name}: {width}x{height} pixels, the limit is {max_pixels:,}")
    if getattr(image, "is_animated", False) and image.format not in FIRST_FRAME_ONLY:
        raise InputError(f"{name}: animated and multi-page images are not supported")
    try:
        image.load()
        with pillow_warnings_off():
            # A TIFF was turned by Pillow while loading; its orientation reads 1 from then on.
            orientation, exif = read_exif(image)
        decoded = decode_mode(image)
        jpeg = read_jpeg_settings(image, orientation=orientation)
    except Exception as error:
        raise InputError(f"{name}: {one_line(error)}") from error
    pixels = freeze(turn_upright(decoded.pixels, orientation), np.uint8, (None, None, 3), name)
    alpha = None
    if decoded.alpha is not None:
        alpha = freeze(turn_upright(decoded.alpha, orientation), np.uint8, (None, None), name)
    return Source(
        pixels,
        image_hw=(pixels.shape[0], pixels.shape[1]),
        path=path,
        format=image.format,
        mode=image.mode,
        grey=decoded.grey,
        alpha=alpha,
        icc_profile=decoded.icc_profile,
        exif=exif,
        dpi=_dpi(image, swapped=orientation >= 5),
        jpeg=jpeg,
    )


def _dpi(image: Image.Image, *, swapped: bool) -> tuple[float, float] | None:
    """Return the stated resolution if it is a sensible one."""
    try:
        x, y = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not all(math.isfinite(value) and 1 <= value < 2**16 for value in (x, y)):
        return None
    return (y, x) if swapped else (x, y)
