"""Bend a portrait onto a face: a thin-plate spline through mesh points, evaluated coarsely.

Thin-plate splines (Bookstein, PAMI 1989) have no triangles, hence no cracks and no creases; the
regularised form (Wahba 1990) does not follow noise of single mesh points.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.errors import FaceError
from anonyface.landmarks import topology as topo
from anonyface.landmarks.pose import head_axes
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.alignment import fit_similarity

_NOSE = np.array([1, 2, 4, 5, 6, 168, 195, 197, 98, 327, 48, 278, 64, 294, 129, 358])
_RAISED = np.concatenate(
    [topo.LEFT_EYE[::2], topo.RIGHT_EYE[::2], topo.LEFT_BROW[::2], topo.RIGHT_BROW[::2]]
)
_MOUTH = np.concatenate([topo.LIPS_OUTER[::2], topo.LIPS_INNER])
_CHEEKS = np.concatenate([topo.LEFT_CHEEK[::2], topo.RIGHT_CHEEK[::2]])
CONTROL = np.concatenate([topo.FACE_OVAL, _RAISED, _NOSE, _MOUTH, _CHEEKS])
"""Mesh points the spline goes through: every second one of the dense outlines is enough."""
PLACES = {int(point): row for row, point in enumerate(CONTROL)}
"""Which row of what `blend_geometry` returns is which mesh point's."""
STIFFNESS, FIRM = 1e-3, 1e-5
"""Weight of the bending energy, in units where the face is 1 wide: for control points, which are
noisy, and for points that must have their place."""
GRID_STEP = 0.04
"""Distance of the grid points at which the spline is evaluated, in face widths."""


@dataclass(frozen=True)
class Shares:
    """How much of the original's geometry the new face has, 0 to 1.

    Attributes:
        shape: For eyes, brows, nose and cheeks.
        raised: For how high brows and lids are: expression, like the mouth, and what tells most of
            how the head is held where a mask hides the rest.
        mouth: For the mouth.
    """

    shape: float
    raised: float
    mouth: float


def blend_geometry(target: FloatArray, source: FloatArray, shares: Shares) -> FloatArray:
    """Where the control points of the new face should lie.

    The outline follows the original, so that the new face fills it. Inside it the identity's own
    proportions, turned as the original's head is turned and moved to its place and size, are mixed
    with the original's: geometry alone identifies people.

    Args:
        target: (468, 3) mesh of the original.
        source: (468, 3) mesh of the identity.
        shares: How the two are mixed.

    Returns:
        (len(CONTROL), 2) positions in the target's coordinates.

    Raises:
        FaceError: If the meshes can't be aligned.
    """
    axes = head_axes(target)
    turned = (source @ (head_axes(source).T @ axes).astype(np.float32))[CONTROL, :2]
    to_target = fit_similarity(turned, target[CONTROL, :2])
    own = turned @ to_target[:, :2].T + to_target[:, 2]
    across, along = _shares_of_each(shares)
    off = target[CONTROL, :2] - own
    down = axes[1, :2] / max(float(np.hypot(*axes[1, :2])), 1e-9)
    lower = np.outer(off @ down, down)
    mixed = own + across[:, None] * (off - lower) + along[:, None] * lower
    return np.asarray(mixed, dtype=np.float32)


def _shares_of_each(shares: Shares) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(len(CONTROL),) share of the original's place of each point, across the face and along it."""
    across = np.full(len(CONTROL), shares.shape)
    outline, raised, nose = len(topo.FACE_OVAL), len(_RAISED), len(_NOSE)
    across[:outline] = 1
    mouth = outline + raised + nose
    across[mouth : mouth + len(_MOUTH)] = shares.mouth
    along = across.copy()
    along[outline : outline + raised] = max(shares.shape, shares.raised)
    return across, along


