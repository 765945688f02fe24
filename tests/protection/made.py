"""Made-up faces and embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anonyface.protection.portrayal import Portrayal
from anonyface.protection.references import References
from anonyface.types import Face

Vector = NDArray[np.float32]


def face(x: float = 0, y: float = 0, size: float = 100) -> Face:
    """A face whose box begins at (x, y)."""
    points = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)
    box = np.array([x, y, x + 0.8 * size, y + size], np.float32)
    return Face(box, points * size / 100 + np.array([x, y], np.float32), 0.99)


def alike(base: Vector, other: Vector, similarity: float) -> Vector:
    """A unit vector this similar to ``base`` by the first encoder, turned to ``other``."""
    cosine = 1 - (1 - similarity) ** 2 / 2
    return np.asarray(cosine * base + np.sqrt(1 - cosine**2) * other, np.float32)


def seen(first: Vector | None, second: Vector | None = None) -> Portrayal | None:
    """What the encoders say of a face, None for one that can't be read."""
    return None if first is None else Portrayal(first, second)


def protected(
    rows: Sequence[Vector],
    people: tuple[str, ...] | None = None,
    *,
    second: Sequence[Vector] = (),
) -> References:
    """References "ref0", "ref1"..., each another person unless said."""
    names = tuple(f"ref{k}" for k in range(len(rows)))
    seconds = np.stack(second) if second else np.zeros((0, 128), np.float32)
    return References(np.stack(rows), names, people or names, second=seconds)
