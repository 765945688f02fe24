"""What is done to the faces of one photo: replaced or covered, far to near, and looked at again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from anonyface.config import Config
from anonyface.covering import cover_bare_part
from anonyface.errors import FaceError
from anonyface.protection.selection import Decision
from anonyface.redaction import cover_face
from anonyface.replacement import Given, Plan, Replacer
from anonyface.result import FaceOutcome
from anonyface.seeds import face_seed, fresh_seed
from anonyface.subjects import Subject, outlines_beside, outlines_in_front
from anonyface.types import Face, FloatArray, ImageArray, Placed
from anonyface.verification.final_look import FinalLook, Finding

Readings = Sequence[Subject | FaceError]
"""What was read off each face; empty where faces are only covered."""


@dataclass(frozen=True, eq=False)
class Around:
    """The faces near one that is to be covered.

    Attributes:
        in_front: Outlines, (n, 2) x y each, of those known to be in front of it.
        beside: The same of all that are sure, in front or behind.
        new: New faces of others.
    """

    in_front: Sequence[FloatArray]
    beside: Sequence[FloatArray]
    new: Sequence[Placed]

    @classmethod
    def of(cls, number: int, subjects: Readings, given: Given) -> Around:
        """Return what is around the face of a number, not replaced itself."""
        front, beside = outlines_in_front(number, subjects), outlines_beside(number, subjects)
        return cls(front, beside, tuple(given.placed))

    @classmethod
    def of_finding(cls, finding: Finding, subjects: Readings, given: Given) -> Around:
        """Return what is around a face that is wrong in the finished picture."""
        own = None if finding.index is None else subjects[finding.index]
        face = own.face if isinstance(own, Subject) else None
        others = [placed for placed in given.placed if placed.face is not face]
        return cls((), outlines_beside(finding.index, subjects), others)


class Treatment:
    """Treats the faces of one photo; make a new one for each.

    Args:
        config: Method, what to do on failure, and the seed.
        replacer: Puts nobodies on; None where faces are only covered.
        final_look: Searches the finished picture.
    """

    def __init__(self, config: Config, *, replacer: Replacer | None, final_look: FinalLook) -> None:
        self.config, self.replacer, self.final_look = config, replacer, final_look
        self.base = fresh_seed() if config.seed is None else config.seed
        self.given = Given()

    def __call__(
        self,
        original: ImageArray,
        faces: Sequence[Face],
        subjects: Readings,
        decisions: Sequence[Decision],
    ) -> tuple[ImageArray, list[FaceOutcome]]:
        """Work from far to near on a running copy, so that overlapping neighbours stay replaced.

        Args:
            original: (H, W, 3) the untouched photo.
            faces: The faces found.
            subjects: What was read off them.
            decisions: Who stays.

        Returns:
            The new picture, writable, and one outcome per face, in their order.

        Raises:
            FaceError: A face failed and ``on_failure`` is "raise".
        """
        out = original.copy()
        order = sorted(range(len(faces)), key=lambda k: faces[k].size)
        seeds = [face_seed(self.base, faces[i]) for i in order]
        plans = (
            [Plan()] * len(faces)
            if self.replacer is None
            else self.replacer.plan([subjects[i] for i in order], seeds)
        )
        outcomes: dict[int, FaceOutcome] = {}
        for i, plan in zip(order, plans, strict=True):
            if decisions[i].keep:
                outcome = FaceOutcome(faces[i], "kept", decisions[i].reason)
            else:
                around = Around.of(i, subjects, self.given)
                outcome = self._treat_face(out, original, faces[i], plan, around)
            outcomes[i] = replace(outcome, match=decisions[i].match)
        return out, [outcomes[i] for i in range(len(faces))]

    def _treat_face(
        self,
        out: ImageArray,
        original: ImageArray,
        face: Face,
        plan: Plan,
        around: Around,
    ) -> FaceOutcome:
        """Replace or cover one face in ``out``, in place; compare it with the original."""
        if self.replacer is None:
            return self._cover(out, face, f"covered as asked ({self.config.method})", around)
        try:
            return self.replacer(out, original, plan, self.given)
        except FaceError as error:
            if self.config.on_failure == "raise":
                raise
            seed, verifier = face_seed(self.base, face), self.replacer.verifier
            if plan.subject and cover_bare_part(out, original, plan.subject, verifier, seed=seed):
                return FaceOutcome(face, "redacted", str(error))
            return self._cover(out, face, str(error), around)

    def look_again(
        self,
        out: ImageArray,
        original: ImageArray,
        outcomes: Sequence[FaceOutcome],
        subjects: Readings,
        decide: Callable[[Sequence[Face]], Sequence[Decision]],
    ) -> list[FaceOutcome]:
        """Search the finished picture; cover who is still there or was missed, in place.

        Args:
            out: (H, W, 3) the new picture, writable.
            original: (H, W, 3) the untouched photo.
            outcomes: What became of the faces found at first.
            subjects: What was read off them.
            decide: Says who stays among the faces it is given.

        Returns:
            The outcomes, those of faces that were missed at first at the end.

        Raises:
            FaceError: Somebody is still there and ``on_failure`` is "raise".
        """
        done, faces = list(outcomes), [o.face for o in outcomes]
        # Of whom only a part was replaced may be recognised, and the outcome says so already.
        finished = [all(check.passed for check in o.checks) for o in done]
        gone = [
            subject.signature
            if isinstance(subject, Subject) and o.action != "kept" and whole
            else None
            for subject, o, whole in zip(subjects, outcomes, finished, strict=False)
        ]
        replaced = [
            o.action == "replaced" and whole for o, whole in zip(done, finished, strict=True)
        ]
        findings = self.final_look(out, original, faces, replaced, gone)
        missed = [finding.face for finding in findings if finding.index is None]
        decisions = iter(decide([*faces, *missed])[len(faces) :] if missed else ())
        for finding in findings:
            decision = Decision(False, "") if finding.index is not None else next(decisions)
            if decision.keep:
                outcome = FaceOutcome(finding.face, "kept", decision.reason, match=decision.match)
            elif self.replacer is not None and self.config.on_failure == "raise":
                raise FaceError(finding.reason, stage="last look", face=finding.face)
            else:
                face = finding.face if finding.index is None else faces[finding.index]
                around = Around.of_finding(finding, subjects, self.given)
                outcome = self._cover(out, face, finding.reason, around)
            if finding.index is None:
                done.append(outcome)
            else:
                done[finding.index] = outcome
        return done

    def _cover(self, out: ImageArray, face: Face, reason: str, around: Around) -> FaceOutcome:
        """Cover a face in ``out``, in place."""
        method = self.config.method
        cover = "blur" if method == "synthetic" else method
        rng = np.random.default_rng(face_seed(self.base, face))
        cover_face(
            out,
            face,
            cover,
            rng=rng,
            spare=around.in_front,
            beside=around.beside,
            new=around.new,
        )
        return FaceOutcome(face, "redacted", reason)
