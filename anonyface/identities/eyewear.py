"""Does a face wear glasses? A small network on the eyes of the aligned chip."""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.runtime import open_session, run
from anonyface.types import ImageArray

ROWS, COLUMNS = slice(14, 86), slice(3, 147)
"""Forehead to the middle of the nose of the 150-px chip: frames, bridge and temples lie in it, a
mask hardly does."""
EYES_WH = (128, 64)
"""Width and height at which the network sees it."""


class EyewearReader:
    """Says whether somebody wears glasses, with or without a mask (`training.eyewear`).

    Args:
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(self, *, threads: int = 0) -> None:
        self.session = open_session("eyewear", threads=threads)

    def __call__(self, chip: ImageArray) -> float:
        """Probability in [0, 1] of glasses or sunglasses.

        Args:
            chip: (150, 150, 3) RGB uint8 from `align_chip`.
        """
        eyes = eye_region(chip).transpose(2, 0, 1)[None]
        feed = {"eyes": np.ascontiguousarray(eyes, dtype=np.float32)}
        return float(run(self.session, feed, ["probability"])[0][0])


def eye_region(chip: ImageArray) -> ImageArray:
    """Cut the (64, 128, 3) part the network sees out of a (150, 150, 3) aligned chip."""
    part = chip[ROWS, COLUMNS]
    return np.asarray(cv2.resize(part, EYES_WH, interpolation=cv2.INTER_AREA), dtype=np.uint8)
