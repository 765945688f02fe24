"""Replace one face: ask for a nobody, put it on, check that the old face is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import islice
from typing import TypeAlias

import numpy as np

from anonyface.errors import FaceError
from anonyface.identities.showing import shows_alike
from anonyface.identities.source import LatentIdentities
from anonyface.protocols import IdentitySource, Swapper
from anonyface.result import Check, FaceOutcome
from anonyface.subjects import Subject, require_readable
from anonyface.swapping.crop import cut_crop, paste, within
from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.region import limit_to_region
from anonyface.types import (
    Crop,
    FloatArray,
    Identity,
    IdentityRequest,
    ImageArray,
    Offer,
    Patch,
    Region,
)
from anonyface.verification.check import VERIFY_FACE_PX, Reading, Verifier
from anonyface.verification.encoder import similarity
from anonyface.verification.signature import Signature
from anonyface.verification.thresholds import EncoderName, match_threshold

NEAR_TRIES, FAR_TRIES = 3, 5
"""Redraws before a face is covered: first from among those who fit nearly as well as the first
choice, then from all."""
SHORT_LIST, LONG_LIST = 9, 40
"""Offers among which the near and the far redraws are looked for."""
Portrayal: TypeAlias = tuple[Identity, bool]
"""Somebody with a portrait, and whether it shows what it should."""
FIRST_CHOICES = 4
"""So many of the best are looked at for one whose portrait shows what was predicted."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to become of one face.

    Attributes:
        subject: Who it is, None where it can't be read.
        offers: Who may stand in, best first; some of them are tried.
        others: The other people in the photo, kept or not.
        error: Why it can't be read.
    """

    subject: Subject | None = None
    offers: tuple[Offer, ...] = ()
    others: tuple[Signature, ...] = ()
    error: FaceError | None = None


@dataclass(eq=False)
class Given:
    """Who was put on in this photo so far.

    Attributes:
        offered: (128,) embeddings of the identities' portraits.
        worn: Who the new faces are as they stand in the photo.
    """

    offered: list[FloatArray] = field(default_factory=list)
    worn: list[Signature] = field(default_factory=list)


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
            offers = tuple(islice(self.identities(request), LONG_LIST))
            if offers:
                reserved = np.concatenate([reserved, offers[0].embedding[None]])
            plans.append(Plan(subject=subject, offers=offers))
        return [
            replace(
                self._without_doubles(plan, plans),
                others=tuple(
                    p.subject.signature
                    for p in plans
                    if p is not plan and p.subject and p.subject.face.size >= VERIFY_FACE_PX
                ),
            )
            for plan in plans
        ]

    def _without_doubles(self, plan: Plan, plans: Sequence[Plan]) -> Plan:
        """Drop redraws that resemble the first choice of another face."""
        firsts = [p.offers[0].embedding for p in plans if p.offers and p is not plan]
        rest = [o for o in plan.offers[1:] if not self._doubles(o, firsts)]
        return replace(plan, offers=(*plan.offers[:1], *rest))

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
        refusals: list[str] = []
        known: dict[EncoderName, Reading] = {}
        free = [o for o in plan.offers if not self._doubles(o, given.offered)]
        look_at = cache(partial(portray, subject))
        offers = choose_tries(showing_first(free, look_at), subject.embedding)
        tries = in_order_of_likeness(offers, look_at)
        for number, (offer, identity) in enumerate(tries, start=1):
            patch = limit_to_region(self.swapper(crop, mesh, identity), crop, mesh, self.region)
            patch = within(patch, subject.face, crop)
            # Who asks for a part of a face gets it: the least similar of all, and told as it is.
            settle = self.region != "face" and number == len(offers)
            checks, refusal = self._check(
                original,
                subject,
                patch,
                crop,
                known=known,
                others=plan.others,
                given=given,
                settle=settle,
            )
            if refusal:
                refusals.append(refusal)
                continue
            paste(out, patch, window)
            given.offered.append(offer.embedding)
            return _outcome(subject, identity, checks, len(refusals), self.region)
        if not refusals:
            raise FaceError("everybody who fits is taken", stage="identities", face=subject.face)
        raise FaceError(
            f"{refusals[-1]}, after {len(refusals)} tries", stage="verification", face=subject.face
        )

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

    def _check(
        self,
        original: ImageArray,
        subject: Subject,
        patch: Patch,
        crop: Crop,
        *,
        known: dict[EncoderName, Reading],
        others: Sequence[Signature],
        given: Given,
        settle: bool,
    ) -> tuple[tuple[Check, ...], str]:
        """Return what the judges say of a new face, and why it is refused; note who is worn.

        With ``settle`` it is not refused for being recognisable: the checks tell.
        """
        if subject.face.size < VERIFY_FACE_PX:
            return (), ""
        verdict = self.verifier(original, subject, patch, crop, known=known)
        if not settle and not all(check.passed for check in verdict.checks):
            failed = verdict.checks[-1]
            return verdict.checks, f"still recognisable (similarity {failed.after:.2f})"
        if resembled := self._resembles(verdict.signature, subject.face.size, others, given):
            return verdict.checks, f"the new face resembles {resembled}"
        given.worn.append(verdict.signature)
        return verdict.checks, ""

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
        if any(new.matches(other, "1e-3", face_px=face_px) for other in given.worn):
            return "another new face"
        # As strict as the last look at the finished picture, which would cover it.
        if any(new.matches(other, "1e-4", face_px=face_px) for other in others):
            return "somebody else in the photo"
        return ""


def choose_tries(offers: Sequence[Offer], original: FloatArray) -> list[Offer]:
    """Return the offer that fits best; for redraws those that resemble the original least.

    The last tries are the least similar of a longer list: lesser fits, better than a cover. Where
    few are offered, as to the last of many alike in one photo, all of them are tried.

    Args:
        offers: Best first.
        original: (128,) embedding of whom they are to replace.
    """

    def resemblance(offer: Offer) -> float:
        if not np.isnan(offer.resemblance):
            return offer.resemblance
        return float(similarity(offer.embedding, original))

    near = sorted(offers[1:SHORT_LIST], key=resemblance)
    far = sorted(offers[SHORT_LIST:], key=resemblance)
    rest = [*far[FAR_TRIES:], *near[NEAR_TRIES:]]
    return [*offers[:1], *near[:NEAR_TRIES], *far[:FAR_TRIES], *rest][: 1 + NEAR_TRIES + FAR_TRIES]


def portray(original: Subject, offer: Offer) -> Portrayal:
    """Render the portrait of an offer; say whether it shows what it should.

    Raises:
        FaceError: If it can't be rendered or looked at.
    """
    identity = offer.render()
    return identity, shows_alike(original.mesh, original.look, identity)


def showing_first(offers: Sequence[Offer], look_at: Callable[[Offer], Portrayal]) -> list[Offer]:
    """Return offers, at their head the first of the best few whose portrait shows what it should.

    Args:
        offers: Best first.
        look_at: Renders a portrait, see `portray`.
    """
    for number, offer in enumerate(offers[:FIRST_CHOICES]):
        if look_at(offer)[1]:
            return [offer, *offers[:number], *offers[number + 1 :]]
    return list(offers)


def in_order_of_likeness(
    offers: Sequence[Offer], look_at: Callable[[Offer], Portrayal]
) -> Iterator[tuple[Offer, Identity]]:
    """Render one offer after the other; whose portrait shows something else comes last.

    Args:
        offers: In the order of tries.
        look_at: Renders a portrait, see `portray`.
    """
    others = []
    for offer in offers:
        identity, alike = look_at(offer)
        if alike:
            yield offer, identity
        else:
            others.append((offer, identity))
    yield from others


def _outcome(
    subject: Subject,
    identity: Identity,
    checks: tuple[Check, ...],
    redraws: int,
    region: Region,
) -> FaceOutcome:
    look = subject.look
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
        identity=identity,
        checks=checks,
        look=look,
        redraws=redraws,
    )
