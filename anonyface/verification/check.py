"""Is the old face gone? Thresholds at known false match rates, and the comparison itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from anonyface.errors import WeightsMissing
from anonyface.types import Check, Crop, Encoder, FloatArray, ImageArray, Patch, Verify
from anonyface.verification.encoder import SFaceEncoder, cosine, embed, similarity

if TYPE_CHECKING:
    from anonyface.subjects import Subject

FalseMatchRate = Literal["1e-2", "1e-3", "1e-4"]
EncoderName = Literal["encoder", "second-encoder", "second-encoder, surroundings"]

Reading: TypeAlias = tuple[FloatArray, float | None]
"""A (d,) embedding, and its similarity to that of the mirror image if that is known."""

LARGE_PX = 85.0
"""Median height of the faces in lfw-dev: from here on the thresholds of whole photos hold."""


@cache
def _calibration(encoder: EncoderName) -> dict[str, Any]:
    path = Path(__file__).with_name("thresholds.json")
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))[encoder]
    except FileNotFoundError:
        raise WeightsMissing("thresholds", path) from None
    return record


def match_threshold(
    rate: FalseMatchRate, *, face_px: float | None = None, encoder: EncoderName = "encoder"
) -> float:
    """Similarity from which on two faces count as one person at a false match rate.

    Faces of few pixels all look alike to an encoder: the smaller they are, the more similar two
    strangers come out, and the higher the similarity that means anything. Between the calibrated
    sizes the threshold is interpolated.

    Calibrated on lfw-dev by ``benchmarks/calibrate.py``; the file names source and counts.

    Args:
        rate: False match rate.
        face_px: Height of both faces in pixels, None for faces large enough.
        encoder: Name of the encoder in the manifest.

    Raises:
        WeightsMissing: If the calibration is not there.
    """
    record = _calibration(encoder)
    full = float(record["fmr"][rate])
    if face_px is None:
        return full
    by_size = {float(size): points["fmr"][rate] for size, points in record["by_face_px"].items()}
    sizes = sorted(by_size)
    return float(np.interp(face_px, [*sizes, LARGE_PX], [*(by_size[s] for s in sizes), full]))


@dataclass(frozen=True, eq=False)
class Judge:
    """An encoder, and at which false match rate it takes two faces for one person.

    A *higher* false match rate makes a stricter judge of replacements: its threshold is lower, so
    the new face has to be farther from the old one.

    Attributes:
        name: Name of the encoder in the manifest; its thresholds are found by it.
        encoder: Gives embeddings of unit length.
        accepts_at: False match rate of the threshold.
        similarity: Compares two embeddings on the scale of the thresholds.
    """

    name: EncoderName
    encoder: Encoder
    accepts_at: FalseMatchRate
    similarity: Callable[[FloatArray, FloatArray], FloatArray] = similarity

    def read(self, image: ImageArray, landmarks: FloatArray) -> Reading:
        """Return a face's embedding, and its similarity to its own mirror image if that is known.

        Raises:
            FaceError: If the face can't be aligned or encoded.
        """
        embedding, views = embed(self.encoder, image, landmarks)
        return embedding, None if views is None else float(self.similarity(*views))

    def check(
        self,
        original: FloatArray,
        new: FloatArray,
        *,
        recognised: float | None,
        face_px: float,
    ) -> Check:
        """Compare an original face with what stands there now.

        Args:
            original: (d,) embedding of the original face.
            new: (d,) embedding of the replacement.
            recognised: Similarity of the original to its own mirror image, None if not known.
            face_px: Height of the face in pixels.
        """
        rate = self.accepts_at
        return Check(
            encoder=self.name,
            before=recognised,
            after=float(self.similarity(original, new)),
            threshold=match_threshold(rate, face_px=face_px, encoder=self.name),
            false_match_rate=float(rate),
        )


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the judges say of a replacement.

    Attributes:
        checks: One per judge that was asked; only the last one may have failed.
        embedding: (128,) of the new face under the first judge.
    """

    checks: tuple[Check, ...]
    embedding: FloatArray


class Verifier:
    """Asks one judge after the other whether an old face is gone; the first "no" ends it.

    Args:
        judges: The first one's encoder made the subjects' embeddings.
    """

    def __init__(self, judges: Sequence[Judge]) -> None:
        self.judges = tuple(judges)

    def __call__(
        self,
        original: ImageArray,
        subject: Subject,
        patch: Patch,
        crop: Crop,
        *,
        known: dict[EncoderName, Reading] | None = None,
    ) -> Verdict:
        """Compare a face with its replacement, at the landmarks where the original was.

        Args:
            original: (H, W, 3) the untouched photo.
            subject: The original face.
            patch: Its replacement.
            crop: Where the patch lies in the photo.
            known: What the judges said of the original in an earlier try; filled in.

        Raises:
            FaceError: If a face can't be encoded.
        """
        face = subject.face
        known = {} if known is None else known
        moved = face.landmarks + crop.matrix[:, 2].astype(np.float32)
        checks: list[Check] = []
        first: FloatArray | None = None
        for judge in self.judges:
            new = judge.encoder(patch.pixels, moved)
            if first is None:
                first, old, recognised = new, subject.embedding, subject.recognised
            else:
                if judge.name not in known:
                    known[judge.name] = judge.read(original, face.landmarks)
                old, recognised = known[judge.name]
            check = judge.check(old, new, recognised=recognised, face_px=face.size)
            checks.append(check)
            if not check.passed:
                break
        if first is None:
            raise ValueError("there is no judge")
        return Verdict(tuple(checks), first)


def built_in_judges(
    encoder: Encoder, *, verify: Verify = "normal", threads: int = 0
) -> tuple[Judge, ...]:
    """Return the judges of the product.

    Both encoders accept only below the similarity that one in 100 pairs of strangers reaches.
    "strict" asks a third time with hair, ears and background in view, which stay as they are: many
    faces of close portraits end covered then.

    Args:
        encoder: The first judge's encoder.
        verify: How far the old identity must be gone.
        threads: Threads for inference, 0 for all usable cores.

    Raises:
        WeightsError: If the second encoder's model is missing or corrupt.
    """
    alone = SFaceEncoder(sees="face", threads=threads)
    judges = [
        Judge("encoder", encoder, "1e-2"),
        Judge("second-encoder", alone, "1e-2", similarity=cosine),
    ]
    if verify == "strict":
        wide = SFaceEncoder(sees="surroundings", threads=threads)
        judges.append(Judge("second-encoder, surroundings", wide, "1e-3", similarity=cosine))
    return tuple(judges)
