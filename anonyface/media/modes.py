"""Every pixel format Pillow can hand over -> RGB uint8, and what has to be known to go back."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from anonyface.media.metadata import clean_icc
from anonyface.types import ImageArray

log = logging.getLogger("anonyface")

GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N"})
COLOUR_MODES = frozenset({"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"})

# Exif orientation -> (swap axes, flip rows, flip columns), done in that order (Exif 2.32, 4.6.4).
UPRIGHT = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pixels as they come out of a file.

    Attributes:
        pixels: (H, W, 3) RGB uint8.
        alpha: (H, W) uint8 opacity, None where the image has none.
        grey: Whether the image is grey by its mode (not by chance).
        icc_profile: Profile that describes ``pixels`` (or their grey value), None if there is none.
    """

    pixels: ImageArray
    alpha: ImageArray | None
    grey: bool
    icc_profile: bytes | None


def decode_mode(image: Image.Image) -> Decoded:
    """Convert a loaded image of any supported mode.

    16-bit grey is scaled by 255/65535 and rounded. 16-bit colour arrives from Pillow as its 8 high
    bits. CMYK and Lab go through their ICC profile to sRGB; CMYK without a usable profile is
    converted by the plain formula.

    Raises:
        ValueError: If the mode is not supported (32-bit integer and float images), naming it.
    """
    profile = image.info.get("icc_profile")
    if image.mode in GREY_MODES:
        grey, alpha = _grey(image)
        pixels = np.repeat(grey[..., None], 3, axis=2)
        return Decoded(pixels, alpha, grey=True, icc_profile=clean_icc(profile, space="GRAY"))
    if image.mode not in COLOUR_MODES:
        raise ValueError(f"pixel format {image.mode} is not supported, only 8 and 16 bits are")
    if image.mode in ("CMYK", "LAB"):
        return Decoded(_to_srgb(image, profile), None, grey=False, icc_profile=None)
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
    pixels = np.array(image.convert("RGB"))
    return Decoded(pixels, alpha, grey=False, icc_profile=clean_icc(profile, space="RGB"))


def _grey(image: Image.Image) -> tuple[ImageArray, ImageArray | None]:
    """Return the (H, W) uint8 grey values and the opacity or None."""
    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.uint32)
        return ((wide + 128) // 257).astype(np.uint8), None  # 65535 = 255 * 257, rounded
    if image.has_transparency_data:
        image = image.convert("LA")
        return np.array(image.getchannel("L")), np.array(image.getchannel("A"))
    return np.array(image.convert("L")), None


def _to_srgb(image: Image.Image, profile: object) -> ImageArray:
    """Convert a CMYK or Lab image to (H, W, 3) sRGB uint8.

    Raises:
        ValueError: If a Lab image can't be converted.
    """
    srgb = ImageCms.createProfile("sRGB")
    try:
        if image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        elif isinstance(profile, bytes):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        else:
            return np.array(image.convert("RGB"))
        converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
        if converted is not None:
            return np.array(converted)
    except (ImageCms.PyCMSError, OSError) as error:
        log.warning("the ICC profile is not usable, converting without it: %s", error)
    return np.array(image.convert("RGB"))


def turn_upright(array: ImageArray, orientation: int) -> ImageArray:
    """Apply an Exif orientation to an (H, W) or (H, W, C) array; returns a contiguous copy.

    Args:
        array: Pixels as stored.
        orientation: 1-8; 5-8 swap height and width.

    Raises:
        KeyError: If the orientation is not 1-8.

    >>> turn_upright(np.array([[1, 2], [3, 4]], np.uint8), 6).tolist()
    [[3, 1], [4, 2]]
    """
    swap, flip_rows, flip_columns = UPRIGHT[orientation]
    if swap:
        array = np.swapaxes(array, 0, 1)
    step_y, step_x = (-1 if flip_rows else 1), (-1 if flip_columns else 1)
    return np.ascontiguousarray(array[::step_y, ::step_x])
