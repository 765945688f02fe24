"""Where a medical mask or a scarf begins: the line across the face below which it stays on.

What is worn over nose and mouth is one piece: below its upper border all is cloth, above it all is
skin. So the border is sought as a whole, a path across the face that divides the colours best, by
dynamic programming; prints and folds of the cloth or shadows on the skin can't tear holes into it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.landmarks import topology as topo
from anonyface.types import FloatArray, Mesh

ROWS, COLUMNS = 64, 48
"""Grid on which the border is sought, from the eyes to the chin and from side to side."""
FLOOR = np.array([8.0, 3.5, 4.0], dtype=np.float32)
"""Smallest spread believed of skin and of cloth, L*a*b* units: both have light and shadow."""
BOUND = 3.0
"""Limit of what a single pixel may say, in units of the log-likelihood."""
EDGE_WEIGHT, EDGE_BOUND = 0.25, 24.0
"""Worth of a step of colour along the border, for each L*a*b* unit, and the largest one counted."""
BEND, STEEPEST = 1.2, 6
"""Cost of each row the border rises or falls from column to column, and the most it may."""
SEEN_ACROSS, CLEAR_STEP, SHARPEST_PX = 0.06, 8.0, 0.6
"""How far to each side of the border its softness is looked for, in face heights; the step of L*
that tells it; the sharpest it is taken for, in pixels."""
LIDS = 0.05
"""How far below the lower lids a border may lie at the highest, in face heights."""
EDGE = 10
"""Columns at each side that say nothing about whether there is a mask: straps, hair, ears."""
_SUBPIXEL = 4  # bits of sub-pixel precision of cv2.fillPoly
LOWER_LIDS = (145, 144, 153, 374, 373, 380)
BROW_TO_NOSE = np.array([8, 9, 168, 193, 417, 6, 143, 372, 35, 265, 226, 446, 108, 337])
"""Between the brows, forehead, temples: what a mask leaves free."""
CHEEKS = np.concatenate([topo.LEFT_CHEEK, topo.RIGHT_CHEEK])
NOSE_BASE = 2
NOSE, NOSTRILS = np.array([4, 5, 1, 45, 275]), np.array([2, 97, 326, 99, 328])
SURE_PRESENCE = 0.37
"""Presence below which the mesh itself doubts that it sees a face."""
LOWEST = np.array([-3, -3, 0, -5, -15, -12, 0, 0, -0.4, 0])
HIGHEST = np.array([3, 3, 25, 20, 15, 12, 25, 1, 0.5, 3])
WEIGHTS = np.array([0.3047, -1.1731, 0.106, -0.1113, 0.1273, 0.18, 0.042, 2.6777, -4.487, -0.9942])
BIAS = -3.526
"""A logistic regression on `signs`, fitted by ``python -m training.fit_worn`` on faces of
fairface-train with and without masks that were painted on them."""
WORN_FROM = 0.4
SKIN_CHROMA, SKIN_HUE, SKIN_SHARE = 12.0, (15.0, 80.0), 0.5
"""What has, in half of its pixels, the chroma and the hue (degrees in a*b*) of anybody's skin is
taken for skin whatever the rest says: what is worn stays, and a bare mouth must not. So sunglasses,
beside which every cheek is of another colour, make no mask of it; some red and orange masks are
lost to it and painted over."""


@dataclass(frozen=True, eq=False)
class Worn:
    """What is worn over nose and mouth, if anything is.

    Attributes:
        line: (n, 2) points of its upper border, from the image-left to the image-right side.
        down: (2,) unit vector from the forehead to the chin.
        reach: Height of the face in pixels.
        sigma: Softness of the edge, the standard deviation of a blur, in pixels.
        probability: That there is something, in [0, 1].
    """

    line: FloatArray
    down: FloatArray
    reach: float
    sigma: float
    probability: float

    def below(self, image_hw: tuple[int, ...]) -> FloatArray:
        """(h, w) float32 in [0, 1]: 1 below the border, with an edge as soft as it is there."""
        right = np.array([self.down[1], -self.down[0]]) * self.reach
        far = 3 * self.reach * self.down
        first, last = self.line[0] - right, self.line[-1] + right
        corners = np.concatenate([[first], self.line, [last, last + far, first + far]])
        mask = np.zeros(image_hw[:2], dtype=np.uint8)
        cv2.fillPoly(
            mask, [np.round(corners * (1 << _SUBPIXEL)).astype(np.int32)], 255, shift=_SUBPIXEL
        )
        soft = cv2.GaussianBlur(mask, (0, 0), self.sigma)
        return np.asarray(soft * np.float32(1 / 255), dtype=np.float32)


def read_worn(lab: FloatArray, smooth: FloatArray, mesh: Mesh) -> Worn:
    """Find the border that something worn over nose and mouth would have, and say if it is there.

    Args:
        lab: (h, w, 3) float32 CIE L*a*b* of a crop.
        smooth: The same without grain.
        mesh: The face in crop coordinates.
    """
    border = trace_border(smooth, mesh)
    logit = float(signs(border, smooth, mesh) @ WEIGHTS) + BIAS
    probability = 0.0 if _skin_share(border) >= SKIN_SHARE else 1 / (1 + np.exp(-logit))
    turn, shift = border.to_crop[:, :2], border.to_crop[:, 2]
    line = np.stack([np.arange(COLUMNS), border.rows - 0.5], axis=1) @ turn.T + shift
    down = turn[:, 1] / max(float(np.hypot(*turn[:, 1])), 1e-9)
    sigma = _softness(lab, line[COLUMNS // 4 : -(COLUMNS // 4)], down * border.height)
    return Worn(
        line.astype(np.float32),
        down.astype(np.float32),
        border.height,
        max(SHARPEST_PX, sigma),
        float(probability),
    )


def _softness(lab: FloatArray, line: NDArray[np.float64], down: NDArray[np.float64]) -> float:
    """Blur across a border in pixels: how far its steepest place would need for the whole step."""
    along = np.linspace(-SEEN_ACROSS, SEEN_ACROSS, 17)
    at = (line[:, None] + along[:, None] * down).astype(np.float32)
    lightness = cv2.remap(lab, at[..., 0], at[..., 1], cv2.INTER_LINEAR)[..., 0]
    step = np.abs(lightness[:, -1] - lightness[:, 0])
    steepest = np.abs(lightness[:, 2:] - lightness[:, :-2]).max(axis=1) / 2
    clear = step > CLEAR_STEP
    if not clear.any():
        return 0.0
    spacing = 2 * SEEN_ACROSS / 16 * float(np.hypot(*down))
    width = float(np.median(step[clear] / np.maximum(steepest[clear], 1e-3))) * spacing
    return width / float(np.sqrt(2 * np.pi))


@dataclass(frozen=True, eq=False)
class Border:
    """The border on a grid that is laid over the face.

    Attributes:
        rows: (COLUMNS,) first row below it.
        grid: (ROWS, COLUMNS, 3) float32 CIE L*a*b*.
        evidence: (ROWS, COLUMNS) how much more a pixel looks like cloth than like skin.
        to_crop: (2, 3) map from the grid to the crop.
        placed: (468, 2) mesh on the grid.
        height: Height of the face in pixels of the crop.
    """

    rows: NDArray[np.intp]
    grid: FloatArray
    evidence: FloatArray
    to_crop: NDArray[np.float64]
    placed: NDArray[np.float64]
    height: float


def signs(border: Border, lab: FloatArray, mesh: Mesh) -> NDArray[np.float64]:
    """(10,) float64: what tells cloth from skin.

    How sure the pixels are below and above the border, the step of colour across it, dark nostrils,
    cheeks and nose of another colour than the forehead, the doubt of the mesh, and the place and
    the roughness of the border.

    Args:
        border: From `trace_border`.
        lab: (h, w, 3) float32 CIE L*a*b* of a crop.
        mesh: The face in crop coordinates.
    """
    inner = slice(COLUMNS // 4, -(COLUMNS // 4))
    below = np.arange(ROWS)[:, None] >= border.rows
    said = [border.evidence[:, EDGE:-EDGE][part[:, EDGE:-EDGE]] for part in (below, ~below)]
    height, width = lab.shape[:2]
    xy = np.clip(mesh.points[:, :2].round(), 0, [width - 1, height - 1]).astype(int)

    def colour(indices: NDArray[np.intp]) -> FloatArray:
        return np.asarray(np.median(lab[xy[indices, 1], xy[indices, 0]], axis=0))

    free, cheeks, nose = colour(BROW_TO_NOSE), colour(CHEEKS), colour(NOSE)
    values = [
        float(said[0].mean()) if said[0].size else -BOUND,
        float(said[1].mean()) if said[1].size else 0.0,
        float(np.percentile(_step(border)[inner], 25)),
        float(nose[0] - colour(NOSTRILS)[0]),
        float(free[2] - cheeks[2]),
        float(free[1] - cheeks[1]),
        float(np.hypot(*(free - nose)[1:])),
        float(mesh.presence < SURE_PRESENCE),
        float(np.median(border.rows[inner]) - border.placed[NOSE_BASE, 1]) / ROWS,
        float(np.abs(np.diff(border.rows[inner])).mean()),
    ]
    return np.clip(values, LOWEST, HIGHEST)


def _skin_share(border: Border) -> float:
    """Share of what is below the border that has the hue of skin."""
    sides = slice(COLUMNS // 4, -(COLUMNS // 4))
    below = (np.arange(ROWS)[:, None] >= border.rows)[:, sides]
    tint = border.grid[:, sides, 1:][below]
    if not len(tint):
        return 1.0
    hue = np.degrees(np.arctan2(tint[:, 1], tint[:, 0]))
    like = (np.hypot(*tint.T) > SKIN_CHROMA) & (hue > SKIN_HUE[0]) & (hue < SKIN_HUE[1])
    return float(like.mean())


def trace_border(lab: FloatArray, mesh: Mesh) -> Border:
    """Find the border that something worn over nose and mouth would have.

    Args:
        lab: (h, w, 3) float32 CIE L*a*b* of a crop.
        mesh: The face in crop coordinates.
    """
    points = mesh.points[:, :2].astype(np.float64)
    to_crop, height = _frame(points)
    warped = cv2.warpAffine(
        lab,
        to_crop,
        (COLUMNS, ROWS),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    grid = np.asarray(cv2.blur(warped, (3, 3)), dtype=np.float32)
    to_grid = cv2.invertAffineTransform(to_crop)
    placed = points @ to_grid[:, :2].T + to_grid[:, 2]
    evidence = _evidence(grid, lab, mesh, placed)
    rows = _path(evidence, _edges(grid), _highest(placed))
    return Border(rows, grid, evidence, to_crop, placed, height)


def _frame(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """(2, 3) map from grid to crop, and the face's height in pixels."""
    right = points[topo.RIGHT_EYE_OUTER] - points[topo.LEFT_EYE_OUTER]
    right = right / max(float(np.hypot(*right)), 1e-6)
    down = np.array([-right[1], right[0]])
    oval = points[topo.FACE_OVAL]
    across, along = oval @ right, oval @ down
    eyes = points[[topo.LEFT_EYE_OUTER, topo.RIGHT_EYE_OUTER]].mean(axis=0) @ down
    x0, x1 = across.min(), across.max()
    y0, y1 = eyes, along.max()
    column = right * (x1 - x0) / (COLUMNS - 1)
    row = down * (y1 - y0) / (ROWS - 1)
    return np.stack([column, row, right * x0 + down * y0], axis=1), float(np.ptp(along))


