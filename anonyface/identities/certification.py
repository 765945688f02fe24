"""Look at portraits before they are given out: the screens again, what they show, and the pose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import islice

import numpy as np

from anonyface.identities.candidates import Candidates, Parents
from anonyface.identities.fit import TOLERANCE, misfit
from anonyface.identities.latents import LatentModel
from anonyface.identities.looks import LookReader
from anonyface.identities.people import People, one_look
from anonyface.identities.portraits import Portraits
from anonyface.identities.screens import MARGIN, Limits
from anonyface.landmarks.mesh import five_points
from anonyface.types import Identity, IdentityRequest, Look
from anonyface.verification.encoder import DlibEncoder, unit

PARENTS_OF_CERTIFIED = (
    Parents(margin=0.05, clearly=True),
    Parents(margin=MARGIN, reach=4, clearly=True),
    Parents(margin=MARGIN, reach=4),
)
"""One after the other until somebody passes. Parents keep more than their children must: those
vary."""
OTHER_GENDER = 0.75
"""Distance of the probability of female from 0 or 1 as asked that is clearly the other gender."""
TRIED, CERTIFIED, FITS = 16, 3, 1.0
"""Portraits rendered at most, portraits that pass the screens before the best of them is taken, and
the distance for each side asked, in tolerances, that is near enough to take one at once."""
TURNED_FROM, TURNED_UP_TO, TURN_STEP = 3.0, 15.0, 0.3
"""Degrees of yaw or pitch by which a portrait may be off, and from which on it is beyond help; in
between the head is turned once more, by at most this step (see `latents.LONG_STEP`)."""


class Certifier:
    """Chooses among candidates by what their portraits show.

    The readers are opened when they are first needed.

    Args:
        people: The parents of all candidates.
        model: Turns a head by changing the latent.
        portraits: Renders.
        limits: Of the similarity to others.
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(
        self,
        *,
        people: People,
        model: LatentModel,
        portraits: Portraits,
        limits: Limits,
        threads: int = 0,
    ) -> None:
        self.people, self.model, self.portraits = people, model, portraits
        self.limits, self.threads = limits, threads

    def __call__(
        self, candidates: Iterator[Candidates], request: IdentityRequest
    ) -> Identity | None:
        """Return the best of a few whose portraits pass the screens; the first that fits well.

        Args:
            candidates: One by one, best first, as predicted.
            request: What is asked, and whom they must not resemble.

        Returns:
            An identity with look, embedding and screens as measured; None if nobody passes.
        """
        best, least = None, np.inf
        asked = sum(not np.isnan(getattr(request.look, name)) for name in TOLERANCE)
        enough = FITS * np.sqrt(asked)
        measured = 0
        for one in islice(candidates, TRIED):
            passed = self._measured(one, request)
            if passed is None:
                continue
            measured += 1
            turned = self._turned(one, request, passed[0].look)
            again = None if turned is None else self._measured(turned, request)
            for identity, off in (passed, *([again] if again else [])):
                if off < least:
                    best, least = identity, off
            if least < enough or measured == CERTIFIED:
                break
        return best

    def _turned(
        self, one: Candidates, request: IdentityRequest, seen: Look | None
    ) -> Candidates | None:
        """The same person, aimed as far beyond the pose asked as the portrait fell short of it.

        None where the portrait is turned as asked, or where it is so far off that the person would
        become another one on the way.
        """
        asked = request.look
        if seen is None:
            return None
        off = {name: getattr(seen, name) - getattr(asked, name) for name in ("yaw", "pitch")}
        worst = max((abs(d) for d in off.values() if not np.isnan(d)), default=0.0)
        if not TURNED_FROM < worst < TURNED_UP_TO:
            return None
        aim = replace(asked, **{n: getattr(asked, n) - d for n, d in off.items()})
        people = self.model.breed(self.people, one.recipe, aim, longest_step=TURN_STEP)
        return Candidates(people, one.recipe, one.misfits)

    def _measured(self, one: Candidates, request: IdentityRequest) -> tuple[Identity, float] | None:
        """The identity, all of it measured, and its misfit.

        None if it fails a screen or clearly reads as another gender than was asked.
        """
        identity = self.portraits(one, request)
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
        measured = replace(
            identity,
            embedding=embedding,
            screens=screens,
            look=look,
            age=look.age,
            gender="female" if look.p_female >= 0.5 else "male",
        )
        return measured, float(misfit(one_look(look), request.look, mirrored=False)[0])

    @cached_property
    def _encoder(self) -> DlibEncoder:
        return DlibEncoder(threads=self.threads)

    @cached_property
    def _looks(self) -> LookReader:
        return LookReader(threads=self.threads)
