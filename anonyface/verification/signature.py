"""A face as the first encoder knows it: whole, and above a mask if it wears one."""

from __future__ import annotations

from dataclasses import dataclass

from anonyface.types import FloatArray
from anonyface.verification.encoder import similarity
from anonyface.verification.thresholds import EncoderName, FalseMatchRate, match_threshold


@dataclass(frozen=True, eq=False)
class Signature:
    """Who somebody is.

    Two people in like masks resemble each other as wholes: they are compared by what is bare.

    Attributes:
        whole: (128,) embedding of the face.
        upper: (128,) embedding of the face above a medical mask; None where none is worn.
    """

    whole: FloatArray
    upper: FloatArray | None = None

    def resemblance(self, other: Signature) -> tuple[float, EncoderName]:
        """Return a similarity, and by whose thresholds it counts."""
        if self.upper is not None and other.upper is not None:
            return float(similarity(self.upper, other.upper)), "encoder, upper face"
        return float(similarity(self.whole, other.whole)), "encoder"

    def matches(self, other: Signature, rate: FalseMatchRate, *, face_px: float) -> bool:
        """Whether both count as one person.

        Args:
            other: Whom to compare with.
            rate: False match rate of the threshold.
            face_px: Height of the smaller face in pixels.
        """
        score, encoder = self.resemblance(other)
        return score >= match_threshold(rate, face_px=face_px, encoder=encoder)
