"""Sheets of the worst faces by each measure and of random ones; they stay out of the repository."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from anonyface.types import Face, ImageArray
from benchmarks.contact_sheet import check_folder

FACE_PX = 160
"""Size of the longer side of every face's box on the sheets."""
SURROUNDINGS = 1.8
"""Side of the square shown, in sizes of the face."""
TILE_PX = round(FACE_PX * SURROUNDINGS)
CAPTION_PX, GAP_PX = 22, 8
COLUMNS, ROWS = 4, 6
PER_SHEET = COLUMNS * ROWS
"""Pairs on a sheet."""
WORST, RANDOM = 24, 100
RANDOM_NAME = "random"


@dataclass(frozen=True, eq=False)
class Shown:
    """A pair on a sheet.

    Attributes:
        badness: The worse, the earlier it is shown.
        pair: (TILE_PX, 2 * TILE_PX, 3) RGB uint8, before and after.
        caption: What is written below.
    """

    badness: float
    pair: ImageArray
    caption: str


def cut_pair(before: ImageArray, after: ImageArray, face: Face) -> ImageArray:
    """Cut a face out of both photos and lay the two side by side, the face `FACE_PX` high.

    Returns:
        (TILE_PX, 2 * TILE_PX, 3) RGB uint8, grey outside of the photo.
    """
    centre = (face.box[:2] + face.box[2:]) / 2
    scale = FACE_PX / max(face.size, 1.0)
    shift = (TILE_PX - 1) / 2 - scale * centre
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)
    tiles = []
    for image in (before, after):
        # Blurred first where it shrinks: warpAffine knows no area filter.
        soft = cv2.GaussianBlur(image, (0, 0), 0.4 / scale) if scale < 1 else image
        tiles.append(
            cv2.warpAffine(
                soft, matrix, (TILE_PX, TILE_PX), flags=cv2.INTER_CUBIC, borderValue=(128,) * 3
            )
        )
    return np.concatenate(tiles, axis=1).astype(np.uint8)


@dataclass(eq=False)
class Picks:
    """Keeps the worst faces of every name, and forgets the others.

    Attributes:
        limits: Name of a sheet -> how many it shows; `WORST` for a name that is not there.
    """

    limits: dict[str, int] = field(default_factory=lambda: {RANDOM_NAME: RANDOM})
    kept: dict[str, list[Shown]] = field(default_factory=dict)

    def offer(
        self, name: str, badness: float, caption: str, pair: Callable[[], ImageArray]
    ) -> None:
        """Show a face if it is among the worst so far.

        Args:
            name: Of the sheet.
            badness: The larger, the worse.
            caption: What is written below.
            pair: Makes the picture, only if it is wanted.
        """
        best = self.kept.setdefault(name, [])
        limit = self.limits.get(name, WORST)
        if len(best) == limit and badness <= best[-1].badness:
            return
        best.append(Shown(badness, pair(), caption))
        best.sort(key=lambda shown: -shown.badness)
        del best[limit:]

    def take(self, other: Picks) -> None:
        """Offer all that another one keeps."""
        for name, shown in other.kept.items():
            for one in shown:
                self.offer(name, one.badness, one.caption, partial(_same, one.pair))

    def write(self, folder: Path) -> list[Path]:
        """Write all sheets as PNG files.

        Raises:
            ValueError: If the folder is inside the repository: real faces stay out of it.
        """
        check_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, shown in self.kept.items():
            for number, start in enumerate(range(0, len(shown), PER_SHEET), start=1):
                page = shown[start : start + PER_SHEET]
                captions = [
                    f"{start + i}  {one.caption}" if name == RANDOM_NAME else one.caption
                    for i, one in enumerate(page, start=1)
                ]
                paths.append(folder / f"{file_name(name)}-{number:02d}.png")
                Image.fromarray(lay_out([s.pair for s in page], captions)).save(paths[-1])
        return paths

    def digest(self, name: str) -> str:
        """Return a hash of the pictures shown under a name: which ones somebody has looked at."""
        return digest(shown.pair for shown in self.kept.get(name, []))


def _same(pair: ImageArray) -> ImageArray:
    return pair


def digest(pictures: Iterable[ImageArray]) -> str:
    """Return a hash of pictures."""
    out = hashlib.sha256()
    for picture in pictures:
        out.update(np.ascontiguousarray(picture).tobytes())
    return out.hexdigest()[:16]


def file_name(name: str) -> str:
    """Return a name as a file may have it.

    >>> file_name("skin tone difference, ITA")
    'skin-tone-difference-ita'
    """
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def lay_out(pairs: Sequence[ImageArray], captions: Sequence[str]) -> ImageArray:
    """Return one sheet: `COLUMNS` pairs in a row, each with its caption below.

    Args:
        pairs: (TILE_PX, 2 * TILE_PX, 3) each, at most `PER_SHEET`.
        captions: One each.
    """
    rows = -(-len(pairs) // COLUMNS)
    high, wide = TILE_PX + CAPTION_PX + GAP_PX, 2 * TILE_PX + GAP_PX
    sheet = np.full((rows * high + GAP_PX, COLUMNS * wide + GAP_PX, 3), 255, np.uint8)
    for i, (pair, caption) in enumerate(zip(pairs, captions, strict=True)):
        y, x = GAP_PX + (i // COLUMNS) * high, GAP_PX + (i % COLUMNS) * wide
        sheet[y : y + TILE_PX, x : x + 2 * TILE_PX] = pair
        base = (x, y + TILE_PX + CAPTION_PX - 6)
        cv2.putText(sheet, caption, base, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0,) * 3, 1, cv2.LINE_AA)
    return sheet
