"""Encoders that the product never uses, from ONNX files: how each of them wants its faces.

What the files are and how to make them is in ``benchmarks/encoders.md``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.runtime import engine
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.alignment import (
    ARCFACE_PX,
    ARCFACE_TEMPLATE,
    CHIP_PX,
    CHIP_TEMPLATE,
    fit_similarity,
)
from anonyface.verification.encoder import unit

ort = engine()

Pixels: TypeAlias = Callable[[FloatArray], FloatArray]

CAFFE_MEAN_RGB = np.array([123.68, 116.779, 103.939], np.float32)
"""Mean of the pictures FaceRes' backbone was first trained on; with BGR it recognises better than
as documented (TAR at FAR 1e-3 on 120 clean pairs 0.88 against 0.80), so it is the harder judge."""


@dataclass(frozen=True, eq=False)
class Feed:
    """How a file wants its faces.

    Attributes:
        name: What the results call it.
        px: Side of the input.
        template: (5, 2) where the landmarks go, in pixels of the input.
        pixels: RGB 0-255 -> what the network gets.
        note: What it is.
    """

    name: str
    px: int
    template: NDArray[np.float64]
    pixels: Pixels
    note: str


def place(
    template: NDArray[np.float64], side: int, px: int, *, scale: float = 1.0, up: float = 0.0
) -> NDArray[np.float64]:
    """Move a template of landmarks to another input size.

    Args:
        template: (5, 2) in pixels of a chip of ``side``.
        side: Side of that chip.
        px: Side of the input.
        scale: Size of the face in the input over its size in the chip, about the centre.
        up: Pixels by which the face then goes up.

    >>> place(np.array([[0.0, 0.0], [99.0, 99.0]]), 100, 200).tolist()
    [[0.5, 0.5], [198.5, 198.5]]
    """
    grown = (template - (side - 1) / 2) * (scale * px / side) + (px - 1) / 2
    return np.asarray(grown - np.array([0.0, up]), np.float64)


def _as_it_is(rgb: FloatArray) -> FloatArray:
    return rgb


def _bgr_mean(rgb: FloatArray) -> FloatArray:
    return np.asarray((rgb - CAFFE_MEAN_RGB)[..., ::-1], np.float32)


def _centred(rgb: FloatArray) -> FloatArray:
    return np.asarray((rgb - 127.5) / 128, np.float32)


# FaceRes: of face sizes 0.6 to 1.0, and for FaceNet of scales and shifts, what gives the best true
# accept rate on clean pairs of lfw-dev (encoders.md).
_FACERES = place(CHIP_TEMPLATE, CHIP_PX, 224, scale=0.85)
_FACENET = place(ARCFACE_TEMPLATE, ARCFACE_PX, 160, scale=0.9, up=6)

OUTSIDE: dict[str, tuple[Feed, ...]] = {
    "faceres": (
        Feed("FaceRes", 224, _FACERES, _as_it_is, "never inside; fed as documented"),
        Feed(
            "FaceRes, bgr-mean", 224, _FACERES, _bgr_mean, "never inside; fed as it recognises best"
        ),
    ),
    "mobilefacenet": (
        Feed("MobileFaceNet", ARCFACE_PX, ARCFACE_TEMPLATE, _centred, "never inside"),
    ),
    "facenet": (Feed("FaceNet", 160, _FACENET, _centred, "never inside"),),
}
"""Name on the command line -> how to feed the file."""


class OutsideEncoder:
    """An encoder from a file: input (N, px, px, 3) float32, its first output the embedding.

    Outputs named "gender" (probability of male) and "age" (probabilities of years from 0) may
    follow.

    Args:
        name: Key of `OUTSIDE`.
        path: The file.
        threads: Threads for inference.
    """

    def __init__(self, name: str, path: Path, *, threads: int) -> None:
        self.name, self.feeds = name, OUTSIDE[name]
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        data = path.read_bytes()
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.input = self.session.get_inputs()[0].name
        px = self.feeds[0].px
        blank = np.zeros((1, px, px, 3), np.float32)
        self.dims = self.session.run(self.outputs[:1], {self.input: blank})[0].size

    @property
    def reads_attributes(self) -> bool:
        """Whether it has outputs for gender and age."""
        return {"gender", "age"} <= set(self.outputs)

    def embed(self, image: ImageArray, landmarks: FloatArray, *, feed: Feed) -> FloatArray:
        """(d,) sum of the embeddings of the face as it is and mirrored, each of length 1.

        Args:
            image: (H, W, 3) RGB uint8.
            landmarks: (5, 2) points x y.
            feed: One of ``feeds``.

        Raises:
            FaceError: If the landmarks are degenerate.
        """
        (both,) = self._run(image, landmarks, self.outputs[:1], feed)
        return np.asarray(unit(both).sum(axis=0), np.float32)

    def attributes(self, image: ImageArray, landmarks: FloatArray) -> tuple[float, float]:
        """Probability of female and expected years, mean of the face as it is and mirrored.

        Raises:
            FaceError: If the landmarks are degenerate.
        """
        male, ages = self._run(image, landmarks, ["gender", "age"], self.feeds[0])
        mean = ages.mean(axis=0)
        return float(1 - male.mean()), float(mean @ np.arange(len(mean)) / mean.sum())

    def _run(
        self, image: ImageArray, landmarks: FloatArray, outputs: list[str], feed: Feed
    ) -> list[FloatArray]:
        """(2, d) of every output, for the face as it is and mirrored."""
        seen = feed.pixels(cut(image, landmarks, feed).astype(np.float32))
        rows = [
            self.session.run(outputs, {self.input: np.ascontiguousarray(view[None])})
            for view in (seen, seen[:, ::-1])
        ]
        return [np.concatenate(parts).reshape(2, -1) for parts in zip(*rows, strict=True)]


def cut(image: ImageArray, landmarks: FloatArray, feed: Feed) -> ImageArray:
    """(px, px, 3) upright face as a feed wants it.

    Raises:
        FaceError: If the landmarks are degenerate.
    """
    matrix = fit_similarity(landmarks, feed.template)
    size = (feed.px, feed.px)
    return np.asarray(
        cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
