"""Render and label portraits by the ten thousand: ``python -m training.samples DIR``.

The generator draws mostly light-skinned adults who face the camera. The regressors of
``training.latents`` and the pool of ``training.make_pool`` need everybody, so only the first shards
are drawn as they come. For the rest ridge regressors, fitted to the labels so far, choose among
many more latents: half of a shard fills the cells (gender x age x group x yaw) that are thinnest,
half lies nearest to looks drawn evenly from the whole range, up to the full reach of the generator.

A shard is written when it is complete and never changed. Several processes may fill one folder:
``--part 0/2`` and ``--part 1/2``.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from tqdm import tqdm

from anonyface.identities.generator import Generator
from anonyface.identities.people import GROUPS
from anonyface.types import FloatArray, ImageArray
from training.label import FIELDS, Labeller

SHARD = 256
AGE_EDGES = (10, 18, 30, 45, 58)
TURNED = (10, 25)
GROUP_WEIGHTS = np.array([2.0, 1, 1.5, 1, 1, 1, 1], dtype=np.float32)
"""Leaning of the regression's argmax: it is shy of the groups the generator rarely draws."""
CANDIDATES = 60_000
AS_THEY_COME, PSI, FAR_PSI = 2_560, (0.55, 0.9), (0.6, 1.0)
"""Portraits drawn before any are chosen, and the truncation of both kinds."""
RANGE = {
    "p_female": (0.0, 1.0),
    "age": (2.0, 78.0),
    "skin_tone": (-25.0, 65.0),
    "yaw": (-38.0, 38.0),
    "pitch": (-14.0, 16.0),
    "mouth_open": (0.0, 0.4),
    "smile": (0.45, 0.8),
    "eyes_open": (0.15, 0.5),
    "side_light": (-25.0, 25.0),
    "beard": (-5.0, 30.0),
}
"""Looks drawn evenly, in the units of `anonyface.types.Look`."""
JPEG_QUALITY = 92


