"""The generator at run time: latents to portraits, at 256 or 1024 px."""

from __future__ import annotations

from typing import Literal, NamedTuple

import cv2
import numpy as np

from anonyface.runtime import open_session, run
from anonyface.types import FloatArray, ImageArray

PortraitSize = Literal[256, 1024]

GRID, CELL = 128, 8
"""Side of the features from which both sizes are made, and pixels of the larger one in a cell."""
RIM = 3
"""Cells that what lies outside of a window reaches in: three layers of 3x3 at finer and finer
resolution reach 2.5."""


class Window(NamedTuple):
    """A part of a portrait, in cells of its `GRID`; the last ones are not in it."""

    top: int
    left: int
    bottom: int
    right: int


WHOLE = Window(0, 0, GRID, GRID)


class Generator:
    """Mapping and synthesis of the shipped generator.

    The 1024-px part is opened when it is first needed.

    Args:
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(self, *, threads: int = 0) -> None:
        self.threads = threads
        self.synthesis = open_session("synthesis-256", threads=threads)
        self._last: tuple[bytes, FloatArray, FloatArray] | None = None

    def map(self, z: FloatArray) -> FloatArray:
        """(n, 512) standard normal -> (n, 512) style vectors w."""
        session = open_session("mapping", threads=self.threads)
        return np.asarray(run(session, {"z": z.astype(np.float32)}, ["w"])[0], dtype=np.float32)

    def render(self, w: FloatArray, *, size: PortraitSize, window: Window = WHOLE) -> ImageArray:
        """Synthesize one portrait.

        Args:
            w: (512,) style vector.
            size: 256 (features read out early, a quarter of the cost) or 1024.
            window: Of 1024 px what is needed sharp: costs are as its area; around it the portrait
                of 256 px stands, enlarged.

        Returns:
            (size, size, 3) RGB uint8.
        """
        feed = {"w": np.asarray(w, dtype=np.float32)[None]}
        small, features = self._features(feed)
        if size == 256:
            return _to_pixels(small)
        rest = open_session("synthesis-1024", threads=self.threads)
        feed = {**feed, "features": features, "window": np.array(window, np.int64)}
        large = _to_pixels(run(rest, feed, ["image"])[0])
        if window == WHOLE:
            return large
        side = GRID * CELL
        out = cv2.resize(_to_pixels(small), (side, side), interpolation=cv2.INTER_CUBIC)
        inner = _without_rim(window)
        top, left = (CELL * (inner.top - window.top), CELL * (inner.left - window.left))
        height, width = CELL * (inner.bottom - inner.top), CELL * (inner.right - inner.left)
        y, x = CELL * inner.top, CELL * inner.left
        out[y : y + height, x : x + width] = large[top : top + height, left : left + width]
        return np.asarray(out, np.uint8)

    def _features(self, feed: dict[str, FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Return the (1, 3, 256, 256) image and (1, 256, 128, 128) features of (1, 512).

        Those of the last call are kept: who was looked at small is put on large.
        """
        key, last = feed["w"].tobytes(), self._last  # read once: other threads may exchange it
        if last is None or last[0] != key:
            image, features = run(self.synthesis, feed, ["image", "features"])
            last = self._last = (key, image, features)
        return last[1], last[2]


def _without_rim(window: Window) -> Window:
    """What of a window is as in the whole portrait; at the portrait's own border all is."""
    return Window(
        window.top + RIM * (window.top > 0),
        window.left + RIM * (window.left > 0),
        window.bottom - RIM * (window.bottom < GRID),
        window.right - RIM * (window.right < GRID),
    )


def _to_pixels(image: FloatArray) -> ImageArray:
    """(1, 3, h, w) in [-1, 1] -> (h, w, 3) RGB uint8."""
    scaled = np.clip(image[0] * 127.5 + 128, 0, 255).astype(np.uint8)  # truncation rounds
    return np.ascontiguousarray(scaled.transpose(1, 2, 0))
