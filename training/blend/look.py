"""A last look at a new face in its surroundings: a small network corrects its light and colour.

It sees the composed face, never the original's inner face, and answers with a smooth, bounded gain
a channel: it can neither draw texture nor blur any, and what it can't see it can't bring back.
Whoever wants to try a trained one passes ``swapper=RefinedSwapper(refine=Refiner.load(PATH))``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from anonyface.landmarks.mesh import cut_square
from anonyface.landmarks.occlusion import INPUT_PX as OCCLUSION_PX
from anonyface.landmarks.occlusion import upright_square
from anonyface.runtime import run, start_session
from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.mask import cheeks, face_width
from anonyface.types import FloatArray, Identity, ImageArray, Mesh

INPUT_PX, FIELD_PX = 128, 32
REACH = 1.4
"""Side of the square the network sees over that of the square in which occlusions are sought."""
QUIET = 0.03
"""Logarithm of a gain that is none: what is good stays as it is, and gains begin there."""
CHEEK_SIGMA, CHEEK_REACH = 0.06, 1.3
"""Cheeks have their colour from the original, measured, and keep it: softness of their edges in
face widths, and a factor for the mask that makes up for it."""
FEWEST_PX = 40.0
"""Side of the square below which nothing is done: too few pixels to judge light by."""


def context_square(points: FloatArray) -> NDArray[np.float64]:
    """(2, 3) similarity from the image to the network's input, the eyes level.

    Args:
        points: (468, 3) mesh in image coordinates.

    Raises:
        FaceError: If the mesh spans no area.
    """
    scale = INPUT_PX / (OCCLUSION_PX * REACH)
    matrix = upright_square(points) * scale
    # The middles of both squares, between pixel centres, fall on each other.
    matrix[:, 2] += (INPUT_PX - 1) / 2 - scale * (OCCLUSION_PX - 1) / 2
    return matrix


def to_field(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The map to the network's field of gains from that to its input."""
    share = FIELD_PX / INPUT_PX
    out = matrix * share
    out[:, 2] += (share - 1) / 2  # pixel centres are whole numbers
    return out


class Refiner:
    """Corrects light and colour of a new face where it stands.

    Args:
        session: Of what `training.blend.export` writes.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session = session

    @classmethod
    def load(cls, path: Path, *, threads: int = 0) -> Refiner:
        """Open a model; ``threads`` for inference, 0 for all usable cores."""
        return cls(start_session(path, threads=threads))

    def __call__(
        self, new: FloatArray, old: ImageArray, alpha: FloatArray, points: FloatArray
    ) -> FloatArray:
        """Return the new face, corrected.

        Args:
            new: (h, w, 3) float32 RGB 0-255, the new face over the whole crop.
            old: (h, w, 3) RGB uint8, the crop; of it only what shows is looked at.
            alpha: (h, w) float32 weight of the new face.
            points: (468, 3) mesh in crop coordinates.

        Returns:
            (h, w, 3) float32 RGB 0-255.

        Raises:
            FaceError: If the mesh spans no area.
        """
        matrix = context_square(points)
        if INPUT_PX / float(np.hypot(matrix[0, 0], matrix[1, 0])) < FEWEST_PX:
            return new
        cells = to_field(matrix)
        field = held_back(
            self.field(compose(new, old, alpha), alpha, matrix),
            np.asarray(points[:, :2] @ cells[:, :2].T + cells[:, 2], dtype=np.float32),
        )
        size = (new.shape[1], new.shape[0])
        gain = cv2.warpAffine(
            np.ascontiguousarray(field.transpose(1, 2, 0)),
            cells,
            size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(np.clip(new * np.exp(gain), 0, 255), dtype=np.float32)

    def field(
        self, mixed: ImageArray, alpha: FloatArray, matrix: NDArray[np.float64]
    ) -> FloatArray:
        """(3, 32, 32) float32 logarithms of the gains, RGB.

        Args:
            mixed: (h, w, 3) RGB uint8 crop with the new face in it.
            alpha: (h, w) float32 weight of the new face.
            matrix: `context_square` of the face.
        """
        chip, masks = cut_square(mixed, matrix, INPUT_PX), cut_masks(alpha, matrix)
        # HWC, uint8 => NCHW, float32
        both = np.concatenate([chip, masks], axis=2).transpose(2, 0, 1)[None]
        feed = np.ascontiguousarray(both, dtype=np.float32)
        return np.asarray(run(self.session, {"image": feed}, ["field"])[0][0], dtype=np.float32)


@dataclass(frozen=True)
class RefinedSwapper(MeshSwapper):
    """The mesh swapper with a last look at the end.

    Attributes:
        refine: Takes it.
    """

    refine: Refiner = field(kw_only=True)

    def _in_window(
        self, pixels: ImageArray, mesh: Mesh, identity: Identity
    ) -> tuple[FloatArray, FloatArray]:
        new, alpha = super()._in_window(pixels, mesh, identity)
        return self.refine(new, pixels, alpha, mesh.points), alpha


def held_back(field: FloatArray, points: FloatArray) -> FloatArray:
    """Return a field without its small gains, and without those on the cheeks.

    Args:
        field: (3, 32, 32) logarithms of gains.
        points: (468, 2) mesh in its cells.
    """
    loud = np.sign(field) * np.maximum(np.abs(field) - QUIET, 0)
    both = cheeks(points, field.shape[1:])
    soft = cv2.GaussianBlur(both, (0, 0), max(0.5, CHEEK_SIGMA * face_width(points)))
    return np.asarray(loud * (1 - np.clip(CHEEK_REACH * soft, 0, 1)), dtype=np.float32)


def compose(new: FloatArray, old: ImageArray, alpha: FloatArray) -> ImageArray:
    """(h, w, 3) RGB uint8: the crop with the new face in it, the only thing the network sees."""
    mixed = old + (new - old) * alpha[..., None]
    return np.asarray(np.round(np.clip(mixed, 0, 255)), dtype=np.uint8)


def cut_masks(alpha: FloatArray, matrix: NDArray[np.float64]) -> ImageArray:
    """(128, 128, 2) uint8: 255 times the new face's weight, and 255 where the crop is.

    Args:
        alpha: (h, w) float32 in [0, 1].
        matrix: (2, 3) similarity from the crop to the network's input.
    """
    weight = np.round(255 * np.clip(alpha, 0, 1))
    both = np.stack([weight, np.full_like(weight, 255)], axis=2).astype(np.uint8)
    # Larger faces are shrunk by an area filter, of which cv2.warpAffine has none.
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 1:
        smooth = cv2.GaussianBlur(both, (0, 0), 0.5 / scale, borderType=cv2.BORDER_REPLICATE)
        both = np.asarray(smooth, dtype=np.uint8)
    return np.asarray(cv2.warpAffine(both, matrix, (INPUT_PX, INPUT_PX)), dtype=np.uint8)
