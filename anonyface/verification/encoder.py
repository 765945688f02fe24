"""Who is it? Two networks unlike each other turn an aligned face into a point on a sphere.

The first, dlib's ResNet, also reads the face; the second, SFace, was trained on other data with
another loss and another alignment. Both decide who is protected and whether the old face is gone:
what one of them overlooks, the other may see.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonyface.errors import FaceError
from anonyface.protocols import Encoder
from anonyface.runtime import open_session, run
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.alignment import (
    ARCFACE_PX,
    ARCFACE_TEMPLATE,
    CHIP_PX,
    CHIP_TEMPLATE,
    align_chip,
)

Sees: TypeAlias = Literal["face", "upper face", "surroundings"]

EMBEDDING_DIMS = 128
GREY = np.float32(127.5)
"""What the second encoder takes for zero."""
FACE_CENTRE, FACE_RADII, FACE_RIM = (56.0, 72.0), (36.0, 42.0), 0.05
"""The ellipse of the face alone, pixels of a 112-px chip: what the swap replaces, and no narrower,
as the encoder tells people apart worse the less it sees."""
BARE_ABOVE, BARE_RIM = 0.55, 0.13
"""A medical mask begins here on the way from the eyes to the tip of the nose; over that share of
the way the picture fades to grey."""


@runtime_checkable
class MirrorEncoder(Protocol):
    """An `Encoder` that looks at a face twice, as it is and mirrored."""

    def __call__(self, image: ImageArray, landmarks: FloatArray, /) -> FloatArray:
        """Return the embedding of the face with these landmarks."""
        ...

    def chip(self, image: ImageArray, landmarks: FloatArray, /) -> ImageArray:
        """Cut out the aligned face the encoder reads."""
        ...

    def views(self, chip: ImageArray, /) -> FloatArray:
        """Return the (2, d) embeddings of a chip and of its mirror image."""
        ...


def embed(
    encoder: Encoder, image: ImageArray, landmarks: FloatArray
) -> tuple[FloatArray, FloatArray | None]:
    """Return a face's (d,) embedding and the two of picture and mirror image it was made of.

    The (2, d) views, each of length 1, are None where the encoder is none that looks twice.

    Raises:
        FaceError: If the face can't be aligned or encoded.
    """
    if not isinstance(encoder, MirrorEncoder):
        return encoder(image, landmarks), None
    views = encoder.views(encoder.chip(image, landmarks))
    return unit(views.sum(axis=0)), unit(views)


class DlibEncoder:
    """The built-in identity encoder, a `MirrorEncoder`.

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
        return unit(self.views(self.chip(image, landmarks)).sum(axis=0))

    def chip(self, image: ImageArray, landmarks: FloatArray, /) -> ImageArray:
        """Cut out the (150, 150, 3) aligned face.

        Raises:
            FaceError: If the landmarks are degenerate or outside of the image.
        """
        return align_chip(image, landmarks).pixels

    def views(self, chip: ImageArray, /) -> FloatArray:
        """Encode an aligned chip as it is and mirrored.

        Args:
            chip: (150, 150, 3) RGB uint8 from `align_chip`.

        Returns:
            (2, 128) embeddings as dlib gives them, not scaled.

        Raises:
            FaceError: If an embedding is not finite.
            BackendError: If onnxruntime fails.
        """
        return _encode(self._session, np.stack([chip, chip[:, ::-1]]))


class UpperFace:
    """The built-in encoder on what a medical mask leaves free; a `MirrorEncoder`.

    A mask that stays where it is makes any two people alike. Below the bridge of the nose all is
    grey here; thresholds are calibrated on such pictures.

    Args:
        encoder: The built-in encoder; its model is shared.
    """

    def __init__(self, encoder: DlibEncoder) -> None:
        self._whole = encoder

    def __call__(self, image: ImageArray, landmarks: FloatArray, /) -> FloatArray:
        """Encode one face: (128,) embedding of length 1.

        Raises:
            FaceError: If the landmarks are degenerate or outside of the image.
            BackendError: If onnxruntime fails.
        """
        return unit(self.views(self.chip(image, landmarks)).sum(axis=0))

    def chip(self, image: ImageArray, landmarks: FloatArray, /) -> ImageArray:
        """Cut out the (150, 150, 3) aligned face, grey below the bridge of the nose.

        Raises:
            FaceError: If the landmarks are degenerate or outside of the image.
        """
        chip = self._whole.chip(image, landmarks).astype(np.float32)
        grey = GREY + (chip - GREY) * bare_rows(CHIP_PX)
        return np.round(grey).astype(np.uint8)

    def views(self, chip: ImageArray, /) -> FloatArray:
        """Encode a chip as it is and mirrored, as `DlibEncoder.views` does."""
        return self._whole.views(chip)


