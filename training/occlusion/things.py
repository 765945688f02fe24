"""What lies in front of a face and is not worn over the mouth: hands, phones, cups, heads, hats."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from anonyface.landmarks import topology as topo
from training.occlusion.canvas import Canvas, Donor, bulging, lay, softness, target, uneven
from training.occlusion.hands import arm, grip, hand
from training.occlusion.shapes import bezier, ellipse, fill, line, rounded, turned
from training.occlusion.textures import any_colour, surface


def put_thing(canvas: Canvas, rng: np.random.Generator, donor: Donor) -> None:
    """Put something before the face."""
    names = list(THINGS)
    shares = np.array([THINGS[n][1] for n in names])
    THINGS[names[int(rng.choice(len(names), p=shares / shares.sum()))]][0](canvas, rng, donor)


def phone(canvas: Canvas, rng: np.random.Generator, donor: Donor) -> None:
    """A phone or a camera, mostly dark, with lenses, and fingers that hold it."""
    width, hw = canvas.width, canvas.hw
    size = np.array([rng.uniform(0.3, 0.6), rng.uniform(0.6, 1.1)]) * width
    if rng.random() < 0.3:
        size = size[::-1]
    turn, centre = turned(rng.normal(0, 0.35)), target(canvas, rng, 0.2)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size / 2
    outline = centre + rounded(corners * rng.uniform(0.98, 1.02, (4, 2)), 2) @ turn.T
    soft = softness(canvas, rng)
    if rng.random() < 0.5:
        behind = centre + corners[2] @ turn.T * rng.uniform(0.6, 1)
        grip(canvas, rng, donor, behind, rng.uniform(-2.6, -0.5))
    body = surface(any_colour(rng) * rng.uniform(0.1, 1), hw, rng, donor)
    matte = fill(outline, hw, soft)
    lay(canvas, body, matte, rng)
    for number in range(int(rng.integers(0, 4))):
        at = centre + (corners[0] * 0.7 + np.array([0, number * 0.14 * width])) @ turn.T
        lens = ellipse(at, (0.05 * width, 0.05 * width), np.array([1.0, 0.0]))
        glass = (any_colour(rng) * 120).astype(np.float32)
        canvas.put(glass, fill(lens, hw, soft) * matte, "front")
    if rng.random() < 0.6:
        fingers = centre + corners[int(rng.integers(4))] * rng.uniform(0.2, 0.9) @ turn.T
        grip(canvas, rng, donor, fingers, rng.uniform(-np.pi, np.pi))


def microphone(canvas: Canvas, rng: np.random.Generator, donor: Donor) -> None:
    """A ball on a stick before the mouth, or a foam cube, and a hand now and then."""
    width, hw = canvas.width, canvas.hw
    angle = rng.uniform(0.15, np.pi - 0.15)
    down = np.array([np.cos(angle), np.sin(angle)])
    head = canvas.at(13) + rng.normal(0, 0.12, 2) * width + down * 0.1 * width
    soft, radius = softness(canvas, rng), rng.uniform(0.09, 0.22) * width
    foot = head + down * 3 * width
    stick = line(np.array([head, foot]), radius * rng.uniform(0.5, 1.4), hw, soft)
    lay(canvas, any_colour(rng), stick, rng)
    ball = fill(ellipse(head, (radius * rng.uniform(1, 1.5), radius), down), hw, soft)
    foam = surface(any_colour(rng), hw, rng, donor)
    if rng.random() < 0.5:
        rows, columns = np.mgrid[0 : hw[0], 0 : hw[1]].astype(np.float32)
        net = np.cos(rows * rng.uniform(1, 2.5)) * np.cos(columns * rng.uniform(1, 2.5))
        foam = foam * (1 + 0.35 * net)[..., None]
    lay(canvas, foam, ball, rng, bulging(canvas, ball))
    if rng.random() < 0.6:
        side = np.array([-down[1], down[0]]) * rng.choice([-1, 1])
        at = head + down * rng.uniform(0.3, 0.8) * width
        grip(canvas, rng, donor, at + side * 0.1 * width, float(np.arctan2(side[1], side[0])))


def cup(canvas: Canvas, rng: np.random.Generator, donor: Donor) -> None:
    """A cup, a bottle or a glass at the mouth."""
    width, hw = canvas.width, canvas.hw
    top, foot, high = rng.uniform(0.15, 0.55), rng.uniform(0.12, 0.5), rng.uniform(0.3, 1.2)
    shape = np.array([[-top / 2, 0], [top / 2, 0], [foot / 2, high], [-foot / 2, high]]) * width
    turn = turned(rng.normal(0, 0.5))
    place = canvas.at(14) + rng.normal(0, 0.12, 2) * width
    soft = softness(canvas, rng)
    matte = fill(rounded(place + shape @ turn.T, 1), hw, soft)
    body = surface(any_colour(rng), hw, rng, donor)
    across = np.cos(np.linspace(-2, 2, hw[1], dtype=np.float32) + np.float32(rng.normal(0, 0.7)))
    lay(canvas, body, matte, rng, np.broadcast_to(0.7 + 0.35 * across, hw))
    rim = fill(ellipse(place, (top / 2 * width, 0.1 * top * width), turn[:, 0]), hw, soft)
    lay(canvas, any_colour(rng), rim, rng)
    if rng.random() < 0.6:
        grip(canvas, rng, donor, place + (shape.mean(axis=0) @ turn.T), rng.uniform(-np.pi, np.pi))


def banner(canvas: Canvas, rng: np.random.Generator, donor: Donor) -> None:
    """All on one side of a wavy line: cloth, paper, a shoulder, a scarf held up."""
    width, hw = canvas.width, canvas.hw
    angle = rng.normal(np.pi / 2, 0.5) if rng.random() < 0.7 else rng.uniform(0, 2 * np.pi)
    into = np.array([np.cos(angle), np.sin(angle)])
    along = np.array([-into[1], into[0]])
    at = target(canvas, rng, 0.1)
    steps = np.linspace(-3, 3, 25) * width
    waves = np.zeros(25)
    for frequency in rng.uniform(0.5, 4, 3):
        phases = np.linspace(0, 6, 25) * frequency + rng.uniform(0, 6)
        waves += rng.normal(0, 0.04) * width * np.sin(phases)
    edge = at + np.outer(steps, along) + np.outer(waves, into)
    far = into * 4 * width
    if rng.random() < 0.2:
        far = into * rng.uniform(0.15, 0.5) * width
    outline = np.concatenate([edge, edge[::-1] + far])
    matte = fill(outline, hw, softness(canvas, rng))
    relief = uneven(canvas, rng, 0.2, 14)
    lay(canvas, surface(any_colour(rng), hw, rng, donor), matte, rng, relief)
    if rng.random() < 0.3:
        tips = at + (along * rng.normal(0, 0.3) + into * 0.1) * width
        grip(canvas, rng, donor, tips, angle)


def head(canvas: Canvas, rng: np.random.Generator, donor: Donor) -> None:
    """Somebody else's head, mostly from below or from the side."""
    pixels, points = donor()
    oval = points[topo.FACE_OVAL, :2].astype(np.float64)
    middle = oval.mean(axis=0)
    grown = middle + (oval - middle) * [rng.uniform(1, 1.25), 1]
    crown = (oval - middle)[:, 1] < 0
    grown[crown] += (grown[crown] - middle) * rng.uniform(0, 0.4)
    scale = rng.uniform(0.7, 1.6) * canvas.width / max(1.0, float(np.ptp(oval[:, 0])))
    turn = scale * turned(rng.normal(0, 0.2))
    direction = rng.normal(np.pi / 2, 0.7)
    place = target(canvas, rng, 0.15) + scale * 0.55 * np.ptp(oval[:, 1]) * np.array(
        [np.cos(direction), np.sin(direction)]
    )
    matrix = np.column_stack([turn, place - turn @ middle])
    warped = cv2.warpAffine(pixels, matrix, canvas.hw[::-1], borderMode=cv2.BORDER_REPLICATE)
    soft = softness(canvas, rng)
    if soft > 1:
        warped = cv2.GaussianBlur(warped, (0, 0), soft)
    matte = fill(grown @ turn.T + matrix[:, 2], canvas.hw, soft)
    canvas.put(np.asarray(warped, np.float32) * rng.uniform(0.7, 1.2), matte, "front")