def _evidence(
    grid: FloatArray, lab: FloatArray, mesh: Mesh, placed: NDArray[np.float64]
) -> FloatArray:
    """(rows, columns): how much more a pixel looks like cloth than like skin, bounded."""
    height, width = lab.shape[:2]
    xy = np.clip(mesh.points[BROW_TO_NOSE, :2].round(), 0, [width - 1, height - 1]).astype(int)
    skin = lab[xy[:, 1], xy[:, 0]]
    low = np.clip(placed[topo.LIPS_OUTER].round(), 0, [COLUMNS - 1, ROWS - 1]).astype(int)
    top, bottom = low[:, 1].min(), max(low[:, 1].max(), low[:, 1].min() + 1)
    left, right = low[:, 0].min(), max(low[:, 0].max(), low[:, 0].min() + 1)
    cloth = grid[top : bottom + 1, left : right + 1].reshape(-1, 3)
    off = [_surprise(grid, samples) for samples in (skin, cloth)]
    return np.clip(np.asarray(off[0] - off[1]) / 2, -BOUND, BOUND)


def _surprise(grid: FloatArray, samples: FloatArray) -> FloatArray:
    centre = np.median(samples, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(samples - centre), axis=0), FLOOR)
    z = (grid - centre) / spread
    return np.asarray((z**2).sum(axis=2) + 2 * np.log(spread).sum(), dtype=np.float32)


