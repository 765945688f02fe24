"""Read labelled faces once: ``python -m training.retinaface.cache SOURCE FOLDER``.

The detector is frozen while its heads and the refinement learn, so what it says of a face never
changes. For every face this stores the picture, the landmarks, the backbone's maps on the aligned
grid, and what the anchors on the face see; each at the picture's own scale and at a smaller one.

SOURCE is a FairFace zip file or folder with labels.csv, or a folder of `training.samples`.
"""

from __future__ import annotations

import argparse
import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from anonyface.identities.traits import AGE_CENTRES
from anonyface.types import FloatArray, ImageArray
from training import samples
from training.fairface import GROUPS
from training.manifest import WEIGHTS
from training.retinaface.ages import AGES, bin_of
from training.retinaface.aligned import canvas_points, place, sample, similarity_solver
from training.retinaface.anchors import decode_landmarks, priors
from training.retinaface.checkpoints import load_onnx
from training.retinaface.network import RetinaFace
from training.retinaface.pictures import to_input

SIDE = 160
"""Pictures are stored at this size."""
PAD = 40
"""Crops are tight; the detector sees them with their border repeated outwards."""
GRIDS = {"early": (4, 24), "fine": (8, 12), "middle": (16, 6)}
"""Maps stored: stride and side of the grid."""
CHANNELS = {"early": 32, "fine": 64, "middle": 128}
VARIANTS = 2
ANCHORS = 4
"""Best anchors of a face whose context features are stored."""
SMALLER = (0.2, 0.7)
SMALL_CANVAS = 192
BATCH = 24


@dataclass(frozen=True)
class Entry:
    """A labelled picture: RGB uint8, female or not, bin of age, group or -1, age in years or -1."""

    pixels: ImageArray
    female: float
    age: int
    group: int
    years: float


def fairface(path: Path) -> tuple[int, Iterator[Entry]]:
    """Return number and entries of a FairFace folder or zip file."""
    read = _reader(path)
    rows = list(csv.DictReader(io.StringIO(read("labels.csv").decode())))

    def entries() -> Iterator[Entry]:
        for row in rows:
            data = np.frombuffer(read(row["file"]), np.uint8)
            yield Entry(
                cv2.imdecode(data, cv2.IMREAD_COLOR_RGB),  # type: ignore[arg-type]
                float(row["gender"] == "Female"),
                AGES.index(row["age"].replace("more than 70", "70+")),
                GROUPS.index(row["race"]),
                -1.0,
            )

    return len(rows), entries()


def _reader(path: Path) -> Callable[[str], bytes]:
    if path.is_dir():
        return lambda name: (path / name).read_bytes()
    archive = zipfile.ZipFile(path)
    members = {Path(n).name: n for n in archive.namelist()}
    return lambda name: archive.read(members[Path(name).name])


def generated(path: Path) -> tuple[int, Iterator[Entry]]:
    """Return number and entries of a folder of generated portraits, rare ages first."""
    data = samples.load(path)
    years = samples.column(data.rows, "age")
    female = samples.column(data.rows, "p_female")
    order = np.argsort(-np.abs(years - float(np.median(AGE_CENTRES))))
    clear = samples.column(data.rows, "clear") > 0.6
    order = order[clear[order]]

    def entries() -> Iterator[Entry]:
        for i in order:
            yield Entry(data.pixels(i), float(female[i]), bin_of(years[i]), -1, float(years[i]))

    return len(order), entries()


