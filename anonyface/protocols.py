"""The stages one can replace: plain callables between the frozen types of `anonyface.types`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from anonyface.types import (
    Crop,
    Face,
    FloatArray,
    Identity,
    IdentityRequest,
    ImageArray,
    Mesh,
    Offer,
    Patch,
)


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
