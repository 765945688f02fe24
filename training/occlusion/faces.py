"""FairFace with a mesh on every face, and where its bare face surely shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from anonyface.errors import FaceError
from anonyface.landmarks import topology as topo
from anonyface.landmarks.mesh import FaceMesh, has_strayed
from anonyface.landmarks.skin import fit_bare_skin, to_lab
from anonyface.swapping.mask import build_regions, face_width
from anonyface.types import BoolArray, Face, FloatArray, ImageArray
from training.attributes import chips

BOX_SIDE = 2.6
"""Side of the box around five landmarks, in distances from the eyes to the mouth."""
SUREST = 0.5
"""Presence of the mesh and likelihood of skin from which on they are believed."""
NOSE_BASE = 2
RIM = 0.06
"""Below the nose all is face, beards as well, but for so much at the outline, in face widths, where
long hair hangs."""
_ARRAYS = ("points", "bare", "numbers")


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces whose mesh is known.

    Attributes:
        pixels: (m, 160, 160, 3) RGB uint8, of all aligned faces.
        points: (n, 468, 3) float32 meshes in their pixels.
        bare: (n, 160, 20) bits: see `surely_bare`.
        numbers: (n,) row of each in ``pixels``.
        held: (n,) whether a face is held out of training.
    """

    pixels: NDArray[np.uint8]
    points: FloatArray
    bare: NDArray[np.uint8]
    numbers: NDArray[np.int64]
    held: BoolArray

    def picture(self, row: int) -> ImageArray:
        """(160, 160, 3) RGB uint8."""
        return np.asarray(self.pixels[self.numbers[row]])

    def bare_of(self, row: int) -> FloatArray:
        """(160, 160) float32: 1 where the bare face surely shows."""
        return np.unpackbits(self.bare[row], axis=1).astype(np.float32)


def load(path: Path, cache: Path) -> Faces:
    """Read the faces of a FairFace zip file, or what the cache has of them."""
    read, folder = chips.load(path, cache), cache / f"occlusion-{path.stem}"
    if not (folder / "numbers.npy").exists():
        _fit(read, folder)
    points, bare, numbers = (np.load(folder / f"{name}.npy") for name in _ARRAYS)
    held = np.isin(numbers, chips.split(len(read.rows))[1])
    return Faces(read.pixels, points, bare, numbers, held)


def surely_bare(pixels: ImageArray, points: FloatArray) -> BoolArray:
    """(h, w) where nothing lies in front of a face, as far as one can know without looking.

    All of the core and of the lower face; beside them what has the colour of the skin: hair hangs
    over the rest.

    Args:
        pixels: (h, w, 3) RGB uint8.
        points: (468, 3) mesh in them.
    """
    regions, lab = build_regions(points, pixels.shape[:2]), to_lab(pixels)
    skin = fit_bare_skin(lab, points).likelihood(lab) > SUREST
    down = points[topo.CHIN, :2] - points[topo.FOREHEAD_TOP, :2]
    rows, columns = np.mgrid[0 : pixels.shape[0], 0 : pixels.shape[1]]
    along = columns * down[0] + rows * down[1] - points[NOSE_BASE, :2] @ down
    lower = (along > 0) & (regions.edge > RIM * face_width(points))
    return np.asarray((regions.edge > 1) & (skin | lower | (regions.core > 0.5)))


def face_around(landmarks: FloatArray) -> Face:
    """A sure face of which only the (5, 2) landmarks x y are known, in pixels."""
    side = BOX_SIDE * float(np.hypot(*(landmarks[3:].mean(0) - landmarks[:2].mean(0)))) / 2
    middle = landmarks.mean(axis=0)
    return Face(np.concatenate([middle - side, middle + side]), landmarks, 1.0)


def _fit(read: chips.Chips, folder: Path) -> None:
    """Write what was fitted; "numbers" last, which says that all is there."""
    mesh, points, bare, numbers = FaceMesh(threads=1), [], [], []
    for number in tqdm(range(len(read.rows)), desc="meshes", unit="face", mininterval=10):
        pixels, marks = np.asarray(read.pixels[number]), np.asarray(read.landmarks[number])
        face = face_around(marks)
        try:
            (found,) = mesh(pixels, [face])
        except FaceError:
            continue
        if found.presence < SUREST or has_strayed(found, face):
            continue
        points.append(found.points)
        bare.append(np.packbits(surely_bare(pixels, found.points), axis=1))
        numbers.append(number)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = (np.array(points), np.array(bare), np.array(numbers))
    for name, array in zip(_ARRAYS, arrays, strict=True):
        np.save(folder / f"{name}.npy", array)
