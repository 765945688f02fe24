"""Make the new eyes look where the old ones looked: irises as points of the warp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonyface.landmarks.iris import CORNERS, true_gap
from anonyface.landmarks.pose import measure_expression
from anonyface.swapping.warp import CONTROL, PLACES
from anonyface.types import FloatArray, Mesh
from anonyface.verification.alignment import fit_similarity

OPEN_EYES = 0.15
"""Lid gap over eye width below which an iris is a guess."""
REACH = 0.2
"""Farthest an iris is moved from where it would be without, in eye widths: what is off by more was
found wrongly, and white of the eye that the portrait has not can't be shown."""


@dataclass(frozen=True, eq=False)
class IrisPoints:
    """Additional points of the warp.

    Attributes:
        source: (k, 2) in the portrait.
        placed: (k, 2) where they should lie.
    """

    source: FloatArray
    placed: FloatArray


def match_gaze(target: Mesh, source: Mesh, placed: FloatArray) -> IrisPoints | None:
    """Say where the identity's irises belong for the gaze of the original.

    Each iris keeps its shape and gets the place between the corners of its eye that the original's
    has.

    Args:
        target: The original, with its irises.
        source: The identity, with its irises.
        placed: (len(CONTROL), 2) where the identity's control points will lie.

    Returns:
        Ten points, None if somebody's eyes are closed or too small.
    """
    if target.irises is None or source.irises is None:
        return None
    old_mesh, new_mesh = target.points, source.points
    if min(measure_expression(m).eyes_open for m in (old_mesh, new_mesh)) < OPEN_EYES:
        return None
    if target.lids is not None and min(map(true_gap, target.lids)) < OPEN_EYES:
        return None
    to_target = fit_similarity(new_mesh[CONTROL, :2], placed)
    moved = []
    for corners, old, new in zip(CORNERS, target.irises, source.irises, strict=True):
        eye = placed[[PLACES[c] for c in corners]].astype(np.float64)
        width = float(np.hypot(*(eye[1] - eye[0])))
        natural = _at(eye, _offset(new_mesh[list(corners), :2], new[0]))
        wanted = _at(eye, _offset(old_mesh[list(corners), :2], old[0]))
        step = wanted - natural
        step *= min(1.0, REACH * width / max(float(np.hypot(*step)), 1e-6))
        shape = (new - new[0]).astype(np.float64) @ to_target[:, :2].T
        moved.append(natural + step + shape)
    return IrisPoints(
        source.irises.reshape(-1, 2).astype(np.float32),
        np.concatenate(moved).astype(np.float32),
    )


def _offset(corners: FloatArray, point: FloatArray) -> NDArray[np.float64]:
    """Place of a point relative to the corners of an eye, in eye widths along and across."""
    along = (corners[1] - corners[0]).astype(np.float64)
    off = point.astype(np.float64) - corners.mean(axis=0)
    square = max(float(along @ along), 1e-12)
    return np.array([off @ along, along[0] * off[1] - along[1] * off[0]]) / square


def _at(corners: NDArray[np.float64], offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `_offset`."""
    along = corners[1] - corners[0]
    across = np.array([-along[1], along[0]])
    return np.asarray(corners.mean(axis=0) + offset[0] * along + offset[1] * across)
