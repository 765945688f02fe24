"""Faces with and without glasses, bare and in masks, as some photo shows them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.identities.eyewear import eye_region
from anonyface.types import BoolArray, FloatArray, ImageArray
from anonyface.verification.alignment import CHIP_PX, CHIP_TEMPLATE, fit_similarity
from training.attributes import chips
from training.occlusion.faces import Faces
from training.occlusion.faces import load as load_faces
from training.occlusion.scenes import Painter, Plan
from training.retinaface.degrade import add_noise, blur, compress, relight, shrink

LABELS = Path(__file__).with_name("labels.json")
"""Rows of labels.csv of FairFace's training set. "with" and "without": by eye, above all those that
earlier readers were unsure of. "surely_with": others that the last two readers gave more than .9 in
probability; "unknown": those they gave .3 to .9. Nobody else wears any, as far as they can tell."""
PLANS: dict[Plan, float] = {(): 0.4, ("mask",): 0.45, ("worn",): 0.15}
"""What is painted on a face, and how often."""
WITH, HARD = 0.4, 0.35
"""Share of the examples with glasses; of the others, that of those labelled by eye."""
TURN, SIZE, SHIFT = 5.0, 0.06, 0.025
"""Spread of what five landmarks may be wrong by: degrees, log of a factor, sides of the chip."""
SMALLEST = 0.16
"""Faces are shrunk by up to this factor: to about 24 px."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """FairFace with what is known of glasses.

    Attributes:
        faces: With meshes.
        landmarks: (n, 5, 2) points x y in their pixels.
        glasses: (n,) 1 with, 0 without, -1 unknown.
        by_eye: (n,) whether somebody looked.
    """

    faces: Faces
    landmarks: FloatArray
    glasses: NDArray[np.int8]
    by_eye: BoolArray

    def rows(self, *, held: bool, glasses: bool, by_eye: bool | None = None) -> NDArray[np.int64]:
        """Return the faces of one kind."""
        chosen = (self.faces.held == held) & (self.glasses == int(glasses))
        if by_eye is not None:
            chosen &= self.by_eye == by_eye
        return np.flatnonzero(chosen)


def load(path: Path, cache: Path) -> Labelled:
    """Read the faces of the training set's zip file, or what the cache has of them."""
    read, faces = chips.load(path, cache), load_faces(path, cache)
    labels = {name: np.array(rows) for name, rows in json.loads(LABELS.read_text()).items()}
    row = read.rows[faces.numbers]
    glasses = np.zeros(len(row), dtype=np.int8)
    glasses[np.isin(row, labels["unknown"])] = -1
    glasses[np.isin(row, labels["without"])] = 0
    glasses[np.isin(row, np.concatenate([labels["with"], labels["surely_with"]]))] = 1
    by_eye = np.isin(row, np.concatenate([labels["with"], labels["without"]]))
    return Labelled(faces, read.landmarks[faces.numbers], glasses, by_eye)


def draw_row(known: Labelled, rng: np.random.Generator, *, held: bool) -> tuple[int, bool]:
    """Draw a face, those with glasses and those hard to tell more often than they come."""
    glasses = rng.random() < WITH
    by_eye = True if not glasses and rng.random() < HARD else None
    rows = known.rows(held=held, glasses=bool(glasses), by_eye=by_eye)
    return int(rows[rng.integers(len(rows))]), bool(glasses)


def example(
    known: Labelled, painter: Painter, row: int, rng: np.random.Generator, plan: Plan | None = None
) -> ImageArray:
    """(64, 128, 3) RGB uint8: the eyes of a face, changed in all ways.

    Args:
        known: The faces.
        painter: Paints masks on them.
        row: Of the face.
        rng: Randomness.
        plan: What is painted; None draws it from `PLANS`.
    """
    if plan is None:
        plan = list(PLANS)[int(rng.choice(len(PLANS), p=list(PLANS.values())))]
    drawn = painter.painted(row, rng, plan)
    pixels = np.clip(drawn.pixels, 0, 255).astype(np.uint8)
    pixels, factor = as_in_a_photo(pixels, rng)
    chip = aligned(pixels, known.landmarks[row] * np.float32(factor), rng)
    if rng.random() < 0.5:
        chip = np.ascontiguousarray(chip[:, ::-1])
    return eye_region(chip)


def aligned(
    pixels: ImageArray, landmarks: FloatArray, rng: np.random.Generator | None = None
) -> ImageArray:
    """(150, 150, 3) chip; with randomness its landmarks are a little off."""
    change, shift = np.eye(2), np.zeros(2)
    if rng is not None:
        turn, size = np.radians(rng.normal(0, TURN)), np.exp(rng.normal(0, SIZE))
        change = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        shift = rng.normal(0, SHIFT * CHIP_PX, 2)
    matrix, middle = fit_similarity(landmarks, CHIP_TEMPLATE), np.full(2, CHIP_PX / 2)
    offset = change @ (matrix[:, 2] - middle) + middle + shift
    return np.asarray(
        cv2.warpAffine(
            pixels,
            np.column_stack([change @ matrix[:, :2], offset]),
            (CHIP_PX, CHIP_PX),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        dtype=np.uint8,
    )


def as_in_a_photo(pixels: ImageArray, rng: np.random.Generator) -> tuple[ImageArray, float]:
    """A face as it would be cut out of some photo, and the factor by which it was reduced."""
    out = relight(pixels, rng) if rng.random() < 0.8 else pixels
    if rng.random() < 0.7:
        out = shrink(out, float(np.exp(rng.uniform(np.log(SMALLEST), 0))))
    if rng.random() < 0.2:
        out = blur(out, rng)
    if rng.random() < 0.3:
        out = add_noise(out, rng)
    if rng.random() < 0.4:
        out = compress(out, int(rng.integers(30, 92)))
    return out, out.shape[1] / pixels.shape[1]