@dataclass(frozen=True, eq=False)
class Samples:
    """Labelled portraits, one row each.

    Attributes:
        latents: (n, 512) float32, exact in half precision.
        embeddings: (n, 128) float32.
        rows: (n, len(FIELDS)) float32.
        meshes: (n, 468, 3) float32, pixels of the 256-px portrait.
        jpegs: The portraits.
    """

    latents: FloatArray
    embeddings: FloatArray
    rows: FloatArray
    meshes: FloatArray
    jpegs: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.latents)

    def pixels(self, row: int) -> ImageArray:
        """(256, 256, 3) RGB uint8 portrait."""
        stored = cv2.imdecode(np.frombuffer(self.jpegs[row], np.uint8), cv2.IMREAD_COLOR)
        return np.asarray(cv2.cvtColor(stored, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def column(rows: FloatArray, name: str) -> FloatArray:
    """One label of all rows."""
    return np.asarray(rows[:, FIELDS.index(name)])


def shards(folder: Path) -> list[Path]:
    """All complete shards of a folder, in order."""
    return sorted(folder.glob("shard-*.npz"))


def load(folder: Path) -> Samples:
    """Read all samples of a folder."""
    parts = [_read(p) for p in shards(folder)]
    if not parts:
        raise SystemExit(f"{folder} holds no samples: run python -m training.samples {folder}")
    names = ("latents", "embeddings", "rows", "meshes")
    arrays = {n: np.concatenate([getattr(p, n) for p in parts]) for n in names}
    return Samples(**arrays, jpegs=tuple(j for p in parts for j in p.jpegs))


def _read(path: Path) -> Samples:
    with np.load(path, allow_pickle=False) as data:
        arrays = {n: data[n].astype(np.float32) for n in ("latents", "embeddings", "meshes")}
        ends = np.cumsum(data["lengths"])
        whole = data["jpegs"].tobytes()
        jpegs = tuple(whole[e - n : e] for e, n in zip(ends, data["lengths"], strict=True))
        order = [[str(f) for f in data["fields"]].index(name) for name in FIELDS]
        return Samples(rows=data["rows"].astype(np.float32)[:, order], jpegs=jpegs, **arrays)


def _write(path: Path, found: Samples) -> None:
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(
            file,
            latents=found.latents.astype(np.float16),
            embeddings=found.embeddings.astype(np.float16),
            rows=found.rows,
            fields=np.array(FIELDS),
            meshes=found.meshes.astype(np.float16),
            jpegs=np.frombuffer(b"".join(found.jpegs), np.uint8),
            lengths=np.array([len(j) for j in found.jpegs], np.int64),
        )
    os.replace(partial, path)


def cells(rows: FloatArray) -> NDArray[np.int64]:
    """Cell index of each row: gender x age x group x how far turned."""
    out = (column(rows, "p_female") > 0.5).astype(np.int64)
    out = out * (len(AGE_EDGES) + 1) + np.digitize(column(rows, "age"), AGE_EDGES)
    groups = np.stack([column(rows, g) for g in GROUPS], axis=1) * GROUP_WEIGHTS
    out = out * len(GROUPS) + groups.argmax(axis=1)
    return out * (len(TURNED) + 1) + np.digitize(np.abs(column(rows, "yaw")), TURNED)


def draw(
    generator: Generator,
    mean: FloatArray,
    count: int,
    psi: tuple[float, float],
    rng: np.random.Generator,
) -> FloatArray:
    """(count, 512) truncated latents, psi uniform between the two limits."""
    w = generator.map(rng.standard_normal((count, 512)).astype(np.float32))
    share = rng.uniform(*psi, (count, 1)).astype(np.float32)
    return np.asarray(mean + share * (w - mean), dtype=np.float32)


def thinnest(
    have: FloatArray, predicted: FloatArray, count: int, rng: np.random.Generator
) -> list[int]:
    """Choose candidates for the cells with the fewest people, one cell after the other."""
    size = 2 * (len(AGE_EDGES) + 1) * len(GROUPS) * (len(TURNED) + 1)
    filled = np.bincount(cells(have), minlength=size).astype(float)
    usable = (column(predicted, "clear") > 0.75) & (column(predicted, "eyewear") < 0.6)
    where = cells(predicted)
    queues = {c: list(rng.permutation(np.flatnonzero(usable & (where == c)))) for c in range(size)}
    chosen: list[int] = []
    while len(chosen) < count and any(queues.values()):
        cell = min((c for c in queues if queues[c]), key=lambda c: filled[c])
        chosen.append(int(queues[cell].pop()))
        filled[cell] += 1
    return chosen


def evenly(
    predicted: FloatArray, count: int, but: list[int], rng: np.random.Generator
) -> list[int]:
    """Choose the candidates nearest to looks drawn evenly from `RANGE`, but none of some."""
    limits = np.array(list(RANGE.values()), dtype=np.float32)
    span = limits[:, 1] - limits[:, 0]
    have = np.stack([column(predicted, n) for n in RANGE], axis=1) / span
    chosen: list[int] = []
    for wanted in rng.uniform(limits[:, 0], limits[:, 1], (count, len(RANGE))) / span:
        # A look names only some of its sides, or the rest would outvote them.
        named = rng.random(len(RANGE)) < 0.5
        off = np.square(have - wanted) @ named.astype(np.float32)
        off[but + chosen] = np.inf
        chosen.append(int(off.argmin()))
    return chosen


def choose(
    folder: Path, generator: Generator, mean: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """(SHARD, 512) latents for the next shard, given what the folder holds."""
    done = [_read(p) for p in shards(folder)]
    if sum(map(len, done)) < AS_THEY_COME:
        return draw(generator, mean, SHARD, PSI, rng)
    w = np.concatenate([d.latents for d in done])
    rows = np.concatenate([d.rows for d in done])
    model = Ridge(alpha=20.0).fit(w - mean, rows)
    candidates = draw(generator, mean, CANDIDATES, FAR_PSI, rng)
    predicted = np.asarray(model.predict(candidates - mean), dtype=np.float32)
    chosen = thinnest(rows, predicted, SHARD // 2, rng)
    return candidates[chosen + evenly(predicted, SHARD - len(chosen), chosen, rng)]


def label_all(labeller: Labeller, latents: FloatArray) -> Samples:
    """Label portraits, leaving out those that show no sure face."""
    kept, found, jpegs = [], [], []
    for w in latents.astype(np.float16).astype(np.float32):
        labelled = labeller(w)
        if labelled is not None:
            bgr = cv2.cvtColor(labelled.pixels, cv2.COLOR_RGB2BGR)
            jpegs.append(
                cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
            )
            kept.append(w)
            found.append(labelled)
    return Samples(
        latents=np.stack(kept),
        embeddings=np.stack([f.embedding for f in found]),
        rows=np.stack([f.row for f in found]),
        meshes=np.stack([f.mesh.points for f in found]),
        jpegs=tuple(jpegs),
    )


def mean_latent(generator: Generator) -> FloatArray:
    """(512,) mean of 16,384 styles: the centre of truncation."""
    z = np.random.default_rng(20).standard_normal((16384, 512)).astype(np.float32)
    return np.asarray(generator.map(z).mean(axis=0), dtype=np.float32)


def main() -> None:
    """Fill a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=20_480, help="portraits in all")
    parser.add_argument("--part", default="0/1", help="which share of the shards, as 0/2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=20)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    part, parts = (int(v) for v in args.part.split("/"))
    labeller = Labeller(threads=args.threads)
    mean = mean_latent(labeller.generator)
    for number in tqdm(range(part, args.count // SHARD, parts), unit="shard"):
        path = args.folder / f"shard-{number:04d}.npz"
        if not path.exists():
            rng = np.random.default_rng([args.seed, number])
            _write(path, label_all(labeller, choose(args.folder, labeller.generator, mean, rng)))


if __name__ == "__main__":
    main()
