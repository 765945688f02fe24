"""Ordinary photos in every way pixels are stored: orientation, depth, alpha, colours, codec."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageCms

from anonyface.types import ImageArray
from benchmarks.corpus.containers import SHORT, Ifd, exif_segment, into_jpeg, write_tiff
from benchmarks.corpus.hidden_elsewhere import heif
from benchmarks.corpus.kinds import GREY, P3, SRGB, WIDE_RGB, Keeps, Kind, Sitter, encode

STORED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: lambda a: np.rot90(a, -1),
}
"""Exif orientation -> what a camera held that way stores (Exif 2.32, 4.6.4)."""


def turned(s: Sitter, orientation: int) -> ImageArray:
    """Return the photo as it is stored under an orientation."""
    return np.ascontiguousarray(STORED[orientation](s.photo))


def orientation_exif(orientation: int) -> bytes:
    """Return an Exif block that says nothing but the orientation."""
    return write_tiff(Ifd({0x0112: (SHORT, [orientation])}))


def grey(s: Sitter) -> Image.Image:
    """Return the photo without colour."""
    return Image.fromarray(s.photo).convert("L")


def with_alpha(s: Sitter, mode: str = "RGBA") -> Image.Image:
    """Return the photo with a soft opacity."""
    image = Image.fromarray(s.photo).convert(mode[:-1])
    image.putalpha(Image.fromarray(s.alpha))
    return image


def wide(s: Sitter, suffix: str, *, shades: str = "RGB") -> bytes:
    """Return the photo with 16 bits a channel; Pillow can't write them.

    Args:
        s: The sitter.
        suffix: ".png" or ".tif".
        shades: "RGB", "RGBA" or "L".
    """
    pixels = s.wide[..., ::-1]
    if shades == "L":
        pixels = s.wide[..., 1]
    elif shades == "RGBA":
        pixels = np.dstack([pixels, s.alpha.astype(np.uint16) * 257])
    done, data = cv2.imencode(suffix, np.ascontiguousarray(pixels))
    if not done:
        raise ValueError(f"OpenCV can't write {shades} with 16 bits as {suffix}")
    return bytes(data.tobytes())


def cmyk(s: Sitter) -> Image.Image:
    """Return the photo in four inks."""
    return Image.fromarray(s.photo).convert("CMYK")


def lab(s: Sitter) -> bytes:
    """Return the photo as a Lab TIFF."""
    image = ImageCms.profileToProfile(
        Image.fromarray(s.photo),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    if image is None:
        raise ValueError("no Lab conversion")
    return encode(image, "TIFF")


def with_holes(s: Sitter) -> Image.Image:
    """Return the photo in a palette, one entry of which is fully transparent."""
    image = Image.fromarray(s.photo).quantize(255)
    hole = np.array(image)
    hole[:30, :40] = 255
    out = Image.fromarray(hole, "P")
    out.putpalette([*(image.getpalette() or []), 0, 0, 0][: 256 * 3])
    return out


def _jpeg(name: str, keeps: Keeps | None = None, **options: object) -> Kind:
    options = {"quality": 92, **options}
    return Kind(f"jpeg {name}", ".jpg", lambda s: encode(s.photo, "JPEG", **options),
                keeps=keeps or Keeps())  # fmt: skip


def _orientations() -> tuple[Kind, ...]:
    kinds = [
        Kind(f"jpeg orientation {n}", ".jpg",
             lambda s, n=n: encode(
                 turned(s, n), "JPEG", quality=92, exif=b"Exif\0\0" + orientation_exif(n)))
        for n in range(1, 9)
    ]  # fmt: skip
    for name, suffix, options in (
        ("PNG", ".png", {}), ("WEBP", ".webp", {"quality": 92}), ("TIFF", ".tif", {}),
    ):  # fmt: skip
        kinds += [
            Kind(f"{name.lower()} orientation {n}", suffix,
                 lambda s, n=n, name=name, options=options: encode(
                     turned(s, n), name, exif=orientation_exif(n), **options),
                 keeps=Keeps(tolerance=4 if name == "WEBP" else 0))
            for n in (3, 6)
        ]  # fmt: skip
    return tuple(kinds)


KINDS = (
    *_orientations(),
    Kind("heic orientation 6", ".heic",
         lambda s: heif(Sitter(turned(s, 6), s.clear), exif=b"Exif\0\0" + orientation_exif(6))),
    Kind("jpeg orientation 9", ".jpg", lambda s: into_jpeg(
         s.jpeg, exif_segment(orientation_exif(9)))),
    Kind("png 16 bits RGB", ".png", lambda s: wide(s, ".png"), keeps=Keeps(bits=16)),
    Kind("png 16 bits RGBA", ".png", lambda s: wide(s, ".png", shades="RGBA"),
         keeps=Keeps(bits=16, alpha="soft")),
    Kind("png 16 bits grey", ".png", lambda s: wide(s, ".png", shades="L"),
         keeps=Keeps(bits=16, grey=True)),
    Kind("tiff 16 bits RGB", ".tif", lambda s: wide(s, ".tif"), keeps=Keeps(bits=16)),
    Kind("tiff 16 bits grey", ".tif", lambda s: wide(s, ".tif", shades="L"),
         keeps=Keeps(bits=16, grey=True)),
    Kind("png grey", ".png", lambda s: encode(grey(s), "PNG"), keeps=Keeps(grey=True)),
    Kind("jpeg grey", ".jpg", lambda s: encode(grey(s), "JPEG", quality=92),
         keeps=Keeps(grey=True)),
    Kind("tiff grey", ".tif", lambda s: encode(grey(s), "TIFF"), keeps=Keeps(grey=True)),
    Kind("png one bit", ".png", lambda s: encode(grey(s).convert("1"), "PNG"),
         keeps=Keeps(grey=True, tolerance=None)),
    Kind("tiff one bit group 4", ".tif", lambda s: encode(
         grey(s).convert("1"), "TIFF", compression="group4"),
         keeps=Keeps(grey=True, tolerance=None)),
    Kind("png LA", ".png", lambda s: encode(with_alpha(s, "LA"), "PNG"),
         keeps=Keeps(grey=True, alpha="soft")),
    Kind("png RGBA", ".png", lambda s: encode(with_alpha(s), "PNG"),
         keeps=Keeps(alpha="soft", tolerance=0)),
    Kind("tiff RGBA", ".tif", lambda s: encode(with_alpha(s), "TIFF"),
         keeps=Keeps(alpha="soft", tolerance=0)),
    Kind("webp RGBA", ".webp", lambda s: encode(with_alpha(s), "WEBP", quality=92, exact=True),
         keeps=Keeps(alpha="soft")),
    Kind("webp lossless", ".webp", lambda s: encode(s.photo, "WEBP", lossless=True),
         keeps=Keeps(tolerance=0)),
    Kind("avif RGBA", ".avif", lambda s: encode(with_alpha(s), "AVIF", quality=95),
         keeps=Keeps(alpha="some", tolerance=None)),
    Kind("png palette", ".png", lambda s: encode(Image.fromarray(s.photo).quantize(256), "PNG"),
         keeps=Keeps(tolerance=8)),
    Kind("png palette with holes", ".png", lambda s: encode(
         with_holes(s), "PNG", transparency=255), keeps=Keeps(alpha="some", tolerance=None)),
    Kind("gif", ".gif", lambda s: encode(s.photo, "GIF"), keeps=Keeps(tolerance=8)),
    Kind("gif with holes", ".gif", lambda s: encode(with_holes(s), "GIF", transparency=255),
         keeps=Keeps(alpha="some", tolerance=None)),
    Kind("png colour key", ".png", lambda s: encode(
         s.photo, "PNG", transparency=tuple(int(v) for v in s.photo[0, 0])),
         keeps=Keeps(alpha="some", tolerance=0)),
    Kind("jpeg CMYK", ".jpg", lambda s: encode(cmyk(s), "JPEG", quality=95),
         keeps=Keeps(tolerance=6)),
    Kind("tiff CMYK", ".tif", lambda s: encode(cmyk(s), "TIFF"), keeps=Keeps(tolerance=6)),
    Kind("tiff Lab", ".tif", lab, keeps=Keeps(tolerance=6)),
    Kind("jpeg RGB", ".jpg", lambda s: encode(s.photo, "JPEG", quality=95, keep_rgb=True)),
    _jpeg("4:4:4", subsampling=0),
    _jpeg("4:2:2", subsampling=1),
    _jpeg("4:2:0", subsampling=2),
    _jpeg("progressive", progressive=True),
    _jpeg("restart markers", restart_marker_rows=1),
    _jpeg("P3", Keeps(icc=P3), icc_profile=P3),
    _jpeg("wide RGB", Keeps(icc=WIDE_RGB), icc_profile=WIDE_RGB),
    Kind("jpeg grey profile", ".jpg", lambda s: encode(
         grey(s), "JPEG", quality=92, icc_profile=GREY), keeps=Keeps(grey=True, icc=GREY)),
    Kind("jpeg P3 turned", ".jpg", lambda s: encode(
         turned(s, 6), "JPEG", quality=92, icc_profile=P3,
         exif=b"Exif\0\0" + orientation_exif(6)),
         keeps=Keeps(icc=P3)),
    Kind("png P3", ".png", lambda s: encode(s.photo, "PNG", icc_profile=P3),
         keeps=Keeps(icc=P3, tolerance=0)),
    Kind("png grey profile", ".png", lambda s: encode(grey(s), "PNG", icc_profile=GREY),
         keeps=Keeps(grey=True, icc=GREY)),
    Kind("webp P3", ".webp", lambda s: encode(s.photo, "WEBP", quality=92, icc_profile=P3),
         keeps=Keeps(icc=P3)),
    Kind("tiff P3", ".tif", lambda s: encode(s.photo, "TIFF", icc_profile=P3),
         keeps=Keeps(icc=P3, tolerance=0)),
    Kind("heic", ".heic", heif),
    Kind("heic P3", ".heic", lambda s: heif(s, icc_profile=P3), keeps=Keeps(icc=P3)),
    Kind("avif", ".avif", lambda s: heif(s, "AVIF")),
    Kind("avif P3", ".avif", lambda s: heif(s, "AVIF", icc_profile=P3), keeps=Keeps(icc=P3)),
    Kind("jpeg 2000", ".jp2", lambda s: encode(s.photo, "JPEG2000")),
    Kind("bmp", ".bmp", lambda s: encode(s.photo, "BMP"), keeps=Keeps(tolerance=0)),
    *(Kind(f"tiff {name}", ".tif",
           lambda s, name=name: encode(s.photo, "TIFF", compression=name),
           keeps=Keeps(tolerance=4 if name == "jpeg" else 0))
      for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd")),
    Kind("tiff large offsets", ".tif", lambda s: encode(s.photo, "TIFF", big_tiff=True),
         keeps=Keeps(tolerance=0)),
    Kind("png with the name of a jpeg", ".jpg", lambda s: encode(
         s.photo, "PNG", icc_profile=SRGB), keeps=Keeps(icc=SRGB)),
    Kind("jpeg with the name of a png", ".png", lambda s: s.jpeg),
)  # fmt: skip
