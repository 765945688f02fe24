"""What a kind of file is, who sits in it, and what must come of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from anonyface.types import BoolArray, ImageArray

PHOTO_WH = (480, 360)
FACE_PX = 150
HIDDEN_WH = (240, 180)
"""Size of the pictures hidden in files: previews of cameras are at least this large."""

Expected: TypeAlias = Literal["ok", "error", "either"]
"""The right result; one line that says what is wrong; or either of them."""


@dataclass(frozen=True, eq=False)
class Sitter:
    """A photo of somebody who does not exist, and all that is hidden in the corpus.

    Attributes:
        photo: (360, 480, 3) RGB uint8 with one face.
        clear: (360, 480) where the photo must come out unchanged: well away from the face.
    """

    photo: ImageArray
    clear: BoolArray

    @cached_property
    def hidden(self) -> Image.Image:
        """The photo in small: what cameras and editors leave inside files."""
        return Image.fromarray(cv2.resize(self.photo, HIDDEN_WH, interpolation=cv2.INTER_AREA))

    @cached_property
    def thumbnail(self) -> bytes:
        """The small picture as JPEG."""
        return encode(self.hidden, "JPEG", quality=90)

    @cached_property
    def jpeg(self) -> bytes:
        """The photo as a plain JPEG."""
        return encode(self.photo, "JPEG", quality=92, subsampling=0)

    @cached_property
    def png(self) -> bytes:
        """The photo as a plain PNG."""
        return encode(self.photo, "PNG")

    @cached_property
    def alpha(self) -> ImageArray:
        """(360, 480) opacity with a transparent corner and a soft edge."""
        y, x = np.mgrid[: self.photo.shape[0], : self.photo.shape[1]]
        return np.asarray(np.clip((x + y - 40) * 4, 0, 255), np.uint8)

    @cached_property
    def wide(self) -> NDArray[np.uint16]:
        """(360, 480, 3) RGB with 16 bits a channel, the low ones in use."""
        low = np.random.default_rng(4).integers(0, 256, self.photo.shape, np.uint16)
        return np.asarray(self.photo.astype(np.uint16) * 256 + low, np.uint16)


@dataclass(frozen=True)
class Keeps:
    """What a written file must have kept.

    Attributes:
        size_wh: Width and height, upright.
        bits: Bits a channel.
        grey: Whether it stays grey.
        alpha: Whether there is an opacity: "soft" is the sitter's, "some" any that is not 255.
        icc: The profile.
        tolerance: Largest mean difference from the photo away from the face, grey levels; None
            where the picture is another one.
    """

    size_wh: tuple[int, int] = PHOTO_WH
    bits: int = 8
    grey: bool = False
    alpha: Literal["none", "soft", "some"] = "none"
    icc: bytes | None = field(default=None, repr=False)
    tolerance: float | None = 4.0


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        name: What it is, for tables.
        suffix: Of its file name.
        build: Makes its bytes.
        expected: What must come of it.
        hides: Whether the old face is in it outside of the picture that is shown.
        secrets: Groups of `SECRETS` that are in it.
        keeps: What the result must have kept, if there is one.
        put: Makes a file in a folder where bytes in a plain file are not enough.
    """

    name: str
    suffix: str
    build: Callable[[Sitter], bytes] = bytes
    expected: Expected = "ok"
    hides: bool = False
    secrets: tuple[str, ...] = ()
    keeps: Keeps = Keeps()
    put: Callable[[Sitter, Path], Path] | None = None

    def write(self, sitter: Sitter, folder: Path) -> Path:
        """Make the file in a folder of its own and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.put is not None:
            return self.put(sitter, folder)
        path = folder / f"{self.name}{self.suffix}"
        path.write_bytes(self.build(sitter))
        return path


def encode(image: ImageArray | Image.Image, file_format: str, **options: Any) -> bytes:
    """Return an image file's bytes; the options are Pillow's."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


SECRETS: Mapping[str, tuple[bytes, ...]] = {
    "gps": (b"52,31.20731N", b"13,24.51733E"),
    "serials": (b"SN4711X0815", b"LENS0815-99", b"Olga Ownerova", b"UID77aa55ee33cc11"),
    "regions": (b"Regina Regionova", b"mwg-rs", b"MPRI", b"PersonDisplayName"),
    "iptc": (b"Captain Caption", b"Katy Keyword"),
}
"""Words that are planted in metadata and must not come out under "clean" and "keep".

Captions and keywords are an exception under "keep": they describe the picture, as was asked for.
"""
GPS_NUMBERS = ((52, 1), (31, 1), (120731, 10007))
"""Latitude in Exif, as fractions nothing else in a file consists of."""


def matrix_profile(name: str, gamma: float, primaries: tuple[float, ...]) -> bytes:
    """Return an RGB profile: gamma and the three primaries in XYZ (D50), ICC.1:2022, 8.3.3.

    Args:
        name: Description.
        gamma: Exponent of all three curves.
        primaries: Nine numbers, X Y Z of red, green and blue.
    """
    tags = {
        b"desc": _text_tag(name),
        b"cprt": _text_tag("CC0"),
        b"wtpt": _xyz_tag((0.9642, 1.0, 0.8249)),
    }
    for number, channel in enumerate((b"r", b"g", b"b")):
        tags[channel + b"XYZ"] = _xyz_tag(primaries[3 * number : 3 * number + 3])
        tags[channel + b"TRC"] = _curve_tag(gamma)
    return _profile(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    """Return a grey profile with one curve (ICC.1:2022, 8.3.4)."""
    tags = {
        b"desc": _text_tag("grey"),
        b"cprt": _text_tag("CC0"),
        b"wtpt": _xyz_tag((0.9642, 1.0, 0.8249)),
        b"kTRC": _curve_tag(gamma),
    }
    return _profile(b"GRAY", tags)


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    at = 128 + 4 + 12 * len(tags)
    table, body = len(tags).to_bytes(4, "big"), b""
    for name, data in tags.items():
        table += name + (at + len(body)).to_bytes(4, "big") + len(data).to_bytes(4, "big")
        body += data + bytes(-len(data) % 4)
    head = bytearray(128)
    head[:4] = (at + len(body)).to_bytes(4, "big")
    head[8:12] = b"\x04\x30\0\0"
    head[12:24] = b"mntr" + space + b"XYZ "
    head[36:40] = b"acsp"
    head[68:80] = _fixed(0.9642) + _fixed(1.0) + _fixed(0.8249)
    return bytes(head) + table + body


def _fixed(value: float) -> bytes:
    return round(value * 65536).to_bytes(4, "big", signed=True)


def _xyz_tag(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _curve_tag(gamma: float) -> bytes:
    return b"para" + bytes(4) + b"\0\0\0\0" + _fixed(gamma)


def _text_tag(text: str) -> bytes:
    raw = text.encode("utf-16-be")
    head = b"mluc" + bytes(4) + (1).to_bytes(4, "big") + (12).to_bytes(4, "big") + b"enUS"
    return head + len(raw).to_bytes(4, "big") + (28).to_bytes(4, "big") + raw


P3 = matrix_profile(
    "P3, made here", 2.2, (0.5151, 0.2412, -0.0011, 0.2920, 0.6922, 0.0419, 0.1571, 0.0666, 0.7841)
)
"""Primaries of Display P3 adapted to D50, with a plain gamma."""
WIDE_RGB = matrix_profile(
    "like Adobe RGB",
    2.2,
    (0.6097, 0.3111, 0.0195, 0.2053, 0.6257, 0.0609, 0.1492, 0.0632, 0.7446),
)
GREY = grey_profile(2.2)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
