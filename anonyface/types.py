"""The frozen data types that travel between the stages, and the protocols of the stages.

Images are RGB uint8 arrays of shape (H, W, 3). Points are (x, y) in pixels of the image they belong
to, the centre of the top-left pixel being (0, 0). Sides ("left", "right") are sides of the image.
Every array held by one of these types is read-only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pathlib import Path

    from anonyface.media.images import Source
    from anonyface.media.signing import C2paSigner

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
class Mesh:
    """Dense landmarks of one face.

    Attributes:
        points: (468, 3) float32, x y z in pixels of the image; z grows away from the camera, 0 near
            the middle of the head, in the same unit as x.
        presence: Probability in [0, 1] that there is a face where the mesh was fitted.
    """

    points: FloatArray
    presence: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", freeze(self.points, np.float32, (468, 3), "points"))


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
        irises: (2, 5, 2) float32 from `anonyface.landmarks.iris`, in pixels of the portrait; None
            leaves its gaze as it is.
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
    irises: FloatArray | None = None

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
    """

    embedding: FloatArray
    render: Callable[[], Identity]

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
    """

    look: Look
    face_px: float
    avoid: FloatArray
    taken: FloatArray
    seed: int
    denied: FloatArray | None = None

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


@dataclass(frozen=True)
class Match:
    """How a face compares with the protected people.

    Attributes:
        verdict: "keep" from the sure threshold on, "unsure" between the two, else "replace".
        score: Highest similarity to a reference.
        reference: Name of that reference, e.g. ``"me.jpg"`` or a name in a `Gallery`.
        sure: Similarity from which on the face counts as the protected person.
        unsure: Similarity from which on it might be.
        false_match_rate: Share of strangers who reach ``sure``.
    """

    verdict: Verdict
    score: float
    reference: str
    sure: float
    unsure: float
    false_match_rate: float


@dataclass(frozen=True)
class Check:
    """What one encoder says of a replaced face.

    Attributes:
        encoder: Name of the encoder in the manifest of models.
        before: Similarity of the original face and its own mirror image: the score of somebody who
            is recognised. None if it was not measured.
        after: Similarity of the original face and what stands there now.
        threshold: Similarity below which the replacement is accepted.
        false_match_rate: Share of pairs of strangers that reach the threshold.
    """

    encoder: str
    before: float | None
    after: float
    threshold: float
    false_match_rate: float

    @property
    def passed(self) -> bool:
        """Whether the encoder no longer takes the two for one person."""
        return self.after < self.threshold


@dataclass(frozen=True, eq=False)
class FaceOutcome:
    """What became of one face.

    Attributes:
        face: The face as it was found.
        action: "replaced" by a nobody, "redacted" (covered) or "kept".
        reason: Why, in a short sentence.
        similarity_before: What the built-in encoder gives the original face against its own mirror
            image: the score of somebody who is recognised. None when it was not measured.
        similarity_after: What it gives the original face against what stands there now. None when
            it was not measured (kept and covered faces).
        threshold: Similarity from which on two faces count as one person. None if not measured.
        identity: The synthetic person put on, None unless replaced.
        match: How the face compares with the protected people, None if nobody is protected.
        checks: What each encoder says of the replacement; the first one is the built-in one, whose
            figures the three attributes above repeat.
        look: How the original face reads: what was asked of the identity. None if not read.
        redraws: Identities tried and rejected before this outcome.
    """

    face: Face
    action: Action
    reason: str
    similarity_before: float | None = None
    similarity_after: float | None = None
    threshold: float | None = None
    identity: Identity | None = None
    match: Match | None = None
    checks: tuple[Check, ...] = ()
    look: Look | None = None
    redraws: int = 0


@dataclass(frozen=True, eq=False)
class AnonymizeResult:
    """An anonymized image and what became of every face in it.

    Attributes:
        image: (H, W, 3) RGB uint8, upright (the file's orientation applied).
        faces: One outcome per face found, in the detector's order.
        settings: The options used, JSON-ready.
        seconds: Wall-clock time of the whole call.
    """

    image: ImageArray
    faces: tuple[FaceOutcome, ...]
    settings: dict[str, Any]
    seconds: float
    source: Source = field(repr=False)

    def save(self, path: str | Path, *, sign: C2paSigner | None = None) -> Path:
        """Write the cleaned, marked file; format by suffix, never in place of the input.

        What the file may say, and whether it is marked, was set when the `Anonymizer` was made.

        Args:
            path: Where to; an existing file other than the input is replaced in one step.
            sign: Whose certificate the file is signed with (C2PA); None for no manifest.

        Returns:
            The path written.

        Raises:
            InputError: Unknown suffix, unwritable folder, or ``path`` is the input itself.
        """
        from anonyface.config import Config
        from anonyface.media.images import save_image

        return save_image(
            self.image,
            path,
            source=self.source,
            metadata=self.settings.get("metadata", Config.metadata),
            mark=self.settings.get("mark", Config.mark),
            sign=sign,
            actions=[outcome.action for outcome in self.faces],
        )

    def report(
        self, *, output: str | Path | None = None, names: bool = False, seeds: bool = False
    ) -> dict[str, Any]:
        """Return the JSON-ready report: no embeddings, no pixels; see ``docs/report.md``.

        Args:
            output: The file `save` wrote: its sha256 is put in.
            names: Whether the names of protected people who were matched are put in.
            seeds: Whether the seeds are put in, by which the same identities can be made again.

        Raises:
            InputError: ``output`` can't be read.
        """
        from anonyface.report import build_report

        return build_report(self, output=output, names=names, seeds=seeds)


class Detector(Protocol):
    """Finds faces: RGB uint8 (H, W, 3) -> faces, most confident first."""

    def __call__(self, image: ImageArray, /) -> Sequence[Face]:
        """Return the faces in an image, most confident first."""
        ...


class Encoder(Protocol):
    """Says who it is: image and (5, 2) landmarks -> (128,) float32 embedding."""

    def __call__(self, image: ImageArray, landmarks: FloatArray, /) -> FloatArray:
        """Return the embedding of the face with these landmarks."""
        ...


class IdentitySource(Protocol):
    """Offers nobodies for a request, best first; may end when it has no more."""

    def __call__(self, request: IdentityRequest, /) -> Iterator[Offer]:
        """Return an iterator over people who fit the request."""
        ...


class Swapper(Protocol):
    """Puts an identity on the face in a crop; ``mesh`` is in crop coordinates."""

    def __call__(self, crop: Crop, mesh: Mesh, identity: Identity, /) -> Patch:
        """Return the crop with the identity in it."""
        ...