def blob(canvas: Canvas, rng: np.random.Generator, donor: Donor) -> None:
    """A round or cornered patch of anything (Voo et al., CVPR workshops 2022)."""
    count = int(rng.integers(3, 9))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radii = rng.uniform(0.1, 0.5) * canvas.width * rng.uniform(0.5, 1.3, count)
    shape = radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outline = target(canvas, rng, 0.2) + rounded(shape, int(rng.integers(0, 3)))
    matte = fill(outline, canvas.hw, softness(canvas, rng))
    relief = bulging(canvas, matte) if rng.random() < 0.5 else None
    lay(canvas, surface(any_colour(rng), canvas.hw, rng, donor), matte, rng, relief)


def strands(canvas: Canvas, rng: np.random.Generator, donor: Donor) -> None:
    """A lock of hair across the face."""
    del donor
    width = canvas.width
    colour = np.array([rng.uniform(20, 200), 0, 0])
    colour[1:] = colour[0] * rng.uniform([0.7, 0.45], [0.95, 0.85])
    start = canvas.at(10) + rng.normal(0, 0.25, 2) * width
    end = target(canvas, rng, 0.2)
    knee = (start + end) / 2 + rng.normal(0, 0.25, 2) * width
    for _ in range(int(rng.integers(3, 14))):
        a, b, c = (p + rng.normal(0, 0.04, 2) * width for p in (start, knee, end))
        matte = line(bezier(a, b, c), rng.uniform(0.6, 5), canvas.hw, 0.6)
        tone = colour.astype(np.float32) * canvas.level * rng.uniform(0.6, 1.3)
        canvas.put(canvas.light[..., None] * tone, matte, "front")


