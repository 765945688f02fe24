"""Nobodies on request: breed people who fit, hold them against those they must not resemble."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from numbers import Integral
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from anonyface.errors import InputError, NobodyLeft
from anonyface.identities import resemblance
from anonyface.identities.candidates import Candidates, recipe_of
from anonyface.identities.fit import TOLERANCE, misfit, wanted
from anonyface.identities.generator import Generator, PortraitSize
from anonyface.identities.latents import (
    LONG_STEP,
    LatentModel,
    Recipe,
    as_they_are,
    cross_at_random,
    together,
)
from anonyface.identities.looks import LookReader
from anonyface.identities.people import People, load_pool, one_look, portrait_face
from anonyface.identities.screens import MAX_PSI, MIN_SOUND, Limits, hold_against
from anonyface.landmarks.iris import IrisLandmarks
from anonyface.landmarks.mesh import FaceMesh, five_points
from anonyface.types import (
    FloatArray,
    Identity,
    IdentityRequest,
    ImageArray,
    Look,
    Mesh,
    Offer,
    Screens,
)
from anonyface.verification.encoder import DlibEncoder, similarity, unit

Gender: TypeAlias = Literal["female", "male"]
Portrait: TypeAlias = tuple[ImageArray, Mesh]

PARENTS, CHILDREN = 24, 256
"""People who come nearest to what is asked, and children bred from them; both for each side."""
NEAREST = 80
"""People of the pool, for each side, who are offered as they are: not as fitting as the children,
but not related to each other."""
CLEARLY = 0.25
"""How far the probability of female of a parent may be from what is asked: children of people who
hardly read as women read as men, old ones above all."""
OTHER_GENDER = 0.75
"""Distance of the probability of female from 0 or 1 as asked that is clearly the other gender."""
TRIED, CERTIFIED, FITS = 16, 3, 1.0
"""Portraits rendered at most, portraits that pass the screens before the best of them is taken, and
the distance for each side asked, in tolerances, that is near enough to take one at once."""
TURNED_FROM, TURNED_UP_TO, TURN_STEP = 3.0, 15.0, 0.3
"""Degrees of yaw or pitch by which a portrait may be off, and from which on it is beyond help; in
between the head is turned once more, by at most this step (see `latents.LONG_STEP`)."""
MARGIN = 0.015
"""What a similarity measured on a portrait must keep from its limit: cut out a little differently,
the same portrait compares a little differently."""
BARE_EYES = 28.0
"""Shade of eyes behind clear glasses: nobody asks for sunglasses."""
LESSER_FIT = 2.0
"""Distance beyond that of the best from which on nobody is offered: a cover is better."""
OFFERS, ALIKE = 40, 0.72
"""How many are offered at most, and how similar they may be to each other: what failed once would
fail again."""
SPREAD = 0.45
"""Randomness of the choice, in units of the distance: keeps photos unlinkable."""
LARGE_FACE_PX = 170
"""Faces from here on get a 1024-px portrait; below, 256 px hold all the photo can show."""
CACHE_SIZE = 32


@dataclass(frozen=True)
class Parents:
    """Who may be a parent of those who are offered.

    Attributes:
        margin: What they keep from the limits of similarity.
        reach: How many times as many of them are considered as otherwise.
        clearly: Whether they surely have the gender asked.
    """

    margin: float = 0.0
    reach: int = 1
    clearly: bool = False


ANYBODY = Parents()
PARENTS_OF_CERTIFIED = (
    Parents(margin=0.05, clearly=True),
    Parents(margin=MARGIN, reach=4, clearly=True),
    Parents(margin=MARGIN, reach=4),
)
"""One after the other until somebody passes. Parents keep more than their children must: those
vary."""


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
        self.threads = threads
        self.limits = Limits(real=max_resemblance, sibling=max_sibling_similarity)
        self.model = LatentModel(threads=threads)
        self.generator = Generator(threads=threads)
        self.mesh = FaceMesh(threads=threads)
        self.irises = IrisLandmarks(threads=threads)
        self._cache: OrderedDict[tuple[bytes, bool, int], Portrait] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, request: IdentityRequest, /) -> Iterator[Offer]:
        """Offer nobodies, best first, each passing the screens and each somebody else."""
        found = self.search(request)
        for row in self._passing(found, request, related=False):
            yield self._offer(found, row, request)

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
            tries = (self._certified(one, parents) for parents in PARENTS_OF_CERTIFIED)
            identity = next((identity for identity in tries if identity is not None), None)
            if identity is None:
                raise NobodyLeft(found, n)
            found.append(identity)
        return found

    def _certified(self, request: IdentityRequest, parents: Parents) -> Identity | None:
        """The best of a few whose portraits pass the screens; the first that fits well."""
        best, least = None, np.inf
        asked = sum(not np.isnan(getattr(request.look, name)) for name in TOLERANCE)
        enough = FITS * np.sqrt(asked)
        found = self.search(request, parents)
        measured = 0
        for row in islice(self._passing(found, request, related=True), TRIED):
            one = found[np.array([row])]
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

    def _measured(
        self, found: Candidates, request: IdentityRequest
    ) -> tuple[Identity, float] | None:
        """The identity, all of it measured, and its misfit.

        None if it fails a screen or clearly reads as another gender than was asked.
        """
        identity = self._render(found, request)
        landmarks = five_points(identity.mesh.points)
        chip = self._encoder.chip(identity.pixels, landmarks)
        views = self._encoder.views(chip)
        embedding = unit(views.sum(axis=0))
        screens = self._screens(found, request, embedding)
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

    def again(self, persona: str, request: IdentityRequest, /) -> Offer:
        """Offer the person of ``Identity.source`` again, with the pose and expression now asked.

        The screens are computed, not applied: the caller asked for this person.

        Args:
            persona: What ``Identity.source`` said.
            request: What is asked now; gender, age and all else that makes the person is ignored.

        Raises:
            InputError: If the name is none of this source's.
        """
        recipe = recipe_of(persona, len(self.people))
        people = self.model.breed(self.people, recipe, request.look, longest_step=LONG_STEP)
        return self._offer(Candidates(people, recipe, np.zeros(1, np.float32)), 0, request)

    def search(self, request: IdentityRequest, parents: Parents = ANYBODY) -> Candidates:
        """Return candidates in the order they are offered.

        Their parents resemble nobody the request names; they may.

        The order is the distance plus a seeded random part, so that two photos of one person do not
        get the same nobody unless the seed says so.

        Args:
            request: What is asked, and whom to avoid.
            parents: Who may be a parent.
        """
        rng = np.random.default_rng(request.seed)
        apart = self.limits.apart(self.people.embeddings, request, margin=parents.margin)
        if parents.clearly and not np.isnan(request.look.p_female):
            apart &= np.abs(self.people.column("p_female") - request.look.p_female) <= CLEARLY
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
        total = misfit(people, request.look, mirrored=recipe.mirrored)
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

    def _passing(
        self, found: Candidates, request: IdentityRequest, *, related: bool
    ) -> Iterator[int]:
        """Yield the rows of those who pass the screens; unless related, none is like another."""
        people = found.people
        left = self.limits.apart(people.embeddings, request, margin=MARGIN if related else 0.0)
        if not related:
            left &= found.misfits <= found.misfits.min(initial=np.inf) + LESSER_FIT
        left &= self.model.psi(people.latents) <= MAX_PSI
        left &= people.column("sound") >= MIN_SOUND
        for _ in range(OFFERS):
            if not left.any():
                return
            row = int(left.argmax())
            yield row
            if not related:
                near = similarity(people.embeddings, people.embeddings[row])
                left &= near < ALIKE
            left[row] = False

    def _screens(
        self, found: Candidates, request: IdentityRequest, embedding: FloatArray
    ) -> Screens:
        return hold_against(
            embedding,
            request,
            psi=float(self.model.psi(found.people.latents[0])),
            sound=float(found.people.column("sound")[0]),
        )

    def _offer(self, found: Candidates, row: int, request: IdentityRequest) -> Offer:
        one = found[np.array([row])]
        near = resemblance.excess(one.people, request) if len(request.avoid) else [np.nan]
        embedding = one.people.embeddings[0]
        return Offer(embedding, partial(self._render, one, request), float(near[0]))

    def _render(self, found: Candidates, request: IdentityRequest) -> Identity:
        size: PortraitSize = 1024 if request.face_px >= LARGE_FACE_PX else 256
        mirrored = bool(found.recipe.mirrored[0])
        latent = found.people.latents[0]
        pixels, mesh = self._portrait(latent, mirrored, size)
        look = found.people.look(0, mirrored=mirrored)
        gender: Gender = "female" if look.p_female >= 0.5 else "male"
        return Identity(
            pixels=pixels,
            mesh=mesh,
            latent=latent,
            gender=gender,
            age=look.age,
            embedding=found.people.embeddings[0],
            seed=request.seed,
            source=found.persona(0),
            look=look,
            screens=self._screens(found, request, found.people.embeddings[0]),
        )

    def _portrait(self, latent: FloatArray, mirrored: bool, size: PortraitSize) -> Portrait:
        key = (latent.tobytes(), mirrored, size)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        pixels = self.generator.render(latent, size=size)
        if mirrored:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
        mesh = self.mesh(pixels, [portrait_face(size)])[0]
        portrait = pixels, self.irises.complete(pixels, mesh)
        with self._lock:
            self._cache[key] = portrait
            while len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        return portrait


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