class SFaceEncoder:
    """The second identity encoder: SFace (arXiv 2205.12010), 128-d.

    Anonymization leaves hair, ears and background as they are, and in one and the same photo an
    encoder recognises those, too: many photos still pass its threshold for one person with the
    whole face painted flat. With ``sees="face"`` everything outside of an ellipse
    from brows to chin is grey in both pictures, so that it judges what was replaced; with
    ``sees="upper face"`` so is what a medical mask hides.

    Args:
        sees: "face" for the face alone, "upper face" for the part of it above a mask,
            "surroundings" for the whole chip.
        threads: Threads the model may use; 0 for all usable cores.

    Raises:
        WeightsError: If the model file is missing or corrupt.
        BackendError: If onnxruntime can't open it.
    """

    def __init__(self, *, sees: Sees = "face", threads: int = 0) -> None:
        self._session = open_session("second-encoder", threads=threads)
        self._sees: Sees = sees

    def __call__(self, image: ImageArray, landmarks: FloatArray, /) -> FloatArray:
        """Encode one face: (128,) embedding of length 1.

        Raises:
            FaceError: If the landmarks are degenerate or outside of the image.
            BackendError: If onnxruntime fails.
        """
        chip = align_chip(image, landmarks, ARCFACE_PX, template=ARCFACE_TEMPLATE).pixels
        pixels = chip.astype(np.float32)
        if self._sees != "surroundings":
            pixels = GREY + (pixels - GREY) * face_ellipse()
        if self._sees == "upper face":
            pixels = GREY + (pixels - GREY) * bare_rows(ARCFACE_PX)
        return unit(_encode(self._session, pixels[None])[0])


@lru_cache(maxsize=1)
def face_ellipse() -> FloatArray:
    """(112, 112, 1) weight in [0, 1] of the face alone in a chip of the ArcFace template."""
    yy, xx = np.mgrid[0:ARCFACE_PX, 0:ARCFACE_PX].astype(np.float32)
    (x, y), (across, down) = FACE_CENTRE, FACE_RADII
    distance = np.hypot((xx - x) / across, (yy - y) / down)
    weight = np.clip((1 + FACE_RIM - distance) / (2 * FACE_RIM), 0, 1)
    return np.asarray(weight[..., None], np.float32)


@lru_cache(maxsize=2)
def bare_rows(size: int) -> FloatArray:
    """(size, 1, 1) weight in [0, 1] of the rows of a chip above a medical mask.

    Args:
        size: `CHIP_PX` or `ARCFACE_PX`, whose template it is for.
    """
    template = {CHIP_PX: CHIP_TEMPLATE, ARCFACE_PX: ARCFACE_TEMPLATE}[size]
    eyes, nose = template[:2, 1].mean(), template[2, 1]
    along = (np.arange(size) - eyes) / (nose - eyes)
    weight = np.clip((BARE_ABOVE - along) / BARE_RIM + 0.5, 0, 1)
    return np.asarray(weight[:, None, None], np.float32)


def _encode(session: Any, chips: NDArray[Any]) -> FloatArray:
    """Return what a network says of (n, h, w, 3) chips: (n, d)."""
    # NHWC => NCHW float32
    feed = np.ascontiguousarray(chips.transpose(0, 3, 1, 2), np.float32)
    (embeddings,) = run(session, {"chips": feed}, ["embedding"])
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


def cosine(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Return the cosine of the angle between embeddings of length 1: the second encoder's scale.

    Args:
        a: (128,) or (n, 128).
        b: (128,) or (n, 128); broadcast against ``a``.

    Returns:
        () or (n,) similarities: 1 for the same picture, about 0 for unrelated people.

    >>> cosine([0.6, 0.8], [[0.6, 0.8], [-0.8, 0.6]]).round(6).tolist()
    [1.0, 0.0]
    """
    product = np.asarray(a, np.float32) * np.asarray(b, np.float32)
    return np.asarray(product.sum(axis=-1), np.float32)
