"""The frozen data types that travel between the stages.

What comes out at the end is in `anonyface.result`, the protocols of the stages in
`anonyface.protocols`.

Images are RGB uint8 arrays of shape (H, W, 3). Points are (x, y) in pixels of the image they belong
to, the centre of the top-left pixel being (0, 0). Sides ("left", "right") are sides of the image.
Every array held by one of these types is read-only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from anonyface.verification.thresholds import EncoderName

ImageArray: TypeAlias = NDArray[np.uint8]
FloatArray: TypeAlias = NDArray[np.float32]
BoolArray: TypeAlias = NDArray[np.bool_]

Action: TypeAlias = Literal["replaced", "redacted", "kept"]
Method: TypeAlias = Literal["synthetic", "blur", "pixelate", "solid"]
Detail: TypeAlias = Literal["fast", "normal", "thorough"]
OnFailure: TypeAlias = Literal["redact", "raise"]
Unsure: TypeAlias = Literal["replace", "keep", "raise"]
Verify: TypeAlias = Literal["normal", "strict"]
Region: TypeAlias = Literal["face", "eyes", "mouth"]
MetadataPolicy: TypeAlias = Literal["clean", "keep", "none"]
Verdict: TypeAlias = Literal["keep", "replace", "unsure"]


def freeze(array: Any, dtype: Any, shape: tuple[int | None, ...], name: str) -> NDArray[Any]:
    """Return a read-only copy of ``array`` with the dtype and shape asked for.

    Args:
        array: Anything numpy can turn into an array.
        dtype: Wanted dtype.
        shape: Wanted shape; None stands for any length.
        name: What to call the array in the error.

    Raises:
        ValueError: If the shape differs, naming expected and actual shape.
    """
    out = np.array(array, dtype=dtype)
    if len(out.shape) != len(shape) or any(
        want is not None and want != got for want, got in zip(shape, out.shape, strict=True)
    ):
        raise ValueError(f"{name} must have shape {shape}, got {out.shape}")
    out.setflags(write=False)
    return out


@dataclass(frozen=True, eq=False)
class Face:
    """A detected face.

    Attributes:
        box: (4,) float32, x0 y0 x1 y1 in pixels; may reach over the image border.
        landmarks: (5, 2) float32 x y: image-left eye, image-right eye, nose tip, image-left mouth
            corner, image-right mouth corner.
        score: Detector confidence in [0, 1].
        p_female: Probability in [0, 1] that the face reads as female, None if not estimated.
        age: Apparent age in years, None if not estimated.
    """

    box: FloatArray
    landmarks: FloatArray
    score: float
    p_female: float | None = None
    age: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", freeze(self.box, np.float32, (4,), "box"))
        object.__setattr__(
            self, "landmarks", freeze(self.landmarks, np.float32, (5, 2), "landmarks")
        )

    @property
    def size(self) -> float:
        """Longer side of the box in pixels."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))


@dataclass(frozen=True, eq=False)
class Crop:
    """Pixels cut out of an image, with the way there.

    Attributes:
        pixels: (h, w, 3) RGB uint8.
        matrix: (2, 3) float64 affine map from image coordinates to crop coordinates.
    """

    pixels: ImageArray
    matrix: NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", freeze(self.matrix, np.float64, (2, 3), "matrix"))


@dataclass(frozen=True, eq=False)
class Occlusion:
    """What lies in front of one face, on a grid laid over it upright.

    Attributes:
        front: (64, 64) float32 in [0, 1]: how surely something lies in front of the face there
            that is not worn: a hand, a phone, somebody's head.
        worn: (64, 64) float32 in [0, 1]: the same for what is worn over nose and mouth.
        matrix: (2, 3) float64 affine map from the image to the grid, whose points are at whole
            numbers.
    """

    front: FloatArray
    worn: FloatArray
    matrix: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("front", "worn"):
            object.__setattr__(self, name, freeze(getattr(self, name), np.float32, (64, 64), name))
        object.__setattr__(self, "matrix", freeze(self.matrix, np.float64, (2, 3), "matrix"))

    def moved(self, matrix: NDArray[np.float64]) -> Occlusion:
        """Return the same in other coordinates; ``matrix`` as in `Mesh.moved`."""
        turn = self.matrix[:, :2] @ np.linalg.inv(matrix[:, :2])
        shift = self.matrix[:, 2] - turn @ matrix[:, 2]
        return Occlusion(self.front, self.worn, np.column_stack([turn, shift]))


