"""A new face that was tried: what the judges said of it, and what is told of the one put on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from anonyface.errors import FaceError
from anonyface.identities.clearness import strands_on_cheeks
from anonyface.identities.resemblance import closeness
from anonyface.result import Check, FaceOutcome
from anonyface.subjects import Subject
from anonyface.tries import Portrayal
from anonyface.types import Identity, Patch, Region
from anonyface.verification.check import Verdict


@dataclass(frozen=True, eq=False)
class Tried:
    """A new face.

    Attributes:
        portrayal: Who was put on.
        patch: How it looks.
        verdict: What the judges say of it, None if it is too small to tell.
        refusal: Why it must not be put on, empty if it may.
        faults: How badly it stands, see `anonyface.verification.standing.Standing`.
        settled: Whether it may be put on though it is recognisable.
    """

    portrayal: Portrayal
    patch: Patch
    verdict: Verdict | None
    refusal: str
    faults: float = 0.0
    settled: bool = False

    @property
    def checks(self) -> tuple[Check, ...]:
        """One per judge that was asked."""
        return () if self.verdict is None else self.verdict.checks

    @property
    def closeness(self) -> float:
        """How like the original it is, see `anonyface.identities.resemblance.closeness`."""
        return closeness(self.checks)


class PutOn(Protocol):
    """Puts somebody on a face, see `Replacer`."""

    def __call__(self, portrayal: Portrayal, /, *, settle: bool) -> Tried:
        """Return the new face as the judges see it."""
        ...


def finished(tried: Tried, put_on: PutOn) -> Tried:
    """Return a new face in full resolution, judged again; the same if it was no sketch.

    It is refused if it can't be made, or if there are strands on its cheeks that nobody saw before.
    """
    portrayal = tried.portrayal
    if portrayal.offer.sketch is None:
        return tried
    try:
        portrait = replace(portrayal, identity=portrayal.offer.render())
        if _has_strands(portrait.identity):
            return replace(tried, refusal="hair hangs into the new face")
        return put_on(portrait, settle=tried.settled)
    except FaceError as error:
        return replace(tried, refusal=str(error))


def _has_strands(identity: Identity) -> bool:
    female = identity.gender == "female"
    return strands_on_cheeks(identity.pixels, identity.mesh, female=female, age=identity.age)


def none_passed(refused: Sequence[Tried], subject: Subject) -> FaceError:
    """The error that says why nobody could be put on."""
    if not refused:
        why = "everybody who fits is taken, or their portrait shows something else"
        return FaceError(why, stage="identities", face=subject.face)
    why = f"{refused[-1].refusal}, after {len(refused)} tries"
    return FaceError(why, stage="verification", face=subject.face)


def outcome_of(subject: Subject, put_on: Tried, redraws: int, region: Region) -> FaceOutcome:
    """Return what is told of a face that was replaced.

    Args:
        subject: Who it was.
        put_on: The new face.
        redraws: How many others were refused before.
        region: What was to be replaced.
    """
    look, checks = subject.look, put_on.checks
    reason = "replaced by a synthetic person"
    if region != "face":
        reason = f"only the {region} replaced, as asked"
    if not checks:
        reason += f", too small to verify ({subject.face.size:.0f} px)"
    elif not all(check.passed for check in checks):
        reason += f", not verified: still recognisable (similarity {checks[-1].after:.2f})"
    elif redraws:
        reason += f", after {redraws} redraw{'s' if redraws > 1 else ''}"
    first = checks[0] if checks else None
    return FaceOutcome(
        face=replace(subject.face, p_female=look.p_female, age=look.age),
        action="replaced",
        reason=reason,
        similarity_before=first.before if first else None,
        similarity_after=first.after if first else None,
        threshold=first.threshold if first else None,
        identity=put_on.portrayal.identity,
        checks=checks,
        look=look,
        redraws=redraws,
    )