def warp_portrait(
    portrait: ImageArray,
    points: FloatArray,
    placed: FloatArray,
    size_wh: tuple[int, int],
    *,
    shift: FloatArray | None = None,
) -> FloatArray:
    """Resample a portrait so that some of its points land on ``placed``.

    Args:
        portrait: (S, S, 3) RGB uint8.
        points: (k, 2) in portrait coordinates: the control points, then those that must have their
            place exactly.
        placed: (k, 2) positions in the output.
        size_wh: Width and height of the output.
        shift: (h, w, 2) how far from its own place each pixel of the output is taken, x y in
            pixels, None for nowhere. What a spline can't do, like an edge that slides over what
            lies behind it.

    Returns:
        (h, w, 3) float32 RGB 0-255.

    Raises:
        FaceError: If the spline has no solution.
    """
    points = points.astype(np.float64)
    scale = float(np.hypot(*fit_similarity(points, placed)[:, 0]))
    if scale < 0.75:  # shrinking: average first, so that the remap skips no pixel
        side = max(16, round(portrait.shape[0] * scale))
        factor = side / portrait.shape[0]
        portrait = np.asarray(
            cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8
        )
        points = (points + 0.5) * factor - 0.5
    field = _spline_field(placed.astype(np.float64), np.asarray(points), size_wh, shift)
    warped = cv2.remap(
        portrait,
        field[..., 0],
        field[..., 1],
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(warped, dtype=np.float32)


def _spline_field(
    at: NDArray[np.float64],
    value: NDArray[np.float64],
    size_wh: tuple[int, int],
    shift: FloatArray | None,
) -> FloatArray:
    """(h, w, 2) float32 map: the spline with f(at) ~ value, at every pixel, moved by a shift."""
    unit = max(float(np.ptp(at[:, 0])), float(np.ptp(at[:, 1])), 1e-6)
    middle = at.mean(axis=0)
    knots = (at - middle) / unit
    weights = _solve(knots, value)
    step = max(1.0, GRID_STEP * unit)
    columns, rows = (max(2, int(np.ceil(n / step)) + 1) for n in size_wh)
    xs, ys = np.linspace(0, size_wh[0] - 1, columns), np.linspace(0, size_wh[1] - 1, rows)
    grid = (np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2) - middle) / unit
    basis = np.concatenate([_kernel(grid, knots), np.ones((len(grid), 1)), grid], axis=1)
    # einsum, not @: a threaded BLAS would leave its workers spinning on the cores for this crumb.
    coarse = np.einsum("gk,kc->gc", basis, weights).reshape(rows, columns, 2).astype(np.float32)
    return _enlarge(coarse, size_wh, shift)


def _solve(knots: NDArray[np.float64], value: NDArray[np.float64]) -> NDArray[np.float64]:
    count = len(knots)
    system = np.zeros((count + 3, count + 3))
    stiffness = np.where(np.arange(count) < len(CONTROL), STIFFNESS, FIRM)
    system[:count, :count] = _kernel(knots, knots) + np.diag(stiffness)
    system[:count, count] = 1
    system[:count, count + 1 :] = knots
    system[count:, :count] = system[:count, count:].T
    right = np.concatenate([value, np.zeros((3, 2))])
    weights = _eliminate(system, right)
    if not np.isfinite(weights).all():
        raise FaceError("the mesh collapsed", stage="swapping")
    return weights


def _eliminate(system: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve a linear system by two halves, (n, n) and (n, k) -> (n, k); NaN where it has none.

    Above a hundred unknowns numpy and OpenCV call a threaded BLAS, which for a system this small
    spends a hundred times the work on waking its threads when the cores are busy.
    """
    half = len(system) // 2
    both = np.concatenate([system[:half, half:], right[:half]], axis=1)
    solved, first = cv2.solve(system[:half, :half].copy(), both, flags=cv2.DECOMP_LU)
    if not solved:
        return np.full_like(right, np.nan)
    across, lone = first[:, : len(system) - half], first[:, len(system) - half :]
    below = system[half:, :half]
    schur = system[half:, half:] - np.einsum("ij,jk->ik", below, across)
    rest = right[half:] - np.einsum("ij,jk->ik", below, lone)
    solved, second = cv2.solve(schur, rest, flags=cv2.DECOMP_LU)
    if not solved:
        return np.full_like(right, np.nan)
    return np.concatenate([lone - np.einsum("ij,jk->ik", across, second), second])


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """r^2 log r of all pairs, (n, 2) x (m, 2) -> (n, m)."""
    square = np.subtract.outer(a[:, 0], b[:, 0]) ** 2
    square += np.subtract.outer(a[:, 1], b[:, 1]) ** 2
    return np.asarray(square * np.log(np.maximum(square, 1e-20)) * 0.5)


def _enlarge(coarse: FloatArray, size_wh: tuple[int, int], shift: FloatArray | None) -> FloatArray:
    """Bilinear interpolation of grid samples that lie on the first and last pixel of each axis."""
    rows, columns = coarse.shape[:2]
    width, height = size_wh
    x = np.linspace(0, columns - 1, width, dtype=np.float32)
    y = np.linspace(0, rows - 1, height, dtype=np.float32)
    map_x, map_y = np.meshgrid(x, y)
    if shift is not None:
        map_x += shift[..., 0] * np.float32((columns - 1) / max(1, width - 1))
        map_y += shift[..., 1] * np.float32((rows - 1) / max(1, height - 1))
    return np.asarray(cv2.remap(coarse, map_x, map_y, cv2.INTER_LINEAR), dtype=np.float32)