class Describer:
    """Runs the frozen network on pictures and samples what is stored.

    Args:
        network: The detector.
        seed: Of scales, places and of the noise on the landmarks.
    """

    def __init__(self, network: RetinaFace, *, seed: int = 0) -> None:
        self.network = network
        self.rng = np.random.default_rng(seed)
        self.solver = similarity_solver()

    @torch.no_grad()
    def __call__(self, pixels: NDArray[np.uint8]) -> dict[str, FloatArray]:
        """Describe (n, 160, 160, 3) pictures; "landmarks" in their pixels, "score" 0 to 1."""
        side = SIDE + 2 * PAD + 16  # a multiple of 32
        wide = np.stack([_repeat(p, side) for p in pixels])
        maps, contexts = self.network.features(to_input(wide))
        points, scores, picked = self._best(contexts, side)
        native = self._grids(maps, points)
        shrink = self.rng.uniform(*SMALLER, len(pixels)).astype(np.float32)
        small, offsets = self._small(wide, shrink)
        maps, contexts = self.network.features(to_input(small))
        moved = points * torch.from_numpy(shrink)[:, None, None] + torch.from_numpy(offsets)
        less = self._grids(maps, moved)
        _, low, second = self._best(contexts, SMALL_CANVAS)
        out = {n: np.stack([native[n], less[n]], axis=1) for n in GRIDS}
        out["anchors"] = np.stack([picked, second], axis=1)
        out["scores"] = np.stack([scores, low], axis=1)
        out["landmarks"] = (points - float(PAD)).numpy()
        return out

    def _best(self, contexts: list[Tensor], side: int) -> tuple[Tensor, FloatArray, FloatArray]:
        """Landmarks (n, 5, 2) of the best anchor, its score, and the best anchors' features."""
        found = self.network.heads(contexts)
        share = found.logits.softmax(-1)[..., 1]
        cells = [c.permute(0, 2, 3, 1).reshape(len(share), -1, 64) for c in contexts]
        # Which cell, and so which head, an anchor belongs to.
        level = torch.cat([torch.full((2 * c.shape[1],), i) for i, c in enumerate(cells)])
        every = torch.cat([c.repeat_interleave(2, dim=1) for c in cells], dim=1)
        score, index = share.topk(ANCHORS, dim=1)
        boxes = priors((side, side))
        rows = torch.arange(len(share))
        points = decode_landmarks(found.landmarks[rows, index[:, 0]], boxes[index[:, 0]])
        features = every[rows[:, None], index]
        marked = torch.cat(
            [features, level[index][..., None], index[..., None] % 2, score[..., None]], dim=2
        )
        return points, score[:, 0].numpy(), marked.numpy()

    def _grids(self, maps: list[Tensor], points: Tensor) -> dict[str, FloatArray]:
        out: dict[str, FloatArray] = {}
        for level, (name, (stride, side)) in enumerate(GRIDS.items()):
            noise = self.rng.normal(0, 0.015, (len(points), 5, 2)).astype(np.float32)
            span = (points[:, 1] - points[:, 0]).norm(dim=1)[:, None, None]
            where = place(points + torch.from_numpy(noise) * span, self.solver, canvas_points(side))
            out[name] = torch.cat(
                [
                    sample(maps[level][i : i + 1], where[i : i + 1], stride=stride, side=side)
                    for i in range(len(points))
                ]
            ).numpy()
        return out

    def _small(
        self, wide: NDArray[np.uint8], shrink: FloatArray
    ) -> tuple[NDArray[np.uint8], FloatArray]:
        canvas = np.empty((len(wide), SMALL_CANVAS, SMALL_CANVAS, 3), np.uint8)
        offsets = np.zeros((len(wide), 1, 2), np.float32)
        for i, (picture, factor) in enumerate(zip(wide, shrink, strict=True)):
            size = round(picture.shape[0] * float(factor))
            less = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
            x, y = self.rng.integers(0, SMALL_CANVAS - size + 1, 2)
            canvas[i] = cv2.copyMakeBorder(
                less, y, SMALL_CANVAS - size - y, x, SMALL_CANVAS - size - x, cv2.BORDER_REPLICATE
            )
            offsets[i, 0] = x, y
        return canvas, offsets


def _repeat(picture: ImageArray, side: int) -> NDArray[np.uint8]:
    rest = side - SIDE - PAD
    return np.asarray(
        cv2.copyMakeBorder(picture, PAD, rest, PAD, rest, cv2.BORDER_REPLICATE), np.uint8
    )


def build(source: tuple[int, Iterator[Entry]], folder: Path, network: RetinaFace) -> None:
    """Write the cache of a source: one .npy file a thing, half precision for what the network says.

    Args:
        source: Number of entries, and the entries.
        folder: Made if needed.
        network: The frozen detector.
    """
    count, entries = source
    folder.mkdir(parents=True, exist_ok=True)
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        "pixels": ((SIDE, SIDE, 3), np.uint8),
        "landmarks": ((5, 2), np.float32),
        "scores": ((VARIANTS,), np.float32),
        "anchors": ((VARIANTS, ANCHORS, 67), np.float16),
        "labels": ((4,), np.float32),
        **{n: ((VARIANTS, CHANNELS[n], s, s), np.float16) for n, (_, s) in GRIDS.items()},
    }
    files = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=kind, shape=(count, *shape)
        )
        for name, (shape, kind) in shapes.items()
    }
    describe = Describer(network)
    entries = iter(tqdm(entries, total=count, unit="face"))
    for start in range(0, count, BATCH):
        some = [next(entries) for _ in range(min(BATCH, count - start))]
        rows = slice(start, start + len(some))
        pixels = np.stack(
            [cv2.resize(e.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for e in some]
        ).astype(np.uint8)
        files["pixels"][rows] = pixels
        files["labels"][rows] = [(e.female, e.age, e.group, e.years) for e in some]
        for name, value in describe(pixels).items():
            files[name][rows] = value
    for file in files.values():
        file.flush()


def main() -> None:
    """Build a cache."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=None, help="read so many at most")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    is_generated = args.source.is_dir() and bool(samples.shards(args.source))
    count, entries = (generated if is_generated else fairface)(args.source)
    limit = count if args.limit is None else min(count, args.limit)
    build((limit, entries), args.folder, load_onnx(WEIGHTS / "detector.onnx"))


if __name__ == "__main__":
    main()
