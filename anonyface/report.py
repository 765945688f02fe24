"""What was done to an image and what can be measured of it, as a dict for a JSON archive.

It holds no pixels, no embeddings, no index into a pool of identities, no appearance group, and
neither seeds nor names unless asked for: nothing from which a face could be rebuilt or two photos
linked. ``docs/report.md`` explains every field, ``schemas/report.schema.json`` is the contract.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from anonyface.errors import InputError
from anonyface.media.metadata import software
from anonyface.types import Action
from anonyface.weights import manifest

if TYPE_CHECKING:
    from anonyface.result import AnonymizeResult, Check, FaceOutcome, Match
    from anonyface.types import Face, Look

SCHEMA = "anonyface.report/2"
FORBIDDEN_SETTINGS = frozenset({"seed"})  # may only say "given" or "fresh"
UNNAMED = "[name]"
"""What stands in a reason where the name of a protected person was."""

# What a report says of a look: field -> digits. Not the appearance group, and not what only serves
# the choice of a replacement.
MEASURED = {
    "skin_tone": 0,
    "yaw": 0,
    "pitch": 0,
    "roll": 0,
    "mouth_open": 2,
    "smile": 2,
    "eyes_open": 2,
    "side_light": 0,
    "eyewear": 2,
    "beard": 0,
}


def build_report(
    result: AnonymizeResult,
    *,
    file_name: str | None = None,
    output: str | Path | None = None,
    names: bool = False,
    seeds: bool = False,
    created: datetime | None = None,
) -> dict[str, Any]:
    """Return the report of one image.

    Args:
        result: What `anonymize` returned.
        file_name: What to call the image in the report; names can be personal, so by default none.
        output: The file written, to state its sha256; None if there is none.
        names: Whether protected people are called by the names the caller gave them.
        seeds: Whether to state the seed of each synthetic person. Who has the seeds and the
            library can make the same people again.
        created: When the report was made, with a time zone; None for now.

    Returns:
        Strict JSON types only: dict, list, str, int, finite float, bool, None.

    Raises:
        InputError: If ``output`` can't be read, or ``created`` has no time zone.
        WeightsMissing: If the manifest that names the models is not there.
    """
    height, width = result.image.shape[:2]
    synthetic = result.settings.get("method", "synthetic") == "synthetic"
    return {
        "schema": SCHEMA,
        "software": software(),
        "created": utc_text(created),
        "file": file_name,
        "input_sha256": result.source.sha256,
        "output_sha256": None if output is None else file_sha256(output),
        "size": {"width": int(width), "height": int(height)},
        "metadata_found": sorted(set(result.source.found)),
        "settings": _settings(result.settings),
        "seconds": number(result.seconds, digits=3),
        "models": [
            {"name": name, "sha256": record.sha256} for name, record in sorted(manifest().items())
        ],
        "counts": count_actions(result),
        "faces": [
            {
                "index": index,
                **_outcome(outcome, names=names, seeds=seeds),
                "fallback": {
                    "redraws": int(outcome.redraws),
                    "covered": outcome.action == "redacted" and synthetic,
                },
            }
            for index, outcome in enumerate(result.faces)
        ],
    }


def count_actions(result: AnonymizeResult) -> dict[str, int]:
    """Return how many faces were found, replaced, redacted and kept."""
    counts = Counter(outcome.action for outcome in result.faces)
    return {"found": len(result.faces), **{action: counts[action] for action in get_args(Action)}}


def describe_face(face: Face) -> dict[str, Any]:
    """Return box (whole pixels), score, gender and age of a detected face, JSON-ready."""
    return {
        "box": whole_box(face),
        "score": number(face.score, digits=3),
        "gender": gender_of(face),
        "p_female": number(face.p_female, digits=2),
        "age": number(face.age, digits=0),
    }


def whole_box(face: Face) -> list[int]:
    """Return x0 y0 x1 y1 of a face in whole pixels."""
    return [round(float(value)) for value in face.box]


def gender_of(face: Face | Look) -> str | None:
    """Return how a face reads, "female" or "male", None if that was not estimated."""
    p_female = number(face.p_female, digits=2)
    if p_female is None:
        return None
    return "female" if p_female >= 0.5 else "male"


def number(value: float | None, *, digits: int) -> float | None:
    """Return a plain rounded number for JSON; None for None, NaN and infinities.

    >>> number(float("nan"), digits=2), number(0.456, digits=2), number(-0.2, digits=0)
    (None, 0.46, 0.0)
    """
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits) + 0.0  # no negative zero


def public_reason(outcome: FaceOutcome) -> str:
    """Return why a face was treated so, without the name of the protected person it matched."""
    if outcome.match is None or not outcome.match.reference:
        return outcome.reason
    name = re.escape(outcome.match.reference)
    return re.sub(rf"(?<!\w){name}(?!\w)", UNNAMED, outcome.reason)


def is_verified(outcome: FaceOutcome) -> bool | None:
    """Say whether a replacement passed every measurement; None where nothing was measured."""
    if outcome.action != "replaced":
        return None
    if outcome.checks:
        return all(check.passed for check in outcome.checks)
    if outcome.similarity_after is None or outcome.threshold is None:
        return None
    return outcome.similarity_after < outcome.threshold


def file_sha256(path: str | Path) -> str:
    """Return the hex digest of a file.

    Raises:
        InputError: If it can't be read.
    """
    try:
        with Path(path).open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    return digest.hexdigest()


def utc_text(moment: datetime | None) -> str:
    """Return a moment, None for now, as text such as "2026-02-03T04:05:06Z".

    Raises:
        InputError: If it has no time zone.
    """
    if moment is None:
        moment = datetime.now(timezone.utc)
    if moment.tzinfo is None:
        raise InputError("the time of a report needs a time zone")
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _outcome(outcome: FaceOutcome, *, names: bool, seeds: bool) -> dict[str, Any]:
    """Return what became of one face."""
    identity = outcome.identity
    return {
        "box": whole_box(outcome.face),
        "score": number(outcome.face.score, digits=3),
        "action": outcome.action,
        "reason": outcome.reason if names else public_reason(outcome),
        "protection": None if outcome.match is None else _match(outcome.match, names=names),
        "similarity_before": number(outcome.similarity_before, digits=4),
        "similarity_after": number(outcome.similarity_after, digits=4),
        "threshold": number(outcome.threshold, digits=4),
        "checks": [_check(check) for check in outcome.checks],
        "verified": is_verified(outcome),
        "asked": _asked(outcome),
        "got": None
        if identity is None
        else _attributes(identity.look, gender=identity.gender, age=identity.age),
        "screens": None
        if identity is None or identity.screens is None
        else {name: number(value, digits=4) for name, value in asdict(identity.screens).items()},
        "seed": identity.seed if seeds and identity is not None else None,
    }


def _match(match: Match, *, names: bool) -> dict[str, Any]:
    """Return how a face compares with the protected people."""
    return {
        "verdict": match.verdict,
        "score": number(match.score, digits=4),
        "sure": number(match.sure, digits=4),
        "unsure": number(match.unsure, digits=4),
        "false_match_rate": number(match.false_match_rate, digits=8),
        "reference": match.reference if names else None,
    }


def _check(check: Check) -> dict[str, Any]:
    """Return what one encoder says of a replacement."""
    return {
        "encoder": check.encoder,
        "before": number(check.before, digits=4),
        "after": number(check.after, digits=4),
        "threshold": number(check.threshold, digits=4),
        "false_match_rate": number(check.false_match_rate, digits=8),
        "passed": bool(check.passed),
    }


def _asked(outcome: FaceOutcome) -> dict[str, Any] | None:
    """Return what a synthetic person was asked to look like; None where nobody was asked for."""
    if outcome.action == "kept":
        return None  # nothing is said of people who stay
    look, face = outcome.look, outcome.face
    if look is not None:
        return _attributes(look, gender=gender_of(look), age=look.age)
    if outcome.action == "replaced":
        return _attributes(None, gender=gender_of(face), age=face.age)
    return None


def _attributes(look: Look | None, *, gender: str | None, age: float | None) -> dict[str, Any]:
    """Return how a face reads; None for what was not read."""
    return {
        "gender": gender,
        "age": number(age, digits=0),
        **{
            name: None if look is None else number(getattr(look, name), digits=digits)
            for name, digits in MEASURED.items()
        },
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
