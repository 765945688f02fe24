"""What a written file has kept of the photo: size, depth, grey, alpha, profile, the picture itself.

Read with Pillow and, where there are 16 bits, with OpenCV: never with the code under test.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.corpus.kinds import Keeps, Sitter

PROPERTIES = ("size and orientation", "bit depth", "grey", "alpha", "profile", "picture")
DEEP = (".png", ".tif", ".tiff")


def lost(path: Path, keeps: Keeps, sitter: Sitter) -> dict[str, bool]:
    """Say for each property that can be judged whether it is lost.

    Args:
        path: The written file.
        keeps: What it must have kept.
        sitter: Whose photo it was.

    Returns:
        Property -> whether it is lost; properties a kind says nothing of are left out.

    Raises:
        OSError: If the file is no readable image.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _open(path) as opened:
            opened.load()
            mode, profile = opened.mode, opened.info.get("icc_profile")
            image = ImageOps.exif_transpose(opened)
    deep = _deep(path)
    grey = deep.ndim == 2 if deep is not None else mode in ("1", "L", "LA", "I;16")
    out = {
        "size and orientation": image.size != keeps.size_wh,
        "bit depth": (deep is not None) != (keeps.bits == 16),
    }
    if keeps.grey:
        out["grey"] = not grey
    if keeps.alpha != "none":
        out["alpha"] = _alpha_lost(image, deep, keeps, sitter)
    if keeps.icc is not None:
        out["profile"] = profile != keeps.icc
    if keeps.tolerance is not None:
        out["picture"] = image.size != keeps.size_wh or _differs(image, deep, keeps, sitter)
    return out


def _open(path: Path) -> Image.Image:
    """Open a file; HEIC with the package for it, which Pillow does not know of."""
    if path.suffix.lower() in (".heic", ".heif"):
        import pillow_heif

        image: Image.Image = pillow_heif.open_heif(path).to_pillow()
        return image
    return Image.open(path)


def _deep(path: Path) -> NDArray[np.uint16] | None:
    """Return the pixels of a file with 16 bits a channel, RGB first, None for any other file."""
    if path.suffix.lower() not in DEEP:
        return None
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        return None
    if pixels.ndim == 3:
        order = [2, 1, 0, 3][: pixels.shape[2]]
        pixels = pixels[..., order]
    return np.asarray(pixels, np.uint16)


def _alpha_lost(
    image: Image.Image, deep: NDArray[np.uint16] | None, keeps: Keeps, sitter: Sitter
) -> bool:
    if deep is not None:
        if deep.ndim != 3 or deep.shape[2] != 4:
            return True
        return not np.array_equal(deep[..., 3], sitter.alpha.astype(np.uint16) * 257)
    if not image.has_transparency_data:
        return True
    alpha = np.asarray(image.convert("RGBA").getchannel("A"))
    if keeps.alpha == "some":
        return bool(alpha.min() == 255 or alpha.max() < 255)
    return not np.array_equal(alpha, sitter.alpha)


def _differs(
    image: Image.Image, deep: NDArray[np.uint16] | None, keeps: Keeps, sitter: Sitter
) -> bool:
    """Say whether the picture is another one away from the face.

    16 bits must be the same; where the opacity is soft only what is fully opaque is compared.
    """
    clear = sitter.clear & (sitter.alpha == 255) if keeps.alpha == "soft" else sitter.clear
    if keeps.bits == 16 and deep is not None:
        wide = sitter.wide[..., 1] if keeps.grey else sitter.wide
        return not np.array_equal(
            deep[clear][..., :3] if deep.ndim == 3 else deep[clear], wide[clear]
        )
    original = Image.fromarray(sitter.photo)
    if keeps.grey:
        original = original.convert("L")
    before = np.asarray(original.convert("RGB")).astype(int)
    after = np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))[..., :3]
    difference = np.abs(before - after)[clear].mean()
    return bool(difference > (keeps.tolerance or 0))
