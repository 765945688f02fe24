"""Faces with something before them, in all lights and sizes, and what the network should say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.landmarks.occlusion import GRID_PX, INPUT_PX, upright_square
from anonyface.types import FloatArray, ImageArray
from training.occlusion.canvas import Canvas, Donor, canvas
from training.occlusion.cloth import WHOLE_CUTS, wear
from training.occlusion.faces import Faces
from training.occlusion.things import put_thing
from training.retinaface.degrade import add_noise, blur, compress, relight, shrink

Plan = tuple[str, ...]
STEPS: dict[str, Callable[[Canvas, np.random.Generator, Donor], None]] = {
    "worn": wear,
    "mask": partial(wear, cuts=WHOLE_CUTS),
    "thing": put_thing,
}
"""What may be painted: "mask" is what is worn over both nose and mouth."""
PLANS: dict[Plan, float] = {
    (): 0.24,
    ("worn",): 0.28,
    ("worn", "thing"): 0.1,
    ("thing",): 0.28,
    ("thing", "thing"): 0.1,
}
"""What is painted, back to front, and how often."""
TURN, SIZE, SHIFT = 7.0, 0.08, 0.035
"""Spread of what the mesh may be wrong by: degrees, log of a factor, sides of the square."""
SMALLEST = 0.2
"""Pictures are shrunk by up to this factor: faces in group photos are small."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One example.

    Attributes:
        pixels: (128, 128, 3) RGB uint8, what the network sees.
        shares: (2, 64, 64) float32 in [0, 1]: of each point, what lies in front and what is worn.
        known: (64, 64) float32 in [0, 1]: how surely.
    """

    pixels: ImageArray
    shares: FloatArray
    known: FloatArray


class Painter:
    """Paints scenes.

    Args:
        faces: Photos to paint on; textures, skin and heads come from them as well.
        rows: Those that may be used.
    """

    def __init__(self, faces: Faces, rows: NDArray[np.int64]) -> None:
        self.faces, self.rows = faces, rows

    def __call__(self, row: int, rng: np.random.Generator, plan: Plan | None = None) -> Scene:
        """Paint one face.

        Args:
            row: Of the face.
            rng: Randomness.
            plan: What is painted, of `STEPS`; None draws it from `PLANS`.
        """
        drawn = self.painted(row, rng, plan)
        known = np.maximum(self.faces.bare_of(row), np.clip(4 * drawn.shares.sum(axis=0), 0, 1))
        return seen(drawn, known, rng)[0]

    def painted(self, row: int, rng: np.random.Generator, plan: Plan | None = None) -> Canvas:
        """The face as it was photographed, with things before it."""
        if plan is None:
            plan = list(PLANS)[int(rng.choice(len(PLANS), p=list(PLANS.values())))]
        drawn = canvas(self.faces.picture(row), self.faces.points[row], rng)
        if rng.random() < 0.2:
            _cast(drawn, rng)
        for kind in plan:
            STEPS[kind](drawn, rng, lambda: self._donor(rng))
        return drawn

    def _donor(self, rng: np.random.Generator) -> tuple[ImageArray, FloatArray]:
        row = int(self.rows[rng.integers(len(self.rows))])
        return self.faces.picture(row), self.faces.points[row]


def _cast(drawn: Canvas, rng: np.random.Generator) -> None:
    """A shadow with an edge: it hides nothing."""
    at = drawn.points[int(rng.integers(468)), :2]
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[0 : drawn.hw[0], 0 : drawn.hw[1]].astype(np.float32)
    along = (columns - at[0]) * np.cos(angle) + (rows - at[1]) * np.sin(angle)
    edge = 1 / (1 + np.exp(-np.clip(along / rng.uniform(0.5, 12), -20, 20)))
    tint = rng.uniform(0.8, 1.1, 3) * rng.uniform(0.3, 0.9)
    drawn.pixels = drawn.pixels * (1 + edge[..., None] * (tint.astype(np.float32) - 1))


def seen(drawn: Canvas, known: FloatArray, rng: np.random.Generator) -> tuple[Scene, FloatArray]:
    """Cut out the square, a little off, and take the photo.

    Args:
        drawn: The face with what is before it.
        known: (h, w) float32 in [0, 1]: how surely one knows what is where.
        rng: Randomness.

    Returns:
        The example, and the (468, 3) mesh in its pixels.
    """
    turn, size = np.radians(rng.normal(0, TURN)), float(np.exp(rng.normal(0, SIZE)))
    change = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if rng.random() < 0.5:
        change[0] *= -1
    square, middle = upright_square(drawn.points), np.full(2, (INPUT_PX - 1) / 2)
    linear = change @ square[:, :2]
    shift = change @ (square[:, 2] - middle) + middle + rng.normal(0, SHIFT * INPUT_PX, 2)
    matrix = np.column_stack([linear, shift])
    pixels = _warped(np.clip(drawn.pixels, 0, 255), matrix, cv2.BORDER_REPLICATE)
    truth = np.concatenate([drawn.shares, known[None]]).transpose(1, 2, 0)
    truth = _warped(np.ascontiguousarray(truth), matrix, cv2.BORDER_CONSTANT)
    truth = cv2.resize(truth, (GRID_PX, GRID_PX), interpolation=cv2.INTER_AREA).transpose(2, 0, 1)
    points = np.concatenate(
        [drawn.points[:, :2] @ linear.T + shift, drawn.points[:, 2:]], axis=1
    ).astype(np.float32)
    return Scene(_photographed(pixels, rng), truth[:2], truth[2]), points


def _warped(values: FloatArray, matrix: NDArray[np.float64], border: int) -> FloatArray:
    side = (INPUT_PX, INPUT_PX)
    return np.asarray(
        cv2.warpAffine(values, matrix, side, flags=cv2.INTER_LINEAR, borderMode=border), np.float32
    )


def _photographed(pixels: FloatArray, rng: np.random.Generator) -> ImageArray:
    """Light, exposure, size, blur, noise and compression of some photo."""
    if rng.random() < 0.3:
        pixels = pixels * _stage_light(rng)
    out = np.clip(pixels, 0, 255).astype(np.uint8)
    if rng.random() < 0.8:
        out = relight(out, rng)
    side = out.shape[0]
    if rng.random() < 0.6:
        out = shrink(out, float(np.exp(rng.uniform(np.log(SMALLEST), 0))))
    if rng.random() < 0.15:
        out = blur(out, rng)
    if rng.random() < 0.3:
        out = add_noise(out, rng)
    if rng.random() < 0.4:
        out = compress(out, int(rng.integers(30, 92)))
    if out.shape[0] != side:
        out = np.asarray(cv2.resize(out, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    return out


def _stage_light(rng: np.random.Generator) -> FloatArray:
    """(128, 128, 3) gains of two coloured lights from two sides."""
    angle, place = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.3)
    rows, columns = np.mgrid[-0.5 : 0.5 : INPUT_PX * 1j, -0.5 : 0.5 : INPUT_PX * 1j]
    along = columns * np.cos(angle) + rows * np.sin(angle) - place
    share = 1 / (1 + np.exp(-along * rng.uniform(2, 20)))
    strength = rng.uniform(0.1, 0.6)
    one, two = np.exp(rng.normal(0, strength, (2, 3)))
    gains = one + share[..., None] * (two - one)
    return (gains / max(1.0, float(gains.mean()))).astype(np.float32)
