"""Does a face have a beard or moustache? Colour and gradients around the mouth."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.landmarks import topology as topo
from anonyface.landmarks.skin import to_lab
from anonyface.types import FloatArray, ImageArray, Mesh
from anonyface.weights import read_weights

PATCH_WH = (64, 64)
CELLS_WH = (12, 12)
REACH = 1.15
"""Height of the patch over the distance from the nose to the chin."""
NOSE_BASE = 2
HALF = CELLS_WH[0] // 2


@dataclass(frozen=True, eq=False)
class FacialHairModel:
    """Logistic regression: p = 1 / (1 + exp(-(f - mean) . weight - bias))."""

    mean: FloatArray
    weight: FloatArray
    bias: float

    def __call__(
        self, image: ImageArray, mesh: Mesh, cheeks: FloatArray, embedding: FloatArray
    ) -> float:
        """Probability in [0, 1] of a beard or moustache; see `facial_hair_features`."""
        features = facial_hair_features(image, mesh, cheeks, embedding)
        return float(1 / (1 + np.exp(-float((features - self.mean) @ self.weight) - self.bias)))


@lru_cache(maxsize=1)
def load_facial_hair() -> FacialHairModel:
    """Read the model shipped with the package.

    Raises:
        WeightsError: If it is missing or corrupt.
    """
    with np.load(io.BytesIO(read_weights("facial-hair")), allow_pickle=False) as data:
        return FacialHairModel(data["mean"], data["weight"], float(data["bias"]))


def facial_hair_features(
    image: ImageArray, mesh: Mesh, cheeks: FloatArray, embedding: FloatArray
) -> FloatArray:
    """Colour against the cheeks and gradients of the lower face, and the identity embedding.

    The embedding alone tells beards rather well; what it misses are those the patch shows.

    Args:
        image: (H, W, 3) RGB uint8.
        mesh: The face's mesh, in image coordinates.
        cheeks: (3,) L*a*b* of the cheeks.
        embedding: (128,) under the built-in identity encoder.

    Returns:
        (632,) float32: differences in lightness, a* and b* and half-wave rectified gradients,
        folded onto one side; then the embedding, scaled to about unit variance.
    """
    patch = cv2.warpAffine(
        image, _square(mesh), PATCH_WH, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    lab = to_lab(np.asarray(patch, dtype=np.uint8)) - cheeks
    colour = cv2.resize(lab, CELLS_WH, interpolation=cv2.INTER_AREA) / np.float32(20)
    light = np.asarray(cv2.GaussianBlur(np.ascontiguousarray(lab[..., 0]), (0, 0), 1.0))
    light = light / np.float32(max(float(light.std()), 4.0))
    across, down = cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)
    rise, fall, lower, upper = (
        np.sqrt(cv2.resize(np.maximum(part, 0), CELLS_WH, interpolation=cv2.INTER_AREA))
        for part in (across, -across, down, -down)
    )
    # Mirroring swaps the two horizontal directions: averaging makes the answer mirror-invariant.
    folded = [(colour[..., i] + colour[:, ::-1, i])[:, :HALF] for i in range(3)]
    folded += [(a + b[:, ::-1])[:, :HALF] for a, b in ((rise, fall), (fall, rise))]
    folded += [(a + a[:, ::-1])[:, :HALF] for a in (lower, upper)]
    patch_features = np.concatenate([f.ravel() for f in folded]) / 2
    return np.concatenate([patch_features, embedding * 11]).astype(np.float32)


def _square(mesh: Mesh) -> NDArray[np.float64]:
    """(2, 3) similarity from the image to a patch from the nose's base to the chin, upright."""
    p = mesh.points[:, :2].astype(np.float64)
    top, bottom = p[NOSE_BASE], p[topo.CHIN]
    middle = (top + bottom + p[topo.MOUTH_LEFT] + p[topo.MOUTH_RIGHT]) / 4
    down = bottom - top
    height = max(float(np.hypot(*down)), 1e-3)
    c, s = down[1] / height, -down[0] / height
    rotation = np.array([[c, s], [-s, c]]) * (PATCH_WH[1] / (REACH * height))
    centre = np.array([(PATCH_WH[0] - 1) / 2, (PATCH_WH[1] - 1) / 2])
    return np.concatenate([rotation, (centre - rotation @ middle)[:, None]], axis=1)
