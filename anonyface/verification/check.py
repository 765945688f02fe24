"""Is the old face gone? Unlike encoders compare it with what stands there now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from anonyface.protocols import Encoder
from anonyface.result import Check
from anonyface.types import Crop, FloatArray, ImageArray, Patch, Verify
from anonyface.verification.encoder import (
    DlibEncoder,
    SFaceEncoder,
    UpperFace,
    cosine,
    embed,
    similarity,
)
from anonyface.verification.signature import Signature
from anonyface.verification.thresholds import EncoderName, FalseMatchRate, match_threshold

if TYPE_CHECKING:
    from anonyface.subjects import Subject

VERIFY_FACE_PX = 24
"""Below this the encoders can't tell people apart, neither before nor after: nothing to verify."""
Reading: TypeAlias = tuple[FloatArray, float | None]
"""A (d,) embedding, and its similarity to that of the mirror image if that is known."""


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
        signature: Who the new face is under the first judge.
    """

    checks: tuple[Check, ...]
    signature: Signature


class Verifier:
    """Asks one judge after the other whether an old face is gone; the first "no" ends it.

    A medical mask stays on, and any two people in the same mask are alike to an encoder: people
    who wear one are judged by what it leaves bare.

    Args:
        judges: The first one's encoder made the subjects' embeddings.
        masked: The judges of people in masks, the first one's encoder made the subjects'
            embeddings of the upper face; empty: the same as of everybody.

    Raises:
        ValueError: If there is no judge.
    """

    def __init__(self, judges: Sequence[Judge], *, masked: Sequence[Judge] = ()) -> None:
        if not judges:
            raise ValueError("there is no judge")
        self.judges, self.masked = tuple(judges), tuple(masked)

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
        for name, embedding in subject.seen.items():
            known.setdefault(name, (embedding, None))
        moved = face.landmarks + crop.matrix[:, 2].astype(np.float32)
        judges = self.judges
        known[judges[0].name] = subject.embedding, subject.recognised
        if subject.upper is not None and self.masked:
            judges = self.masked
            known[judges[0].name] = subject.upper, None
        new: dict[EncoderName, FloatArray] = {}
        checks: list[Check] = []
        for judge in judges:
            new[judge.name] = judge.encoder(patch.pixels, moved)
            if judge.name not in known:
                known[judge.name] = judge.read(original, face.landmarks)
            old, recognised = known[judge.name]
            check = judge.check(old, new[judge.name], recognised=recognised, face_px=face.size)
            checks.append(check)
            if not check.passed:
                break
        first = self.judges[0]
        if first.name not in new:
            new[first.name] = first.encoder(patch.pixels, moved)
        upper = new[judges[0].name] if judges is self.masked else None
        return Verdict(tuple(checks), Signature(new[first.name], upper))


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


def masked_judges(upper: UpperFace | None, *, threads: int = 0) -> tuple[Judge, ...]:
    """Return the judges of people in medical masks: both encoders, on the face above the mask.

    Args:
        upper: The built-in encoder on the upper face; None where another encoder decides, which
            is not calibrated for that: then there are none.
        threads: Threads for inference, 0 for all usable cores.

    Raises:
        WeightsError: If the second encoder's model is missing or corrupt.
    """
    if upper is None:
        return ()
    second = SFaceEncoder(sees="upper face", threads=threads)
    return (
        Judge("encoder, upper face", upper, "1e-2"),
        Judge("second-encoder, upper face", second, "1e-2", similarity=cosine),
    )


def encoders_by_name(
    names: Iterable[EncoderName], *, threads: int = 0
) -> dict[EncoderName, Encoder]:
    """Return the built-in encoders that thresholds are known of, as the judges use them.

    Args:
        names: Of which.
        threads: Threads for inference, 0 for all usable cores.

    Raises:
        WeightsError: If a model is missing or corrupt.
    """
    first = DlibEncoder(threads=threads)
    known: dict[EncoderName, Callable[[], Encoder]] = {
        "encoder": lambda: first,
        "second-encoder": lambda: SFaceEncoder(sees="face", threads=threads),
        "second-encoder, surroundings": lambda: SFaceEncoder(sees="surroundings", threads=threads),
        "encoder, upper face": lambda: UpperFace(first),
        "second-encoder, upper face": lambda: SFaceEncoder(sees="upper face", threads=threads),
    }
    return {name: known[name]() for name in names}
