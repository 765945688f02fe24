"""What is worn over nose and mouth: masks of all cuts, scarves, and straps."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.types import FloatArray
from training.occlusion.canvas import Canvas, Donor, skin_colour
from training.occlusion.shapes import fill, line, rounded
from training.occlusion.textures import LETTERS, any_colour, cloth_colour, surface

UPPER_EDGE = [93, 123, 118, 120, 196, 419, 349, 347, 352, 323]
JAW = [361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132]
MOUTH, NOSE_TIP, LIP_BELOW, BROWS = 13, 4, 18, 9
EARS, TEMPLES = (234, 454), (127, 356)
CUTS = {"surgical": 0.38, "cup": 0.28, "scarf": 0.15, "slipped": 0.19}
WHOLE_CUTS = {"surgical": 0.5, "cup": 0.32, "scarf": 0.18}
"""Kinds and their shares: all, and those that cover nose and mouth."""
SHIFTS = ((-0.02, 0.1), (-0.05, 0.1), (-0.02, 0.1))
"""How far the upper edge is shifted down on a cheek, the nose, the other cheek, in face widths."""


def wear(
    canvas: Canvas, rng: np.random.Generator, donor: Donor, cuts: dict[str, float] = CUTS
) -> None:
    """Put something over nose and mouth; now and then it has slipped.

    Args:
        canvas: The face.
        rng: Randomness.
        donor: Gives another photo.
        cuts: Kinds and their shares.
    """
    kind = str(rng.choice(list(cuts), p=list(cuts.values())))
    outline = _outline(canvas, kind, rng)
    soft = rng.uniform(0.3, 0.012 * canvas.width + 0.5)
    matte = fill(outline, canvas.hw, soft)
    if kind != "scarf" and rng.random() < 0.75:
        _straps(canvas, outline, rng)
    if rng.random() < 0.4:
        canvas.shade(matte, rng.uniform(0.1, 0.5), (0.0, rng.uniform(-0.03, 0.03) * canvas.width))
    colour = cloth_colour(rng) if kind != "scarf" else any_colour(rng)
    if rng.random() < 0.1:  # as pale or brown as the wearer
        own = skin_colour(np.clip(canvas.pixels, 0, 255).astype(np.uint8), canvas.points)
        colour = np.clip(own / (255 * canvas.level) * rng.uniform(0.85, 1.2, 3), 0.02, 1)
    cloth = surface(colour, canvas.hw, rng, donor)
    lit = canvas.light * canvas.level * _relief(canvas, matte, kind, rng)
    grain = rng.normal(0, rng.uniform(0, 4), (*canvas.hw, 1)).astype(np.float32)
    canvas.put(255 * cloth * lit[..., None] + grain, matte, "worn")
    if kind in ("cup", "surgical") and rng.random() < (0.4 if kind == "cup" else 0.1):
        _valve(canvas, matte, rng)
    if kind == "cup" and rng.random() < 0.5:
        _label(canvas, matte, rng)
    if rng.random() < (0.35 if kind == "slipped" else 0.15):
        _trim(canvas, outline, soft, rng)


def _outline(canvas: Canvas, kind: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """(n, 2) polygon of the cloth."""
    width, points = canvas.width, canvas.points[:, :2].astype(np.float64)
    down = points[152] - points[BROWS]
    down = down / max(float(np.hypot(*down)), 1e-6)
    right = np.array([down[1], -down[0]])
    top, jaw, mouth = points[UPPER_EDGE].copy(), points[JAW].copy(), points[MOUTH]
    top += rng.normal(0, 0.02) * width * down
    for part, (least, most) in zip((slice(0, 4), slice(4, 6), slice(6, 10)), SHIFTS, strict=True):
        top[part] += rng.uniform(least, most) * width * down
    if kind == "slipped":  # below the nose, below the mouth, on the chin
        low = points[[NOSE_TIP, NOSE_TIP, LIP_BELOW, LIP_BELOW]][rng.integers(4)]
        shift = (low - top[4:6].mean(axis=0)) @ down + rng.uniform(-0.02, 0.12) * width
        sag = 0.75 + 0.25 * np.linspace(-1, 1, len(top)) ** 2
        top += np.outer(sag, max(0.0, shift) * down)
    jaw = mouth + (jaw - mouth) * rng.uniform(0.94, 1.14)
    if kind == "scarf":
        far = jaw + down * rng.uniform(0.1, 1.0) * width
        spread = np.sign((far - mouth) @ right)[:, None] * right * rng.uniform(0, 0.3) * width
        jaw = far + spread
        top += rng.normal(0, 0.03, top.shape) * width
        top[[0, -1]] += np.outer([-1, 1], right) * rng.uniform(0, 0.3) * width
        return rounded(np.concatenate([top, jaw]), 1)
    if kind == "cup" or rng.random() < 0.4:  # ends before the ears
        narrow = rng.uniform(0.6, 0.92)
        both = np.concatenate([top, jaw])
        across = (both - mouth) @ right
        both += np.outer(across * (narrow - 1), right)
        if kind == "cup":
            both = rounded(both, 2)
            centre = both.mean(axis=0)
            both = centre + (both - centre) * rng.uniform(0.95, 1.15)
        return both
    return np.concatenate([top, jaw])


def _relief(canvas: Canvas, matte: FloatArray, kind: str, rng: np.random.Generator) -> FloatArray:
    """(h, w) how light folds, seams and the bulge of the cloth make it."""
    hw, width = canvas.hw, canvas.width
    bulge = np.clip(1.3 * cv2.GaussianBlur(matte, (0, 0), rng.uniform(0.03, 0.1) * width), 0, 1)
    depth = rng.uniform(0.1, 0.45)
    out = 1 - depth + depth * bulge
    rows, columns = np.mgrid[0 : hw[0], 0 : hw[1]].astype(np.float32)
    middle, down = canvas.at(MOUTH), canvas.at(152) - canvas.at(BROWS)
    down = down / max(float(np.hypot(*down)), 1e-6)
    along = ((rows - middle[1]) * down[1] + (columns - middle[0]) * down[0]) / width
    across = ((columns - middle[0]) * down[1] - (rows - middle[1]) * down[0]) / width
    if kind != "cup" or rng.random() < 0.3:
        tilt = rng.normal(0, 0.25) if kind != "scarf" else rng.normal(0, 2)
        phase = (along + rng.normal(0, 0.6) * across**2 + tilt * across) * rng.uniform(10, 70)
        folds = np.sin(phase + rng.uniform(0, 6))
        out += rng.uniform(0, 0.12) * folds * (1 + 0.8 * np.cos(3 * across + rng.uniform(0, 6)))
    if rng.random() < (0.5 if kind == "cup" else 0.3):  # a seam, two panels in different light
        out += rng.uniform(-0.15, 0.15) * np.tanh((across + rng.normal(0, 0.1)) * 25)
    if kind == "cup" and rng.random() < 0.5:  # pinched over the nose
        nose = np.exp(-((across / 0.06) ** 2) - ((along + rng.uniform(0.2, 0.4)) / 0.15) ** 2)
        out += rng.uniform(-0.2, 0.3) * nose
    if rng.random() < 0.35:  # wrinkles
        cells = rng.normal(0, 1, tuple(rng.integers(5, 24, 2))).astype(np.float32)
        out += rng.uniform(0, 0.1) * cv2.resize(cells, hw[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(out, 0.05, 1.6), dtype=np.float32)


def _straps(canvas: Canvas, outline: NDArray[np.float64], rng: np.random.Generator) -> None:
    colour = 255 * canvas.level * (cloth_colour(rng) if rng.random() < 0.8 else any_colour(rng))
    broad = rng.uniform(0.008, 0.05)
    around = rng.random() < 0.3  # the head: the upper strap goes over the ear
    for ear, temple in zip(EARS, TEMPLES, strict=True):
        end = canvas.at(ear)
        near = outline[np.argsort(np.hypot(*(outline - end).T))[: max(2, len(outline) // 5)]]
        for y in (near[:, 1].argmin(), near[:, 1].argmax()):
            goal = end + rng.normal(0, 0.06, 2) * canvas.width
            if around and y == near[:, 1].argmin():
                goal = canvas.at(temple) + rng.normal(0, 0.08, 2) * canvas.width
            bend = (near[y] + goal) / 2 + rng.normal(0, 0.02, 2) * canvas.width
            through = np.array([near[y], bend, goal])
            thick = broad * rng.uniform(0.7, 1.2) * canvas.width
            canvas.put(colour.astype(np.float32), line(through, thick, canvas.hw, 0.5), "worn")


def _valve(canvas: Canvas, matte: FloatArray, rng: np.random.Generator) -> None:
    width = canvas.width
    centre = canvas.at(MOUTH) + rng.normal(0, 0.07, 2) * width
    radius = rng.uniform(0.05, 0.13) * width
    corners = int(rng.choice([4, 24]))
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 1.5)
    ring = centre + radius * np.stack([np.cos(angles), rng.uniform(0.7, 1) * np.sin(angles)], 1)
    colour = (any_colour(rng) if rng.random() < 0.6 else cloth_colour(rng)) * 255 * canvas.level
    for factor in (1.0, rng.uniform(0.4, 0.85)):
        shape = centre + (ring - centre) * factor
        light = canvas.light[..., None] * rng.uniform(0.7, 1.3) * colour.astype(np.float32)
        canvas.put(light, fill(rounded(shape, 1), canvas.hw, 0.6) * (matte > 0.3), "worn")


def _label(canvas: Canvas, matte: FloatArray, rng: np.random.Generator) -> None:
    """A few lines of small print."""
    ink, step = np.zeros(canvas.hw, np.uint8), rng.uniform(0.03, 0.07) * canvas.width
    x, y = canvas.at(MOUTH) + rng.normal(0, 0.15, 2) * canvas.width
    for line_number in range(int(rng.integers(1, 4))):
        text = "".join(rng.choice(list(LETTERS), int(rng.integers(2, 8))))
        at = round(float(x)), round(float(y + line_number * 1.3 * step))
        cv2.putText(ink, text, at, cv2.FONT_HERSHEY_SIMPLEX, step / 22, 255, 1, cv2.LINE_AA)
    colour = any_colour(rng).astype(np.float32) * 255 * canvas.level
    canvas.put(colour, ink.astype(np.float32) / 255 * matte, "worn")


def _trim(
    canvas: Canvas, outline: NDArray[np.float64], soft: float, rng: np.random.Generator
) -> None:
    closed = np.concatenate([outline, outline[:1]])
    edge = line(closed, rng.uniform(0.01, 0.06) * canvas.width, canvas.hw, soft)
    colour = any_colour(rng).astype(np.float32) * 255 * canvas.level
    canvas.put(canvas.light[..., None] * colour, edge, "worn")