@dataclass(frozen=True, eq=False)
class Mesh:
    """Dense landmarks of one face.

    Attributes:
        points: (468, 3) float32, x y z in pixels of the image; z grows away from the camera, 0 near
            the middle of the head, in the same unit as x.
        presence: Probability in [0, 1] that there is a face where the mesh was fitted.
        irises: (2, 5, 2) float32 x y in the same pixels, image-left eye first: the centre, then
            four points on the rim. None where they were not looked for.
        occlusion: What lies in front of the face. None where that was not looked for.
        lids: (2, 2, 9, 2) float32 x y in the same pixels, image-left eye first: the edge of the
            upper lid, then that of the lower one, each from the image-left corner to the other.
            None where they were not looked for.
        spread: How far several fits lie apart at eyes and brows, in widths of the face; 0 where it
            was fitted once.
    """

    points: FloatArray
    presence: float
    irises: FloatArray | None = None
    occlusion: Occlusion | None = None
    lids: FloatArray | None = None
    spread: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", freeze(self.points, np.float32, (468, 3), "points"))
        if self.irises is not None:
            irises = freeze(self.irises, np.float32, (2, 5, 2), "irises")
            object.__setattr__(self, "irises", irises)
        if self.lids is not None:
            object.__setattr__(self, "lids", freeze(self.lids, np.float32, (2, 2, 9, 2), "lids"))

    def moved(self, matrix: NDArray[np.float64]) -> Mesh:
        """Return the same mesh in other coordinates.

        Args:
            matrix: (2, 3) affine map from the old ones to the new ones; depth is scaled by the root
                of its determinant.
        """
        turn, shift = matrix[:, :2], matrix[:, 2]
        depth = self.points[:, 2:] * np.sqrt(abs(np.linalg.det(turn)))
        points = np.concatenate([self.points[:, :2] @ turn.T + shift, depth], axis=1)
        irises, lids = (
            None if p is None else np.asarray(p @ turn.T + shift, dtype=np.float32)
            for p in (self.irises, self.lids)
        )
        occlusion = None if self.occlusion is None else self.occlusion.moved(matrix)
        return Mesh(points.astype(np.float32), self.presence, irises, occlusion, lids, self.spread)


@dataclass(frozen=True)
class Look:
    """What one sees of a face besides who it is: what a replacement has to match.

    Attributes:
        p_female: Probability in [0, 1] that the face reads as female.
        age: Apparent age in years.
        skin_tone: Individual typology angle (ITA) in degrees, atan2(L* - 50, b*): > 55 very light,
            < 10 dark (Chardon et al. 1991).
        yaw: Degrees, positive when the nose points to the image's right side.
        pitch: Degrees, positive when the nose points down.
        roll: Degrees, positive when the head is turned clockwise in the image.
        mouth_open: Inner lip gap over mouth width.
        smile: Mouth width over the distance of the outer eye corners.
        eyes_open: Lid gap over eye width, mean of both eyes.
        side_light: Lightness of the image-right cheek minus the image-left one, L* units.
        eyewear: Probability in [0, 1] of glasses or sunglasses.
        shade: How much darker the eye region is than the cheeks, L* units.
        groups: Seven probabilities, FairFace's groups in alphabetical order: who would fit hair,
            ears and neck. Never reported.
        beard: How much darker upper lip and chin are than the cheeks, L* units.
        gaze_across: Offset of the irises from the middle of the eyes towards the image's right
            side, over the eye width. NaN if the eyes are too small to tell.
        gaze_down: The same downwards.
        brows: How much darker the brows are than the cheeks, L* units. NaN if it was not read.
        facial_hair: Probability in [0, 1] of a beard or moustache. NaN if it was not read.

    A request may hold NaN for whatever does not matter.
    """

    p_female: float
    age: float
    skin_tone: float
    yaw: float
    pitch: float
    roll: float
    mouth_open: float
    smile: float
    eyes_open: float
    side_light: float
    eyewear: float
    shade: float
    beard: float
    groups: tuple[float, ...]
    gaze_across: float = float("nan")
    gaze_down: float = float("nan")
    brows: float = float("nan")
    facial_hair: float = float("nan")


