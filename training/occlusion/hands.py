"""Hands and arms before a face."""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.types import FloatArray
from training.occlusion.canvas import Canvas, Donor, bulging, lay, skin_colour, softness, target
from training.occlusion.shapes import (
    Vector,
    bezier,
    blurred,
    capsule,
    ellipse,
    fill,
    rounded,
    turned,
)
from training.occlusion.textures import any_colour, surface


def hand(canvas: Canvas, rng: np.random.Generator, donor: Donor) -> None:
    """Fingers, with or without the back of the hand, in the colour of anybody's skin."""
    grip(canvas, rng, donor, target(canvas, rng), rng.uniform(-np.pi, np.pi))


def grip(
    canvas: Canvas, rng: np.random.Generator, donor: Donor, tips: Vector, angle: float
) -> None:
    """A hand whose fingertips are at a place; the angle is that of the fingers."""
    width, hw = canvas.width, canvas.hw
    if rng.random() < 0.45:
        own = np.clip(canvas.pixels, 0, 255).astype(np.uint8)
        skin = skin_colour(own, canvas.points) * rng.uniform(0.75, 1.15)
    else:
        skin = skin_colour(*donor()) * rng.uniform(0.7, 1.2)
    skin = skin * rng.uniform(0.95, 1.05, 3)
    thick, length = rng.uniform(0.09, 0.15) * width, rng.uniform(0.3, 0.65) * width
    ahead = np.array([np.cos(angle), np.sin(angle)])
    side = np.array([-ahead[1], ahead[0]])
    soft, count = softness(canvas, rng), int(rng.integers(1, 6))
    gap, bend = thick * rng.uniform(0.85, 1.3), rng.normal(0, 0.15) * length
    spread = rng.normal(0, 0.08)
    wrist = tips - ahead * (length * 1.5) + side * gap * (count - 1) / 2
    if rng.random() < 0.75:  # the back of the hand
        palm = capsule(wrist + ahead * 0.5 * length, wrist - ahead * length, gap * count * 1.1)
        _skin_layer(canvas, rounded(palm), skin, soft, rng)
        if rng.random() < 0.5:
            cuff = wrist - ahead * length * rng.uniform(0.4, 1.2)
            _sleeve(canvas, cuff, ahead, count * gap, rng, donor)
    for number in rng.permutation(count):
        way = ahead @ turned(spread * (number - count / 2)).T
        reach = length * rng.uniform(0.85, 1.1)
        tip = tips + side * gap * number - way * abs(number - (count - 1) / 2) * 0.12 * length
        root = tip - way * reach
        knuckle = (tip + root) / 2 + side * bend
        through = bezier(root, knuckle, tip)
        mask = np.zeros(hw, np.uint8)
        fixed = [np.round(through * 16).astype(np.int32)]
        cv2.polylines(mask, fixed, False, 255, max(1, round(thick)), cv2.LINE_AA, 4)
        round_ = np.clip(cv2.distanceTransform(mask, cv2.DIST_L2, 3) / (thick / 2), 0, 1)
        relief = np.sqrt(np.clip(1 - (1 - round_) ** 2, 0, 1)) * 0.45 + 0.6
        _put_skin(canvas, blurred(mask, soft), skin, np.asarray(relief, np.float32), rng)
        if rng.random() < 0.5:
            nail = ellipse(tip - way * thick * 0.1, (thick * 0.42, thick * 0.3), way)
            colour = skin * rng.uniform([1.0, 0.9, 0.9], [1.25, 1.2, 1.2])
            if rng.random() < 0.15:
                colour = any_colour(rng) * 255 * canvas.level
            canvas.put(colour.astype(np.float32), fill(nail, hw, max(soft, 0.5)) * 0.7, "front")


def _put_skin(
    canvas: Canvas, matte: FloatArray, skin: Vector, relief: FloatArray, rng: np.random.Generator
) -> None:
    if rng.random() < 0.5:
        canvas.shade(matte, rng.uniform(0.1, 0.45), (rng.normal(0, 2), rng.normal(0, 2)))
    lit = (1 + 0.5 * (canvas.light - 1)) * relief
    canvas.put(skin.astype(np.float32) * lit[..., None], matte, "front")


def _skin_layer(
    canvas: Canvas, outline: Vector, skin: Vector, soft: float, rng: np.random.Generator
) -> None:
    matte = fill(outline, canvas.hw, soft)
    relief = 0.65 + 0.4 * cv2.GaussianBlur(matte, (0, 0), 0.06 * canvas.width)
    cells = rng.normal(0, 1, tuple(rng.integers(3, 12, 2))).astype(np.float32)
    relief += 0.04 * cv2.resize(cells, canvas.hw[::-1], interpolation=cv2.INTER_CUBIC)
    _put_skin(canvas, matte, skin, np.asarray(relief, np.float32), rng)


def _sleeve(
    canvas: Canvas, at: Vector, ahead: Vector, thick: float, rng: np.random.Generator, donor: Donor
) -> None:
    shape = capsule(at, at - ahead * 3 * canvas.width, thick * rng.uniform(1.2, 2))
    matte = fill(rounded(shape, 1), canvas.hw, softness(canvas, rng))
    lay(canvas, surface(any_colour(rng), canvas.hw, rng, donor), matte, rng, bulging(canvas, matte))


def arm(canvas: Canvas, rng: np.random.Generator, donor: Donor) -> None:
    """An arm or a stick across the face, in a sleeve or of one colour."""
    angle = rng.uniform(0, 2 * np.pi)
    ahead = np.array([np.cos(angle), np.sin(angle)])
    at = target(canvas, rng, 0.2)
    shape = capsule(
        at + ahead * 2 * canvas.width,
        at - ahead * rng.uniform(0, 2) * canvas.width,
        rng.uniform(0.05, 0.5) * canvas.width,
    )
    matte = fill(rounded(shape), canvas.hw, softness(canvas, rng))
    lay(canvas, surface(any_colour(rng), canvas.hw, rng, donor), matte, rng, bulging(canvas, matte))
