"""What is compared between a face and its replacement: each measure on plain arrays.

Every function gets the original first and the result second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from anonyface.identities.fit import WEARS
from anonyface.identities.looks import skin_tone
from anonyface.landmarks import topology as topo
from anonyface.types import BoolArray, FloatArray, ImageArray, Look

EYES_OPEN_FROM = 0.18
"""Lid gap over eye width below which an eye counts as closed: nobody can say where it looks."""
DARK_SHADE = 30.0
"""How much darker than the cheeks, L* units, eyes behind glasses may be to count as visible. Clear
glasses stay below 28, sunglasses begin at 31: set by eye on a sixth of groups-dev."""
MOUTH = np.concatenate([topo.LIPS_OUTER, topo.LIPS_INNER])
EYES = (topo.LEFT_EYE, topo.RIGHT_EYE)
QUANTISATION = 1 / 12
"""Variance of rounding to whole grey levels, and so the gradient energy of a flat grey picture."""
LAPLACIAN_GAIN = 20
"""Variance of the five-point Laplacian of white noise of variance 1: 16 + 4."""
INSIDE_ALPHA, INSIDE_MARGIN_PX = 0.9, 2
"""Sharpness is measured where hardly anything of the photo is mixed in, away from the edge."""
FEWEST_PIXELS = 64
"""Fewer pixels give no variance worth a comparison."""


@dataclass(frozen=True)
class Tail:
    """Median and upper percentiles of ``of`` values; None where there are none."""

    median: float | None
    p90: float | None
    p95: float | None
    of: int


def tail(values: Sequence[float]) -> Tail:
    """Summarise values.

    >>> tail([0.0, 1.0, 2.0])
    Tail(median=1.0, p90=1.8, p95=1.9, of=3)
    """
    if not len(values):
        return Tail(None, None, None, 0)
    median, p90, p95 = (round(float(v), 6) for v in np.percentile(values, [50, 90, 95]))
    return Tail(median, p90, p95, len(values))


def angle_error(before: float, after: float) -> float:
    """Absolute difference of two angles in degrees, the short way round.

    >>> angle_error(-179.0, 178.0)
    3.0
    """
    return abs((after - before + 180) % 360 - 180)


def mouth_opening_error(before: FloatArray, after: FloatArray) -> float:
    """Difference of the inner lip gaps of two (468, 3) meshes, over the original mouth's width."""
    gaps = [_gap(p, topo.LIP_UPPER_INNER, topo.LIP_LOWER_INNER) for p in (before, after)]
    return abs(gaps[1] - gaps[0]) / max(_gap(before, topo.MOUTH_LEFT, topo.MOUTH_RIGHT), 1e-6)


def feature_error(before: FloatArray, after: FloatArray, feature: topo.Indices) -> float:
    """Mean distance of a feature's mesh points after its own shift is taken away.

    Args:
        before: (468, 3) mesh of the original.
        after: (468, 3) mesh of the result.
        feature: Which points.

    Returns:
        In distances of the original's outer eye corners, in the plane of the photo.
    """
    old, new = (p[feature, :2].astype(np.float64) for p in (before, after))
    off = (new - new.mean(axis=0)) - (old - old.mean(axis=0))
    corners = before[[topo.LEFT_EYE_OUTER, topo.RIGHT_EYE_OUTER], :2].astype(np.float64)
    unit = max(float(np.hypot(*(corners[1] - corners[0]))), 1e-6)
    return float(np.hypot(off[:, 0], off[:, 1]).mean()) / unit


def mouth_error(before: FloatArray, after: FloatArray) -> float:
    """`feature_error` of the lips."""
    return feature_error(before, after, MOUTH)


def eyes_error(before: FloatArray, after: FloatArray) -> float:
    """`feature_error` of the eyes' outlines, mean of both, each shifted for itself."""
    return float(np.mean([feature_error(before, after, eye) for eye in EYES]))


def gaze_hidden(look: Look) -> str:
    """Say why the gaze of an original can't be compared; nothing where it can."""
    if math.isnan(look.gaze_across) or math.isnan(look.gaze_down):
        return "eyes too small"
    if look.eyes_open < EYES_OPEN_FROM:
        return "eyes closed"
    if look.eyewear >= WEARS and look.shade >= DARK_SHADE:
        return "dark glasses"
    return ""


def gaze_error(before: Look, after: Look) -> float:
    """Length of the difference of the irises' offsets, in eye widths."""
    across = after.gaze_across - before.gaze_across
    return math.hypot(across, after.gaze_down - before.gaze_down)


