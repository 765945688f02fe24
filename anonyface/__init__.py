"""Make photos safe to publish: a nobody for every face but those you protect.

>>> import anonyface
>>> sorted(anonyface.__all__)[:3]
['AnonyfaceError', 'AnonymizeResult', 'Anonymizer']

Importing this package loads neither numpy nor an inference engine; models are opened when needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anonyface.api import Anonymizer, anonymize
    from anonyface.errors import (
        AnonyfaceError,
        BackendError,
        FaceError,
        InputError,
        WeightsCorrupt,
        WeightsError,
        WeightsMissing,
    )
    from anonyface.media.signing import C2paSigner
    from anonyface.protection.gallery import Gallery
    from anonyface.result import AnonymizeResult, Check, FaceOutcome, Match
    from anonyface.types import Crop, Face, Identity, IdentityRequest, Look, Mesh, Patch

_HOME = {
    "Anonymizer": "api",
    "anonymize": "api",
    "AnonyfaceError": "errors",
    "BackendError": "errors",
    "FaceError": "errors",
    "InputError": "errors",
    "WeightsCorrupt": "errors",
    "WeightsError": "errors",
    "WeightsMissing": "errors",
    "C2paSigner": "media.signing",
    "Gallery": "protection.gallery",
    "AnonymizeResult": "result",
    "Check": "result",
    "Crop": "types",
    "Face": "types",
    "FaceOutcome": "result",
    "Identity": "types",
    "IdentityRequest": "types",
    "Look": "types",
    "Match": "result",
    "Mesh": "types",
    "Patch": "types",
}

__all__ = [
    "AnonyfaceError",
    "AnonymizeResult",
    "Anonymizer",
    "BackendError",
    "C2paSigner",
    "Check",
    "Crop",
    "Face",
    "FaceError",
    "FaceOutcome",
    "Gallery",
    "Identity",
    "IdentityRequest",
    "InputError",
    "Look",
    "Match",
    "Mesh",
    "Patch",
    "WeightsCorrupt",
    "WeightsError",
    "WeightsMissing",
    "anonymize",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'anonyface' has no attribute {name!r}")
    return getattr(import_module(f"anonyface.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
