"""Pieces of photos for the tests of swapping."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.landmarks import topology as topo
from anonyface.swapping.mask import build_regions
from anonyface.types import Crop, FloatArray, Mesh, Patch

SIDE = 120
"""Side of the pictures drawn here, pixels."""


def disc(radius: float) -> FloatArray:
    """(SIDE, SIDE) float32: 1 within so many pixels of the centre."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    return np.asarray(np.hypot(x, y) < radius, np.float32)


def piece(
    people: list[NDArray[np.uint8]], meshes: list[Mesh], scale: float = 0.25
) -> tuple[Crop, Mesh]:
    """The first person, shrunk."""
    side = round(1024 * scale)
    pixels = np.asarray(cv2.resize(people[0], (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    return Crop(pixels, np.eye(2, 3)), Mesh(meshes[0].points * np.float32(scale), 1.0)


def opened(mesh: Mesh, by: float) -> Mesh:
    """The same face, its lower lip lowered by a share of the mouth's width."""
    points = mesh.points.copy()
    width = np.ptp(points[topo.LIPS_OUTER, 0])
    points[[14, 87, 178, 88, 317, 402, 318, 17, 84, 181, 314, 405], 1] += by * width
    return Mesh(points, mesh.presence)


def core_of(crop: Crop, mesh: Mesh, patch: Patch) -> NDArray[np.bool_]:
    regions = build_regions(mesh.points, crop.pixels.shape[:2])
    return np.asarray((regions.core > 0.99) & (patch.alpha > 0.99))
