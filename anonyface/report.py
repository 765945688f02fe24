"""What was done to an image and what can be measured of it, as a dict for a JSON archive.

It holds no pixels, no embeddings, no seeds, no index into a pool of identities: nothing from which
a face could be rebuilt or two photos linked.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from anonyface.media.metadata import software
from anonyface.types import Action
from anonyface.weights import manifest

if TYPE_CHECKING:
    from anonyface.types import AnonymizeResult, Face, FaceOutcome

SCHEMA = "anonyface.report/1"
FORBIDDEN_SETTINGS = frozenset({"seed"})  # may only say "given" or "fresh"


def build_report(result: AnonymizeResult, *, file_name: str | None = None) -> dict[str, Any]:
    """Return the report of one image.

    Args:
        result: What `anonymize` returned.
        file_name: What to call the image in the report; names can be personal, so by default none.

    Returns:
        Strict JSON types only: dict, list, str, int, finite float, bool, None.

    Raises:
        WeightsMissing: If the manifest that names the models is not there.
    """
    height, width = result.image.shape[:2]
    return {
        "schema": SCHEMA,
        "software": software(),
        "file": file_name,
        "input_sha256": result.source.sha256,
        "size": {"width": int(width), "height": int(height)},
        "settings": _settings(result.settings),
        "seconds": number(result.seconds, digits=3),
        "models": [
            {"name": name, "sha256": record.sha256} for name, record in sorted(manifest().items())
        ],
        "counts": count_actions(result),
        "faces": [_outcome(index, outcome) for index, outcome in enumerate(result.faces)],
    }


def count_actions(result: AnonymizeResult) -> dict[str, int]:
    """Return how many faces were found, replaced, redacted and kept."""
    counts = Counter(outcome.action for outcome in result.faces)
    return {"found": len(result.faces), **{action: counts[action] for action in get_args(Action)}}


def describe_face(face: Face) -> dict[str, Any]:
    """Return box (whole pixels), score, gender and age of a detected face, JSON-ready."""
    return {
        "box": [round(float(value)) for value in face.box],
        "score": number(face.score, digits=3),
        "gender": gender_of(face),
        "p_female": number(face.p_female, digits=2),
        "age": number(face.age, digits=0),
    }


def gender_of(face: Face) -> str | None:
    """Return how a face reads, "female" or "male", None if that was not estimated."""
    p_female = number(face.p_female, digits=2)
    if p_female is None:
        return None
    return "female" if p_female >= 0.5 else "male"


def number(value: float | None, *, digits: int) -> float | None:
    """Return a plain rounded number for JSON; None for None, NaN and infinities.

    >>> number(float("nan"), digits=2), number(0.456, digits=2), number(30.2, digits=0)
    (None, 0.46, 30.0)
    """
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits)


def _outcome(index: int, outcome: FaceOutcome) -> dict[str, Any]:
    """Return what became of one face."""
    identity = outcome.identity
    found = describe_face(outcome.face)
    return {
        "index": index,
        "box": found.pop("box"),
        "score": found.pop("score"),
        "action": outcome.action,
        "reason": outcome.reason,
        "original": found,
        "identity": None
        if identity is None
        else {"gender": identity.gender, "age": number(identity.age, digits=0)},
        "similarity_before": number(outcome.similarity_before, digits=4),
        "similarity_after": number(outcome.similarity_after, digits=4),
        "threshold": number(outcome.threshold, digits=4),
    }


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are plain values; anything else (an array) by its type only."""
    out: dict[str, Any] = {}
    for name, value in settings.items():
        if name in FORBIDDEN_SETTINGS and value not in ("given", "fresh"):
            out[name] = "fresh" if value is None else "given"
        elif value is None or type(value) in (bool, int, str):
            out[name] = value
        elif isinstance(value, float):
            out[name] = number(value, digits=6)
        else:
            out[name] = type(value).__name__
    return out
