"""Who is it? dlib's face recognition ResNet: an aligned chip becomes a point in 128 dimensions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from anonyface.errors import FaceError
from anonyface.runtime import open_session, run
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.alignment import align_chip

EMBEDDING_DIMS = 128


class DlibEncoder:
    """The built-in identity encoder, an `Encoder`.

    Each face is seen twice, as it is and mirrored; the embedding is the sum of what dlib's
    ``face_recognition_model_v1`` says of both, scaled to unit length. On lfw-dev that raises the
    true accept rate at FMR 1e-3 from 0.94 to 0.97 over the plain embedding.
    """

    def __init__(self, *, threads: int = 0) -> None:
        """Load the model.

        Args:
            threads: Threads the model may use; 0 for all usable cores.

        Raises:
            WeightsError: If the model file is missing or corrupt.
            BackendError: If onnxruntime can't open it.
        """
        self._session = open_session("encoder", threads=threads)

    def __call__(self, image: ImageArray, landmarks: FloatArray, /) -> FloatArray:
        """Encode one face.

        Args:
            image: (H, W, 3) RGB uint8.
            landmarks: (5, 2) points x y in pixels, in the order of `Face.landmarks`.

        Returns:
            (128,) embedding of length 1.

        Raises:
            FaceError: If the landmarks are degenerate or outside of the image.
            BackendError: If onnxruntime fails.
        """
        return unit(self.views(align_chip(image, landmarks).pixels).sum(axis=0))

    def views(self, chip: ImageArray) -> FloatArray:
        """Encode an aligned chip as it is and mirrored.

        Args:
            chip: (150, 150, 3) RGB uint8 from `align_chip`.

        Returns:
            (2, 128) embeddings as dlib gives them, not scaled.

        Raises:
            FaceError: If an embedding is not finite.
            BackendError: If onnxruntime fails.
        """
        both = np.stack([chip, chip[:, ::-1]])
        # NHWC uint8 => NCHW float32
        feed = np.ascontiguousarray(both.transpose(0, 3, 1, 2), np.float32)
        (embeddings,) = run(self._session, {"chips": feed}, ["embedding"])
        if not np.isfinite(embeddings).all():
            # A NaN compares as "nobody": it must not pass for a successful anonymization.
            raise FaceError("the encoder returned no finite embedding", stage="verification")
        return np.asarray(embeddings, np.float32)


def unit(vector: FloatArray) -> FloatArray:
    """Scale (..., d) vectors to length 1; a zero vector stays zero.

    >>> unit(np.array([3.0, 4.0], dtype=np.float32)).round(2).tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    return np.asarray(vector / np.maximum(length, 1e-12), np.float32)


def distance(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Return the Euclidean distance of embeddings, 0 for the same picture.

    Args:
        a: (128,) or (n, 128).
        b: (128,) or (n, 128); broadcast against ``a``.

    Returns:
        () or (n,) distances.

    >>> distance([[0.0, 3.0], [0.0, 0.0]], [4.0, 0.0]).tolist()
    [5.0, 4.0]
    """
    difference = np.asarray(a, np.float32) - np.asarray(b, np.float32)
    return np.asarray(np.linalg.norm(difference, axis=-1), np.float32)


def similarity(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Return 1 minus the distance: 1 for the same picture, below 0.5 for most unrelated people.

    From which similarity on two faces count as one person is calibrated, not chosen: see
    ``thresholds.json``, written by ``benchmarks/calibrate.py``. There is no lower bound at 0.

    Args:
        a: (128,) or (n, 128).
        b: (128,) or (n, 128); broadcast against ``a``.

    Returns:
        () or (n,) similarities.

    >>> similarity([0.6, 0.8], [[0.6, 0.8], [0.0, 0.0]]).round(6).tolist()
    [1.0, 0.0]
    """
    return np.asarray(1 - distance(a, b), np.float32)
