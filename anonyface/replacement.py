"""Replace one face: ask for a nobody, put it on, check that the old face is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import islice

import numpy as np

from anonyface.attempts import PutOn, Tried, finished, none_passed, outcome_of
from anonyface.errors import FaceError
from anonyface.identities.showing import PortraitCheck
from anonyface.identities.source import LatentIdentities
from anonyface.protocols import IdentitySource, Swapper
from anonyface.result import FaceOutcome
from anonyface.subjects import Subject, require_readable
from anonyface.swapping.crop import cut_crop, paste, within
from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.region import limit_to_region
from anonyface.tries import (
    ALL,
    LONG_LIST,
    Portrayal,
    choose_others,
    choose_tries,
    in_turn,
    portray,
    showing_first,
)
from anonyface.types import (
    Crop,
    FloatArray,
    IdentityRequest,
    ImageArray,
    Mesh,
    Offer,
    Placed,
    Region,
)
from anonyface.verification.check import VERIFY_FACE_PX, Reading, Verdict, Verifier
from anonyface.verification.encoder import similarity
from anonyface.verification.signature import Signature
from anonyface.verification.standing import STANDS_BADLY, Standing
from anonyface.verification.thresholds import EncoderName, match_threshold

CLOSE_CALLS = 3
"""So many of those who pass are compared and the one least like the original is put on: of 109
faces of lfw-dev an encoder that has no say here (fed in two ways) recognised 19 and 25 where the
first who passed was put on, 12 and 12 of two, 10 and 10 of three."""
CLEARLY_GONE = -0.15
"""Closeness, see `closeness`, below which nobody else is looked for: one in five."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to become of one face.

    Attributes:
        subject: Who it is, None where it can't be read.
        offers: Who may stand in, best first; some of them are tried.
        more: Who may stand in when these have failed; looked for only then.
        firsts: (128,) embeddings of the first choices of the other faces.
        others: The other people in the photo, kept or not.
        error: Why it can't be read.
    """

    subject: Subject | None = None
    offers: tuple[Offer, ...] = ()
    more: Iterator[Offer] = field(default_factory=lambda: iter(()))
    firsts: tuple[FloatArray, ...] = ()
    others: tuple[Signature, ...] = ()
    error: FaceError | None = None


@dataclass(eq=False)
class Given:
    """Who was put on in this photo so far.

    Attributes:
        offered: (128,) embeddings of the identities' portraits.
        worn: Who the new faces are as they stand in the photo.
        placed: Where these stand.
    """

    offered: list[FloatArray] = field(default_factory=list)
    worn: list[Signature] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Place:
    """Where a new face is to stand, and what is known of it; the same for all who are tried there.

    Attributes:
        original: (H, W, 3) the untouched photo.
        subject: Who stood there.
        others: The other people in the photo, kept or not.
        given: Who was put on in this photo so far.
        crop: What is to be changed.
        mesh: The original's mesh in crop coordinates.
        before: Gives what `Standing.before` says of the original, asked for once.
        known: What the judges said of the original; filled in.
    """

    original: ImageArray
    subject: Subject
    others: Sequence[Signature]
    given: Given
    crop: Crop
    mesh: Mesh
    before: Callable[[], FloatArray]
    known: dict[EncoderName, Reading] = field(default_factory=dict)


class Replacer:
    """Plans and makes replacements.

    Args:
        verifier: Says whether an old face is gone.
        protected: (n, 128) embeddings of people no nobody may resemble.
        denied: (n, 128) embeddings of people who need not be in any photo and whom no nobody may
            resemble either; None for none.
        identities: Source of nobodies, None for the built-in one.
        swapper: Swap engine, None for the mesh swapper.
        region: What of a face is replaced.
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(
        self,
        *,
        verifier: Verifier,
        protected: FloatArray,
        denied: FloatArray | None = None,
        identities: IdentitySource | None = None,
        swapper: Swapper | None = None,
        region: Region = "face",
        threads: int = 0,
    ) -> None:
        self.sibling_threshold = match_threshold("1e-3")
        self.verifier = verifier
        self.protected, self.denied, self.region = protected, denied, region
        self.identities = identities or LatentIdentities(
            max_resemblance=match_threshold("1e-2"),
            max_sibling_similarity=self.sibling_threshold,
            threads=threads,
        )
        self.shows_alike = PortraitCheck(threads=threads)
        self.standing = Standing(threads=threads)
        self.swapper = swapper or MeshSwapper()

    def plan(self, subjects: Sequence[Subject | FaceError], seeds: Sequence[int]) -> list[Plan]:
        """Reserve people for every face, before anything is changed.

        Faces that will be kept take part, too: so what a face gets does not depend on which of the
        others are kept. One after the other, each face gets offers that resemble no first choice
        of those before it.

        Args:
            subjects: What was read off all faces, in the order in which they are worked on; an
                error where a face can't be read.
            seeds: The seed of each face.

        Returns:
            One plan per face.
        """
        plans: list[Plan] = []
        reserved = np.zeros_like(self.protected[:0])
        for subject, seed in zip(subjects, seeds, strict=True):
            if isinstance(subject, FaceError):
                plans.append(Plan(error=subject))
                continue
            request = IdentityRequest(
                look=subject.look,
                face_px=subject.face.size,
                avoid=np.concatenate([subject.embedding[None], self.protected]),
                taken=reserved,
                seed=seed,
                denied=self.denied,
                seen=subject.seen,
            )
            found = islice(self.identities(request), ALL)
            offers = tuple(islice(found, LONG_LIST))
            if offers:
                reserved = np.concatenate([reserved, offers[0].embedding[None]])
            plans.append(Plan(subject=subject, offers=offers, more=found))
        return [
            replace(
                plan,
                firsts=tuple(p.offers[0].embedding for p in plans if p.offers and p is not plan),
                others=tuple(
                    p.subject.signature
                    for p in plans
                    if p is not plan and p.subject and p.subject.face.size >= VERIFY_FACE_PX
                ),
            )
            for plan in plans
        ]

    def _doubles(self, offer: Offer, others: Sequence[FloatArray]) -> bool:
        return any(
            float(similarity(offer.embedding, other)) >= self.sibling_threshold for other in others
        )

    def __call__(
        self, out: ImageArray, original: ImageArray, plan: Plan, given: Given
    ) -> FaceOutcome:
        """Replace a face in ``out``, in place.

        Args:
            out: (H, W, 3) the running output; overlapping neighbours are already replaced in it.
            original: (H, W, 3) the untouched photo.
            plan: What `plan` returned for the face.
            given: Who was put on in this photo; the new person is added.

        Raises:
            FaceError: The face can't be replaced, or still matches after all tries.
        """
        subject = self._replaceable(plan)
        crop, mesh, window = cut_crop(out, subject.mesh)
        before = cache(partial(self.standing.before, crop, mesh))
        place = Place(original, subject, plan.others, given, crop, mesh, before)
        put_on = partial(self._put_on, place)
        refused: list[Tried] = []
        for one in self._who_pass(self._in_turn(plan, subject, given), put_on, refused):
            best = finished(one, put_on)
            if best.refusal:
                refused.append(best)
                continue
            paste(out, best.patch, window)
            given.placed.append(Placed(subject.face, window, best.patch.alpha))
            given.offered.append(best.portrayal.offer.embedding)
            if best.verdict is not None:
                given.worn.append(best.verdict.signature)
            return outcome_of(subject, best, len(refused), self.region)
        raise none_passed(refused, subject)

    def _in_turn(self, plan: Plan, subject: Subject, given: Given) -> Iterator[Iterator[Portrayal]]:
        """Whom to try, see `in_turn`: nobody who resembles a new face or another's first choice."""
        look_at = cache(partial(portray, subject, self.shows_alike))

        def free(offers: Iterable[Offer]) -> list[Offer]:
            return [o for o in offers if not self._doubles(o, [*given.offered, *plan.firsts])]

        own = [o for o in plan.offers[:1] if not self._doubles(o, given.offered)]
        offers = [*own, *free(plan.offers[1:])]
        tries = choose_tries(showing_first(offers, look_at), subject.embedding)

        def others() -> list[Offer]:
            return choose_others([*offers, *free(plan.more)], tries, subject.embedding)

        def faults(one: Portrayal) -> float:
            return self.shows_alike.faults(subject.mesh, subject.look, one.identity)

        return in_turn(tries, others, look_at, faults)

    def _who_pass(
        self, turns: Iterator[Iterator[Portrayal]], put_on: PutOn, refused: list[Tried]
    ) -> Iterator[Tried]:
        """Put one person after the other on a face, and yield those who pass.

        Of the first who pass and stand well the least similar comes first, then of those who don't
        stand well the least bad. Whose portrait shows something else than was asked, or who is only
        offered in want of others, is tried only if nobody passes.

        Args:
            turns: Whom to try, see `in_turn`.
            put_on: Puts them on.
            refused: Those who don't pass are added.

        Raises:
            FaceError: If somebody can't be put on, and nobody passed before.
        """
        for number, portrayals in enumerate(turns):
            lesser: list[Tried] = []
            most = CLOSE_CALLS if number == 0 else 1
            while passed := self._few_who_pass(portrayals, put_on, refused, lesser, most=most):
                yield from sorted(passed, key=lambda one: one.closeness)
            yield from sorted(lesser, key=lambda one: one.faults)
        if self.region != "face" and refused:
            # Who asks for a part of a face gets it, recognisable or not, and told as it is.
            yield put_on(refused.pop().portrayal, settle=True)

    def _few_who_pass(
        self,
        portrayals: Iterator[Portrayal],
        put_on: PutOn,
        refused: list[Tried],
        lesser: list[Tried],
        *,
        most: int,
    ) -> list[Tried]:
        """Put on one after the other until ``most`` pass, or one clearly does; return these.

        Those who pass but don't stand well are added to ``lesser``.
        """
        passed: list[Tried] = []
        for one in portrayals:
            try:
                tried = put_on(one, settle=False)
            except FaceError:
                if not passed and not lesser:
                    raise
                break
            if tried.refusal or tried.faults:
                (refused if tried.refusal else lesser).append(tried)
                continue
            passed.append(tried)
            # At large faces one sees who fits less well.
            if len(passed) == most or one.offer.sketch or tried.closeness < CLEARLY_GONE:
                break
        return passed

    def _put_on(self, place: Place, portrayal: Portrayal, *, settle: bool) -> Tried:
        """Put somebody on a face, and say what the judges think of it.

        With ``settle`` a new face is not refused for being recognisable: the checks tell.

        Raises:
            FaceError: If they can't be put on or judged.
        """
        subject, crop = place.subject, place.crop
        patch = self.swapper(crop, place.mesh, portrayal.identity)
        patch = limit_to_region(patch, crop, place.mesh, self.region)
        patch = within(patch, subject.face, crop)
        verdict, faults = None, 0.0
        if subject.face.size >= VERIFY_FACE_PX:
            verdict = self.verifier(place.original, subject, patch, crop, known=place.known)
        refusal = self._refusal(verdict, place, settle=settle)
        if verdict is not None and not refusal and not settle:
            upper = verdict.signature.upper
            faults = self.standing(place.before(), subject, crop, place.mesh, patch, upper)
            if faults >= STANDS_BADLY:
                refusal = "the new face does not stand as the old one did"
        return Tried(portrayal, patch, verdict, refusal, faults, settle)

    def _replaceable(self, plan: Plan) -> Subject:
        """Return the plan's subject if it can be replaced at all.

        Raises:
            FaceError: Saying why not.
        """
        if plan.subject is None:
            raise plan.error or FaceError("nothing was planned", stage="identities")
        require_readable(plan.subject)
        if not plan.offers:
            face = plan.subject.face
            raise FaceError("no synthetic person fits", stage="identities", face=face)
        return plan.subject

    def _refusal(self, verdict: Verdict | None, place: Place, *, settle: bool) -> str:
        """Why a new face is refused, empty if it is not; see `_put_on`."""
        if verdict is None:
            return ""
        if not settle and not all(check.passed for check in verdict.checks):
            return f"still recognisable (similarity {verdict.checks[-1].after:.2f})"
        size = place.subject.face.size
        if resembled := self._resembles(verdict.signature, size, place.others, place.given):
            return f"the new face resembles {resembled}"
        return ""

    def _resembles(
        self, new: Signature, face_px: float, others: Sequence[Signature], given: Given
    ) -> str:
        """Say whom a new face resembles, nothing where it resembles nobody it must not."""
        threshold = match_threshold("1e-3", face_px=face_px)
        for people, named in (
            (self.protected, "a protected person"),
            (self.denied, "a person on the deny list"),
        ):
            if people is None or not len(people):
                continue
            if similarity(people, new.whole).max() >= threshold:
                return named
        # As the last look at the finished picture, which would cover it. Of new faces no more is
        # asked: their portraits are apart as planned, and a face is not to depend on which of the
        # others are replaced.
        if any(new.matches(other, "1e-4", face_px=face_px) for other in given.worn):
            return "another new face"
        if any(new.matches(other, "1e-4", face_px=face_px) for other in others):
            return "somebody else in the photo"
        return ""
