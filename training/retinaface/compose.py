"""Scenes of labelled faces: ``python -m training.retinaface.compose FACES OUT --count 1000``.

FACES is a FairFace zip file or folder, or a folder of generated portraits (`training.samples`).
Faces of 16 to 300 pixels are pasted on made-up backgrounds, each with its own blur, noise, JPEG,
light and colour; boxes and landmarks are those the shipped detector sees on the face alone. OUT
gets the format of `training.retinaface.wider`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from anonyface.errors import InputError
from anonyface.types import ImageArray
from training import samples
from training.manifest import WEIGHTS
from training.retinaface.ages import CENTRES
from training.retinaface.cache import PAD, SIDE, Entry, fairface, generated
from training.retinaface.checkpoints import load_onnx
from training.retinaface.degrade import add_noise, blur, compress, relight
from training.retinaface.detect import find
from training.retinaface.network import RetinaFace
from training.retinaface.pictures import to_input
from training.retinaface.wider import IMAGES, LABELS, Annotation, LabelledFace, write_labels

FACE_PX = (16, 300)
"""Height of a pasted face, pixels; drawn so that each octave is as frequent as the next."""
SCENE_PX = (480, 800)
MOST_FACES = 14
SURE = 0.6
"""Faces the detector is less sure of are not pasted: their boxes would be guesses."""
APART = 1.1
"""Half the sum of two faces' sizes times this is how near their middles may come."""
QUALITY = 90


@dataclass(frozen=True, eq=False)
class Sticker:
    """A face to paste: (h, w, 3) RGB uint8, and where it is in there."""

    pixels: ImageArray
    face: LabelledFace


