"""Head pose and expression, read off the dense mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonyface.landmarks import topology as topo
from anonyface.types import FloatArray

PITCH_AT_REST = 8.0
"""Pitch the mesh shows on a head held level, degrees: the mean over 1,200 generated portraits."""


@dataclass(frozen=True)
class Pose:
    """Rotation of the head in degrees; see `anonyface.types.Look` for the signs."""

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True)
class Expression:
    """Openings and widths of the face, as ratios; see `anonyface.types.Look`."""

    mouth_open: float
    smile: float
    eyes_open: float


def estimate_pose(points: FloatArray) -> Pose:
    """Estimate yaw, pitch and roll from the mesh: the Euler angles of its `head_axes`.

    Args:
        points: (468, 3) mesh, z growing away from the camera.
    """
    right, _, forward = head_axes(points)
    yaw = np.degrees(np.arctan2(forward[0], -forward[2]))
    pitch = np.degrees(np.arcsin(np.clip(forward[1], -1, 1)))
    roll = np.degrees(np.arctan2(right[1], right[0]))
    return Pose(float(yaw), float(pitch) - PITCH_AT_REST, float(roll))


def head_axes(points: FloatArray) -> NDArray[np.float64]:
    """Return where a head's right, down and forward point: (3, 3) orthonormal rows x y z.

    The right axis runs through the eye corners and the sides of the face, the down axis from the
    forehead to the chin; both are made orthonormal (Gram-Schmidt). Forward is towards the camera,
    (0, 0, -1), for an upright, frontal head.

    Args:
        points: (468, 3) mesh, z growing away from the camera.
    """
    p = points.astype(np.float64)
    right = (p[topo.RIGHT_EYE_OUTER] - p[topo.LEFT_EYE_OUTER]) + (
        p[topo.RIGHT_SIDE] - p[topo.LEFT_SIDE]
    )
    down = p[topo.CHIN] - p[topo.FOREHEAD_TOP]
    right /= max(float(np.linalg.norm(right)), 1e-9)
    down -= right * (down @ right)
    down /= max(float(np.linalg.norm(down)), 1e-9)
    return np.stack([right, down, np.cross(down, right)])


def measure_expression(points: FloatArray) -> Expression:
    """Measure mouth and eyes in three dimensions, so that a turned head changes little.

    Args:
        points: (468, 3) mesh.
    """

    def gap(a: int, b: int) -> float:
        return float(np.linalg.norm(points[a] - points[b]))

    mouth = max(gap(topo.MOUTH_LEFT, topo.MOUTH_RIGHT), 1e-6)
    left = max(gap(topo.LEFT_EYE_OUTER, topo.LEFT_EYE_INNER), 1e-6)
    right = max(gap(topo.RIGHT_EYE_INNER, topo.RIGHT_EYE_OUTER), 1e-6)
    eyes = max(gap(topo.LEFT_EYE_OUTER, topo.RIGHT_EYE_OUTER), 1e-6)
    lids = gap(topo.LEFT_LID_UPPER, topo.LEFT_LID_LOWER) / left
    lids += gap(topo.RIGHT_LID_UPPER, topo.RIGHT_LID_LOWER) / right
    return Expression(
        mouth_open=gap(topo.LIP_UPPER_INNER, topo.LIP_LOWER_INNER) / mouth,
        smile=mouth / eyes,
        eyes_open=lids / 2,
    )
