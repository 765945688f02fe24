"""A photo from anywhere -> upright RGB pixels; pixels -> a cleaned, marked file."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonyface.errors import InputError
from anonyface.media.containers import Layout
from anonyface.media.description import Description
from anonyface.media.encoding import FORMATS, encode_image
from anonyface.media.exif import CleanExif, read_metadata
from anonyface.media.files import check_target, replace_file
from anonyface.media.inventory import take_inventory
from anonyface.media.modes import decode_mode, decode_native
from anonyface.media.native import Native, patch, read_native
from anonyface.media.opening import (
    check_pixels,
    one_line,
    open_image,
    pillow_warnings_off,
    refuse_pages,
    tiff_orientation,
)
from anonyface.media.orientation import turn_upright
from anonyface.media.png import colour_chunks
from anonyface.media.provenance import PROVENANCE
from anonyface.media.reading import MAX_BYTES, existing_path, read_input
from anonyface.media.signing import C2paSigner, sign_bytes
from anonyface.media.traits import (
    JpegSettings,
    chroma_subsampling,
    is_lossless_webp,
    read_jpeg_settings,
)
from anonyface.types import ImageArray, MetadataPolicy, freeze

ImageLike: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | ImageArray

MAX_PIXELS = 100_000_000  # a 100-megapixel camera; 300 MB of RGB


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
        exif: The tags that may be carried over.
        description: The texts that may be carried over.
        found: What the file held besides its picture, names only: "gps", "serial", "thumbnail",
            "maker-note", "face-regions", "trailer", "digital-source-type:composite" ...
        native: The samples that belong to ``pixels``, if they are 16-bit or CMYK.
        colour: Chunks of a PNG file that define its colours where there is no profile.
        dpi: Horizontal and vertical resolution in pixels per inch, None if not stated.
        jpeg: How the input was encoded if it was a JPEG.
        lossless_webp: Whether the input was a lossless WebP.
        chroma: How an AVIF or HEIC input stored colour, e.g. "4:2:0".
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
    description: Description = field(default_factory=Description, repr=False)
    found: tuple[str, ...] = ()
    native: Native | None = field(default=None, repr=False)
    colour: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    dpi: tuple[float, float] | None = None
    jpeg: JpegSettings | None = field(default=None, repr=False)
    lossless_webp: bool = False
    chroma: str = "4:4:4"
    sha256: str | None = None
    synthetic: bool = True

    @property
    def earlier_mark(self) -> str | None:
        """The digital source type the input stated, if it is one that says a machine made it."""
        codes = (name.partition("digital-source-type:")[2] for name in self.found)
        return next((code for code in codes if code.lower().endswith("algorithmicmedia")), None)

    def without_pixels(self) -> Source:
        """Return the same without the original pixels: enough to save, nothing to leak."""
        empty = freeze(np.empty((0, 0, 3)), np.uint8, (0, 0, 3), "pixels")
        return replace(self, pixels=empty, native=None)

    def with_result(self, pixels: ImageArray) -> Source:
        """Return the same without the original pixels, but with all that saving a result needs.

        Costs nothing unless the photo is 16-bit or CMYK. Then the samples stay, patched: the same
        bits where ``pixels`` agrees with the original, converted from ``pixels`` elsewhere.

        Args:
            pixels: (H, W, 3) RGB uint8, what became of the photo.

        Raises:
            ValueError: If the size is another.
        """
        if self.native is None:
            return self.without_pixels()
        result = freeze(pixels, np.uint8, (*self.image_hw, 3), "pixels")
        return replace(self, pixels=result, native=patch(self.native, self.pixels, result))


def load_image(
    image: ImageLike, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> Source:
    """Read a photo, upright, and judge it before its pixels are decoded.

    Args:
        image: Path, bytes, binary file object (read from where it stands), PIL image, or
            (H, W, 3) RGB uint8 array (copied).
        max_pixels: Largest width x height of a file or PIL image.
        max_bytes: Largest file.

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
        path = existing_path(name)
        name = str(name) or "PIL image"
        check_pixels(image.size, name, max_pixels)
        return replace(_from_pillow(image, name=name), path=path)
    data, path, name = read_input(image, max_bytes=max_bytes)
    if not data:
        raise InputError(f"{name}: the file is empty")
    opened, layout = open_image(data, name, max_pixels=max_pixels)
    with opened:
        source = _from_pillow(opened, name=name, data=data, layout=layout)
    return replace(
        source,
        path=path,
        lossless_webp=is_lossless_webp(layout),
        colour=colour_chunks(data, layout) if source.format == "PNG" else (),
        chroma=chroma_subsampling(data) if layout.container == "ISOBMFF" else "4:4:4",
        sha256=hashlib.sha256(data).hexdigest(),
    )


