"""A sheet to look at before anything is changed: every face with number, decision and score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from anonyface.protection.photos import SeveralFaces, cut_face
from anonyface.protection.selection import Decision
from anonyface.types import Face, ImageArray

COLUMNS = 4
TILE_PX, GAP_PX = 240, 12
TEXT_PX, LINE_PX, LINES = 17, 22, 4
NUMBER_PX = 26
KEPT, UNSURE, REPLACED = (0, 110, 60), (176, 98, 0), (176, 30, 40)
"""Colours of the frames; each stands beside its word, so none has to be told from another."""
GROUND, INK = (250, 250, 250), (25, 25, 25)
AROUND = 1.6
"""Side of what is shown, in sizes of the face: enough around it to tell who it is."""
MAX_ENLARGED = 4.0
"""A face is enlarged no more than this: beyond it there is only blur."""


def review_sheet(
    image: ImageArray, faces: Sequence[Face], decisions: Sequence[Decision]
) -> ImageArray:
    """Draw the faces of a photo with their numbers and what is going to happen to each.

    The numbers are those of ``keep=[...]`` and of ``anonyface detect``, counted from 0.

    Args:
        image: (H, W, 3) RGB uint8.
        faces: The faces in it, in the detector's order.
        decisions: One per face, in the same order.

    Returns:
        RGB uint8 picture, one tile a face from left to right and top to bottom; a single line of
        text where there is no face.
    """
    tiles = []
    for face, decision in zip(faces, decisions, strict=True):
        word = verdict(decision)
        colour = UNSURE if word.startswith("unsure") else KEPT if decision.keep else REPLACED
        tiles.append(Tile(cut_face(image, face, AROUND), colour, word, describe(face, decision)))
    return draw_tiles(tiles)


def crop_sheet(error: SeveralFaces) -> ImageArray:
    """Draw the faces of a reference photo that shows several, with their boxes.

    Args:
        error: What `load_references` raised.

    Returns:
        RGB uint8 picture, as `review_sheet`.
    """
    return draw_tiles(
        [
            Tile(crop, INK, "box " + " ".join(map(str, box)), "crop the photo around the one meant")
            for box, crop in zip(error.faces, error.crops, strict=True)
        ]
    )


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a sheet, the colour of its frame, a line in that colour and some text."""

    picture: ImageArray
    colour: tuple[int, int, int]
    word: str
    text: str


def draw_tiles(tiles: Sequence[Tile]) -> ImageArray:
    """Lay tiles out from left to right and top to bottom, numbered from 0."""
    columns = min(COLUMNS, max(len(tiles), 1))
    rows = max(-(-len(tiles) // columns), 1)
    height = TILE_PX + LINES * LINE_PX if tiles else LINE_PX
    size_wh = (columns * (TILE_PX + GAP_PX) + GAP_PX, rows * (height + GAP_PX) + GAP_PX)
    sheet = Image.new("RGB", size_wh, GROUND)
    draw = ImageDraw.Draw(sheet)
    if not tiles:
        draw.text((GAP_PX, GAP_PX), "no face was found", INK, font=_font(TEXT_PX))
    for number, tile in enumerate(tiles):
        x = GAP_PX + (number % columns) * (TILE_PX + GAP_PX)
        y = GAP_PX + (number // columns) * (height + GAP_PX)
        _draw_tile(sheet, draw, (x, y), number, tile)
    return np.array(sheet)


def verdict(decision: Decision) -> str:
    """What happens to a face, in one word: "keep", "replace", or "unsure" and what follows.

    >>> verdict(Decision(True, "kept as asked"))
    'keep'
    """
    word = "keep" if decision.keep else "replace"
    doubtful = decision.match is not None and decision.match.verdict == "unsure"
    return f"unsure: {word}" if doubtful and "might be" in decision.reason else word


def describe(face: Face, decision: Decision) -> str:
    """Say why, with the score where the face was compared with protected people."""
    match = decision.match
    parts = [decision.reason] if decision.reason and "similarity" not in decision.reason else []
    if match is not None:
        who = f"{match.reference}: {match.score:.2f}"
        parts.append(f"{who}, sure from {match.sure:.2f}, unsure from {match.unsure:.2f}")
    return ". ".join([*parts, f"{face.size:.0f} px"])


def _draw_tile(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    number: int,
    tile: Tile,
) -> None:
    x, y = corner
    picture = _fit(tile.picture)
    inset = ((TILE_PX - picture.width) // 2, (TILE_PX - picture.height) // 2)
    sheet.paste(picture, (x + inset[0], y + inset[1]))
    draw.rectangle((x, y, x + TILE_PX - 1, y + TILE_PX - 1), outline=tile.colour, width=4)
    label, font = str(number), _font(NUMBER_PX)
    wide = draw.textlength(label, font=font) + 16
    draw.rectangle((x, y, x + wide, y + NUMBER_PX + 12), fill=tile.colour)
    draw.text((x + 8, y + 4), label, (255, 255, 255), font=font)
    y += TILE_PX + 3
    draw.text((x, y), tile.word, tile.colour, font=_font(TEXT_PX))
    for line in _wrap(draw, tile.text):
        y += LINE_PX
        draw.text((x, y), line, INK, font=_font(TEXT_PX - 2))


def _fit(crop: ImageArray) -> Image.Image:
    """Scale a crop into a tile, keeping its proportions."""
    picture = Image.fromarray(crop)
    factor = min(TILE_PX / max(picture.size), MAX_ENLARGED)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _wrap(draw: ImageDraw.ImageDraw, text: str) -> list[str]:
    """Break a text into the lines a tile has room for; dots stand for what is left out."""
    font = _font(TEXT_PX - 2)
    lines = [""]
    for word in text.split():
        candidate = f"{lines[-1]} {word}".strip()
        if lines[-1] and draw.textlength(candidate, font=font) > TILE_PX:
            lines.append(word)
        else:
            lines[-1] = candidate
    shown = lines[: LINES - 1]
    if len(lines) > len(shown):
        shown[-1] += " ..."
    return [_shorten(draw, line) for line in shown]


def _shorten(draw: ImageDraw.ImageDraw, line: str) -> str:
    """Cut a line that is wider than a tile."""
    font = _font(TEXT_PX - 2)
    if draw.textlength(line, font=font) <= TILE_PX:
        return line
    while line and draw.textlength(line + "...", font=font) > TILE_PX:
        line = line[:-1]
    return line + "..."


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, so that nothing has to be installed."""
    return ImageFont.load_default(size=size)