BRIM_AT = {10: 0.25, 151: 0.25, 9: 0.2, 8: 0.2, 168: 0.1}
"""Points of the mesh from the hair line to between the eyes, and how often a brim ends there."""


def brim(canvas: Canvas, rng: np.random.Generator, donor: Donor) -> None:
    """The brim of a hat or cap, or the edge of a hood, and its shadow on what is below."""
    width, hw = canvas.width, canvas.hw
    across = canvas.at(454) - canvas.at(234)
    across = across / max(float(np.hypot(*across)), 1e-6)
    down = np.array([-across[1], across[0]])
    low = canvas.at(int(rng.choice(list(BRIM_AT), p=list(BRIM_AT.values()))))
    sag, tilt = rng.uniform(-0.12, 0.15), rng.normal(0, 0.1)
    steps = np.linspace(-1, 1, 21) * rng.uniform(0.5, 0.9)
    heights = sag * (1 - (steps / np.abs(steps).max()) ** 2) + tilt * steps
    edge = low + width * (np.outer(steps, across) + np.outer(heights, down))
    if rng.random() < 0.5:  # the brim itself; else all that is above it
        thick = rng.uniform(0.08, 0.4) * (1 - 0.8 * (steps / np.abs(steps).max()) ** 2)
        upper = edge - width * np.outer(thick, down)
    else:
        upper = edge - 3 * width * down
    matte = fill(np.concatenate([edge, upper[::-1]]), hw, softness(canvas, rng))
    if rng.random() < 0.7:
        offset = down * rng.uniform(0.05, 0.3) * width
        canvas.shade(matte, rng.uniform(0.2, 0.7), (float(offset[0]), float(offset[1])))
    relief = uneven(canvas, rng, 0.15, 14)
    lay(canvas, surface(any_colour(rng), hw, rng, donor), matte, rng, relief)


def eye_mask(canvas: Canvas, rng: np.random.Generator, donor: Donor) -> None:
    """A carnival mask over brows and eyes, with holes through which the eyes are seen."""
    brows = np.concatenate([topo.LEFT_BROW, topo.RIGHT_BROW, topo.LEFT_EYE, topo.RIGHT_EYE])
    points = canvas.points[:, :2]
    hull = cv2.convexHull(points[np.append(brows, [195, 50, 280])])[:, 0].astype(np.float64)
    middle = hull.mean(axis=0)
    outline = middle + rounded((hull - middle) * rng.uniform([1.0, 0.95], [1.35, 1.5]), 2)
    soft = softness(canvas, rng)
    matte = fill(outline, canvas.hw, soft)
    for eye in (topo.LEFT_EYE, topo.RIGHT_EYE):
        lids = cv2.convexHull(points[eye])[:, 0].astype(np.float64)
        centre = lids.mean(axis=0)
        hole = centre + rounded((lids - centre) * rng.uniform([1.1, 1.4], [1.4, 2.4]), 2)
        matte = matte * (1 - fill(hole, canvas.hw, soft))
    relief = uneven(canvas, rng, 0.3, 40, fewest=4)
    lay(canvas, surface(any_colour(rng), canvas.hw, rng, donor), matte, rng, relief)


THINGS: dict[str, tuple[Callable[[Canvas, np.random.Generator, Donor], None], float]] = {
    "hand": (hand, 0.27),
    "arm": (arm, 0.06),
    "phone": (phone, 0.11),
    "microphone": (microphone, 0.11),
    "cup": (cup, 0.07),
    "banner": (banner, 0.14),
    "head": (head, 0.08),
    "blob": (blob, 0.1),
    "strands": (strands, 0.06),
    "brim": (brim, 0.08),
    "eye mask": (eye_mask, 0.05),
}
"""Painters and their shares."""
