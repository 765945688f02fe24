"""A photo of a face that things are painted on, and what one must know to paint them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.landmarks import topology as topo
from anonyface.types import FloatArray, ImageArray
from training.occlusion.shapes import Vector

Kind = Literal["front", "worn"]
Donor = Callable[[], tuple[ImageArray, FloatArray]]
"""Gives another photo with its mesh: skin, heads and textures are taken from it."""
TARGETS = np.array([13, 14, 152, 4, 61, 291, 50, 280, 205, 425, 33, 263, 10, 234, 454, 17, 0])
"""Points of the mesh that things are held before, the mouth most often."""
SKIN = np.array([5, 195, 197, 50, 280, 101, 330, 151])
"""Points of the mesh whose colours are those of skin."""


@dataclass(eq=False)
class Canvas:
    """A face with what was painted on it so far.

    Attributes:
        pixels: (h, w, 3) float32 RGB 0-255.
        points: (468, 3) mesh.
        shares: (2, h, w) float32: of each pixel, what lies in front and what is worn.
        light: (h, w) float32: how light it is there, 1 on average over the face.
        level: How light a white thing would be, in [0, 1.3].
    """

    pixels: FloatArray
    points: FloatArray
    shares: FloatArray
    light: FloatArray
    level: float

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def width(self) -> float:
        """Of the face, pixels."""
        return float(np.hypot(*np.ptp(self.points[topo.FACE_OVAL, :2], axis=0)) / np.sqrt(2))

    def at(self, index: int) -> NDArray[np.float64]:
        """(2,) a point of the mesh."""
        return self.points[index, :2].astype(np.float64)

    def put(self, colours: FloatArray, matte: FloatArray, kind: Kind) -> None:
        """Lay something over the picture.

        Args:
            colours: (h, w, 3) or (3,) float32 RGB 0-255.
            matte: (h, w) float32 in [0, 1].
            kind: What it is.
        """
        part = matte[..., None]
        self.pixels += part * (np.clip(colours, 0, 255).astype(np.float32) - self.pixels)
        self.shares *= 1 - matte
        self.shares[("front", "worn").index(kind)] += matte

    def shade(self, matte: FloatArray, strength: float, offset: tuple[float, float]) -> None:
        """Let something cast a soft shadow on what is there so far."""
        move = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], dtype=np.float64)
        moved = cv2.warpAffine(matte, move, self.hw[::-1])
        soft = cv2.GaussianBlur(moved, (0, 0), max(1.0, 0.04 * self.width))
        self.pixels *= 1 - np.float32(strength) * soft[..., None]


def canvas(pixels: ImageArray, points: FloatArray, rng: np.random.Generator) -> Canvas:
    """Return a bare face to paint on.

    Args:
        pixels: (h, w, 3) RGB uint8.
        points: (468, 3) mesh in them.
        rng: Randomness.
    """
    grey = pixels.astype(np.float32).mean(axis=2)
    face = float(np.ptp(points[:, 0]))
    smooth = cv2.GaussianBlur(grey, (0, 0), max(1.0, rng.uniform(0.08, 0.16) * face))
    inside = _inside(points, pixels.shape[:2])
    mean = max(float(smooth[inside].mean()), 5.0) if inside.any() else 100.0
    # Shading of the face is partly its own shape: not all of it falls on what is in front.
    light = 1 + rng.uniform(0.3, 1.0) * (smooth / mean - 1)
    bright = float(np.percentile(grey[inside], 70)) / 150 if inside.any() else 0.8
    level = float(np.clip(bright * rng.uniform(0.8, 1.35), 0.3, 1.3))
    shares = np.zeros((2, *pixels.shape[:2]), dtype=np.float32)
    return Canvas(
        pixels.astype(np.float32), points, shares, np.asarray(light, dtype=np.float32), level
    )


def _inside(points: FloatArray, hw: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(hw[:2], np.uint8)
    cv2.fillPoly(mask, [points[topo.FACE_OVAL, :2].round().astype(np.int32)], 1)
    return mask > 0


def skin_colour(pixels: ImageArray, points: FloatArray) -> NDArray[np.float64]:
    """(3,) RGB 0-255, the median of a face's skin."""
    height, width = pixels.shape[:2]
    xy = np.clip(points[SKIN, :2].round(), 0, [width - 1, height - 1]).astype(int)
    return np.asarray(np.median(pixels[xy[:, 1], xy[:, 0]], axis=0), dtype=np.float64)


def lay(
    canvas: Canvas,
    reflectance: FloatArray | Vector,
    matte: FloatArray,
    rng: np.random.Generator,
    relief: FloatArray | None = None,
) -> None:
    """Put a thing of some reflectance into the light of the photo, with a shadow now and then."""
    if rng.random() < 0.4:
        offset = rng.normal(0, 0.04, 2) * canvas.width
        canvas.shade(matte, rng.uniform(0.1, 0.5), (float(offset[0]), float(offset[1])))
    lit = canvas.level * (1 + rng.uniform(0, 1) * (canvas.light - 1))
    if relief is not None:
        lit = lit * relief
    canvas.put(255 * np.asarray(reflectance, np.float32) * lit[..., None], matte, "front")


def softness(canvas: Canvas, rng: np.random.Generator) -> float:
    """Blur of an edge in pixels; what is far in front of the face is out of focus."""
    return float(rng.uniform(0.3, 1.0 if rng.random() < 0.75 else 0.05 * canvas.width))


def bulging(canvas: Canvas, matte: FloatArray) -> FloatArray:
    """(h, w) the shading of something bulging."""
    return np.asarray(0.6 + 0.5 * cv2.GaussianBlur(matte, (0, 0), 0.08 * canvas.width), np.float32)


def uneven(
    canvas: Canvas, rng: np.random.Generator, most: float, finest: int, *, fewest: int = 2
) -> FloatArray:
    """(h, w) the shading of something that is not flat, by up to ``most`` about 1.

    Args:
        canvas: The face.
        rng: Randomness.
        most: Largest spread of its lightness.
        finest: Bumps along a side at most, less one.
        fewest: At least.
    """
    cells = rng.normal(1, rng.uniform(0, most), tuple(rng.integers(fewest, finest, 2)))
    large = cv2.resize(cells.astype(np.float32), canvas.hw[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(large, 0.2, 1.6), np.float32)


def target(canvas: Canvas, rng: np.random.Generator, spread: float = 0.08) -> Vector:
    """(2,) a place on the face, off by some face widths."""
    return canvas.at(int(rng.choice(TARGETS))) + rng.normal(0, spread, 2) * canvas.width
