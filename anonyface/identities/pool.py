"""Nobodies from a pool of labelled latents: pick who looks the same way, screen, synthesize."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from anonyface.errors import WeightsMissing
from anonyface.identities.generator import Generator, PortraitSize
from anonyface.landmarks.mesh import FaceMesh
from anonyface.types import Face, FloatArray, Identity, IdentityRequest, Look, Mesh, Offer
from anonyface.verification.encoder import similarity
from anonyface.weights import read_weights, weights_dir

GROUPS = tuple(f"group_{i}" for i in range(7))
SCALARS = tuple(f.name for f in fields(Look) if f.name != "groups")
LOOK_FIELDS = (*SCALARS, *GROUPS)
GROUP_TOLERANCE = 0.33
"""Hellinger distance between two faces' group probabilities that begins to show."""

TOLERANCE = {
    "p_female": 0.25,
    "age": 4.5,
    "skin_tone": 9.0,
    "yaw": 4.5,
    "pitch": 8.0,
    "mouth_open": 0.055,
    "smile": 0.05,
    "eyes_open": 0.07,
    "side_light": 9.0,
    "shade": 12.0,
    "beard": 8.0,
}
"""How far off a nobody may be before it shows: the unit of the search's distance."""
MIRRORED = ("yaw", "side_light")
"""What changes its sign when a portrait is mirrored."""
OTHER_GENDER = 4.0
"""Distance added for a nobody of the other gender, as far as the original's was sure."""
CHILD_AGE = 14.0
"""Children get children: across this age the distance in age counts four times."""
WEARS = 0.7
HAS_GLASSES, HAS_NONE = 0.8, 0.12
"""Who seems to wear glasses gets a nobody who surely does; all others one who does not."""
REFUSED = 100.0
"""Distance added for a mismatch that always shows, so that such people come last."""
HAIR_TOLERANCE = 0.08
"""Share of forehead and temples under hair that begins to show, in units of the distance."""
RESEMBLANCE_FROM, RESEMBLANCE_TOLERANCE = 0.4, 0.05
"""A nobody costs the more the closer it is to the original: far ones need no redraw."""
SHORTLIST = 40
SPREAD = 0.45
"""Randomness of the choice, in units of the distance: keeps photos unlinkable."""
LARGE_FACE_PX = 170
"""Faces from here on get a 1024-px portrait; below, 256 px hold all the photo can show."""
CACHE_SIZE = 32


@dataclass(frozen=True, eq=False)
class Pool:
    """Labelled latents, one row a person.

    Attributes:
        latents: (n, 512) float32 style vectors.
        embeddings: (n, 128) float32.
        labels: (n, len(LOOK_FIELDS)) float32 in the order of `LOOK_FIELDS`.
        clear: (n,) float32, share of forehead and temples not under hair.
    """

    latents: FloatArray
    embeddings: FloatArray
    labels: FloatArray
    clear: FloatArray


@lru_cache(maxsize=1)
def load_pool() -> Pool:
    """Read the pool shipped with the package.

    Raises:
        WeightsError: If it is missing, corrupt or of another layout.
    """
    with np.load(io.BytesIO(read_weights("pool")), allow_pickle=False) as data:
        names = [str(n) for n in data["fields"]]
        if any(field not in names for field in (*LOOK_FIELDS, "clear")):
            raise WeightsMissing("pool", weights_dir())
        labels = data["labels"].astype(np.float32)
        return Pool(
            latents=data["latents"].astype(np.float32),
            embeddings=data["embeddings"].astype(np.float32),
            labels=labels[:, [names.index(f) for f in LOOK_FIELDS]],
            clear=labels[:, names.index("clear")],
        )


