"""Faces put on themselves by the swap engine: what it gets wrong, and what would have been right.

The portrait that is put on is the face's own mirror image in another light: another picture of
nobody else. So the photo as it was is the truth for the engine's result, and its errors are the
engine's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from anonyface.errors import FaceError
from anonyface.identities.generator import Generator
from anonyface.identities.people import load_pool, portrait_face
from anonyface.landmarks.mesh import FaceMesh, cut_square, five_points
from anonyface.landmarks.occlusion import OcclusionReader
from anonyface.landmarks.pose import estimate_pose
from anonyface.swapping.engine import MeshSwapper
from anonyface.types import BoolArray, Face, FloatArray, Identity, ImageArray, Mesh
from training.blend.look import INPUT_PX, context_square, cut_masks
from training.occlusion.faces import BOX_SIDE, load

MIRRORED, FRONTAL, TURNED = 0.85, 20.0, 40.0
"""Share of the portraits that are mirror images; the rest, and those of faces turned by more than
the second number of degrees, are only lit otherwise. Beyond the third the mesh is no guide."""
LIGHT, CAST, GAMMA = 0.25, 0.08, 0.15
"""Spreads of what makes a portrait's light another one: logarithms of a smooth gain's corners, of
one gain a channel, and of the exponent of a curve."""
_ARRAYS = ("photo", "new", "masks", "held")


@dataclass(frozen=True, eq=False)
class Pairs:
    """What the engine made and what is right, upright windows around faces.

    Attributes:
        photo: (n, 128, 128, 3) RGB uint8 the truth.
        new: (n, 128, 128, 3) RGB uint8 the new face, over the whole window.
        masks: (n, 128, 128, 2) uint8: 255 times its weight, and 255 where the photo is.
        held: (n,) whether a face is held out of training.
    """

    photo: NDArray[np.uint8]
    new: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    held: BoolArray


def relit(pixels: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Return a picture in another light: from another side, warmer or colder, harder or softer."""
    corners = rng.normal(0, LIGHT * rng.random(), (3, 3, 1)) + rng.normal(0, CAST, 3)
    size = (pixels.shape[1], pixels.shape[0])
    field = cv2.resize(corners.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    level = max(1.0, float(pixels.mean()))
    curved = level * (pixels / level) ** np.exp(rng.normal(0, GAMMA))
    return np.asarray(np.clip(curved * np.exp(field), 0, 255), dtype=np.uint8)


def face_at(landmarks: FloatArray) -> Face:
    """Return a face with a box around five landmarks, (5, 2) x y."""
    side = BOX_SIDE * float(np.hypot(*(landmarks[3:].mean(0) - landmarks[:2].mean(0)))) / 2
    middle = landmarks.mean(axis=0)
    return Face(np.concatenate([middle - side, middle + side]), landmarks, 1.0)


class Maker:
    """Puts faces on themselves."""

    def __init__(self) -> None:
        self.fit, self.see = FaceMesh(threads=1), OcclusionReader(threads=1)
        self.swap = MeshSwapper()

    def __call__(
        self, pixels: ImageArray, mesh: Mesh, rng: np.random.Generator
    ) -> tuple[ImageArray, ImageArray, ImageArray]:
        """Return photo, new face and masks of one face's window, see `Pairs`.

        Args:
            pixels: (h, w, 3) RGB uint8.
            mesh: The face's mesh in it.
            rng: Source of the portrait's light.

        Raises:
            FaceError: If the engine can't put the portrait on.
        """
        yaw = abs(estimate_pose(mesh.points).yaw)
        if yaw > TURNED:
            raise FaceError("turned too far", stage="landmarks")
        portrait, points = relit(pixels, rng), five_points(mesh.points)
        if rng.random() < MIRRORED and yaw < FRONTAL:
            portrait = np.ascontiguousarray(portrait[:, ::-1])
            points = points[[1, 0, 2, 4, 3]]
            points[:, 0] = pixels.shape[1] - 1 - points[:, 0]
        identity = Identity(
            portrait,
            self.fit(portrait, [face_at(points)])[0],
            np.zeros(1, np.float32),
            "female",
            30.0,
            np.zeros(1, np.float32),
            seed=int(rng.integers(1 << 30)),
            source="itself",
        )
        mesh = self.see.complete(pixels, mesh)
        new, alpha = self.swap._in_window(pixels, mesh, identity)
        matrix = context_square(mesh.points)
        whole = np.asarray(np.round(new), dtype=np.uint8)
        photo, new_face = (cut_square(p, matrix, INPUT_PX) for p in (pixels, whole))
        return photo, new_face, cut_masks(alpha, matrix)


def photographed(train: Path, cache: Path, count: int) -> Iterator[tuple[ImageArray, Mesh, bool]]:
    """Yield faces of FairFace with mesh, and whether they are held out; always in one order."""
    faces = load(train, cache)
    for row in np.random.default_rng(5).permutation(len(faces.numbers))[:count]:
        yield faces.picture(row), Mesh(faces.points[row], 1.0), bool(faces.held[row])


def generated(count: int) -> Iterator[tuple[ImageArray, Mesh, bool]]:
    """Yield synthetic people of the pool in another light, every tenth held out."""
    pool, generator, fit = load_pool(), Generator(threads=1), FaceMesh(threads=1)
    rng = np.random.default_rng(6)
    for number, row in enumerate(rng.permutation(len(pool.latents))[:count]):
        pixels = relit(generator.render(pool.latents[row], size=256), rng)
        yield pixels, fit(pixels, [portrait_face(256)])[0], number % 10 == 0


def load_pairs(train: Path, cache: Path, folder: Path, *, photos: int, people: int) -> Pairs:
    """Read the pairs of a folder, or make them.

    Args:
        train: Zip file of FairFace's training set.
        cache: Keeps what was read of it.
        folder: Keeps the pairs.
        photos: Faces of FairFace.
        people: Synthetic people.
    """
    if not (folder / "held.npy").exists():
        _make(train, cache, folder, photos=photos, people=people)
    return read_pairs(folder)


def read_pairs(folder: Path) -> Pairs:
    """Read the pairs of a folder."""
    return Pairs(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS))


def _make(train: Path, cache: Path, folder: Path, *, photos: int, people: int) -> None:
    """Write pairs; "held" last, which says that all is there."""
    maker, total = Maker(), photos + people
    arrays = [np.empty((total, INPUT_PX, INPUT_PX, c), np.uint8) for c in (3, 3, 2)]
    held: list[bool] = []
    faces = chain(generated(people), photographed(train, cache, photos))
    for number, (pixels, mesh, kept) in enumerate(tqdm(faces, total=total, mininterval=20)):
        try:
            made = maker(pixels, mesh, np.random.default_rng([7, number]))
        except FaceError:
            continue
        for array, part in zip(arrays, made, strict=True):
            array[len(held)] = part
        held.append(kept)
    folder.mkdir(parents=True, exist_ok=True)
    kept_arrays = (*(a[: len(held)] for a in arrays), np.array(held))
    for name, array in zip(_ARRAYS, kept_arrays, strict=True):
        np.save(folder / f"{name}.npy", array)
