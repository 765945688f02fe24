"""What a call returns: the image, what became of every face in it, and the scores that say so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from anonyface.types import Action, Face, Identity, ImageArray, Look, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from anonyface.media.images import Source
    from anonyface.media.signing import C2paSigner


@dataclass(frozen=True)
class Match:
    """How a face compares with the protected people.

    Attributes:
        verdict: "keep" from the sure threshold on, "unsure" between the two, else "replace".
        score: Highest similarity to a reference.
        reference: Name of that reference, e.g. ``"me.jpg"`` or a name in a `Gallery`.
        sure: Similarity from which on the face counts as the protected person.
        unsure: Similarity from which on it might be.
        false_match_rate: Share of strangers who reach ``sure``.
    """

    verdict: Verdict
    score: float
    reference: str
    sure: float
    unsure: float
    false_match_rate: float


@dataclass(frozen=True)
class Check:
    """What one encoder says of a replaced face.

    Attributes:
        encoder: Name of the encoder in the manifest of models.
        before: Similarity of the original face and its own mirror image: the score of somebody who
            is recognised. None if it was not measured.
        after: Similarity of the original face and what stands there now.
        threshold: Similarity below which the replacement is accepted.
        false_match_rate: Share of pairs of strangers that reach the threshold.
    """

    encoder: str
    before: float | None
    after: float
    threshold: float
    false_match_rate: float

    @property
    def passed(self) -> bool:
        """Whether the encoder no longer takes the two for one person."""
        return self.after < self.threshold


@dataclass(frozen=True, eq=False)
class FaceOutcome:
    """What became of one face.

    Attributes:
        face: The face as it was found.
        action: "replaced" by a nobody, "redacted" (covered) or "kept".
        reason: Why, in a short sentence.
        similarity_before: What the built-in encoder gives the original face against its own mirror
            image: the score of somebody who is recognised. None when it was not measured.
        similarity_after: What it gives the original face against what stands there now. None when
            it was not measured (kept and covered faces).
        threshold: Similarity from which on two faces count as one person. None if not measured.
        identity: The synthetic person put on, None unless replaced.
        match: How the face compares with the protected people, None if nobody is protected.
        checks: What each encoder says of the replacement; the first one is the built-in one, whose
            figures the three attributes above repeat.
        look: How the original face reads: what was asked of the identity. None if not read.
        redraws: Identities tried and rejected before this outcome.
    """

    face: Face
    action: Action
    reason: str
    similarity_before: float | None = None
    similarity_after: float | None = None
    threshold: float | None = None
    identity: Identity | None = None
    match: Match | None = None
    checks: tuple[Check, ...] = ()
    look: Look | None = None
    redraws: int = 0


@dataclass(frozen=True, eq=False)
class AnonymizeResult:
    """An anonymized image and what became of every face in it.

    Attributes:
        image: (H, W, 3) RGB uint8, upright (the file's orientation applied).
        faces: One outcome per face found, in the detector's order.
        settings: The options used, JSON-ready.
        seconds: Wall-clock time of the whole call.
    """

    image: ImageArray
    faces: tuple[FaceOutcome, ...]
    settings: dict[str, Any]
    seconds: float
    source: Source = field(repr=False)

    def save(self, path: str | Path, *, sign: C2paSigner | None = None) -> Path:
        """Write the cleaned, marked file; format by suffix, never in place of the input.

        What the file may say, and whether it is marked, was set when the `Anonymizer` was made.

        Args:
            path: Where to; an existing file other than the input is replaced in one step.
            sign: Whose certificate the file is signed with (C2PA); None for no manifest.

        Returns:
            The path written.

        Raises:
            InputError: Unknown suffix, unwritable folder, or ``path`` is the input itself.
        """
        from anonyface.config import Config
        from anonyface.media.images import save_image

        return save_image(
            self.image,
            path,
            source=self.source,
            metadata=self.settings.get("metadata", Config.metadata),
            mark=self.settings.get("mark", Config.mark),
            sign=sign,
            actions=[outcome.action for outcome in self.faces],
        )

    def report(
        self, *, output: str | Path | None = None, names: bool = False, seeds: bool = False
    ) -> dict[str, Any]:
        """Return the JSON-ready report: no embeddings, no pixels; see ``docs/report.md``.

        Args:
            output: The file `save` wrote: its sha256 is put in.
            names: Whether the names of protected people who were matched are put in.
            seeds: Whether the seeds are put in, by which the same identities can be made again.

        Raises:
            InputError: ``output`` can't be read.
        """
        from anonyface.report import build_report

        return build_report(self, output=output, names=names, seeds=seeds)
