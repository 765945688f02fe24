"""What the judges see in everybody of the pool: ``python -m training.see_pool``.

Both encoders judge whether an old face is gone, of people in masks by what is bare. Knowing before
a portrait is rendered how like the original they will find somebody saves portraits, and covers.
Run it whenever the pool has changed.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from anonyface.detection.retinaface import MIRROR_ORDER
from anonyface.identities.generator import Generator
from anonyface.identities.people import VIEWS, load_pool, portrait_face
from anonyface.landmarks.mesh import FaceMesh, five_points
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.check import encoders_by_name
from anonyface.verification.encoder import unit
from anonyface.verification.thresholds import EncoderName
from training.manifest import WEIGHTS, record

SIZE: Literal[256] = 256
LARGEST = 40
"""Largest whole number stored: finer ones would make a larger file of the same use."""
FLIP, SHIFT = np.array([-1, 1], np.float32), np.array([SIZE - 1, 0], np.float32)


class Viewer:
    """Renders people and reads them as the judges do.

    Args:
        judges: Under whose names.
        threads: Threads for inference.
    """

    def __init__(self, judges: Sequence[EncoderName] = VIEWS, *, threads: int = 1) -> None:
        self.generator, self.mesh = Generator(threads=threads), FaceMesh(threads=threads)
        self.encoders = list(encoders_by_name(judges, threads=threads).values())

    def __call__(self, w: FloatArray) -> FloatArray:
        """(len(judges), 128) embeddings of length 1 of the portrait of a (512,) latent.

        Each is the sum of those of the portrait and of its mirror image, as people are given out
        either way.
        """
        pixels = self.generator.render(w, size=SIZE)
        points = five_points(self.mesh(pixels, [portrait_face(SIZE)])[0].points)
        mirrored = points[list(MIRROR_ORDER)] * FLIP + SHIFT
        image: ImageArray = np.ascontiguousarray(pixels[:, ::-1])
        return np.stack([unit(e(pixels, points) + e(image, mirrored)) for e in self.encoders])


_viewer: Viewer | None = None


def view_one(w: FloatArray) -> FloatArray:
    """View one person; the models are opened once a process."""
    global _viewer
    if _viewer is None:
        _viewer = Viewer()
    return _viewer(w)


def view_all(latents: FloatArray, workers: int) -> FloatArray:
    """(n, len(VIEWS), 128) of (n, 512) latents."""
    with ProcessPoolExecutor(workers) as pool:
        views = pool.map(view_one, latents, chunksize=16)
        return np.stack(list(tqdm(views, total=len(latents), desc="viewing", mininterval=10)))


def narrow(views: FloatArray) -> tuple[NDArray[np.int8], float]:
    """Store embeddings in few bits: whole numbers, and what they are to be multiplied with."""
    scale = float(np.abs(views).max()) / LARGEST
    return np.round(views / scale).astype(np.int8), scale


def main() -> None:
    """View, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    people = load_pool(views=False)
    views = view_all(people.latents, args.workers)
    stored, scale = narrow(views)
    path = WEIGHTS / "pool-views.npz"
    np.savez_compressed(path, views=stored, scale=np.float32(scale))
    lost = 1 - (unit(stored.astype(np.float32)) * views).sum(axis=-1)
    figures = {
        "people": str(len(people)),
        "cosine lost by rounding, largest": f"{float(lost.max()):.1e}",
    }
    record("pool-views", path, figures)
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
