"""Look at portraits before they are given out: the screens again, what they show, and the pose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import islice

import numpy as np

from anonyface.identities.candidates import Candidates, Parents
from anonyface.identities.fit import REFUSED, TOLERANCE, far_older, misfit, wanted
from anonyface.identities.latents import LatentModel
from anonyface.identities.looks import LookReader
from anonyface.identities.people import LABELS, People, one_look
from anonyface.identities.portraits import Portraits
from anonyface.identities.screens import MARGIN, MAX_PSI, Limits
from anonyface.landmarks.mesh import five_points
from anonyface.landmarks.pose import estimate_pose
from anonyface.types import Identity, IdentityRequest, Look, Mesh
from anonyface.verification.encoder import DlibEncoder, unit

STEERED_AGAIN = 64
"""Children of each search, the best by prediction, whose pose and expression are steered twice."""
PARENTS_OF_CERTIFIED = (
    Parents(margin=MARGIN, clearly=True, steered_again=STEERED_AGAIN),
    Parents(margin=MARGIN, reach=4, clearly=True, steered_again=STEERED_AGAIN),
    Parents(margin=MARGIN, reach=4, steered_again=STEERED_AGAIN),
)
"""One after the other until somebody passes. The first keep no more from the limits than a portrait
must: the old, and small children, resemble each other, and with a wide berth few of the age asked
are left in a job."""
OTHER_GENDER = 0.75
"""Distance of the probability of female from 0 or 1 as asked that is clearly the other gender."""
TRIED, CERTIFIED, FITS = 16, 2, 1.1
"""People looked at at most, people who pass before the best of them is taken, and the distance for
each side asked, in tolerances, that is near enough to take one at once."""
TURNED_FROM, TURNED_UP_TO, TURN_STEP = 3.0, 15.0, 0.3
"""Degrees of yaw or pitch by which a portrait may be off, and from which on it is beyond help; in
between the head is turned once more, by at most this step (see `latents.LONG_STEP`)."""
GLASSES = 0.5
"""Probability from which on a portrait rather shows glasses than none."""


class Certifier:
    """Chooses among candidates by what their portraits show.

    The readers are opened when they are first needed.

    Args:
        model: Turns a head by changing the latent.
        portraits: Renders.
        limits: Of the similarity to others.
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(
        self,
        *,
        model: LatentModel,
        portraits: Portraits,
        limits: Limits,
        threads: int = 0,
    ) -> None:
        self.model, self.portraits = model, portraits
        self.limits, self.threads = limits, threads

    def __call__(
        self, candidates: Iterator[Candidates], request: IdentityRequest
    ) -> tuple[Identity, float] | None:
        """Return the best of a few whose portraits pass the screens; the first that fits well.

        Args:
            candidates: One by one, best first, as predicted.
            request: What is asked, and whom they must not resemble.

        Returns:
            An identity with look, embedding and screens as measured, and its distance from what is
            asked, `REFUSED` or more where it wears glasses that were not asked or none that were;
            None if nobody passes.
        """
        best, least = None, float("inf")
        asked = sum(not np.isnan(getattr(request.look, name)) for name in TOLERANCE)
        enough = FITS * np.sqrt(asked)
        passed = 0
        for one in islice(candidates, TRIED):
            # The mesh costs little beside all that is measured of those whose pose is right.
            identity = self._measured(*self._turned(one, request), request)
            if identity is None or identity.look is None:
                continue
            seen = _with_glasses_told(identity.look, request.look)
            off = float(misfit(one_look(seen), request.look, mirrored=False)[0])
            if off < least:
                best, least = identity, off
            passed += off < REFUSED
            if least < enough or passed == CERTIFIED:
                break
        return None if best is None else (best, least)

    def _turned(self, one: Candidates, request: IdentityRequest) -> tuple[Candidates, Identity]:
        """Render somebody, and once more with the head turned if that brings it nearer.

        The second portrait is steered from what the first one's mesh shows to what is asked. There
        is none if the pose is right, or so far off that the person would become another on the way.
        """
        identity = self.portraits(one, request, whole=True)
        off = _off_pose(identity.mesh, request.look)
        if not TURNED_FROM < off < TURNED_UP_TO:
            return one, identity
        pose = wanted(yaw=request.look.yaw, pitch=request.look.pitch)
        people = self.model.steer(
            _as_seen(one, identity.mesh),
            one.recipe.mirrored,
            pose,
            longest_step=TURN_STEP,
            max_psi=MAX_PSI,
        )
        turned = replace(one, people=people)
        again = self.portraits(turned, request, whole=True)
        return (turned, again) if _off_pose(again.mesh, request.look) < off else (one, identity)

    def _measured(
        self, one: Candidates, identity: Identity, request: IdentityRequest
    ) -> Identity | None:
        """The identity, all of it measured.

        None if it fails a screen, clearly reads as another gender than was asked, or as far older
        than the child asked.
        """
        landmarks = five_points(identity.mesh.points)
        chip = self._encoder.chip(identity.pixels, landmarks)
        views = self._encoder.views(chip)
        embedding = unit(views.sum(axis=0))
        screens = self.portraits.screens(one, request, embedding)
        if not self.limits.admit(screens, margin=MARGIN):
            return None
        look = self._looks(identity.pixels, identity.mesh, landmarks, chip, views)
        if abs(look.p_female - request.look.p_female) > OTHER_GENDER:  # never of NaN: not asked
            return None
        if far_older(look.age, request.look.age):
            return None
        return replace(
            identity,
            embedding=embedding,
            screens=screens,
            look=look,
            age=look.age,
            gender="female" if look.p_female >= 0.5 else "male",
        )

    @cached_property
    def _encoder(self) -> DlibEncoder:
        return DlibEncoder(threads=self.threads)

    @cached_property
    def _looks(self) -> LookReader:
        return LookReader(threads=self.threads)


def _with_glasses_told(seen: Look, asked: Look) -> Look:
    """A look with glasses as asked where they are asked and rather there than not.

    The search leaves out whom it is not sure of; of few who are left, as of children with glasses,
    the reading of a portrait is seldom as sure. Where none are asked it must be: what reads as
    perhaps some are temples that fade away.
    """
    there = min(seen.eyewear, asked.eyewear) >= GLASSES  # never of NaN: not asked
    return replace(seen, eyewear=asked.eyewear) if there else seen


def _off_pose(mesh: Mesh, asked: Look) -> float:
    """Degrees by which yaw or pitch, whichever is worse, is off what is asked; 0 if nothing is."""
    pose = estimate_pose(mesh.points)
    off = (abs(pose.yaw - asked.yaw), abs(pose.pitch - asked.pitch))
    return max((d for d in off if not np.isnan(d)), default=0.0)


def _as_seen(one: Candidates, mesh: Mesh) -> People:
    """One candidate in the pose that the mesh shows instead of the one predicted."""
    pose = estimate_pose(mesh.points)
    labels = one.people.labels.copy()
    labels[0, LABELS.index("yaw")] = -pose.yaw if one.recipe.mirrored[0] else pose.yaw
    labels[0, LABELS.index("pitch")] = pose.pitch
    return replace(one.people, labels=labels)
