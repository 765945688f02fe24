"""Which of eight classes, gender x age, a generated portrait belongs to.

The teachers are the runtime's own readers: identity embedding, age and gender networks, and the
regressions on top of them (anonyface/identities/traits.py).
"""

from __future__ import annotations

import io
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from anonyface.errors import FaceError
from anonyface.identities.looks import LookReader
from anonyface.identities.people import portrait_face
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.encoder import DlibEncoder
from anonyface.weights import read_weights

AGE_EDGES = (10, 30, 60)
AGES = ("<10", "10-29", "30-59", "60+")
LABEL_NAMES = tuple(f"{gender} {age}" for gender in ("female", "male") for age in AGES)
UNKNOWN = -1
"""Class of a portrait nobody can tell; it is not used."""

SURE = 0.6
"""Probability from which the teachers' word on the gender counts: nearer to one half than this,
two readings of one face would often differ."""
FIT_STEPS = 60
PENALTY = 1e-3
"""On the squared weights of the forecast: of 3e-5 to 1e-2 the one with the lowest entropy on a held
out fifth of the pool."""


class Labeller(Protocol):
    """Tells classes."""

    def __call__(self, w: Tensor, images: Tensor, /) -> Tensor:
        """Return (n,) int64 indices into `LABEL_NAMES`, or `UNKNOWN`.

        Args:
            w: (n, 512) styles.
            images: (n, 3, 256, 256) the portraits they make, nominally in [-1, 1].
        """
        ...


def class_index(p_female: FloatArray, age: FloatArray) -> Tensor:
    """Return (n,) int64 classes of (n,) probabilities and (n,) years.

    >>> class_index(np.array([0.9, 0.9, 0.2]), np.array([9.9, 10, 71]))
    tensor([0, 1, 7])
    """
    index = np.digitize(age, AGE_EDGES) + len(AGES) * (np.asarray(p_female) < 0.5)
    return torch.from_numpy(index.astype(np.int64))


class Teachers:
    """The `Labeller` that looks at the pictures; 256-px portraits need no detection.

    Args:
        threads: Threads for inference.

    Raises:
        WeightsError: If a model file is missing or corrupt.
    """

    def __init__(self, *, threads: int = 1) -> None:
        self.encoder = DlibEncoder(threads=threads)
        self.looks = LookReader(threads=threads)

    def __call__(self, w: Tensor, images: Tensor, /) -> Tensor:
        """Return the classes; `UNKNOWN` where a face can't be read or the gender is not sure."""
        return torch.stack([self._read(pixels) for pixels in to_pixels(images)])

    def _read(self, pixels: ImageArray) -> Tensor:
        try:
            landmarks = portrait_face(pixels.shape[0]).landmarks
            chip = self.encoder.chip(pixels, landmarks)
            traits = self.looks.traits(pixels, landmarks, chip, self.encoder.views(chip))
        except FaceError:
            return torch.tensor(UNKNOWN)
        if max(traits.p_female, 1 - traits.p_female) < SURE:
            return torch.tensor(UNKNOWN)
        return class_index(np.array([traits.p_female]), np.array([traits.age]))[0]


def labelled_styles() -> tuple[Tensor, Tensor]:
    """Return the shipped pool's (n, 512) styles and their (n,) classes.

    Raises:
        WeightsError: If it is missing or corrupt.
    """
    with np.load(io.BytesIO(read_weights("pool")), allow_pickle=False) as data:
        names = [str(name) for name in data["fields"]]
        p_female, age = (data["labels"][:, names.index(n)] for n in ("p_female", "age"))
        return torch.from_numpy(data["latents"].astype(np.float32)), class_index(p_female, age)


class Forecast:
    """Class probabilities from the styles alone: a softmax regression on the shipped pool's labels.

    Too rough to train with, but it costs nothing: good for choosing whom to render.

    Args:
        mean: (512,) mean of ``w``.

    Raises:
        WeightsError: If the pool is missing or corrupt.
    """

    def __init__(self, mean: Tensor) -> None:
        w, y = labelled_styles()
        self.mean = mean.cpu()
        x = w - self.mean
        self.weight = torch.zeros(x.shape[1], len(LABEL_NAMES), requires_grad=True)
        self.bias = torch.zeros(len(LABEL_NAMES), requires_grad=True)
        parameters = [self.weight, self.bias]
        optimiser = torch.optim.LBFGS(parameters, max_iter=FIT_STEPS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimiser.zero_grad()
            error = F.cross_entropy(x @ self.weight + self.bias, y)
            error = error + PENALTY * self.weight.square().sum()
            error.backward()  # type: ignore[no-untyped-call]
            return error

        with torch.enable_grad():
            optimiser.step(loss)  # type: ignore[no-untyped-call]
        for parameter in parameters:
            parameter.requires_grad_(False)

    def __call__(self, w: Tensor) -> Tensor:
        """Return the (n, 8) probabilities of (n, 512) styles, in main memory."""
        return ((w.cpu() - self.mean) @ self.weight + self.bias).softmax(dim=1)


def to_pixels(images: Tensor) -> ImageArray:
    """Turn (n, 3, h, w) in [-1, 1] into (n, h, w, 3) RGB uint8, as the runtime's generator does."""
    scaled = (images.detach().float() * 127.5 + 128).clamp(0, 255).byte()
    return np.ascontiguousarray(scaled.permute(0, 2, 3, 1).cpu().numpy())
