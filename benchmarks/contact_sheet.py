"""Sheets of faces before and after, for a person to look at. They never enter the repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from anonyface.types import Face, ImageArray
from benchmarks.contract import ROOT

TILE_PX = 200
COLUMNS, ROWS = 4, 6
"""Pairs in a row, rows on a sheet: 24 faces."""
SURROUNDINGS = 1.8
"""Side of the square shown, in sizes of the face."""
GAP = 6


def crop_pair(before: ImageArray, after: ImageArray, face: Face) -> ImageArray:
    """Cut a face out of both photos and lay the two side by side.

    Returns:
        (TILE_PX, 2 * TILE_PX, 3) RGB uint8, grey outside of the photo.
    """
    centre = (face.box[:2] + face.box[2:]) / 2
    scale = TILE_PX / (SURROUNDINGS * max(face.size, 1.0))
    shift = TILE_PX / 2 - scale * centre
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    tiles = [
        cv2.warpAffine(image, matrix, (TILE_PX, TILE_PX), flags=method, borderValue=(128,) * 3)
        for image in (before, after)
    ]
    return np.concatenate(tiles, axis=1).astype(np.uint8)


def write_sheets(pairs: Sequence[ImageArray], folder: Path, name: str) -> int:
    """Write pairs as PNG files of 24, before left and after right.

    Args:
        pairs: From `crop_pair`.
        folder: Where to; made if it is not there.
        name: Start of the file names.

    Returns:
        How many files were written.

    Raises:
        ValueError: If the folder is inside the repository: real faces stay out of it.
    """
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    per_sheet = COLUMNS * ROWS
    number = 0
    for number, start in enumerate(range(0, len(pairs), per_sheet), start=1):
        sheet = np.full(
            (ROWS * (TILE_PX + GAP) + GAP, COLUMNS * (2 * TILE_PX + GAP) + GAP, 3), 255, np.uint8
        )
        for i, pair in enumerate(pairs[start : start + per_sheet]):
            y = GAP + (i // COLUMNS) * (TILE_PX + GAP)
            x = GAP + (i % COLUMNS) * (2 * TILE_PX + GAP)
            sheet[y : y + TILE_PX, x : x + 2 * TILE_PX] = pair
        Image.fromarray(sheet).save(folder / f"{name}-{number:02d}.png")
    return number


def check_folder(folder: Path) -> None:
    """Check that a folder lies outside of the repository.

    Raises:
        ValueError: If it does not.
    """
    if folder.resolve().is_relative_to(ROOT):
        raise ValueError(f"{folder} is inside the repository; pictures of real people stay out")