def save_image(
    pixels: ImageArray,
    path: str | Path,
    *,
    source: Source,
    metadata: MetadataPolicy = "clean",
    mark: bool = True,
    sign: C2paSigner | None = None,
    actions: Iterable[str] = (),
) -> Path:
    """Write pixels as a cleaned, marked file; the format follows the suffix.

    A JPEG made from a JPEG keeps its quantization tables and subsampling; any other JPEG or WebP
    gets quality 95. The file appears whole or not at all.

    Args:
        pixels: (H, W, 3) RGB uint8 of the source's size.
        path: Target with suffix .jpg .jpeg .png .webp .tif .tiff .bmp .avif, or with the extra
            ``heif`` .heic .heif; an existing file is replaced in one step.
        source: Where the pixels came from.
        metadata: What is carried over, see docs/files.md.
        mark: Whether to say that this software wrote the file and that a model made parts of it.
        sign: Whose certificate the file is signed with (C2PA), None for no manifest.
        actions: What was done to each face, for the manifest.

    Returns:
        The path written.

    Raises:
        InputError: Unknown suffix, missing or unwritable folder, ``path`` is the input itself, the
            size differs from the source's, the format can't hold the image, or it can't be signed.
    """
    if sign is not None and not mark:
        raise InputError("a signed manifest is a mark: sign and mark=False contradict each other")
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        known = " ".join(FORMATS)
        raise InputError(f"can't write {target}: the suffix must be one of {known}")
    expected = (*source.image_hw, 3)
    if pixels.shape != expected or pixels.dtype != np.uint8:
        actual = f"{pixels.shape} {pixels.dtype}"
        raise InputError(f"can't write {target}: expected {expected} uint8 pixels, got {actual}")
    check_target(target, inputs=[] if source.path is None else [source.path])
    file_format = FORMATS[target.suffix.lower()]
    data = encode_image(pixels, file_format, source=source, metadata=metadata, mark=mark)
    if sign is not None:
        stated = {name.partition(":")[0] for name in source.found}
        had = [name for name in PROVENANCE if name in stated]
        data = sign_bytes(data, file_format, signer=sign, actions=actions, source_had=had)
    replace_file(target, data)
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


def _from_pillow(
    image: Image.Image, *, name: str, data: bytes | None = None, layout: Layout | None = None
) -> Source:
    """Check, decode and turn upright an opened image of an acceptable size.

    Raises:
        InputError: If it is animated, truncated or of an unsupported pixel format.
    """
    try:
        stored = tiff_orientation(image)
        refuse_pages(image, data, name)
        image.load()
        with pillow_warnings_off():
            # A TIFF was turned by Pillow while loading; its orientation reads 1 from then on.
            orientation, exif, description = read_metadata(image)
        found = take_inventory(image, data, layout)
        native = read_native(image, data, turned=stored)
        decoded = decode_mode(image) if native is None else decode_native(native, image)
        jpeg = read_jpeg_settings(image, orientation=orientation)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{name}: {one_line(error)}") from error
    pixels = _upright(decoded.pixels, orientation)
    return Source(
        pixels,
        image_hw=(pixels.shape[0], pixels.shape[1]),
        format=image.format,
        mode=image.mode,
        grey=decoded.grey,
        alpha=None if decoded.alpha is None else _upright(decoded.alpha, orientation),
        icc_profile=decoded.icc_profile,
        exif=exif,
        description=description,
        found=found,
        native=native and replace(native, samples=_upright(native.samples, orientation)),
        dpi=_dpi(image, swapped=max(orientation, stored) >= 5),
        jpeg=jpeg,
    )


def _upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an array of ours and make it read-only."""
    turned = turn_upright(array, orientation)
    turned.setflags(write=False)
    return turned


def _dpi(image: Image.Image, *, swapped: bool) -> tuple[float, float] | None:
    """Return the stated resolution if it is a sensible one."""
    try:
        x, y = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    # Of a TIFF that states none Pillow says 1.
    if not all(math.isfinite(value) and 1 < value < 2**16 for value in (x, y)):
        return None
    return (y, x) if swapped else (x, y)
