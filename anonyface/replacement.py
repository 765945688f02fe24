"""Replace one face: read its look, ask for a nobody, put it on, check that the old face is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from anonyface.errors import FaceError
from anonyface.identities.looks import LookReader
from anonyface.identities.pool import PoolIdentities
from anonyface.landmarks.mesh import FaceMesh
from anonyface.swapping.crop import cut_crop, paste, within
from anonyface.swapping.engine import MeshSwapper
from anonyface.types import (
    Crop,
    Encoder,
    Face,
    FaceOutcome,
    FloatArray,
    Identity,
    IdentityRequest,
    IdentitySource,
    ImageArray,
    Look,
    Mesh,
    Offer,
    Patch,
    Swapper,
)
from anonyface.verification.alignment import align_chip
from anonyface.verification.check import match_threshold
from anonyface.verification.encoder import similarity, unit

TRIES = 4
"""Identities put on before a face is covered: the first one and three redraws."""
SHORT_LIST, LONG_LIST = 9, 40
"""Offers among which the redraws, and those among which the last one is looked for."""
MIN_FACE_PX = 12
"""Smaller faces carry too little to bend a mesh to: they are covered."""
DOUBTFUL_SCORE, DOUBTFUL_PRESENCE = 0.8, 0.5
"""Below both, a detection is more likely a pattern than a face: covered, not given a face."""
VERIFY_FACE_PX = 24
"""Below this the encoder can't tell people apart, neither before nor after: nothing to verify."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One original face and all that was read off it."""

    face: Face
    mesh: Mesh
    look: Look
    embedding: FloatArray


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to become of one face: who it is and who may stand in, or why it can't be read."""

    subject: Subject | None = None
    offers: tuple[Offer, ...] = ()
    error: FaceError | None = None


