"""People who stay: embeddings from the photos the caller gives."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from anonyface.errors import InputError
from anonyface.media.images import load_image
from anonyface.types import Detector, Encoder, FloatArray
from anonyface.verification.encoder import EMBEDDING_DIMS, unit

SURE_SCORE = 0.5


def load_references(
    protect: Sequence[Any] | Any, *, detector: Detector, encoder: Encoder
) -> FloatArray:
    """Turn the caller's references into embeddings.

    Args:
        protect: One or several of: anything `load_image` reads, showing exactly one face; or a
            float array of shape (128,) or (n, 128), embeddings of the built-in encoder.
        detector: Finds the face in a reference photo.
        encoder: Embeds it.

    Returns:
        (n, 128) float32 embeddings of length 1; n is 0 where nobody is protected.

    Raises:
        InputError: A reference can't be read, shows no face or several, or has a wrong shape.
    """
    items = _as_list(protect)
    rows = [_embed(item, k, detector, encoder) for k, item in enumerate(items)]
    return np.concatenate(rows) if rows else np.zeros((0, EMBEDDING_DIMS), dtype=np.float32)


def _as_list(protect: Sequence[Any] | Any) -> list[Any]:
    single = isinstance(protect, (str, bytes, PathLike, np.ndarray)) or hasattr(protect, "read")
    return [protect] if single or not isinstance(protect, Sequence) else list(protect)


def _embed(item: Any, index: int, detector: Detector, encoder: Encoder) -> FloatArray:
    name = str(item) if isinstance(item, (str, PathLike)) else f"reference {index}"
    if isinstance(item, np.ndarray) and item.dtype.kind == "f":
        rows = np.atleast_2d(item).astype(np.float32)
        if rows.ndim != 2 or rows.shape[1] != EMBEDDING_DIMS or not np.isfinite(rows).all():
            raise InputError(
                f"protect: {name} must be (n, {EMBEDDING_DIMS}) finite, got {item.shape}"
            )
        return unit(rows)
    image = load_image(item).pixels
    faces = [f for f in detector(image) if f.score >= SURE_SCORE]
    if len(faces) != 1:
        found = "no face" if not faces else f"{len(faces)} faces"
        raise InputError(f"protect: {name} shows {found}; a reference must show exactly one")
    return encoder(image, faces[0].landmarks)[None]
