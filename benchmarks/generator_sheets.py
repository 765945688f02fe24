"""Contact sheets of generated people, for a person to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from anonyface.types import ImageArray

TILE_PX = 256
"""A tile is a 256-px portrait at its full size."""
CAPTION_PX = 22
COLUMNS, ROWS = 5, 4
"""Of a numbered sheet: 20 portraits."""
INK = (20, 20, 20)


def tile(pixels: ImageArray, caption: str) -> ImageArray:
    """(TILE_PX + CAPTION_PX, TILE_PX, 3) a square portrait with a line of text above."""
    out = np.full((TILE_PX + CAPTION_PX, TILE_PX, 3), 255, np.uint8)
    cv2.putText(out, caption, (4, CAPTION_PX - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.5, INK, 1)
    out[CAPTION_PX:] = cv2.resize(pixels, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
    return out


def lay_out(tiles: Sequence[ImageArray], columns: int) -> ImageArray:
    """Lay equal tiles out in rows; what is left of the last row stays white.

    Args:
        tiles: (h, w, 3) each, one at least.
        columns: Tiles in a row.

    Raises:
        ValueError: If there are none.
    """
    if not tiles:
        raise ValueError("a sheet of nothing")
    blank = np.full_like(tiles[0], 255)
    filled = [*tiles, *[blank] * (-len(tiles) % columns)]
    rows = [np.concatenate(filled[i : i + columns], 1) for i in range(0, len(filled), columns)]
    return np.concatenate(rows)


def write_grid(rows: Mapping[str, Sequence[ImageArray]], path: Path) -> None:
    """Write one picture with a row for each name.

    Args:
        rows: Name -> square portraits, as many for each.
        path: The PNG file; its folder is made if it is not there.
    """
    columns = max(len(portraits) for portraits in rows.values())
    tiles = [tile(p, name) for name, portraits in rows.items() for p in portraits]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(lay_out(tiles, columns)).save(path)


def write_numbered(portraits: Sequence[ImageArray], folder: Path, name: str) -> list[Path]:
    """Write portraits on sheets of 20; each has its number from 1 and nothing else above it.

    Args:
        portraits: Square RGB uint8 pictures.
        folder: Where to; made if it is not there.
        name: Start of the file names.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tiles = [tile(p, f"{number:03d}") for number, p in enumerate(portraits, start=1)]
    files = []
    for start in range(0, len(tiles), COLUMNS * ROWS):
        path = folder / f"{name}-{start // (COLUMNS * ROWS) + 1:02d}.png"
        Image.fromarray(lay_out(tiles[start : start + COLUMNS * ROWS], COLUMNS)).save(path)
        files.append(path)
    return files
