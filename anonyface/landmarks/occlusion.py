"""What lies in front of a face: a mask it wears, a hand, a phone, somebody else's head.

A small network says so for each point of a grid over the face (`training.occlusion` makes it). Its
edges are then drawn along those of the photo, so that they are neither sharper nor softer.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.errors import FaceError
from anonyface.landmarks import topology as topo
from anonyface.landmarks.mesh import cut_square
from anonyface.landmarks.pose import measure_expression
from anonyface.runtime import open_session, run
from anonyface.types import BoolArray, FloatArray, ImageArray, Mesh, Occlusion

INPUT_PX, GRID_PX = 128, 64
REACH = 1.2
"""Side of the square the network sees over the longer side of the face's outline."""
LOWER_FACE = np.array([4, 205, 425, topo.MOUTH_LEFT, topo.MOUTH_RIGHT, topo.CHIN, 150, 379])
"""Hull of what a mask hides: from the tip of the nose to the chin."""
WORN_FROM = 0.5
"""Share of the lower face, as far as nothing else hides it, that is cloth under a mask."""
SEEN_FROM = 0.2
"""Share of the lower face that must be in view: of less, nobody can say what it is."""
HIDDEN_FROM = 0.5
"""What is in front or worn with more certainty than that, hides a point."""
STRAP = 7
"""What is lower on the grid is no cloth but a strap."""
GUIDE_PX = 160
"""Width of face at which edges are sought: coarser than most photos, finer than the grid."""
EDGE_REACH, EDGE_NOISE = 0.045, 6.0
"""How far an edge may lie from where the network saw it, in sides of the grid's square; grey levels
of noise that are no edge."""
CLEAR = (0.3, 0.8)
"""What is surely bare or surely hidden after that, stays so entirely."""
SHOUTS, A_SPOT, IN_MOUTH = 0.25, 0.3, 0.6
"""Gap over mouth width from which on a mouth is a hole; how sure the network must be of a spot in
front; and the share of one inside the lips from which on it is that hole: so it was in all of 9
such spots on 2,473 faces. What is held before a mouth, a microphone, reaches beyond the lips."""
_SUBPIXEL = 4  # bits of sub-pixel precision of cv2.fillConvexPoly


class OcclusionReader:
    """Sees what lies in front of a face.

    Args:
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(self, *, threads: int = 0) -> None:
        self.session = open_session("occlusion", threads=threads)

    def __call__(self, image: ImageArray, mesh: Mesh) -> Occlusion:
        """Return what lies in front of a face.

        Args:
            image: (H, W, 3) RGB uint8.
            mesh: The face's mesh, in image coordinates.

        Raises:
            FaceError: If the mesh spans no area.
        """
        matrix = upright_square(mesh.points)
        chip = cut_square(image, matrix, INPUT_PX)
        # NHWC => NCHW float32
        feed = np.ascontiguousarray(chip.transpose(2, 0, 1)[None], dtype=np.float32)
        shares = run(self.session, {"image": feed}, ["shares"])[0][0]
        seen = Occlusion(shares[1], shares[2], to_grid(matrix))
        return replace(seen, front=without_mouth(seen, mesh))

    def complete(self, image: ImageArray, mesh: Mesh) -> Mesh:
        """Return the mesh with what lies in front of the face.

        Args:
            image: (H, W, 3) RGB uint8.
            mesh: The face's mesh, in image coordinates.

        Raises:
            FaceError: If the mesh spans no area.
        """
        return replace(mesh, occlusion=self(image, mesh))


def without_mouth(seen: Occlusion, mesh: Mesh) -> FloatArray:
    """(64, 64) what lies in front, without the inside of a mouth that is wide open."""
    if measure_expression(mesh.points).mouth_open < SHOUTS:
        return seen.front
    inner = _inside(mesh, seen, topo.LIPS_OUTER).astype(np.uint8)
    lips = np.asarray(cv2.dilate(inner, np.ones((3, 3), np.uint8)))
    count, labels = cv2.connectedComponents((seen.front > A_SPOT).astype(np.uint8))
    front = seen.front.copy()
    for number in range(1, count):
        spot = labels == number
        if lips[spot].mean() >= IN_MOUTH:
            front[cv2.dilate(spot.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] = 0
    return front


def upright_square(points: FloatArray) -> NDArray[np.float64]:
    """(2, 3) similarity from the image to the network's input, the eyes level.

    Args:
        points: (468, 3) mesh in image coordinates.

    Raises:
        FaceError: If the mesh spans no area.
    """
    oval = points[topo.FACE_OVAL, :2].astype(np.float64)
    right = (points[topo.RIGHT_EYE_OUTER] - points[topo.LEFT_EYE_OUTER])[:2].astype(np.float64)
    length = float(np.hypot(*right))
    if not np.isfinite(length) or length < 1e-3:
        raise FaceError("the mesh collapsed", stage="landmarks")
    c, s = right / length
    upright = np.array([[c, s], [-s, c]])
    turned = oval @ upright.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    scale = INPUT_PX / (REACH * float((high - low).max()))
    shift = (INPUT_PX - 1) / 2 - scale * (low + high) / 2
    return np.column_stack([scale * upright, shift])


def to_grid(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The map to the network's output, half as wide, from that to its input."""
    half = GRID_PX / INPUT_PX
    out = matrix * half
    out[:, 2] += (half - 1) / 2  # pixel centres are whole numbers
    return out


