"""Open and close the new eyes like the old ones: the lids slide over the eyeball.

Lids are no rubber: a spline that moves them squeezes the iris behind them. Here what lies between
brow and lash line is stretched, the lash line keeps its width, and of the eyeball less is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.landmarks import topology as topo
from anonyface.landmarks.iris import CORNERS, gap, true_gap
from anonyface.swapping.mask import smoothstep
from anonyface.swapping.warp import PLACES
from anonyface.types import FloatArray, Mesh

Float64s: TypeAlias = NDArray[np.float64]

NOISE = (0.02, 0.06)
"""Changes of the gap, in eye widths, that are surely and hardly ever an error of the lids."""
SLIT = 0.07
"""Gap, in eye widths, below which nothing but lashes is seen of a closing eye."""
RIM, LOWER_RIM = 0.03, 0.015
"""Moist edges of the lids, in eye widths, that are not seen when the eye is closed."""
EDGE_PX = 0.8
"""Blur along the edge of a lid that has come down, in pixels."""
WIDEST = 1.25
"""Most an eye is opened: the portrait has no more eyeball to show."""
LOWER_SHARE, FULL_EFFORT = 0.5, 0.5
"""Share of the original's lower lid, which the cheek lifts when somebody smiles, and the change of
the gap, as a share of it, from which on all of that is followed."""
LASHES = 0.06
"""Height of the edge of a lid that moves as one piece, in eye widths."""
COVERING = 2.5
"""How fast what is seen of the eyeball comes to rest below a lid that comes down: 1 would squeeze
it evenly, a large number cut it off, and with it the shadow of the lid."""
ABOVE, BELOW_RIMS, BELOW = 0.7, 0.28, 0.5
"""How far above an eye the skin is moved with the lids, in eye widths, at most; the same behind
glasses; and how far below."""
ROOM = 1.7
"""How much longer than the way of the lid the skin above it must be: smoothstep is 1.5 steep."""
MIDDLE = np.array([0.3, 0.5, 0.7])
"""Places between the corners of an eye where that is measured."""
_BROWS = tuple(
    np.array([PLACES[int(i)] for i in brow[::2]]) for brow in (topo.LEFT_BROW, topo.RIGHT_BROW)
)


@dataclass(frozen=True, eq=False)
class Lids:
    """What the warp needs for the lids of both eyes.

    Attributes:
        source: (k, 2) their edges in the portrait.
        placed: (k, 2) where those would lie if the eyes were as open as in the portrait.
        shift: (h, w, 2) how far from its own place each pixel is taken to open or close them.
        edge: (h, w) 1 on the edges of lids that have come down, 0 elsewhere: there two things meet
            that were apart, and steps of whole pixels would be seen.
    """

    source: FloatArray
    placed: FloatArray
    shift: FloatArray
    edge: FloatArray

    def soften(self, warped: FloatArray) -> FloatArray:
        """Return the warped portrait, (h, w, 3), without those steps."""
        if not self.edge.any():
            return warped
        soft = cv2.GaussianBlur(warped, (0, 0), EDGE_PX)
        return np.asarray(warped + (soft - warped) * self.edge[..., None], dtype=np.float32)


def match_lids(
    target: Mesh,
    source: Mesh,
    placed: FloatArray,
    size_wh: tuple[int, int],
    *,
    glasses: bool = False,
) -> Lids | None:
    """Say how the identity's eyes are opened and closed for the original's.

    Args:
        target: The original, with its lids.
        source: The identity, with its lids.
        placed: (len(CONTROL), 2) where the identity's control points will lie.
        size_wh: Width and height of the output.
        glasses: Whether the identity wears some: their rims must stay as they are.

    Returns:
        None if somebody's lids are not known.
    """
    if target.lids is None or source.lids is None:
        return None
    shift = np.zeros((size_wh[1], size_wh[0], 2), dtype=np.float32)
    edge = np.zeros(shift.shape[:2], dtype=np.float32)
    edges = []
    for corners, brow, own, original in zip(CORNERS, _BROWS, source.lids, target.lids, strict=True):
        there = placed[[PLACES[c] for c in corners]]
        edges.append(_carried(own, source.points[list(corners), :2], there))
        most = BELOW_RIMS if glasses else ABOVE
        _add_eye(shift, edge, edges[-1], original, placed[brow], most=most)
    keep = np.arange(0, 9, 2)
    return Lids(
        source.lids[:, :, keep].reshape(-1, 2),
        np.stack(edges)[:, :, keep].reshape(-1, 2).astype(np.float32),
        shift,
        edge,
    )


@dataclass(frozen=True, eq=False)
class _Eye:
    """One eye in its own measure: u from the image-left corner to the other, v downwards.

    Attributes:
        corner: (2,) the image-left corner.
        along: (2,) the way to the other one: the unit of u and, turned, of v.
        edges: (2, 9, 2) u v of the upper lid's edge and of the lower one's.
    """

    corner: Float64s
    along: Float64s
    edges: Float64s

    @property
    def across(self) -> Float64s:
        """(2,) one eye width at a right angle, downwards."""
        return np.array([-self.along[1], self.along[0]])

    def to_eye(self, points: Float64s) -> Float64s:
        """(..., 2) x y -> (..., 2) u v."""
        return _turned(points - self.corner, self.along)

    def upper(self, u: Float64s) -> Float64s:
        """Height v of the upper lid's edge, 0 beyond the corners."""
        return _height(self.edges[0], u)

    def lower(self, u: Float64s) -> Float64s:
        """Height v of the lower lid's edge."""
        return _height(self.edges[1], u)


