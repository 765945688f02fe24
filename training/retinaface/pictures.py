"""From pictures to the network's input."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MEAN_BGR = (104.0, 117.0, 123.0)
"""Mean of the pictures the shipped weights were trained on, grey levels."""


def to_input(pixels: NDArray[np.uint8]) -> Tensor:
    """(n, H, W, 3) RGB uint8 -> (n, 3, H, W) float BGR minus the mean."""
    bgr = torch.from_numpy(np.ascontiguousarray(pixels[..., ::-1])).permute(0, 3, 1, 2).float()
    return bgr - torch.tensor(MEAN_BGR)[None, :, None, None]
