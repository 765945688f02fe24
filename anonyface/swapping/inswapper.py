"""Adapter for swap networks that users bring: ONNX files of the inswapper type.

The contract: inputs ``target`` (1, 3, 128, 128), the aligned face, RGB in [0, 1], and ``source``
(1, 512); one output like ``target``. The source is the ArcFace embedding of who is put on times
``emap``, scaled to length 1; ``emap`` is the last constant of the graph. The encoder it was trained
with is a file of its own: RGB (1, 3, 112, 112), (x - 127.5) / 127.5 -> 512 numbers.

No such file comes with anonyface, and the licences of those that are published are theirs.
"""

from __future__ import annotations

from functools import partial
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.errors import FaceError, InputError
from anonyface.landmarks.mesh import five_points
from anonyface.landmarks.occlusion import hidden_part
from anonyface.landmarks.skin import fit_bare_skin, fit_skin, to_lab
from anonyface.swapping.engine import blend_alpha
from anonyface.swapping.mask import build_regions, face_width, leave, smoothstep
from anonyface.swapping.onnx_graph import input_shapes, last_initializer
from anonyface.swapping.resolution import swap_at_work_size
from anonyface.swapping.texture import match_texture
from anonyface.swapping.user_network import Shape, agrees, open_network
from anonyface.types import Crop, FloatArray, Identity, ImageArray, Mesh, Patch
from anonyface.verification.alignment import ARCFACE_PX, ARCFACE_TEMPLATE, align_chip
from anonyface.verification.encoder import unit

StrPath: TypeAlias = "str | PathLike[str]"

CHIP_PX = 128
CHIP_TEMPLATE = ARCFACE_TEMPLATE + np.array([8.0, 0.0])
"""The ArcFace template in a chip of 128 px: not enlarged, but moved to the middle; the 16 px more
show 8 px more at each side and 16 px more below."""
CHIP_TEMPLATE.setflags(write=False)
DIMS = 512
RIM_PX = 5.0
"""Rim of the chip over which the new face fades out: what lies beyond was never seen."""
SEEN = 0.98
"""Weight the chip must have wherever a feature is replaced."""
SWAPPER_INPUTS: dict[str, Shape] = {"target": (1, 3, CHIP_PX, CHIP_PX), "source": (1, DIMS)}
SWAPPER_OUTPUT: Shape = (1, 3, CHIP_PX, CHIP_PX)
ENCODER_INPUTS: dict[str, Shape] = {"": (1, 3, ARCFACE_PX, ARCFACE_PX)}
ENCODER_OUTPUT: Shape = (1, DIMS)


class InswapperSwapper:
    """Puts an identity on a face by a user's network of the inswapper type; a `Swapper`.

    Args:
        path: The swap network.
        encoder: The ArcFace encoder it was trained with; None looks for it beside ``path``, see
            `find_encoder`.
        threads: Threads for inference, 0 for all usable cores.

    Raises:
        InputError: A file is missing, can't be read or does not keep the contract.
    """

    def __init__(self, path: StrPath, *, encoder: StrPath | None = None, threads: int = 0) -> None:
        self.path = Path(path)
        self._emap = last_initializer(self.path)
        if self._emap.shape != (DIMS, DIMS):
            raise InputError(
                f"{self.path}: its last constant is {self._emap.shape}, expected {(DIMS, DIMS)}; "
                "is it a swap network of the inswapper type?"
            )
        self.encoder_path = find_encoder(path) if encoder is None else Path(encoder)
        self._network = open_network(self.path, SWAPPER_INPUTS, SWAPPER_OUTPUT, threads=threads)
        self._encoder = open_network(
            self.encoder_path, ENCODER_INPUTS, ENCODER_OUTPUT, threads=threads
        )

    def __call__(self, crop: Crop, mesh: Mesh, identity: Identity, /) -> Patch:
        """Return the crop with the new face in it.

        Args:
            crop: The face and its surroundings, in the photo's own pixels.
            mesh: The original's mesh in crop coordinates.
            identity: Who to put on.

        Raises:
            FaceError: The face can't be aligned, a feature lies outside of what the network sees,
                or what a network returns has another shape or is not finite.
            BackendError: The inference engine failed.
        """
        if not np.isfinite(mesh.points).all():
            raise FaceError("the mesh is not finite", stage="swapping")
        source = self._source(identity)
        return swap_at_work_size(crop, mesh, partial(self._swap, source=source, seed=identity.seed))

    def _source(self, identity: Identity) -> FloatArray:
        """(1, 512) what the swap network is told of who to put on."""
        points = five_points(identity.mesh.points)
        chip = align_chip(identity.pixels, points, ARCFACE_PX, template=ARCFACE_TEMPLATE).pixels
        embedding = self._encoder([_nchw(chip.astype(np.float32) / np.float32(127.5) - 1)])
        source = unit(unit(embedding) @ self._emap)
        if not np.isfinite(source).all() or not source.any():
            raise FaceError("the user's encoder gave no direction", stage="swapping")
        return source

    def _swap(
        self, pixels: ImageArray, mesh: Mesh, *, source: FloatArray, seed: int
    ) -> tuple[FloatArray, FloatArray]:
        """New face (h, w, 3) float32 over the whole crop, and alpha (h, w)."""
        chip = align_chip(pixels, five_points(mesh.points), CHIP_PX, template=CHIP_TEMPLATE)
        made = self._network([_nchw(chip.pixels.astype(np.float32) / np.float32(255)), source])
        face = np.clip(made[0].transpose(1, 2, 0), 0, 1) * np.float32(255)
        new = _place(face, chip.matrix, pixels.shape[:2])
        alpha = _cut_out(pixels, new, mesh, _seen(chip.matrix, pixels.shape[:2]))
        old, rng = pixels.astype(np.float32), np.random.default_rng(seed)
        return match_texture(new, old, alpha, rng, face_width(mesh.points)), alpha


