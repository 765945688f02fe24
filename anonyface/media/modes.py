"""Every pixel format Pillow can hand over -> RGB uint8, and what has to be known to go back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from anonyface.media.metadata import clean_icc
from anonyface.media.native import Native, convert, narrow
from anonyface.types import ImageArray

GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N"})
COLOUR_MODES = frozenset({"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"})


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

    Of 16-bit colour Pillow gives the 8 high bits; `decode_native` does better. CMYK and Lab go
    through their ICC profile to sRGB; CMYK without a usable profile is converted by the plain
    formula.

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
    pixels = np.array(image if image.mode == "RGB" else image.convert("RGB"))
    return Decoded(pixels, alpha, grey=False, icc_profile=clean_icc(profile, space="RGB"))


def decode_native(native: Native, image: Image.Image) -> Decoded:
    """Convert the stored samples of a loaded image: 16 bits rounded to 8, CMYK to sRGB."""
    profile = image.info.get("icc_profile")
    if native.kind == "cmyk":
        return Decoded(_to_srgb(image, native.icc_profile), None, grey=False, icc_profile=None)
    pixels, alpha = narrow(native)
    grey = native.kind == "grey"
    icc = clean_icc(profile, space="GRAY" if grey else "RGB")
    return Decoded(pixels, alpha, grey=grey, icc_profile=icc)


def _grey(image: Image.Image) -> tuple[ImageArray, ImageArray | None]:
    """Return the (H, W) uint8 grey values and the opacity or None."""
    if image.has_transparency_data:
        image = image.convert("LA")
        return np.array(image.getchannel("L")), np.array(image.getchannel("A"))
    return np.array(image.convert("L")), None


def _to_srgb(image: Image.Image, profile: object) -> ImageArray:
    """Convert a CMYK or Lab image to (H, W, 3) sRGB uint8.

    Raises:
        ValueError: If a Lab image can't be converted.
    """
    if image.mode == "LAB":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    converted = convert(image, profile, "RGB") if isinstance(profile, bytes) else None
    return np.array(image.convert("RGB") if converted is None else converted)
