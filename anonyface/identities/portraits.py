"""Candidates to identities: render the portrait and find mesh and irises in it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple, TypeAlias

import numpy as np

from anonyface.identities.candidates import Candidates
from anonyface.identities.generator import GRID, WHOLE, Generator, PortraitSize, Window
from anonyface.identities.latents import LatentModel
from anonyface.identities.people import portrait_face
from anonyface.identities.resemblance import MASKED
from anonyface.identities.screens import hold_against
from anonyface.landmarks import topology as topo
from anonyface.landmarks.iris import IrisLandmarks
from anonyface.landmarks.mesh import FaceMesh
from anonyface.types import FloatArray, Identity, IdentityRequest, ImageArray, Mesh, Screens

Portrait: TypeAlias = tuple[ImageArray, Mesh]

LARGE_FACE_PX = 170
"""Faces from here on get a 1024-px portrait; below, 256 px hold all the photo can show."""
CACHE_SIZE = 32
AROUND = 0.06
"""What is rendered sharp around the outline of a face, in sides of the portrait."""


class Rendering(NamedTuple):
    """How a portrait is wanted.

    Attributes:
        mirrored: Whether as in a mirror.
        size: Its side, pixels.
        whole: Whether it is wanted sharp beyond the face, too.
        steady: Whether the mesh is to be the mean of several fits. Above a mask eyes and brows
            alone show how the head is held, and there one fit is not enough.
    """

    mirrored: bool
    size: PortraitSize
    whole: bool
    steady: bool


class Portraits:
    """Renders people. What was rendered last is kept.

    Args:
        model: Tells how far from the mean somebody is.
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(self, *, model: LatentModel, threads: int = 0) -> None:
        self.model = model
        self.generator = Generator(threads=threads)
        self.mesh = FaceMesh(threads=threads)
        self.steady_mesh = FaceMesh(threads=threads, steady=True)
        self.irises = IrisLandmarks(threads=threads)
        self._cache: OrderedDict[tuple[bytes, Rendering], Portrait] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(
        self, one: Candidates, request: IdentityRequest, *, whole: bool = False
    ) -> Identity:
        """Return the identity of one candidate; all but pixels and mesh is as predicted.

        Args:
            one: A single candidate.
            request: Tells the size of the portrait, and whom the screens hold the person against.
            whole: Whether a large portrait is wanted sharp beyond the face, too.

        Raises:
            FaceError: If there is no face in the portrait.
        """
        size: PortraitSize = 1024 if request.face_px >= LARGE_FACE_PX else 256
        mirrored, latent = bool(one.recipe.mirrored[0]), one.people.latents[0]
        how = Rendering(mirrored, size, whole or size == 256, MASKED[0] in request.seen)
        pixels, mesh = self._portrait(latent, how)
        look = one.people.look(0, mirrored=mirrored)
        return Identity(
            pixels=pixels,
            mesh=mesh,
            latent=latent,
            gender="female" if look.p_female >= 0.5 else "male",
            age=look.age,
            embedding=one.people.embeddings[0],
            seed=request.seed,
            source=one.persona(0),
            look=look,
            screens=self.screens(one, request, one.people.embeddings[0]),
        )

    def screens(self, one: Candidates, request: IdentityRequest, embedding: FloatArray) -> Screens:
        """Return the figures of one candidate, whose (128,) embedding is predicted or measured."""
        return hold_against(
            embedding,
            request,
            psi=float(self.model.psi(one.people.latents[0])),
            sound=float(one.people.column("sound")[0]),
        )

    def _portrait(self, latent: FloatArray, how: Rendering) -> Portrait:
        key = (latent.tobytes(), how)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        size, window = how.size, WHOLE
        if not how.whole:
            sketch = self._portrait(latent, how._replace(size=256, whole=True))
            window = around(sketch[1], 256)
            if how.mirrored:
                window = window._replace(left=GRID - window.right, right=GRID - window.left)
        pixels = self.generator.render(latent, size=size, window=window)
        if how.mirrored:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
        find = self.steady_mesh if how.steady else self.mesh
        portrait = pixels, self.irises.complete(pixels, find(pixels, [portrait_face(size)])[0])
        with self._lock:
            self._cache[key] = portrait
            while len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        return portrait


def around(mesh: Mesh, size: int) -> Window:
    """Return the part of a portrait in which a face lies, with some of what is around it.

    Args:
        mesh: The face in a portrait of that size.
        size: Side of the portrait, pixels.
    """
    outline = mesh.points[topo.FACE_OVAL, :2] / np.float32(size)
    low, high = outline.min(axis=0) - AROUND, outline.max(axis=0) + AROUND
    left, top = np.clip(np.floor(low * GRID), 0, GRID - 1).astype(int)
    right, bottom = np.clip(np.ceil(high * GRID), 1, GRID).astype(int)
    return Window(int(top), int(left), int(bottom), int(right))