def find_encoder(path: StrPath) -> Path:
    """Find the ArcFace encoder that lies beside a swap network.

    That is the one ONNX file whose name says so (``*arcface*``, ``w600k*``); where none does, the
    one that reads (1, 3, 112, 112).

    Args:
        path: The swap network.

    Raises:
        InputError: There is none, there are several, or the folder can't be read.
    """
    swapper = Path(path)
    try:
        beside = sorted(
            file
            for file in swapper.parent.iterdir()
            if file.suffix.lower() == ".onnx" and file.name != swapper.name and file.is_file()
        )
    except OSError as error:
        raise InputError(f"{swapper.parent}: can't be read, {error.strerror}") from None
    named = [file for file in beside if _says_arcface(file.name.lower())]
    found = named or [file for file in beside if _reads_arcface_chips(file)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(file.name for file in found[:4])
        raise InputError(f"{swapper}: several encoders lie beside it ({names}); keep one there")
    raise InputError(
        f"{swapper}: no ArcFace encoder lies beside it (*arcface*.onnx, w600k*.onnx or another "
        "ONNX file with an input of (1, 3, 112, 112))"
    )


def _says_arcface(name: str) -> bool:
    return "arcface" in name or name.startswith("w600k")


def _reads_arcface_chips(file: Path) -> bool:
    try:
        shapes = input_shapes(file)
    except InputError:  # some other model that happens to lie there
        return False
    return len(shapes) == 1 and agrees(shapes[0], (1, 3, ARCFACE_PX, ARCFACE_PX))


def _nchw(pixels: FloatArray) -> FloatArray:
    """(h, w, 3) -> (1, 3, h, w)."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)


def _place(face: FloatArray, matrix: NDArray[np.float64], image_hw: Shape) -> FloatArray:
    """Put a chip back where it was cut out.

    Args:
        face: (128, 128, 3) float32 RGB 0-255.
        matrix: (2, 3) map from the crop to the chip.
        image_hw: Height and width of the crop.

    Returns:
        (h, w, 3) float32 RGB 0-255; beyond the chip its border goes on.
    """
    scale, to_chip = float(np.hypot(*matrix[:, 0])), matrix
    if scale > 1.33:  # shrinking: average first, so that the warp skips no pixel
        side = max(16, round(CHIP_PX / scale))
        factor = side / CHIP_PX
        face = np.asarray(cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA))
        to_chip = matrix * factor
        to_chip[:, 2] += (factor - 1) / 2  # pixel centres are whole numbers
    warped = cv2.warpAffine(
        face,
        to_chip,
        (image_hw[1], image_hw[0]),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(np.clip(warped, 0, 255), dtype=np.float32)


def _seen(matrix: NDArray[np.float64], image_hw: Shape) -> FloatArray:
    """(h, w) float32 in [0, 1]: 1 well inside the chip, 0 outside of it."""
    rows, columns = np.mgrid[0 : image_hw[0], 0 : image_hw[1]].astype(np.float32)
    least = np.full(image_hw, np.inf, dtype=np.float32)
    for a, b, c in matrix.astype(np.float32):
        along = a * columns + b * rows + c + np.float32(0.5)
        least = np.minimum(least, np.minimum(along, CHIP_PX - along))
    return smoothstep(np.asarray(least / RIM_PX, dtype=np.float32))


def _cut_out(pixels: ImageArray, new: FloatArray, mesh: Mesh, seen: FloatArray) -> FloatArray:
    """(h, w) weight of the new face, as in the built-in engine.

    Raises:
        FaceError: A feature lies where the network did not see it, no part of the face inside the
            image, or too much of it is hidden.
    """
    image_hw = pixels.shape[:2]
    old_lab, width = to_lab(pixels), face_width(mesh.points)
    skin = fit_skin(old_lab, mesh)
    hidden = hidden_part(mesh, pixels)
    regions = build_regions(mesh.points, image_hw)
    regions = leave(regions, hidden, mesh.points, masked=skin.masked)
    if np.any(seen[regions.core * regions.soft > 0.5] < SEEN):
        raise FaceError("the face does not fit into what the network sees", stage="swapping")
    new_lab = to_lab(new)
    new_skin = fit_bare_skin(new_lab, mesh.points).likelihood(new_lab)
    alpha = blend_alpha(regions, skin.likelihood(old_lab) * (1 - hidden), new_skin, width)
    alpha = np.asarray(alpha * seen, dtype=np.float32)
    if not np.any(alpha > 0.5):
        raise FaceError("no part of the face lies inside the image", stage="swapping")
    return alpha
