"""One photo of one person -> who it is, or a clear word on why the photo will not do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from anonyface.detection.retinaface import SURE_SCORE
from anonyface.errors import FaceError, InputError
from anonyface.media.images import load_image
from anonyface.protection.portrayal import Portrayer
from anonyface.protection.quality import MIN_FACE_PX, measure_quality, refusal, weakness
from anonyface.protocols import Detector
from anonyface.types import Face, FloatArray, ImageArray, freeze
from anonyface.verification.encoder import EMBEDDING_DIMS, unit

CROP_FACTOR = 1.3
"""Side of the crops of `SeveralFaces`, in sizes of the face: the head, and little of neighbours, so
that a crop may serve as reference."""
AT_BORDER = 0.02
"""A face whose box comes so near the border, in sizes of the face, is cut off by it."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What one reference gives.

    Attributes:
        embeddings: (n, 128) float32 of length 1: one row for a photo.
        second: (n, 128) likewise, from the second encoder; NaN where it is not known.
        face_px: Height in pixels whose thresholds hold, None where it is not known.
        notes: What is wrong with a reference that was accepted all the same.
    """

    embeddings: FloatArray
    second: FloatArray
    face_px: float | None = None
    notes: tuple[str, ...] = ()


class SeveralFaces(InputError):
    """A reference photo shows several people.

    Attributes:
        name: What the reference is called.
        faces: Boxes x0 y0 x1 y1 in whole pixels of the upright photo, from left to right.
        crops: RGB uint8 pictures of these faces.
    """

    def __init__(self, name: str, faces: Sequence[Face], image: ImageArray) -> None:
        ordered = sorted(faces, key=lambda face: float(face.box[0]))
        self.name = name
        self.faces = [tuple(round(float(v)) for v in face.box) for face in ordered]
        self.crops = [cut_face(image, face) for face in ordered]
        boxes = ", ".join(str(list(box)) for box in self.faces)
        super().__init__(
            f"{name} shows {len(faces)} faces, at boxes {boxes}; a reference must show "
            "exactly one: crop it"
        )


def read_reference(item: Any, name: str, *, detector: Detector, portray: Portrayer) -> Reading:
    """Turn one reference into embeddings.

    Faces too small to recognise anybody by don't count, nor do those that the border of the picture
    cuts off and that are smaller than the largest face: so one can crop a photo around a person.

    Args:
        item: Anything `load_image` reads, or a float array of embeddings, (128,) or (n, 128) of the
            first encoder, or (256,) or (n, 256) of the first and the second side by side.
        name: What to call it in errors and notes.
        detector: Finds the face.
        portray: Encodes it.

    Raises:
        SeveralFaces: More than one face in the photo could be meant.
        InputError: It can't be read, shows no face, or one that nobody can be recognised by; or the
            embeddings have another shape, are not finite or zero.
    """
    if isinstance(item, np.ndarray) and item.dtype.kind == "f":
        return Reading(*_embeddings(item, name))
    image = load_image(item).pixels
    sure = [face for face in detector(image) if face.score >= SURE_SCORE]
    if not sure:
        raise InputError(f"{name} shows no face; a reference must show exactly one")
    meant = _meant(sure, image.shape[:2])
    if len(meant) > 1:
        raise SeveralFaces(name, meant, image)
    face = meant[0]
    try:
        quality = measure_quality(image, face)
        problem = refusal(quality)
        if problem is not None:
            raise InputError(f"{name} can't be used: {problem}")
        portrayal = portray(image, face.landmarks)
    except FaceError as error:
        raise InputError(f"{name} can't be used: {error}") from error
    weak = weakness(quality)
    notes = () if weak is None else (f"{name}: {weak}",)
    known = [row for row in (portrayal.first, portrayal.second) if row is not None]
    return Reading(*_embeddings(np.concatenate(known), name), quality.effective_px, notes)


def _meant(faces: Sequence[Face], image_hw: tuple[int, ...]) -> list[Face]:
    """Return the faces that a reference may be meant to show: at least the largest one."""
    largest = max(faces, key=lambda face: face.size)

    def aside(face: Face) -> bool:
        x0, y0, x1, y1 = face.box
        room = min(x0, y0, image_hw[1] - 1 - x1, image_hw[0] - 1 - y1)
        cut_off = room < AT_BORDER * face.size and face.size < largest.size
        return bool(cut_off or face.size < MIN_FACE_PX)

    return [face for face in faces if face is largest or not aside(face)]


def display_name(item: Any, number: int) -> str:
    """What to call a reference in errors: its path, or its number counted from 0."""
    return str(item) if isinstance(item, (str, PathLike)) else f"reference {number}"


def listed(references: Any) -> list[Any]:
    """Return one or several references as a list."""
    single = isinstance(references, (str, bytes, bytearray, memoryview, PathLike, np.ndarray))
    if single or hasattr(references, "read") or not isinstance(references, Sequence):
        return [references]
    return list(references)


def cut_face(image: ImageArray, face: Face, factor: float = CROP_FACTOR) -> ImageArray:
    """Cut a square around a face out of an image, as far as the image reaches.

    Args:
        image: (H, W, 3) RGB uint8.
        face: The face in it.
        factor: Side of the square in sizes of the face.

    Returns:
        A copy of at least one pixel.
    """
    height, width = image.shape[:2]
    half = factor * max(face.size, 1.0) / 2
    x, y = (face.box[:2] + face.box[2:]) / 2
    x0, x1 = (int(np.clip(v, 0, width)) for v in (np.floor(x - half), np.ceil(x + half)))
    y0, y1 = (int(np.clip(v, 0, height)) for v in (np.floor(y - half), np.ceil(y + half)))
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    return np.array(image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)])


def _embeddings(values: Any, name: str) -> tuple[FloatArray, FloatArray]:
    """Return rows of length 1 of the first and of the second encoder, NaN where there are none.

    Raises:
        InputError: If they are none of the encoders'.
    """
    rows = np.atleast_2d(np.asarray(values, np.float32))
    widths = (EMBEDDING_DIMS, 2 * EMBEDDING_DIMS)
    if rows.ndim != 2 or rows.shape[1] not in widths or not np.isfinite(rows).all():
        raise InputError(
            f"{name} must be (n, {widths[0]}) or (n, {widths[1]}) finite, got {np.shape(values)}"
        )
    first, second = rows[:, :EMBEDDING_DIMS], rows[:, EMBEDDING_DIMS:]
    if not second.shape[1]:
        second = np.full_like(first, np.nan)
    if not (np.linalg.norm(first, axis=1).all() and np.linalg.norm(second, axis=1).all()):
        raise InputError(f"{name} has an embedding of length 0")
    shape = (None, EMBEDDING_DIMS)
    return freeze(unit(first), np.float32, shape, name), freeze(
        unit(second), np.float32, shape, name
    )
