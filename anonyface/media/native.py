"""Samples that 8-bit RGB can't hold, 16-bit and CMYK: kept beside the pixels and patched alike.

Everything works on 8-bit RGB. So that such a photo does not come out as less than it was, its own
samples are kept: where a pixel did not change they stay bit for bit, where it did the new pixel is
converted.
"""

from __future__ import annotations

import io
import logging
import threading
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, TiffImagePlugin

from anonyface.media.metadata import clean_icc
from anonyface.media.orientation import turn_upright
from anonyface.media.png import COLOUR_TYPE
from anonyface.types import ImageArray

log = logging.getLogger("anonyface")

NativeKind: TypeAlias = Literal["grey", "colour", "cmyk"]

WIDEN = 257  # 65535 / 255: maps white to white and keeps the high byte
BITS_PER_SAMPLE, PHOTOMETRIC = 0x0102, 0x0106
# Which files can hold the samples of a kind again.
WRITTEN_AS: dict[NativeKind, frozenset[str]] = {
    "grey": frozenset({"PNG", "TIFF"}),
    "colour": frozenset({"PNG", "TIFF"}),
    "cmyk": frozenset({"JPEG", "TIFF"}),
}

_NARROW = ((np.arange(65536) + 128) // WIDEN).astype(np.uint8)
_logging_lock = threading.Lock()


@dataclass(frozen=True, eq=False)
class Native:
    """The samples of a photo as they were stored, upright.

    Attributes:
        samples: (H, W, C), uint16, or uint8 for "cmyk" (0 is no ink); read-only.
        kind: What the channels are; a last one more than the kind has is opacity.
        icc_profile: Profile of CMYK samples; None for the other kinds, whose profile is that of
            the pixels, too.
    """

    samples: NDArray[Any]
    kind: NativeKind
    icc_profile: bytes | None = None

    @property
    def alpha(self) -> bool:
        """Whether the last channel is opacity."""
        return int(self.samples.shape[2]) == {"grey": 2, "colour": 4, "cmyk": 5}[self.kind]


def read_native(image: Image.Image, data: bytes | None, *, turned: int) -> Native | None:
    """Return the stored samples if 8-bit RGB can't hold them, else None.

    Args:
        image: A loaded image.
        data: The file it was read from, None if it came as an image.
        turned: The orientation that Pillow has applied to it while loading, 1 for none.
    """
    if image.mode == "CMYK":
        return _read_cmyk(image)
    if image.mode.startswith("I;16"):
        return Native(_read_grey(image), "grey")
    if data is None or not _is_deep(image, data):
        return None
    samples = _decode_deep(data)
    if samples is not None:
        for candidate in (samples, turn_upright(samples, turned)):
            kept = _matching(candidate, image)
            if kept is not None:
                if image.format == "PNG" and data[25] == COLOUR_TYPE[2] and kept.shape[2] == 4:
                    kept = kept[..., [0, 3]]  # neither reader gives grey with opacity as that
                return Native(kept, "grey" if kept.shape[2] < 3 else "colour")
    log.warning("the 16-bit samples are not readable; the photo is written with 8 bits")
    return None


def _read_cmyk(image: Image.Image) -> Native | None:
    """Return the inks, unless the profile leads only out of their space and not back."""
    icc = clean_icc(image.info.get("icc_profile"), space="CMYK")
    if icc is not None:
        there = convert(image.crop((0, 0, 1, 1)), icc, "RGB") is not None
        back = convert(Image.new("RGB", (1, 1)), icc, "CMYK") is not None
        if there and not back:
            log.warning("the CMYK profile only leads to RGB; the photo is written as RGB")
            return None
        icc = icc if there else None
    return Native(np.array(image), "cmyk", icc)


def _read_grey(image: Image.Image) -> NDArray[np.uint16]:
    """Return (H, W, C) samples of a 16-bit grey image; C is 2 if one value is transparent."""
    grey = np.asarray(image).astype(np.uint16)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == 0:
        grey = 65535 - grey  # white is zero, which Pillow heeds only up to 8 bits
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return grey[..., None]
    return np.stack([grey, np.where(grey == transparent, 0, 65535).astype(np.uint16)], axis=2)


def _is_deep(image: Image.Image, data: bytes) -> bool:
    """Say whether a PNG or TIFF file has 16 bits per sample."""
    if image.format == "PNG":
        return data[24] == 16  # IHDR is the first chunk, and this its ninth byte
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(BITS_PER_SAMPLE, ())
        return isinstance(bits, tuple) and len(bits) > 1 and set(bits) == {16}
    return False


def _decode_deep(data: bytes) -> NDArray[np.uint16] | None:
    """Decode with OpenCV to (H, W, C) uint16 in RGB order; None if it can't."""
    with _logging_lock:  # its complaints about tags would go to the terminal
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            return None
        finally:
            cv2.utils.logging.setLogLevel(level)
    if decoded is None or decoded.dtype != np.uint16:
        return None
    samples = decoded.astype(np.uint16, copy=False)
    return (
        samples[..., None] if samples.ndim == 2 else samples[..., [2, 1, 0, 3][: samples.shape[2]]]
    )


def _matching(samples: NDArray[np.uint16], image: Image.Image) -> NDArray[np.uint16] | None:
    """Return the samples if they are what Pillow read, by their high bytes; else None.

    Two decoders that disagree about a file would mean that what was searched for faces is not
    what gets written.
    """
    if samples.shape[2] == 4 and image.mode in ("LA", "RGB"):
        # OpenCV has no grey with opacity, and makes a transparent colour an opacity.
        samples = samples[..., [0, 3]] if image.mode == "LA" else samples
    seen = np.asarray(image)
    seen = seen[..., None] if seen.ndim == 2 else seen
    if samples.shape[:2] != seen.shape[:2]:
        return None
    channels = min(seen.shape[2], samples.shape[2])
    same = np.array_equal((samples[..., :channels] >> 8).astype(np.uint8), seen[..., :channels])
    return samples if same and seen.shape[2] <= samples.shape[2] else None


def narrow(native: Native) -> tuple[ImageArray, ImageArray | None]:
    """Return (H, W, 3) RGB uint8 and (H, W) opacity or None of 16-bit samples, rounded."""
    eight = _NARROW[native.samples]
    alpha = np.ascontiguousarray(eight[..., -1]) if native.alpha else None
    colour = eight[..., :3] if native.kind == "colour" else np.repeat(eight[..., :1], 3, axis=2)
    return np.ascontiguousarray(colour), alpha


def patch(native: Native, before: ImageArray, after: ImageArray) -> Native:
    """Carry a change of the pixels over to the samples.

    Args:
        native: Samples that belong to ``before``.
        before: (H, W, 3) RGB uint8.
        after: (H, W, 3) RGB uint8.

    Returns:
        Samples that belong to ``after``: the same bits wherever both pictures agree in all three
        channels.
    """
    changed = np.any(before != after, axis=2)
    if not changed.any():
        return native
    samples = native.samples.copy()
    fresh = after[changed][None]  # a picture of one row
    if native.kind == "cmyk":
        samples[changed] = _to_cmyk(fresh, native.icc_profile)[0]
    elif native.kind == "grey":
        grey = np.asarray(Image.fromarray(fresh).convert("L"))[0]
        samples[..., 0][changed] = grey.astype(np.uint16) * WIDEN
    else:
        samples[..., :3][changed] = fresh[0].astype(np.uint16) * WIDEN
    samples.setflags(write=False)
    return replace(native, samples=samples)


def _to_cmyk(pixels: ImageArray, icc: bytes | None) -> ImageArray:
    """Convert (H, W, 3) sRGB to (H, W, 4) inks, by the profile or else by the plain formula."""
    image = Image.fromarray(pixels)
    converted = None if icc is None else convert(image, icc, "CMYK")
    return np.asarray(image.convert("CMYK") if converted is None else converted)


def convert(image: Image.Image, icc: bytes, to: Literal["RGB", "CMYK"]) -> Image.Image | None:
    """Convert between sRGB and the inks of a profile; None if the profile is not usable."""
    srgb = ImageCms.createProfile("sRGB")
    try:
        inks = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        first, second = (inks, srgb) if to == "RGB" else (srgb, inks)
        return ImageCms.profileToProfile(image, first, second, outputMode=to)
    except (ImageCms.PyCMSError, OSError) as error:
        log.warning("the ICC profile is not usable for a conversion to %s: %s", to, error)
        return None