@torch.no_grad()
def sticker(entry: Entry, network: RetinaFace) -> Sticker | None:
    """Find the face of a labelled picture; None where there is none to be sure of."""
    pixels = np.asarray(
        cv2.resize(entry.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
    wide = cv2.copyMakeBorder(pixels, PAD, PAD + 16, PAD, PAD + 16, cv2.BORDER_REPLICATE)
    found = find(network(to_input(np.asarray(wide, np.uint8)[None])), wide.shape[:2], least=SURE)
    if not len(found.scores):
        return None
    years = entry.years if entry.years >= 0 else CENTRES[entry.age]
    face = LabelledFace(
        found.boxes[0].numpy() - PAD, found.landmarks[0].numpy() - PAD, entry.female, years
    )
    return Sticker(pixels, face)


def background(height: int, width: int, rng: np.random.Generator) -> ImageArray:
    """Return a picture without faces: light that falls off, noise of all sizes, edges, stripes."""
    out = np.empty((height, width, 3), np.float32)
    corners = rng.uniform(20, 235, (2, 2, 3)).astype(np.float32)
    out[:] = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    for octave in range(1, 7):
        cells = 2**octave
        strength = rng.uniform(0, 60) / octave
        grain = rng.normal(0, strength, (cells, cells, 3 if rng.random() < 0.5 else 1))
        grain = np.broadcast_to(grain, (cells, cells, 3)).astype(np.float32)
        out += cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(int(rng.integers(0, 12))):
        colour = [float(v) for v in rng.uniform(0, 255, 3)]
        x, y = (int(rng.integers(0, n)) for n in (width, height))
        sides = rng.integers(8, 200, 2)
        if rng.random() < 0.5:
            cv2.rectangle(out, (x, y), (x + int(sides[0]), y + int(sides[1])), colour, -1)
        else:
            axes = (int(sides[0] // 2), int(sides[1] // 2))
            cv2.ellipse(out, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    if rng.random() < 0.4:
        along = np.arange(width if rng.random() < 0.5 else height)
        wave = 20 * np.sin(along * rng.uniform(0.05, 1.2)).astype(np.float32)
        out += wave[None, :, None] if len(along) == width else wave[:, None, None]
    return np.clip(out, 0, 255).astype(np.uint8)


def paste(
    scene: NDArray[np.uint8], piece: Sticker, x: float, y: float, size: float, turn: float
) -> LabelledFace:
    """Put a face into a scene, in place.

    Args:
        scene: (H, W, 3) RGB uint8, changed.
        piece: The face.
        x: Middle of its box.
        y: Likewise.
        size: Height of its box, pixels.
        turn: Degrees, clockwise.

    Returns:
        The face where it now is.
    """
    box = piece.face.box
    factor = size / float(box[3] - box[1])
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    matrix = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), -turn, factor)
    matrix[:, 2] += np.array([x, y]) - middle
    height, width = scene.shape[:2]
    source = piece.pixels
    if factor < 1:  # warping alone would alias
        less = max(8, round(source.shape[1] * factor))
        source = np.asarray(
            cv2.resize(source, (less, less), interpolation=cv2.INTER_AREA), np.uint8
        )
    grown = matrix.copy()
    grown[:, :2] *= piece.pixels.shape[1] / source.shape[1]
    moved = cv2.warpAffine(source, grown, (width, height), flags=cv2.INTER_LINEAR)
    mask = cv2.warpAffine(_mask(piece, source.shape[1]), grown, (width, height))[..., None]
    scene[:] = (scene + mask * (moved.astype(np.float32) - scene)).round().astype(np.uint8)
    points = piece.face.landmarks @ matrix[:, :2].T.astype(np.float32) + matrix[:, 2]
    half = np.array([box[2] - box[0], box[3] - box[1]]) * factor / 2
    where = np.array([x - half[0], y - half[1], x + half[0], y + half[1]], np.float32)
    return LabelledFace(where, points.astype(np.float32), piece.face.p_female, piece.face.years)


def _mask(piece: Sticker, side: int) -> NDArray[np.float32]:
    """(side, side) soft ellipse around the face, as far as the picture reaches."""
    x0, y0, x1, y1 = (float(v) for v in piece.face.box * side / piece.pixels.shape[1])
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32)
    across = (xs - (x0 + x1) / 2) / max(0.75 * (x1 - x0), 1)
    down = (ys - (y0 + y1) / 2) / max(0.75 * (y1 - y0), 1)
    inside = np.clip((1 - np.hypot(across, down)) * 8, 0, 1)
    edge = np.minimum.reduce([xs, ys, side - 1 - xs, side - 1 - ys])
    return np.asarray(inside * np.clip(edge / max(0.03 * side, 1), 0, 1), dtype=np.float32)


def compose(
    stickers: Sequence[Sticker], rng: np.random.Generator
) -> tuple[ImageArray, tuple[LabelledFace, ...]]:
    """Make a scene of faces drawn at random."""
    height, width = (int(v) for v in rng.integers(*SCENE_PX, 2))
    scene = np.array(background(height, width, rng))
    faces: list[LabelledFace] = []
    taken: list[tuple[float, float, float]] = []
    for _ in range(int(rng.integers(1, MOST_FACES + 1))):
        size = float(np.exp(rng.uniform(*np.log(FACE_PX))))
        x, y = float(rng.uniform(0.3 * size, width - 0.3 * size)), float(rng.uniform(0, height))
        if any(np.hypot(x - a, y - b) < APART * (size + s) / 2 for a, b, s in taken):
            continue
        piece = stickers[int(rng.integers(len(stickers)))]
        other = relight(piece.pixels, rng)
        if rng.random() < 0.2:
            other = blur(other, rng)
        if rng.random() < 0.2:
            other = compress(other, int(rng.integers(30, 90)))
        faces.append(paste(scene, Sticker(other, piece.face), x, y, size, rng.normal(0, 12)))
        taken.append((x, y, size))
    return add_noise(scene, rng) if rng.random() < 0.3 else scene, tuple(faces)


def read_stickers(path: Path, count: int, network: RetinaFace) -> list[Sticker]:
    """Read the first ``count`` faces of a source.

    Raises:
        InputError: There is no face in it.
    """
    is_generated = path.is_dir() and bool(samples.shards(path))
    total, entries = (generated if is_generated else fairface)(path)
    wanted = min(count, total)
    some = (next(entries) for _ in tqdm(range(wanted), unit="face", disable=None))
    out = [s for e in some if (s := sticker(e, network)) is not None]
    if not out:
        raise InputError(f"no face found in {path}")
    return out


def write_scenes(stickers: Sequence[Sticker], folder: Path, *, count: int, seed: int) -> None:
    """Write scenes and their annotation into a folder.

    Args:
        stickers: To draw from.
        folder: Made if needed.
        count: Number of scenes.
        seed: Scene i depends on the seed, on i and on the stickers alone.
    """
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    annotations = []
    for i in tqdm(range(count), unit="scene", disable=None):
        pixels, faces = compose(stickers, np.random.default_rng([seed, i]))
        name = f"{i:05d}.jpg"
        bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / IMAGES / name), bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        annotations.append(Annotation(name, faces))
    write_labels(folder / LABELS, annotations)


def main() -> None:
    """Compose scenes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=1000, help="scenes")
    parser.add_argument("--stickers", type=int, default=2000, help="faces to draw from")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    try:
        stickers = read_stickers(args.faces, args.stickers, load_onnx(WEIGHTS / "detector.onnx"))
        write_scenes(stickers, args.out, count=args.count, seed=args.seed)
    except InputError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