class PoolIdentities:
    """An `IdentitySource` over the shipped pool.

    Args:
        max_resemblance: A nobody this similar to anyone in ``request.avoid`` is not offered.
        max_sibling_similarity: A nobody this similar to anyone in ``request.taken`` is not offered.
        threads: Threads for inference, 0 for all usable cores.
        pool: The people to choose from; default the shipped ones.
    """

    def __init__(
        self,
        *,
        max_resemblance: float,
        max_sibling_similarity: float,
        threads: int = 0,
        pool: Pool | None = None,
    ) -> None:
        self.pool = load_pool() if pool is None else pool
        self.max_resemblance = max_resemblance
        self.max_sibling_similarity = max_sibling_similarity
        self.generator = Generator(threads=threads)
        self.mesh = FaceMesh(threads=threads)
        self._cache: OrderedDict[tuple[int, bool, int], tuple[NDArray[np.uint8], Mesh]] = (
            OrderedDict()
        )
        self._lock = threading.Lock()

    def __call__(self, request: IdentityRequest, /) -> Iterator[Offer]:
        """Offer nobodies, best first, each passing the screens."""
        size: PortraitSize = 1024 if request.face_px >= LARGE_FACE_PX else 256
        for row, mirrored in self.rank(request):
            if self._closest(row, request.avoid) >= self.max_resemblance:
                continue
            if self._closest(row, request.taken) >= self.max_sibling_similarity:
                continue
            yield Offer(
                self.pool.embeddings[row],
                partial(self._render, row, mirrored=mirrored, size=size, seed=request.seed),
            )

    def _render(self, row: int, *, mirrored: bool, size: PortraitSize, seed: int) -> Identity:
        pixels, mesh = self._portrait(row, mirrored, size)
        look = self._look(row, mirrored=mirrored)
        return Identity(
            pixels=pixels,
            mesh=mesh,
            latent=self.pool.latents[row],
            gender="female" if look.p_female >= 0.5 else "male",
            age=look.age,
            embedding=self.pool.embeddings[row],
            seed=seed,
            source=f"pool:{row}{'m' if mirrored else ''}",
            look=look,
        )

    def _look(self, row: int, *, mirrored: bool) -> Look:
        """How a portrait of the pool was labelled."""
        label = dict(zip(LOOK_FIELDS, self.pool.labels[row].tolist(), strict=True))
        if mirrored:
            label |= {name: -label[name] for name in MIRRORED}
        groups = tuple(label.pop(name) for name in GROUPS)
        return Look(**label, groups=groups)

    def rank(self, request: IdentityRequest) -> list[tuple[int, bool]]:
        """Return (row, mirrored) of the shortlist, in the order they are offered.

        The order is the distance plus a seeded random part, so that two photos of one person do not
        get the same nobody unless the seed says so.
        """
        distances = np.stack([self.distances(request.look, m) for m in (False, True)], axis=1)
        resemblance = similarity(self.pool.embeddings, request.avoid[0])
        extra = np.maximum(0, resemblance - RESEMBLANCE_FROM) / RESEMBLANCE_TOLERANCE
        distances = np.hypot(distances, extra[:, None])
        best = np.minimum(distances[:, 0], distances[:, 1])
        rows = np.argsort(best, kind="stable")[:SHORTLIST]
        rng = np.random.default_rng(request.seed)
        noisy = best[rows] + SPREAD * rng.gumbel(size=len(rows))
        order = rows[np.argsort(noisy, kind="stable")]
        return [(int(r), bool(distances[r, 1] < distances[r, 0])) for r in order]

    def distances(self, look: Look, mirrored: bool) -> FloatArray:
        """(n,) distance of every person to a look, in tolerances."""
        total = ((1 - self.pool.clear) / HAIR_TOLERANCE) ** 2
        for name, tolerance in TOLERANCE.items():
            have = self.pool.labels[:, LOOK_FIELDS.index(name)]
            if mirrored and name in MIRRORED:
                have = -have
            off = (have - getattr(look, name)) / tolerance
            if name == "age":
                across = (have < CHILD_AGE) != (look.age < CHILD_AGE)
                off = off * np.where(across, 4.0, 1.0)
            if name == "p_female":
                across = (have >= 0.5) != (look.p_female >= 0.5)
                off = np.abs(off) + across * OTHER_GENDER * abs(2 * look.p_female - 1)
            total = total + off**2
        have = self.pool.labels[:, [LOOK_FIELDS.index(g) for g in GROUPS]]
        hellinger = ((np.sqrt(have) - np.sqrt(np.array(look.groups, np.float32))) ** 2).sum(axis=1)
        total = total + hellinger / GROUP_TOLERANCE**2
        glasses = self.pool.labels[:, LOOK_FIELDS.index("eyewear")]
        clash = glasses < HAS_GLASSES if look.eyewear >= WEARS else glasses > HAS_NONE
        total = total + np.where(clash, REFUSED**2, 0.0)
        return np.asarray(np.sqrt(total), dtype=np.float32)

    def _closest(self, row: int, others: FloatArray) -> float:
        return float(similarity(self.pool.embeddings[row], others).max(initial=-1.0))

    def _portrait(
        self, row: int, mirrored: bool, size: PortraitSize
    ) -> tuple[NDArray[np.uint8], Mesh]:
        key = (row, mirrored, size)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        pixels = self.generator.render(self.pool.latents[row], size=size)
        if mirrored:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
        mesh = self.mesh(pixels, [portrait_face(size)])[0]
        with self._lock:
            self._cache[key] = (pixels, mesh)
            while len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        return pixels, mesh


def portrait_face(size: int) -> Face:
    """Where the face is in every portrait: the generator's training pictures were aligned to this.

    Args:
        size: Side of the portrait in pixels.
    """
    box = np.array([0.27, 0.30, 0.73, 0.88]) * size
    eyes_nose_mouth = np.array(
        [[0.385, 0.475], [0.615, 0.475], [0.5, 0.61], [0.405, 0.71], [0.595, 0.71]]
    )
    return Face(box, eyes_nose_mouth * size, 1.0)


def look_row(look: Look) -> list[float]:
    """Return a look as one row of labels, in the order of `LOOK_FIELDS`."""
    return [*(float(getattr(look, name)) for name in SCALARS), *look.groups]