class Replacer:
    """The part of the flow that needs the models of the synthetic method.

    Args:
        encoder: Identity encoder.
        protected: (n, 128) embeddings of people no nobody may resemble.
        identities: Source of nobodies, None for the shipped pool.
        swapper: Swap engine, None for the mesh swapper.
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(
        self,
        *,
        encoder: Encoder,
        protected: FloatArray,
        identities: IdentitySource | None = None,
        swapper: Swapper | None = None,
        threads: int = 0,
    ) -> None:
        self.sibling_threshold = match_threshold("1e-3")
        self.encoder = encoder
        self.protected = protected
        self.mesh = FaceMesh(threads=threads)
        self.looks = LookReader(threads=threads)
        self.identities = identities or PoolIdentities(
            max_resemblance=match_threshold("1e-2"),
            max_sibling_similarity=self.sibling_threshold,
            threads=threads,
        )
        self.swapper = swapper or MeshSwapper()

    def plan(self, original: ImageArray, faces: Sequence[Face], seeds: Sequence[int]) -> list[Plan]:
        """Read every face and reserve people for it, before anything is changed.

        Faces that will be kept take part, too: so what a face gets does not depend on which of the
        others are kept. One after the other, each face gets offers that resemble no first choice
        of those before it.

        Args:
            original: (H, W, 3) the untouched photo.
            faces: All faces, in the order in which they are worked on.
            seeds: The seed of each face.

        Returns:
            One plan per face; a face that can't be read has its error in it.
        """
        plans: list[Plan] = []
        reserved = np.zeros_like(self.protected[:0])
        for face, seed in zip(faces, seeds, strict=True):
            try:
                subject = self.study(original, face)
            except FaceError as error:
                plans.append(Plan(error=error))
                continue
            request = IdentityRequest(
                look=subject.look,
                face_px=face.size,
                avoid=np.concatenate([subject.embedding[None], self.protected]),
                taken=reserved,
                seed=seed,
            )
            offers = self._choose(request, subject)
            if offers:
                reserved = np.concatenate([reserved, offers[0].embedding[None]])
            plans.append(Plan(subject=subject, offers=offers))
        return [self._without_doubles(plan, plans) for plan in plans]

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
        self, out: ImageArray, original: ImageArray, plan: Plan, given: list[FloatArray]
    ) -> FaceOutcome:
        """Replace a face in ``out``, in place.

        Args:
            out: (H, W, 3) the running output; overlapping neighbours are already replaced in it.
            original: (H, W, 3) the untouched photo.
            plan: What `plan` returned for the face.
            given: Embeddings of the people given out in this photo; the new one is added.

        Raises:
            FaceError: The face can't be replaced, or still matches after all tries.
        """
        if plan.subject is None:
            raise plan.error or FaceError("nothing was planned", stage="identities")
        subject, face = plan.subject, plan.subject.face
        if face.size < MIN_FACE_PX:
            raise FaceError(
                f"{face.size:.0f} px is too small to replace", stage="swapping", face=face
            )
        if face.score < DOUBTFUL_SCORE and subject.mesh.presence < DOUBTFUL_PRESENCE:
            raise FaceError("a doubtful detection, no face to bend", stage="landmarks", face=face)
        if not plan.offers:
            raise FaceError("no synthetic person fits", stage="identities", face=face)
        crop, mesh, window = cut_crop(out, subject.mesh)
        threshold = match_threshold("1e-2", face_px=face.size)
        best = np.inf
        for number, offer in enumerate(plan.offers):
            if self._doubles(offer, given):
                continue
            identity = offer.render()
            patch = within(self.swapper(crop, mesh, identity), face, crop)
            after = self._compare(subject, patch, crop) if face.size >= VERIFY_FACE_PX else None
            if after is None or after < threshold:
                paste(out, patch, window)
                given.append(offer.embedding)
                return self._outcome(original, subject, identity, after, threshold, number)
            best = min(best, after)
        if best == np.inf:
            raise FaceError("everybody who fits is taken", stage="identities", face=face)
        raise FaceError(
            f"still recognisable (similarity {best:.2f}) after {len(plan.offers)} tries",
            stage="verification",
            face=face,
        )

    def _choose(self, request: IdentityRequest, subject: Subject) -> tuple[Offer, ...]:
        """The offer that fits best; for redraws those that resemble the original least.

        The last try is the least similar of a longer list: a lesser fit, but better than a cover.
        """

        def resemblance(offer: Offer) -> float:
            return float(similarity(offer.embedding, subject.embedding))

        offers = list(islice(self.identities(request), LONG_LIST))
        near = sorted(offers[1:SHORT_LIST], key=resemblance)[: TRIES - 2]
        far = sorted(offers[SHORT_LIST:], key=resemblance)[:1]
        return (*offers[:1], *near, *far)

    def study(self, image: ImageArray, face: Face) -> Subject:
        """Read mesh, look and embedding off a face.

        Raises:
            FaceError: If its landmarks are degenerate.
        """
        (mesh,) = self.mesh(image, [face])
        (look,) = self.looks(image, [face], [mesh])
        return Subject(face, mesh, look, self.encoder(image, face.landmarks))

    def describe(self, image: ImageArray, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Return the faces with gender and age filled in where they can be read."""
        out = []
        for face in faces:
            try:
                look = self.study(image, face).look
            except FaceError:
                out.append(face)
            else:
                out.append(replace(face, p_female=look.p_female, age=look.age))
        return tuple(out)

    def _compare(self, subject: Subject, patch: Patch, crop: Crop) -> float:
        moved = subject.face.landmarks + crop.matrix[:, 2].astype(np.float32)
        return float(similarity(subject.embedding, self.encoder(patch.pixels, moved)))

    def _outcome(
        self,
        original: ImageArray,
        subject: Subject,
        identity: Identity,
        after: float | None,
        threshold: float,
        redraws: int,
    ) -> FaceOutcome:
        reason = "replaced by a synthetic person"
        if after is None:
            reason += f", too small to verify ({subject.face.size:.0f} px)"
        elif redraws:
            reason += f", after {redraws} redraw{'s' if redraws > 1 else ''}"
        look = subject.look
        return FaceOutcome(
            face=replace(subject.face, p_female=look.p_female, age=look.age),
            action="replaced",
            reason=reason,
            similarity_before=None if after is None else self._mirror_score(original, subject.face),
            similarity_after=after,
            threshold=None if after is None else threshold,
            identity=identity,
        )

    def _mirror_score(self, original: ImageArray, face: Face) -> float | None:
        """What the encoder gives a face against its own mirror image; None if it can't see both."""
        views = getattr(self.encoder, "views", None)
        if views is None:
            return None
        plain, mirrored = unit(views(align_chip(original, face.landmarks).pixels))
        return float(similarity(plain, mirrored))
