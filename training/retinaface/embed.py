"""Add encoders' embeddings to a cache: ``python -m training.retinaface.embed CACHE``.

Two encoders that were shown millions of faces know more about them than twenty thousand labels can
teach. The refinement learns to tell their embeddings beside gender and age; only its inner
description keeps what it learnt by that.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from anonyface.errors import AnonyfaceError
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.encoder import DlibEncoder, SFaceEncoder
from training.retinaface.cache import PAD
from training.retinaface.faces import EMBEDDING, TEACHERS, CachedFaces

SAVED_EVERY = 500

Encode = Callable[[ImageArray, FloatArray], FloatArray]


def embed(folder: Path, name: str, encode: Encode, *, limit: int | None = None) -> None:
    """Write ``NAME.npy`` into a cache; faces that it holds already are left out.

    Args:
        folder: The cache.
        name: One of `faces.TEACHERS`.
        encode: Picture and landmarks to (128,) embedding.
        limit: Rows to embed at most, the first ones.
    """
    faces = CachedFaces(folder, pooled=False)
    path, out = folder / f"{name}.npy", faces.teachers[name].astype(np.float16)
    rows = [r for r in faces.found[:limit] if not np.isfinite(out[r]).all()]
    for done, row in enumerate(tqdm(rows, unit="face", disable=None), start=1):
        try:
            wide = cv2.copyMakeBorder(
                np.array(faces.pixels[row]), PAD, PAD, PAD, PAD, cv2.BORDER_REPLICATE
            )
            out[row] = encode(np.asarray(wide, dtype=np.uint8), faces.landmarks[row] + PAD)
        except AnonyfaceError:
            continue  # a face that can't be aligned teaches nothing
        if done % SAVED_EVERY == 0:
            np.save(path, out)
    np.save(path, out.reshape(-1, EMBEDDING))


def main() -> None:
    """Embed the faces of a cache with both encoders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cache", type=Path)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    encoders: tuple[Encode, ...] = (
        DlibEncoder(threads=args.threads),
        SFaceEncoder(sees="surroundings", threads=args.threads),
    )
    try:
        for name, encode in zip(TEACHERS, encoders, strict=True):
            embed(args.cache, name, encode, limit=args.limit)
    except AnonyfaceError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