@dataclass(frozen=True)
class Screens:
    """What a synthetic person was held against before it was offered.

    Similarities are those of the built-in identity encoder, the highest one where there are
    several people, None where there was nobody to compare with.

    Attributes:
        original: Similarity to the person it replaces.
        protected: To the people who are protected.
        taken: To the identities given out before in the same job.
        denied: To the people on the deny list.
        psi: Distance of the latent from the mean over the average distance: how far truncation
            was relaxed.
        sound: Probability in [0, 1] that the portrait shows no artefact on the face.
    """

    original: float | None
    protected: float | None
    taken: float | None
    denied: float | None
    psi: float
    sound: float


@dataclass(frozen=True, eq=False)
class Identity:
    """A synthetic person: a picture of somebody who does not exist.

    Attributes:
        pixels: (S, S, 3) RGB uint8 portrait, S is 256 or 1024.
        mesh: Dense landmarks in pixels of the portrait.
        latent: (512,) float32, the style vector the portrait was synthesized from.
        gender: "female" or "male": how the portrait reads.
        age: Apparent age in years.
        embedding: (128,) float32 under the built-in identity encoder.
        seed: The per-face seed that led to this identity.
        source: Which source made it and how to get the same person again: the persona that
            `anonyface.identities.source.LatentIdentities` understands, e.g. ``"pool:12x345@0.40"``.
        look: How the portrait reads, None if its source does not know.
        screens: What it was held against, None if its source does not tell.
    """

    pixels: ImageArray
    mesh: Mesh
    latent: FloatArray
    gender: Literal["female", "male"]
    age: float
    embedding: FloatArray
    seed: int
    source: str
    look: Look | None = None
    screens: Screens | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", freeze(self.pixels, np.uint8, (None, None, 3), "pixels"))
        object.__setattr__(self, "latent", freeze(self.latent, np.float32, (None,), "latent"))
        object.__setattr__(
            self, "embedding", freeze(self.embedding, np.float32, (None,), "embedding")
        )


@dataclass(frozen=True, eq=False)
class Offer:
    """A synthetic person one may have: who it would be, before the cost of a portrait.

    Attributes:
        embedding: (128,) float32 under the built-in identity encoder.
        render: Makes the portrait.
        resemblance: How like the original it is expected to be found, for comparison with other
            offers of the same request: the lower, the less. NaN where its source does not tell.
        fitting: Whether all that was asked was heeded; False for who is offered in want of others.
        sketch: Makes a smaller portrait of the same person, to judge them by; None where the
            portrait costs no more.
    """

    embedding: FloatArray
    render: Callable[[], Identity]
    resemblance: float = float("nan")
    fitting: bool = True
    sketch: Callable[[], Identity] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "embedding", freeze(self.embedding, np.float32, (None,), "embedding")
        )


@dataclass(frozen=True, eq=False)
class IdentityRequest:
    """What a nobody must look like, and whom it must not resemble.

    Attributes:
        look: What to match.
        face_px: Size of the face in the photo, in pixels; decides the portrait's resolution.
        avoid: (n, 128) float32 embeddings of real people the identity must not resemble: first the
            one it replaces, then the protected ones.
        taken: (m, 128) float32 embeddings of the identities given out in this job: the identity
            must be another person.
        seed: Seed of every random choice made for this face.
        denied: (k, 128) float32 embeddings of the deny list, None for none.
        seen: (128,) float32 embeddings of the person it replaces under the judges of the
            replacement, by their names; empty where that is
            not known.
    """

    look: Look
    face_px: float
    avoid: FloatArray
    taken: FloatArray
    seed: int
    denied: FloatArray | None = None
    seen: Mapping[EncoderName, FloatArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "avoid", freeze(self.avoid, np.float32, (None, None), "avoid"))
        object.__setattr__(self, "taken", freeze(self.taken, np.float32, (None, None), "taken"))
        if self.denied is not None:
            denied = freeze(self.denied, np.float32, (None, None), "denied")
            object.__setattr__(self, "denied", denied)


@dataclass(frozen=True, eq=False)
class Patch:
    """New pixels for a crop.

    Attributes:
        pixels: (h, w, 3) RGB uint8 of the crop's size, already blended with the crop.
        alpha: (h, w) float32 in [0, 1]; where it is 0 the crop's pixels stay untouched.
    """

    pixels: ImageArray
    alpha: FloatArray


@dataclass(frozen=True, eq=False)
class Placed:
    """A new face where it stands in the photo.

    Attributes:
        face: The original.
        window: Rows and columns of the photo.
        alpha: (h, w) float32 in [0, 1] for them: where it is 1 nothing of the original is left.
    """

    face: Face
    window: tuple[slice, slice]
    alpha: FloatArray
