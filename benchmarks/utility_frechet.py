"""Frechet distance of aligned faces before and after: do the results look like photos of people?

In EfficientNet-lite0 features (``generators/frechet.py``; needs torch, extra "train"). The distance
shrinks with the number of faces: beside the one of all faces stand two of half as many, original
faces to results of other people, and original faces to original faces of other people, which is
what chance gives.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from anonyface.types import FloatArray, ImageArray
from anonyface.verification.alignment import CHIP_PX, CHIP_TEMPLATE
from benchmarks.outside import Feed, cut, place

SIDE_PX = 128
SCALE = 0.85
"""Size of the face in the crop over that in the built-in encoder's: brows to chin, little hair."""
FEWEST = 4
"""Faces without which no half has a covariance."""

Describe: TypeAlias = Callable[[ImageArray, FloatArray], FloatArray]
Features: TypeAlias = tuple[FloatArray, FloatArray]
"""(1280,) of an original and of its result."""


def describer(cache: Path | None, *, threads: int) -> Describe | str:
    """Return what gives the (1280,) features of a face, or why there is nothing.

    Args:
        cache: Folder that keeps the network, None to fetch it each time.
        threads: Threads for inference.
    """
    try:
        import torch

        from generators.features import load_features
    except ImportError as error:
        return f"{error.name} is not installed (extra train)"
    torch.set_num_threads(max(1, threads))
    try:
        with tempfile.TemporaryDirectory() as folder:
            network = load_features(cache or Path(folder))
    except subprocess.CalledProcessError:
        return "the feature network can't be fetched"
    template = place(CHIP_TEMPLATE, CHIP_PX, SIDE_PX, scale=SCALE)
    feed = Feed("EfficientNet-lite0", SIDE_PX, template, np.asarray, "never learned faces")

    @torch.no_grad()
    def describe(image: ImageArray, landmarks: FloatArray) -> FloatArray:
        chip = cut(image, landmarks, feed).astype(np.float32) / 127.5 - 1
        # HWC => NCHW
        batch = torch.from_numpy(np.ascontiguousarray(chip.transpose(2, 0, 1)[None]))
        return np.asarray(network(batch)[0][0], np.float32)

    return describe


def distances(features: Sequence[Features], *, seed: int) -> dict[str, Any] | None:
    """Return the Frechet distances, None if there are fewer than `FEWEST` faces.

    Args:
        features: One pair a face.
        seed: Of the halves.
    """
    if len(features) < FEWEST:
        return None
    import torch

    from generators.frechet import frechet_distance, moments

    before, after = (np.stack(side) for side in zip(*features, strict=True))
    order = np.random.default_rng(seed).permutation(len(before))
    half = len(order) // 2
    one, other = order[:half], order[half : 2 * half]

    def apart(a: FloatArray, b: FloatArray) -> float:
        return frechet_distance(*(moments(torch.from_numpy(x)) for x in (a, b)))

    return {
        "before_to_after": apart(before, after),
        "faces": len(before),
        "halves_before_to_after": apart(before[one], after[other]),
        "halves_before_to_before": apart(before[one], before[other]),
        "faces_of_a_half": half,
    }
