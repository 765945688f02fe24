"""Who compares the faces: encoders of identity, and readers of gender and age."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np
import onnxruntime as ort

from anonyface.errors import FaceError
from anonyface.identities.looks import LookReader
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.alignment import CHIP_PX, CHIP_TEMPLATE, align_chip, fit_similarity
from anonyface.verification.encoder import DlibEncoder
from benchmarks.identification import Metric

Embed: TypeAlias = Callable[[ImageArray, FloatArray], FloatArray]
Read: TypeAlias = Callable[[ImageArray, FloatArray], tuple[float, float]]

SECOND_PX = 224
SECOND_SCALE = 0.85
"""Size of the face in the second encoder's input, over its size in the built-in encoder's chip:
of 0.6 to 1.0 what gives the best true accept rate on clean pairs of lfw-dev."""
CAFFE_MEAN_RGB = np.array([123.68, 116.779, 103.939], np.float32)
"""Mean of the pictures its backbone was first trained on; with BGR it recognises better than as
documented (TAR at FAR 1e-3 on 120 clean pairs 0.88 against 0.80), so it is the harder judge."""
SecondInput: TypeAlias = Literal["rgb", "bgr-mean"]


@dataclass(frozen=True, eq=False)
class Judge:
    """An encoder under which faces are compared.

    Attributes:
        name: What the result calls it.
        embed: Image and (5, 2) landmarks -> (d,) embedding.
        dims: Length d.
        metric: How two embeddings are compared.
        used_inside: Whether the product itself decides by this model, so that a low score here
            proves little.
    """

    name: str
    embed: Embed
    dims: int
    metric: Metric
    used_inside: bool

    def __call__(self, image: ImageArray, landmarks: FloatArray | None) -> FloatArray:
        """(d,) embedding; NaN if there is no face or it can't be aligned."""
        missing = np.full(self.dims, np.nan, np.float32)
        if landmarks is None:
            return missing
        try:
            return np.asarray(self.embed(image, landmarks), np.float32)
        except FaceError:
            return missing


@dataclass(frozen=True, eq=False)
class AttributeReader:
    """Reads probability of female and years off a face.

    Attributes:
        name: What the result calls it.
        read: Image and (5, 2) landmarks -> probability of female, years.
        used_inside: Whether the product picks its identities by this model.
    """

    name: str
    read: Read
    used_inside: bool

    def __call__(self, image: ImageArray, landmarks: FloatArray | None) -> tuple[float, float]:
        """Probability of female and years; NaN if there is no face or it can't be aligned."""
        if landmarks is None:
            return np.nan, np.nan
        try:
            return self.read(image, landmarks)
        except FaceError:
            return np.nan, np.nan


class SecondEncoder:
    """An encoder from an ONNX file that the product does not use; see ``second_encoder.md``.

    Input (N, 224, 224, 3) float32 RGB 0-255; the first output is the embedding; outputs named
    "gender" (probability of male) and "age" (probabilities of years from 0) may follow.

    Args:
        path: The file.
        threads: Threads for inference.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        data = path.read_bytes()
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.input = self.session.get_inputs()[0].name
        blank = np.zeros((1, SECOND_PX, SECOND_PX, 3), np.float32)
        self.dims = self.session.run(self.outputs[:1], {self.input: blank})[0].size

    @property
    def reads_attributes(self) -> bool:
        """Whether it has outputs for gender and age."""
        return {"gender", "age"} <= set(self.outputs)

    def embed(
        self, image: ImageArray, landmarks: FloatArray, *, kind: SecondInput = "rgb"
    ) -> FloatArray:
        """(d,) sum of the embeddings of the face as it is and mirrored, each of length 1.

        Args:
            image: (H, W, 3) RGB uint8.
            landmarks: (5, 2) points x y.
            kind: "rgb" as documented for the file, or "bgr-mean", see `CAFFE_MEAN_RGB`.
        """
        both = self._run(image, landmarks, self.outputs[0], kind)
        return np.asarray((both / np.linalg.norm(both, axis=1, keepdims=True)).sum(axis=0))

    def attributes(self, image: ImageArray, landmarks: FloatArray) -> tuple[float, float]:
        """Probability of female and expected years."""
        male = self._run(image, landmarks, "gender", "rgb").mean()
        ages = self._run(image, landmarks, "age", "rgb").mean(axis=0)
        return float(1 - male), float(ages @ np.arange(len(ages)) / ages.sum())

    def _run(
        self, image: ImageArray, landmarks: FloatArray, output: str, kind: SecondInput
    ) -> FloatArray:
        """(2, d) output for the face as it is and mirrored."""
        chip = second_chip(image, landmarks).astype(np.float32)
        if kind == "bgr-mean":
            chip = (chip - CAFFE_MEAN_RGB)[..., ::-1]
        views = (chip, chip[:, ::-1])
        rows = [
            self.session.run([output], {self.input: np.ascontiguousarray(view[None])})[0]
            for view in views
        ]
        return np.concatenate(rows).reshape(2, -1)


def second_chip(image: ImageArray, landmarks: FloatArray) -> ImageArray:
    """(224, 224, 3) upright face with more around it than in the built-in encoder's chip.

    Raises:
        FaceError: If the landmarks are degenerate.
    """
    middle, factor = (CHIP_PX - 1) / 2, SECOND_SCALE * SECOND_PX / CHIP_PX
    matrix = fit_similarity(landmarks, (CHIP_TEMPLATE - middle) * factor + (SECOND_PX - 1) / 2)
    chip = cv2.warpAffine(image, matrix, (SECOND_PX, SECOND_PX), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(chip, np.uint8)


def built_in_judges(threads: int) -> list[Judge]:
    """Return the product's own encoder and the same network as published.

    Args:
        threads: Threads for inference.
    """
    encoder = DlibEncoder(threads=threads)

    def plain(image: ImageArray, landmarks: FloatArray) -> FloatArray:
        return np.asarray(encoder.views(align_chip(image, landmarks).pixels)[0], np.float32)

    return [
        Judge("built-in", encoder, 128, "euclidean", True),
        Judge("dlib, plain", plain, 128, "euclidean", True),
    ]


def second_judges(second: SecondEncoder) -> list[Judge]:
    """Return the second encoder as a judge: fed as documented, and as it recognises best.

    Args:
        second: The encoder.
    """
    return [
        Judge("second", second.embed, second.dims, "cosine", False),
        Judge(
            "second, bgr-mean", partial(second.embed, kind="bgr-mean"), second.dims, "cosine", False
        ),
    ]


def attribute_readers(second: SecondEncoder | None, threads: int) -> list[AttributeReader]:
    """Return who reads gender and age: an outsider if there is one, and the product's own models.

    Args:
        second: The second encoder, None if there is none.
        threads: Threads for inference.
    """
    looks = LookReader(threads=threads)

    def own(image: ImageArray, landmarks: FloatArray) -> tuple[float, float]:
        (traits,) = looks.traits([align_chip(image, landmarks).pixels])
        return traits.p_female, traits.age

    readers = [AttributeReader("built-in", own, True)]
    if second is not None and second.reads_attributes:
        readers.insert(0, AttributeReader("second", second.attributes, False))
    return readers
