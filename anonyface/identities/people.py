"""Synthetic people that are not rendered yet: latents with what is known of them."""

from __future__ import annotations

import io
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anonyface.errors import WeightsMissing
from anonyface.types import Face, FloatArray, Look
from anonyface.verification.encoder import unit
from anonyface.verification.thresholds import EncoderName
from anonyface.weights import read_weights, weights_dir

GROUPS = tuple(f"group_{i}" for i in range(7))
SCALARS = tuple(f.name for f in fields(Look) if f.name != "groups")
LOOK_FIELDS = (*SCALARS, *GROUPS)
LABELS = (*LOOK_FIELDS, "clear", "sound")
"""What is known of a synthetic person: the look, the share of forehead and temples not under hair,
and the probability that the portrait shows no artefact."""
VIEWS: tuple[EncoderName, ...] = (
    "second-encoder",
    "encoder, upper face",
    "second-encoder, upper face",
)
"""The judges of a replacement besides the built-in encoder, whose embeddings people have anyway."""
MIRRORED = ("yaw", "roll", "side_light", "gaze_across")
"""What changes its sign when a portrait is mirrored."""
PROBABILITIES = ("p_female", "eyewear", "facial_hair", *GROUPS, "clear", "sound")


@dataclass(frozen=True, eq=False)
class People:
    """Labelled latents, one row a person.

    Attributes:
        latents: (n, 512) float32 style vectors.
        embeddings: (n, 128) float32 of unit length, under the built-in identity encoder.
        labels: (n, len(LABELS)) float32 in the order of `LABELS`.
        views: (n, len(VIEWS), 128) float32 of length 1, under the other judges of a replacement.
            None where nobody knows.
    """

    latents: FloatArray
    embeddings: FloatArray
    labels: FloatArray
    views: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, rows: NDArray[np.intp] | list[int] | slice) -> People:
        views = None if self.views is None else self.views[rows]
        return People(self.latents[rows], self.embeddings[rows], self.labels[rows], views)

    def exchanged(self, rows: NDArray[np.intp], others: People) -> People:
        """The same people, but others in these rows."""

        def put(into: FloatArray, values: FloatArray) -> FloatArray:
            out = into.copy()
            out[rows] = values
            return out

        views = self.views
        if views is not None and others.views is not None:
            views = put(views, others.views)
        return People(
            put(self.latents, others.latents),
            put(self.embeddings, others.embeddings),
            put(self.labels, others.labels),
            views,
        )

    def followed_by(self, others: People) -> People:
        """The same people, then others; of all of them views are known, or of none."""
        views = None
        if self.views is not None and others.views is not None:
            views = np.concatenate([self.views, others.views])
        return People(
            np.concatenate([self.latents, others.latents]),
            np.concatenate([self.embeddings, others.embeddings]),
            np.concatenate([self.labels, others.labels]),
            views,
        )

    def column(self, name: str) -> FloatArray:
        """(n,) one label of everybody."""
        return np.asarray(self.labels[:, LABELS.index(name)])

    def look(self, row: int, *, mirrored: bool) -> Look:
        """How the portrait of one person reads, mirrored or as it is."""
        label = dict(zip(LABELS, self.labels[row].tolist(), strict=True))
        if mirrored:
            label |= {name: -label[name] for name in MIRRORED}
        groups = tuple(label[name] for name in GROUPS)
        return Look(**{name: label[name] for name in SCALARS}, groups=groups)


@lru_cache(maxsize=2)
def load_pool(*, views: bool = True) -> People:
    """Read the people shipped with the package: portraits that were rendered, labelled, screened.

    Args:
        views: Whether to read what the other judges see in them.

    Raises:
        WeightsError: If a file is missing, corrupt or of another layout.
    """
    with np.load(io.BytesIO(read_weights("pool")), allow_pickle=False) as data:
        names = [str(n) for n in data["fields"]]
        if any(field not in names for field in LABELS):
            raise WeightsMissing("pool", weights_dir())
        people = People(
            latents=data["latents"].astype(np.float32),
            embeddings=data["embeddings"].astype(np.float32),
            labels=data["labels"].astype(np.float32)[:, [names.index(f) for f in LABELS]],
        )
    if not views:
        return people
    with np.load(io.BytesIO(read_weights("pool-views")), allow_pickle=False) as data:
        seen = unit(data["views"].astype(np.float32) * data["scale"])
    if seen.shape[:2] != (len(people), len(VIEWS)):
        raise WeightsMissing("pool-views", weights_dir())
    return replace(people, views=seen)


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


def one_look(look: Look) -> People:
    """Return one person who looks like this, and of whom nothing else is known."""
    labels = np.array([[*look_row(look), 1.0, 1.0]], dtype=np.float32)
    return People(np.zeros((1, 0), np.float32), np.zeros((1, 0), np.float32), labels)
