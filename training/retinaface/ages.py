"""Ages: FairFace's nine bins, four classes, expected years."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")
CENTRES = (1.0, 6.0, 14.0, 24.5, 34.5, 44.5, 54.5, 64.5, 76.0)
"""Middles of the bins, years; the last one is where the ages over 70 are about centred."""
STARTS = (0, 3, 10, 20, 30, 40, 50, 60, 70)
CLASSES = ("<10", "10-29", "30-59", "60+")
CLASS_OF_BIN = (0, 0, 1, 1, 2, 2, 2, 3, 3)


def bin_of(years: float) -> int:
    """Return the bin of an age in years.

    >>> [AGES[bin_of(y)] for y in (2, 3, 29, 70, 101)]
    ['0-2', '3-9', '20-29', '70+', '70+']
    """
    return int(np.digitize(years, STARTS[1:]))


def soft_bins(years: Tensor) -> Tensor:
    """(n,) ages in years -> (n, 9) shares of the bins, a normal distribution cut at their edges.

    Its standard deviation is a year and a tenth of the age: old people's ages are harder to tell.
    """
    spread = (1 + years.clamp(min=0) / 10)[:, None]
    inner = torch.tensor(STARTS[1:], dtype=years.dtype, device=years.device)
    below = torch.special.ndtr((inner - years[:, None]) / spread)
    edges = torch.cat([torch.zeros_like(below[:, :1]), below, torch.ones_like(below[:, :1])], dim=1)
    return edges.diff(dim=1)


def class_probabilities(ages: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 9) probabilities of the bins -> (n, 4) of the classes <10, 10-29, 30-59, 60+."""
    members = np.eye(len(CLASSES), dtype=np.float32)[list(CLASS_OF_BIN)]
    return np.asarray(ages @ members, dtype=np.float32)


def expected_years(ages: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 9) probabilities of the bins -> (n,) expected years."""
    return np.asarray(ages @ np.array(CENTRES, dtype=np.float32), dtype=np.float32)