def worn_share(mesh: Mesh) -> float:
    """Share in [0, 1] of the lower face in view that is cloth; 0 where nobody looked.

    What else lies in front plays no part: a mask with a hand before it is a mask.

    Args:
        mesh: A mesh with what lies in front of it.
    """
    if mesh.occlusion is None:
        return 0.0
    lower = _inside(mesh, mesh.occlusion, LOWER_FACE)
    if not lower.any():
        return 0.0
    worn, front = mesh.occlusion.worn[lower].mean(), mesh.occlusion.front[lower].mean()
    seen = 1 - float(front)
    return float(worn) / seen if seen > SEEN_FROM else 0.0


def front_share(mesh: Mesh) -> float:
    """Share in [0, 1] of a face before which something lies that is not worn; 0 if nobody looked.

    Args:
        mesh: A mesh with what lies in front of it.
    """
    if mesh.occlusion is None:
        return 0.0
    face = _inside(mesh, mesh.occlusion, topo.FACE_OVAL)
    return float(mesh.occlusion.front[face].mean()) if face.any() else 0.0


def is_masked(mesh: Mesh) -> bool:
    """Whether a medical mask, a scarf or the like is worn over nose and mouth."""
    return worn_share(mesh) >= WORN_FROM


def bare_points(mesh: Mesh, where: topo.Indices) -> topo.Indices:
    """Those of some points of a mesh before which nothing lies, all where nobody looked.

    Args:
        mesh: A mesh with what lies in front of it.
        where: (n,) numbers of points.
    """
    occlusion = mesh.occlusion
    if occlusion is None:
        return where
    at = mesh.points[where, :2] @ occlusion.matrix[:, :2].T + occlusion.matrix[:, 2]
    x, y = np.clip(at.round(), 0, GRID_PX - 1).astype(int).T
    seen: topo.Indices = where[(occlusion.front + occlusion.worn)[y, x] < HIDDEN_FROM]
    return seen


