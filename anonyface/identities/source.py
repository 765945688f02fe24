"""Nobodies on request: breed people who fit, hold them against those they must not resemble."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from numbers import Integral
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from anonyface.errors import InputError, NobodyLeft
from anonyface.identities import resemblance
from anonyface.identities.axes import STAYS, load_axes
from anonyface.identities.candidates import Candidates, Parents, recipe_of, surely
from anonyface.identities.certification import PARENTS_OF_CERTIFIED, Certifier
from anonyface.identities.fit import REFUSED, far_older, misfit, of_any_group, wanted
from anonyface.identities.generator import PortraitSize
from anonyface.identities.latents import (
    LONG_STEP,
    SHORT_STEP,
    LatentModel,
    Recipe,
    as_they_are,
    cross_at_random,
    together,
)
from anonyface.identities.people import People, load_pool
from anonyface.identities.portraits import LARGE_FACE_PX, Portraits
from anonyface.identities.screens import MARGIN, MAX_PSI, MIN_SOUND, Limits
from anonyface.types import FloatArray, Identity, IdentityRequest, Look, Offer
from anonyface.verification.encoder import similarity

Gender: TypeAlias = Literal["female", "male"]

PARENTS, CHILDREN = 32, 512
"""People who come nearest to what is asked, and children bred from them; both for each side."""
NEAREST = 80
"""People of the pool, for each side, who are offered as they are: not as fitting as the children,
but not related to each other."""
BARE_EYES = 28.0
"""Shade of eyes behind clear glasses: nobody asks for sunglasses."""
LESSER_FIT = 2.0
"""Distance beyond that of the best from which on nobody is offered: a cover is better."""
OFFERS, OF_ANY_GROUP, ALIKE = 24, 16, 0.72
"""How many are offered at most, and after them of any group, where who must not resemble the
original is found more easily: better than a cover; and how similar they may be to each other: what
failed once would fail again."""
SPREAD = 0.45
"""Randomness of the choice, in units of the distance: keeps photos unlinkable."""
ANYBODY = Parents()


class LatentIdentities:
    """An `IdentitySource` that breeds people from the shipped pool.

    Args:
        max_resemblance: A nobody this similar to anyone in ``request.avoid`` or on the deny list is
            not offered.
        max_sibling_similarity: A nobody this similar to anyone in ``request.taken`` is not offered.
        threads: Threads for inference, 0 for all usable cores.
        people: The people to choose and breed from; default the shipped ones.
    """

    def __init__(
        self,
        *,
        max_resemblance: float,
        max_sibling_similarity: float,
        threads: int = 0,
        people: People | None = None,
    ) -> None:
        self.people = load_pool() if people is None else people
        self.limits = Limits(real=max_resemblance, sibling=max_sibling_similarity)
        self.model, self.axes = LatentModel(threads=threads), load_axes()
        self.portraits = Portraits(model=self.model, threads=threads)
        self.certifier = Certifier(
            model=self.model,
            portraits=self.portraits,
            limits=self.limits,
            threads=threads,
        )

    def __call__(self, request: IdentityRequest, /) -> Iterator[Offer]:
        """Offer nobodies, best first, each passing the screens and each somebody else.

        After those of the group asked come some of any.
        """
        given = request.taken[:0]
        looks = [(request.look, OFFERS)]
        if not np.isnan(request.look.groups).any():
            looks.append((of_any_group(request.look), OF_ANY_GROUP))
        for look, count in looks:
            asked = replace(request, look=look)
            found = self._passing(self.search(asked), asked, related=False)
            for one in islice(self._unlike(found, given), count):
                given = np.concatenate([given, one.people.embeddings])
                yield replace(self._offer(one, asked), fitting=look is request.look)

    def _unlike(self, found: Iterator[Candidates], given: FloatArray) -> Iterator[Candidates]:
        """Those who are like none of (n, 128) others."""
        for one in found:
            if not (similarity(given, one.people.embeddings[0]) >= ALIKE).any():
                yield one

    def request(
        self,
        *,
        gender: Gender | None = None,
        age: float | None = None,
        skin_tone: float | None = None,
        yaw: float | None = None,
        pitch: float | None = None,
        mouth_open: float | None = None,
        smile: float | None = None,
        eyes_open: float | None = None,
        gaze_across: float | None = None,
        gaze_down: float | None = None,
        side_light: float | None = None,
        beard: float | None = None,
        glasses: bool = False,
        avoid: FloatArray | None = None,
        taken: FloatArray | None = None,
        denied: FloatArray | None = None,
        n: int = 1,
        seed: int | None = None,
        size: PortraitSize = 256,
    ) -> list[Identity]:
        """Return portraits of people who do not exist, each somebody else.

        Unlike what a call offers, these were looked at: ``look``, ``embedding`` and ``screens`` are
        measured on the portrait. Who fails a screen then is left out, too, and who turned out not
        to look as asked gives way to somebody who does, if there is one.

        Args:
            gender: How they are to read; None if it does not matter, as for all that follow.
            age: Years.
            skin_tone: Individual typology angle in degrees, see `anonyface.types.Look` as for the
                rest: degrees, ratios and L* units.
            yaw: Degrees, positive to the image's right side.
            pitch: Degrees, positive down.
            mouth_open: Gap over width.
            smile: Mouth width over the distance of the outer eye corners.
            eyes_open: Lid gap over eye width.
            gaze_across: Irises off the middle of the eyes to the right, over the eye width.
            gaze_down: The same downwards.
            side_light: How much lighter the image-right cheek is.
            beard: How much darker lip and chin are than the cheeks.
            glasses: Whether they wear some.
            avoid: (m, 128) float32 of real people they must not resemble.
            taken: (m, 128) float32 of identities given out before.
            denied: (m, 128) float32 of a deny list.
            n: How many.
            seed: None for fresh randomness.
            size: Side of the portraits, 256 or 1024 px.

        Raises:
            NobodyLeft: If fewer than ``n`` people pass the screens; it holds those who do.
            InputError: If something else is asked for than is described here.
        """
        _check_request(gender=gender, size=size, n=n, seed=seed)
        look = wanted(
            p_female=None if gender is None else float(gender == "female"),
            age=age,
            skin_tone=skin_tone,
            yaw=yaw,
            pitch=pitch,
            mouth_open=mouth_open,
            smile=smile,
            eyes_open=eyes_open,
            gaze_across=gaze_across,
            gaze_down=gaze_down,
            side_light=side_light,
            beard=beard,
            eyewear=float(glasses),
            shade=BARE_EYES,
        )
        nobody = np.zeros((0, self.people.embeddings.shape[1]), dtype=np.float32)
        asked = IdentityRequest(
            look=look,
            face_px=LARGE_FACE_PX if size == 1024 else 0,
            avoid=nobody if avoid is None else avoid,
            taken=nobody if taken is None else taken,
            seed=0,
            denied=denied,
        )
        found: list[Identity] = []
        for number in np.random.SeedSequence(seed).generate_state(n, np.uint64):
            given = [asked.taken, *(i.embedding[None] for i in found)]
            one = replace(asked, seed=int(number >> 1), taken=np.concatenate(given))
            identity = self._certified(one)
            if identity is None:
                raise NobodyLeft(found, n)
            found.append(identity)
        return found

    def _certified(self, request: IdentityRequest) -> Identity | None:
        """The best of those who pass, of more parents if the glasses are not as asked."""
        best, least = None, float("inf")
        for parents in PARENTS_OF_CERTIFIED:
            people = self._passing(self.search(request, parents), request, related=True)
            found = self.certifier(people, request)
            if found is not None and found[1] < least:
                best, least = found
            if least < REFUSED:
                break
        return best

    def again(self, persona: str, request: IdentityRequest, /) -> Offer:
        """Offer the person of ``Identity.source`` again, steered to what is now asked.

        Pose, expression and, of grown-ups, age are (`latents.STEERED`), as far as the same person
        can take them.

        The screens are computed, not applied: the caller asked for this person.

        Args:
            persona: What ``Identity.source`` said.
            request: What is asked now; gender and all else that makes the person is ignored.

        Raises:
            InputError: If the name is none of this source's.
        """
        recipe = recipe_of(persona, len(self.people))
        people = self.model.breed(self.people, recipe, request.look, longest_step=LONG_STEP)
        if recipe.code[0] != STAYS:
            people = self._moved(people, recipe, request.look)
        return self._offer(Candidates(people, recipe, np.zeros(1, np.float32)), request)

    def search(self, request: IdentityRequest, parents: Parents = ANYBODY) -> Candidates:
        """Return candidates in the order they are offered.

        Their parents resemble nobody the request names; they may. Each is there twice: as bred, and
        moved away from the original.

        The order is the distance plus a seeded random part, so that two photos of one person do not
        get the same nobody unless the seed says so.

        Args:
            request: What is asked, and whom to avoid.
            parents: Who may be a parent.
        """
        rng = np.random.default_rng(request.seed)
        apart = self.limits.apart(self.people.embeddings, request, margin=parents.margin)
        if parents.clearly and not np.isnan(request.look.p_female):
            apart &= surely(self.people, request.look)
        recipes = [
            part
            for mirrored in (False, True)
            for part in self._one_side(
                request.look, apart, rng, mirrored=mirrored, reach=parents.reach
            )
        ]
        if not recipes:
            nobody = as_they_are(np.zeros(0, np.intp), mirrored=False)
            return Candidates(self.people[:0], nobody, np.zeros(0, np.float32))
        recipe = together(recipes)
        people = self.model.breed(self.people, recipe, request.look)
        if len(request.avoid):
            others = replace(
                recipe, code=self.axes.code(resemblance.rises(people, request, self.axes.slopes))
            )
            people = people.followed_by(self._moved(people, others, request.look))
            recipe = together([recipe, others])
        total = misfit(people, request.look, mirrored=recipe.mirrored)
        people, total = self._steer_again(
            people, total, recipe.mirrored, request.look, count=parents.steered_again
        )
        if len(request.avoid):
            total = np.hypot(total, resemblance.cost(resemblance.excess(people, request)))
        noisy = total + SPREAD * rng.gumbel(size=len(total))
        return Candidates(people, recipe, total)[np.argsort(noisy, kind="stable")]

    def _one_side(
        self,
        look: Look,
        apart: NDArray[np.bool_],
        rng: np.random.Generator,
        *,
        mirrored: bool,
        reach: int,
    ) -> list[Recipe]:
        """The nearest people of the pool and children of the very nearest."""
        distances = misfit(self.people, look, mirrored=mirrored)
        distances[~apart] = np.inf
        nearest = np.argsort(distances, kind="stable")[: min(reach * NEAREST, int(apart.sum()))]
        if not len(nearest):
            return []
        return [
            as_they_are(nearest, mirrored=mirrored),
            cross_at_random(nearest[: reach * PARENTS], CHILDREN, rng, mirrored=mirrored),
        ]

    def _moved(self, people: People, recipe: Recipe, look: Look) -> People:
        """People moved along the identity axes, then steered towards a look once more."""
        codes = recipe.code
        moved = self.model.moved(people, self.axes.step(codes), self.axes.seen(codes))
        return self.model.steer(
            moved, recipe.mirrored, look, longest_step=SHORT_STEP, max_psi=MAX_PSI
        )

    def _steer_again(
        self,
        people: People,
        total: FloatArray,
        mirrored: NDArray[np.bool_],
        look: Look,
        *,
        count: int,
    ) -> tuple[People, FloatArray]:
        """People and distances, the nearest steered once more where that brings them nearer."""
        rows = np.argsort(total, kind="stable")[:count]
        if not len(rows):
            return people, total
        side = mirrored[rows]
        steered = self.model.steer(
            people[rows], side, look, longest_step=SHORT_STEP, max_psi=MAX_PSI
        )
        distances = misfit(steered, look, mirrored=side)
        better = distances < total[rows]
        total = total.copy()
        total[rows[better]] = distances[better]
        return people.exchanged(rows[better], steered[np.flatnonzero(better)]), total

    def _passing(
        self, found: Candidates, request: IdentityRequest, *, related: bool
    ) -> Iterator[Candidates]:
        """Yield one by one who passes the screens; unless related, none is like another."""
        people = found.people
        left = self.limits.apart(people.embeddings, request, margin=MARGIN if related else 0.0)
        if not related:
            left &= found.misfits <= found.misfits.min(initial=np.inf) + LESSER_FIT
        left &= self.model.psi(people.latents) <= MAX_PSI
        left &= people.column("sound") >= MIN_SOUND
        left &= ~far_older(people.column("age"), request.look.age)
        while left.any():
            row = int(left.argmax())
            yield found[np.array([row])]
            if not related:
                near = similarity(people.embeddings, people.embeddings[row])
                left &= near < ALIKE
            left[row] = False

    def _offer(self, one: Candidates, request: IdentityRequest) -> Offer:
        near = resemblance.excess(one.people, request) if len(request.avoid) else [np.nan]
        render = sketch = partial(self.portraits, one, request)
        if request.face_px >= LARGE_FACE_PX:
            sketch = partial(self.portraits, one, replace(request, face_px=0))
        return Offer(
            one.people.embeddings[0],
            render,
            float(near[0]),
            sketch=None if sketch is render else sketch,
        )


def _check_request(*, gender: object, size: object, n: object, seed: object) -> None:
    """Raise an InputError for what `LatentIdentities.request` can't be asked."""
    if gender not in ("female", "male", None):
        raise InputError(f"gender must be 'female', 'male' or None, not {gender!r}")
    if size not in (256, 1024):
        raise InputError(f"size must be 256 or 1024, not {size!r}")
    if not isinstance(n, Integral) or n < 1:
        raise InputError(f"n must be a whole number from 1 on, not {n!r}")
    if seed is not None and (not isinstance(seed, Integral) or seed < 0):
        raise InputError(f"seed must be None or a whole number from 0 on, not {seed!r}")