def _edges(grid: FloatArray) -> FloatArray:
    """(rows + 1, columns) worth of a border above each row."""
    step = np.zeros((ROWS + 1, grid.shape[1]), dtype=np.float32)
    step[2:-2] = np.linalg.norm(grid[3:] - grid[:-3], axis=2)
    return np.minimum(step, EDGE_BOUND) * np.float32(EDGE_WEIGHT)


def _highest(placed: NDArray[np.float64]) -> NDArray[np.intp]:
    """(columns,) first row that may belong to the cloth: below the lower lids."""
    lids = placed[list(LOWER_LIDS), 1].max() + LIDS * ROWS
    return np.full(COLUMNS, int(np.clip(np.ceil(lids), 1, ROWS // 3)))


def _path(speaks: FloatArray, edges: FloatArray, highest: NDArray[np.intp]) -> NDArray[np.intp]:
    """(columns,) first row of the cloth, the path of least cost."""
    total = np.zeros((ROWS + 1, COLUMNS))
    # Above the border what speaks for cloth costs, below it what speaks for skin.
    total[1:] = np.cumsum(speaks, axis=0)
    total -= total[-1]  # cost of the rows above minus that of those below, up to a constant
    total -= edges
    total[np.arange(ROWS + 1)[:, None] < highest] = 1e6
    back = np.zeros((COLUMNS, ROWS + 1), dtype=np.intp)
    best = total[:, 0]
    rows = np.arange(ROWS + 1)
    moves = np.arange(-STEEPEST, STEEPEST + 1)
    froms = np.clip(rows + moves[:, None], 0, ROWS)
    for column in range(1, COLUMNS):
        cost = best[froms] + BEND * np.abs(froms - rows)
        pick = cost.argmin(axis=0)
        back[column] = froms[pick, rows]
        best = cost[pick, rows] + total[:, column]
    path = [int(best.argmin())]
    for column in range(COLUMNS - 1, 0, -1):
        path.append(int(back[column, path[-1]]))
    return np.array(path[::-1])


def _step(border: Border) -> FloatArray:
    """(columns,) difference of colour across the border."""
    columns = np.arange(COLUMNS)
    above = border.grid[np.clip(border.rows - 3, 0, ROWS - 1), columns]
    below = border.grid[np.clip(border.rows + 2, 0, ROWS - 1), columns]
    return np.asarray(np.linalg.norm(above - below, axis=1), dtype=np.float32)