def _eye(lids: FloatArray) -> _Eye:
    """(2, 9, 2) lids, anywhere -> the eye they belong to."""
    points = lids.astype(np.float64)
    left, right = points[:, 0].mean(axis=0), points[:, -1].mean(axis=0)
    return _Eye(left, right - left, _turned(points - left, right - left))


def _turned(off: Float64s, along: Float64s) -> Float64s:
    """Parts of vectors along another one and at a right angle to it, in its length."""
    square = max(float(along @ along), 1e-12)
    across = np.array([-along[1], along[0]])
    return np.stack([off @ along, off @ across], axis=-1) / square


def _ease(x: Float64s) -> FloatArray:
    return smoothstep(x.astype(np.float32))


def _height(edge: Float64s, u: Float64s) -> Float64s:
    inner = edge[1:-1][np.argsort(edge[1:-1, 0])]
    return np.asarray(np.interp(u, [0.0, *inner[:, 0], 1.0], [0.0, *inner[:, 1], 0.0]))


def _carried(lids: FloatArray, own: FloatArray, there: FloatArray) -> Float64s:
    """Lids moved by the similarity that carries an eye's corners to others."""
    a, b = (own[1] - own[0]).astype(np.float64), (there[1] - there[0]).astype(np.float64)
    (c, s) = _turned(b, a)
    turn = np.array([[c, -s], [s, c]])
    return np.asarray((lids - own.mean(axis=0)) @ turn.T + there.mean(axis=0))


def _ratio(eye: _Eye, original: FloatArray, end: float) -> float:
    """By how much the gap of an eye's lids is multiplied."""
    have = max(gap(eye.edges), 1e-3)
    change = true_gap(original) - have
    then = have + change * float(np.interp(abs(change), NOISE, (0, 1)))
    ratio = min(WIDEST, then / have) if then > SLIT else 0.0
    # Skin that is stretched further than that would be shown twice.
    top, bottom = eye.upper(MIDDLE), eye.lower(MIDDLE)
    lowest = (ROOM * top - LASHES - end) / (ROOM - 1)
    least = float(((bottom - lowest) / np.maximum(bottom - top, 1e-3)).max())
    return max(ratio, min(1.0, least))


def _add_eye(
    shift: FloatArray,
    edge: FloatArray,
    lids: Float64s,
    original: FloatArray,
    brow: FloatArray,
    *,
    most: float,
) -> None:
    """Write shift and edge around one eye, in place.

    Args:
        shift: (h, w, 2) for the whole output.
        edge: (h, w) the same.
        lids: (2, 9, 2) where the identity's lids would lie.
        original: (2, 9, 2) lids of the original, anywhere.
        brow: (n, 2) where the identity's brow will lie.
        most: How far above the eye skin may be moved, in eye widths.
    """
    eye = _eye(lids.astype(np.float32))
    width = float(np.hypot(*eye.along))
    if not (np.isfinite(lids).all() and np.isfinite(original).all()) or width < 1:
        return
    above = float(np.median(eye.to_eye(brow.astype(np.float64))[:, 1]))
    end = float(np.clip(above, -most, -2 * LASHES))
    ratio = _ratio(eye, original, end)
    middle, reach = eye.corner + eye.along / 2, width * (1 + ABOVE)
    (x0, y0), (x1, y1) = (
        np.clip(corner, 0, [shift.shape[1], shift.shape[0]]).astype(int)
        for corner in (np.floor(middle - reach), np.ceil(middle + reach) + 1)
    )
    if x1 <= x0 or y1 <= y0:
        return
    places = np.stack(np.meshgrid(np.arange(x0, x1), np.arange(y0, y1)), axis=-1)
    uv = eye.to_eye(places.astype(np.float64))
    u, v = uv[..., 0], uv[..., 1]
    top, bottom = eye.upper(u), eye.lower(u)
    share = LOWER_SHARE * min(1.0, abs(1 - ratio) / FULL_EFFORT)
    new_bottom = bottom + share * (_eye(original).lower(u) - bottom)
    new_top = new_bottom - (bottom - top) * ratio
    down = max(0.0, 1 - ratio)
    rim = down * (bottom - top) / max(gap(eye.edges), 1e-3)
    meet = (top - RIM * rim, bottom + LOWER_RIM * rim)
    moved = _moved(v, meet, (new_top, new_bottom), end)
    shift[y0:y1, x0:x1] += (moved[..., None] * eye.across).astype(np.float32)
    near = np.clip(1.5 - np.abs(v - new_top) * width, 0, 1) * ((u > 0) & (u < 1)) * down
    edge[y0:y1, x0:x1] = np.maximum(edge[y0:y1, x0:x1], near)


def _moved(
    v: Float64s, old: tuple[Float64s, Float64s], new: tuple[Float64s, Float64s], end: float
) -> Float64s:
    """How much farther down than a pixel's own place it is taken from, in eye widths.

    Args:
        v: (h, w) heights of the pixels.
        old: (h, w) heights of the lids' edges at the same u, in the portrait.
        new: (h, w) where they are to be.
        end: Height above which nothing moves.
    """
    (top, bottom), (new_top, new_bottom) = old, new
    up, down = top - new_top, bottom - new_bottom
    still = np.minimum(end, np.minimum(top, new_top) - 2 * LASHES)
    skin = _ease((v - still) / np.maximum(new_top - LASHES - still, 1e-3))
    cheek = _ease((new_bottom + BELOW - v) / (BELOW - LASHES))
    t = np.clip((v - new_top) / np.maximum(new_bottom - new_top, 1e-3), 0, 1)
    eyeball = up * (1 - t) ** np.where(up < 0, COVERING, 1.0) + down * t
    return np.where(v < new_top, up * skin, np.where(v > new_bottom, down * cheek, eyeball))
