"""Colours and prints of what is painted before faces."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.types import FloatArray
from training.occlusion.canvas import Donor

LETTERS = "ABCDEFGHIKLMNOPRSTUVWXYZ0123456789"


def cloth_colour(rng: np.random.Generator) -> NDArray[np.float64]:
    """(3,) reflectance of a mask: white, surgical blue or green, black, grey, skin or anything."""
    kind = rng.choice(6, p=[0.32, 0.16, 0.2, 0.07, 0.05, 0.2])
    tint = rng.uniform(0.93, 1.05, 3)
    return np.asarray(
        [
            rng.uniform(0.75, 1) * tint,
            rng.uniform([0.4, 0.65, 0.75], [0.75, 0.88, 1.0]),
            rng.uniform(0.02, 0.2) * rng.uniform(0.85, 1.15, 3),
            rng.uniform(0.3, 0.65) * tint,
            rng.uniform([0.6, 0.4, 0.3], [0.95, 0.75, 0.65]),
            rng.uniform(0.05, 0.95, 3),
        ][kind]
    )


def any_colour(rng: np.random.Generator) -> NDArray[np.float64]:
    """(3,) reflectance of anything: dark more often than not, as clothes and phones are."""
    if rng.random() < 0.4:
        return np.asarray(rng.uniform(0.02, 0.3) * rng.uniform(0.8, 1.2, 3))
    return rng.uniform(0.03, 1.0, 3)


def surface(
    colour: NDArray[np.float64], hw: tuple[int, int], rng: np.random.Generator, donor: Donor
) -> FloatArray:
    """(h, w, 3) float32 reflectance: a plain colour, a print, or a piece of another photo."""
    kind = rng.choice(
        ["plain", "photo", "stripes", "dots", "clouds", "letters"],
        p=[0.45, 0.2, 0.1, 0.08, 0.07, 0.1],
    )
    plain = np.broadcast_to(colour, (*hw, 3)).astype(np.float32)
    if kind == "plain":
        return plain
    if kind == "photo":
        return _photo(plain, rng, donor)
    other = any_colour(rng).astype(np.float32)
    if kind == "letters":
        part = _letters(hw, rng)
    elif kind == "clouds":
        cells = rng.random(rng.integers(2, 10, 2), dtype=np.float32)
        part = cv2.resize(cells, hw[::-1], interpolation=cv2.INTER_CUBIC)
        part = np.clip(2 * part - 0.5, 0, 1)
    else:
        angle, step = rng.uniform(0, np.pi), rng.uniform(0.03, 0.2) * hw[0]
        rows, columns = np.mgrid[0 : hw[0], 0 : hw[1]].astype(np.float32)
        along = columns * np.float32(np.cos(angle)) + rows * np.float32(np.sin(angle))
        across = rows * np.float32(np.cos(angle)) - columns * np.float32(np.sin(angle))
        waves = np.cos(2 * np.pi * along / step)
        if kind == "dots" or rng.random() < 0.3:
            waves = waves + np.cos(2 * np.pi * across / step) - 0.6
        part = np.clip(waves * rng.uniform(1, 6) + 0.5, 0, 1)
    return plain + part[..., None] * (other - plain)


def _photo(plain: FloatArray, rng: np.random.Generator, donor: Donor) -> FloatArray:
    pixels, _ = donor()
    side = int(rng.integers(16, min(pixels.shape[:2])))
    y, x = (int(rng.integers(0, length - side + 1)) for length in pixels.shape[:2])
    piece = pixels[y : y + side, x : x + side].astype(np.float32) / 255
    out = cv2.resize(piece, plain.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.5:  # in other colours than a photo of a face has
        out = np.clip(out @ rng.uniform(-0.4, 1.0, (3, 3)).astype(np.float32), 0, 1)
    return np.asarray(out + rng.uniform(0, 0.6) * (plain - out), dtype=np.float32)


def _letters(hw: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    mask = np.zeros(hw, np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        text = "".join(rng.choice(list(LETTERS), int(rng.integers(1, 7))))
        at = int(rng.integers(-10, hw[1])), int(rng.integers(10, hw[0]))
        size, weight = rng.uniform(0.4, 2.0), int(rng.integers(1, 5))
        cv2.putText(mask, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, 255, weight, cv2.LINE_AA)
    if rng.random() < 0.4:
        at = int(rng.integers(0, hw[1])), int(rng.integers(0, hw[0]))
        axes = int(rng.integers(4, 40)), int(rng.integers(4, 40))
        cv2.ellipse(mask, at, axes, float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
    return np.asarray(mask, dtype=np.float32) / 255
