"""Pictures to inspect a result by: the photo before and after, side by side.

They show the original faces: for the eyes of whoever may see the photo itself, not for publishing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from anonyface.errors import InputError
from anonyface.result import AnonymizeResult
from anonyface.types import ImageArray

PANEL_PX = 1600
"""Longer side of a panel: what screens show at once."""
GAP_PX, HEADER_PX, TEXT_PX = 12, 34, 20
GROUND, INK, OUTLINE = (250, 250, 250), (25, 25, 25), (255, 176, 0)
LINE_PX, FARTHEST_PX = 2, 1e6
"""Width of lines, and how far they are followed: Pillow draws no farther than int32 reaches."""
GAIN = 4.0
"""Differences are shown so many times as strong: a change of a few grey levels is seen, too."""
NOBODY = "nobody was replaced"


def side_by_side(
    before: ImageArray,
    after: ImageArray,
    *,
    outlines: Sequence[NDArray[np.floating]] | None = None,
    panel_px: int = PANEL_PX,
) -> ImageArray:
    """Show a photo before and after.

    Args:
        before: (H, W, 3) RGB uint8.
        after: (H, W, 3) RGB uint8.
        outlines: What to draw a line around in both: boxes (4,) x0 y0 x1 y1 or outlines (n, 2) x y,
            in pixels of the photo.
        panel_px: Longer side of a panel; a photo is shrunk to it, never enlarged; 0 leaves it.

    Returns:
        RGB uint8: the two panels from left to right, each under its name.

    Raises:
        InputError: The two differ in size or are no RGB pictures, or an outline is none.
    """
    panels = _panels(before, after, outlines, panel_px)
    return _lay_out(panels, ("before", "after"))


def triple(
    before: ImageArray,
    after: ImageArray,
    *,
    portraits: Sequence[ImageArray] | None = None,
    outlines: Sequence[NDArray[np.floating]] | None = None,
    panel_px: int = PANEL_PX,
) -> ImageArray:
    """Show a photo before and after, and beside them what was changed or who was put on.

    Args:
        before: (H, W, 3) RGB uint8.
        after: (H, W, 3) RGB uint8.
        portraits: Square RGB uint8 pictures of the synthetic people, for the third panel; None for
            the difference of the two pictures, four times as strong.
        outlines: As for `side_by_side`.
        panel_px: As for `side_by_side`.

    Returns:
        RGB uint8: the three panels from left to right, each under its name.

    Raises:
        InputError: As `side_by_side`, or a portrait is no RGB picture.
    """
    panels = _panels(before, after, outlines, panel_px)
    if portraits is None:
        third, name = _fit(_difference(before, after), panel_px), f"difference x {GAIN:g}"
    else:
        third, name = _portraits(portraits, panels[0].shape[:2]), "synthetic people"
    return _lay_out([*panels, third], ("before", "after", name))


def write_comparison(photo: str | Path, result: AnonymizeResult, folder: str | Path) -> Path:
    """Write before, after and difference of one photo into a folder, as a JPEG.

    Args:
        photo: The photo the result was made of; it is read again.
        result: What became of it.
        folder: Where to; made if it is not there. Nothing in it is replaced: a second picture of
            one name gets a number.

    Returns:
        The file written: ``street.compare.jpg`` for ``street.jpg``.

    Raises:
        InputError: The photo can't be read, is of another size, or the folder can't be written.
    """
    from anonyface.media.images import load_image, save_image

    boxes = [outcome.face.box for outcome in result.faces]
    sheet = triple(load_image(photo).pixels, result.image, outlines=boxes)
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't write into {place}: {error.strerror}") from error
    stem, number = f"{Path(photo).stem}.compare", 1
    while (target := place / (f"{stem}-{number}.jpg" if number > 1 else f"{stem}.jpg")).exists():
        number += 1
    source = replace(load_image(sheet), synthetic=any(o.identity for o in result.faces))
    return save_image(sheet, target, source=source)


def _panels(
    before: ImageArray,
    after: ImageArray,
    outlines: Sequence[NDArray[np.floating]] | None,
    panel_px: int,
) -> list[ImageArray]:
    for image, name in ((before, "before"), (after, "after")):
        _require_picture(image, name)
    if before.shape != after.shape:
        raise InputError(f"before and after differ in size: {before.shape}, {after.shape}")
    if panel_px < 0:
        raise InputError(f"panel_px must be >= 0, not {panel_px}")
    lines = [_polygon(outline) for outline in outlines or ()]
    panels = []
    for image in (before, after):
        panel = _fit(image, panel_px)
        factor = np.array([panel.shape[1] / image.shape[1], panel.shape[0] / image.shape[0]])
        panels.append(_draw_lines(panel, [(line + 0.5) * factor - 0.5 for line in lines]))
    return panels


def _require_picture(image: ImageArray, name: str) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise InputError(f"{name} must be (H, W, 3) RGB uint8, got {image.shape} {image.dtype}")


def _polygon(outline: NDArray[np.floating]) -> NDArray[np.float64]:
    """(4,) box or (n, 2) outline -> (n, 2) outline."""
    points = np.asarray(outline, dtype=np.float64)
    if points.shape == (4,):
        x0, y0, x1, y1 = points
        points = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise InputError(f"an outline must be a finite (4,) or (n, 2), got {points.shape}")
    return np.clip(points, -FARTHEST_PX, FARTHEST_PX)


def _draw_lines(panel: ImageArray, lines: Sequence[NDArray[np.float64]]) -> ImageArray:
    if not lines:
        return panel
    picture = Image.fromarray(panel)
    draw = ImageDraw.Draw(picture)
    for line in lines:
        if len(line):
            closed = np.concatenate([line, line[:1]])
            draw.line([(float(x), float(y)) for x, y in closed], fill=OUTLINE, width=LINE_PX)
    return np.array(picture)


def _fit(image: ImageArray, panel_px: int) -> ImageArray:
    """Shrink a picture whose longer side is above ``panel_px``."""
    factor = panel_px / max(image.shape[:2]) if panel_px else 1.0
    if factor >= 1:
        return image
    size_wh = tuple(max(1, round(side * factor)) for side in image.shape[1::-1])
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _difference(before: ImageArray, after: ImageArray) -> ImageArray:
    """Absolute difference, stronger; black where nothing changed."""
    return cv2.convertScaleAbs(cv2.absdiff(before, after), alpha=GAIN).astype(np.uint8, copy=False)


def _portraits(portraits: Sequence[ImageArray], size_hw: tuple[int, ...]) -> ImageArray:
    """Lay portraits out in rows, as large as they fit into a panel."""
    for number, portrait in enumerate(portraits):
        _require_picture(portrait, f"portrait {number}")
    height, width = size_hw
    panel = np.full((height, width, 3), GROUND, dtype=np.uint8)
    if not portraits:
        return _write(panel, NOBODY)
    columns, side = max(
        ((n, min(width // n, height // -(-len(portraits) // n))) for n in _counts(portraits)),
        key=lambda pair: pair[1],
    )
    if side == 0:  # more people than pixels
        return panel
    for number, portrait in enumerate(portraits):
        y, x = (side * k for k in divmod(number, columns))
        panel[y : y + side, x : x + side] = cv2.resize(
            portrait, (side, side), interpolation=cv2.INTER_AREA
        )
    return panel


def _counts(things: Sequence[ImageArray]) -> range:
    return range(1, len(things) + 1)


def _lay_out(panels: Sequence[ImageArray], names: Sequence[str]) -> ImageArray:
    """Put panels of one size in a row, each under its name."""
    height, width = panels[0].shape[:2]
    size_hw = (height + HEADER_PX + GAP_PX, len(panels) * (width + GAP_PX) + GAP_PX)
    sheet = np.full((*size_hw, 3), GROUND, dtype=np.uint8)
    for number, (panel, name) in enumerate(zip(panels, names, strict=True)):
        x = GAP_PX + number * (width + GAP_PX)
        sheet[:HEADER_PX, x : x + width] = _write(sheet[:HEADER_PX, x : x + width], name)
        sheet[HEADER_PX : HEADER_PX + height, x : x + width] = panel
    return sheet


def _write(ground: ImageArray, text: str) -> ImageArray:
    picture = Image.fromarray(ground)
    draw = ImageDraw.Draw(picture)
    draw.text((2, HEADER_PX // 2), text, INK, font=_font(TEXT_PX), anchor="lm")
    return np.array(picture)


@lru_cache(maxsize=1)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, so that nothing has to be installed."""
    return ImageFont.load_default(size=size)