def hidden_part(mesh: Mesh, pixels: ImageArray) -> FloatArray:
    """Where something lies in front of a face, with an edge as soft as the photo's.

    Where a mask is worn, what shows of chin and beard below it stays with it.

    Args:
        mesh: The face, in coordinates of the crop; nothing is hidden where nobody looked.
        pixels: (h, w, 3) RGB uint8 crop.

    Returns:
        (h, w) float32 in [0, 1].
    """
    if mesh.occlusion is None:
        return np.zeros(pixels.shape[:2], dtype=np.float32)
    occlusion = mesh.occlusion
    coarse = np.minimum(occlusion.front + occlusion.worn, 1)
    if is_masked(mesh):
        cloth = cv2.morphologyEx(occlusion.worn, cv2.MORPH_OPEN, np.ones((STRAP, 1), np.uint8))
        coarse = np.maximum(coarse, np.maximum.accumulate(cloth, axis=0))
    face_px = 1 / float(np.hypot(occlusion.matrix[0, 0], occlusion.matrix[1, 0])) * GRID_PX
    factor = min(1.0, GUIDE_PX / face_px)
    height, width = pixels.shape[:2]
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    shrink = np.array([[size[0] / width, 0], [0, size[1] / height]])
    shift = (np.diag(shrink) - 1) / 2  # pixel centres are whole numbers
    small = occlusion.moved(np.column_stack([shrink, shift]))
    seen = np.asarray(
        cv2.warpAffine(
            coarse,
            small.matrix,
            size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        dtype=np.float32,
    )
    reach = max(1, round(EDGE_REACH * face_px * factor))
    drawn = _along_edges(seen, pixels, reach)
    low, high = CLEAR
    return np.asarray(np.clip((drawn - low) / (high - low), 0, 1), dtype=np.float32)


def _inside(mesh: Mesh, occlusion: Occlusion, where: topo.Indices) -> BoolArray:
    """(64, 64) which points of the grid lie in the hull of some points of the mesh."""
    turn, shift = occlusion.matrix[:, :2], occlusion.matrix[:, 2]
    placed = mesh.points[where, :2].astype(np.float64) @ turn.T + shift
    hull = cv2.convexHull(placed.astype(np.float32))
    inside = np.zeros((GRID_PX, GRID_PX), dtype=np.uint8)
    fixed = np.round(hull * (1 << _SUBPIXEL)).astype(np.int32)
    cv2.fillConvexPoly(inside, fixed, 1, shift=_SUBPIXEL)
    return inside > 0


def _along_edges(coarse: FloatArray, pixels: ImageArray, reach: int) -> FloatArray:
    """Guided filter (He, Sun and Tang, TPAMI 2013, eq. 19 to 21), its coefficients found coarsely.

    In every window the result is a linear function of the colours: it is as soft as they are.

    Args:
        coarse: (a, b) float32 in [0, 1], what is filtered.
        pixels: (h, w, 3) RGB uint8, the guide, perhaps larger.
        reach: Half the side of a window, pixels of ``coarse``.
    """
    small_hw, side = coarse.shape, (2 * reach + 1, 2 * reach + 1)
    guide = cv2.resize(pixels, (small_hw[1], small_hw[0]), interpolation=cv2.INTER_AREA).astype(
        np.float32
    )

    def mean(values: FloatArray) -> FloatArray:
        return np.asarray(cv2.blur(values, side, borderType=cv2.BORDER_REPLICATE), np.float32)

    centre, level = mean(guide), mean(coarse)
    spread = np.empty((*small_hw, 3, 3), dtype=np.float32)
    for i in range(3):
        for k in range(i, 3):
            product = mean(guide[..., i] * guide[..., k]) - centre[..., i] * centre[..., k]
            spread[..., i, k] = spread[..., k, i] = product
    spread += EDGE_NOISE**2 * np.eye(3, dtype=np.float32)
    follows = mean(guide * coarse[..., None]) - centre * level[..., None]
    slope = np.linalg.solve(spread, follows[..., None])[..., 0]
    offset = level - np.einsum("hwc,hwc->hw", slope, centre)
    line = np.concatenate([mean(slope.astype(np.float32)), mean(offset)[..., None]], axis=2)
    height, width = pixels.shape[:2]
    line = np.asarray(cv2.resize(line, (width, height), interpolation=cv2.INTER_LINEAR))
    followed = np.einsum("hwc,hwc->hw", line[..., :3], pixels.astype(np.float32))
    return np.asarray(followed + line[..., 3], dtype=np.float32)