def tone_error(before: FloatArray, after: FloatArray) -> float:
    """Difference of the individual typology angles of two (3,) L*a*b* colours, degrees."""
    return abs(skin_tone(after) - skin_tone(before))


def colour_error(before: FloatArray, after: FloatArray) -> float:
    """CIE76 difference: the distance of two (3,) L*a*b* colours."""
    return float(np.linalg.norm(np.asarray(after, np.float64) - np.asarray(before, np.float64)))


def edge_ring(alpha: FloatArray, free: BoolArray) -> BoolArray:
    """Return the three pixels along the edge of a mask: its last row inside and one on each side.

    The border of the photo is no edge.

    Args:
        alpha: (h, w) weight of the new face; the edge is where it crosses 0.5.
        free: (h, w) pixels that no other face has touched: a neighbour's seam is counted there.
    """
    inside = (alpha >= 0.5).astype(np.uint8)
    square = np.ones((3, 3), np.uint8)
    # By default erosion takes what is beyond the border as inside, dilation as outside.
    edge = inside - cv2.erode(inside, square)
    return np.asarray((cv2.dilate(edge, square) > 0) & free, bool)


def gradient_energy(image: ImageArray | FloatArray, where: BoolArray) -> float:
    """Mean square of the gradient, central differences, all channels together.

    Colour counts as well as lightness: a seam between two hues of one lightness is one.

    Args:
        image: (h, w, c), values 0-255.
        where: (h, w) pixels that count, one at least.
    """
    pixels = image.astype(np.float32)
    energy = np.zeros(pixels.shape[:2], np.float32)
    for x, y in ((1, 0), (0, 1)):
        slope = cv2.Sobel(pixels, cv2.CV_32F, x, y, ksize=1).reshape(pixels.shape) / 2
        energy += (slope**2).sum(axis=2)
    return float(energy[where].mean())


def seam_ratio(before: ImageArray, after: ImageArray, ring: BoolArray) -> float | None:
    """Gradient energy along the mask's edge, new over old; None if the ring is too short."""
    if int(ring.sum()) < FEWEST_PIXELS:
        return None
    old, new = (gradient_energy(image, ring) + QUANTISATION for image in (before, after))
    return new / old


def well_inside(alpha: FloatArray) -> BoolArray:
    """(h, w) pixels of the new face alone, `INSIDE_MARGIN_PX` away from everything else."""
    side = 2 * INSIDE_MARGIN_PX + 1
    solid = (alpha >= INSIDE_ALPHA).astype(np.uint8)
    return np.asarray(cv2.erode(solid, np.ones((side, side), np.uint8)) > 0, bool)


def sharpness(image: ImageArray, where: BoolArray) -> float:
    """Root of the Laplacian's energy over the gradient's, in the lightness: steepness per pixel.

    The variance of the Laplacian alone grows with the square of the contrast: a face in soft light
    would count as blurred, and features with strong lines as sharp. Divided by the energy of the
    gradient it knows neither contrast nor brightness and says how fast the edges there are: the
    root is proportional to the inverse of the blur's width, so that 0.8 means a blur wider by a
    quarter. Of the quotients that were tried (over the variance, the squared mean, bands of 2 to
    16 px, in squares and in absolute values) it differs least between equally sharp portraits of
    different people for the difference that a blur makes.

    Args:
        image: (h, w, 3) RGB uint8.
        where: (h, w) pixels that count, one at least.
    """
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    curved = cv2.Laplacian(luma, cv2.CV_32F, ksize=1)[where] ** 2
    bottom = gradient_energy(luma[..., None], where) + QUANTISATION
    return math.sqrt((float(curved.mean()) + LAPLACIAN_GAIN * QUANTISATION) / bottom)


def sharpness_ratio(before: ImageArray, after: ImageArray, where: BoolArray) -> float | None:
    """`sharpness`, new over old; None if too few pixels are left."""
    if int(where.sum()) < FEWEST_PIXELS:
        return None
    return sharpness(after, where) / sharpness(before, where)


def psnr(before: ImageArray, after: ImageArray, where: BoolArray) -> float:
    """Peak signal-to-noise ratio of the pixels ``where``, decibels; infinite if none differs."""
    difference = before[where].astype(np.float64) - after[where]
    error = float((difference**2).mean()) if difference.size else 0.0
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _gap(points: FloatArray, a: int, b: int) -> float:
    return float(np.linalg.norm(points[a].astype(np.float64) - points[b]))
