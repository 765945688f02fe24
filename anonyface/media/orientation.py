"""Stored rows and columns -> an upright picture (Exif 2.32, 4.6.4)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Exif orientation -> (swap axes, flip rows, flip columns), done in that order (Exif 2.32, 4.6.4).
UPRIGHT = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def turn_upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply an Exif orientation to an (H, W) or (H, W, C) array; returns a contiguous copy.

    Args:
        array: Pixels as stored.
        orientation: 1-8; 5-8 swap height and width.

    Raises:
        KeyError: If the orientation is not 1-8.

    >>> turn_upright(np.array([[1, 2], [3, 4]], np.uint8), 6).tolist()
    [[3, 1], [4, 2]]
    """
    swap, flip_rows, flip_columns = UPRIGHT[orientation]
    if swap:
        array = np.swapaxes(array, 0, 1)
    step_y, step_x = (-1 if flip_rows else 1), (-1 if flip_columns else 1)
    return np.ascontiguousarray(array[::step_y, ::step_x])
