"""From measured faces to figures: tails, shares, groups, and what was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.contract import Asked, print_table, rounded
from benchmarks.identification import Share, share
from benchmarks.readers import agreement
from benchmarks.utility_faces import MEASURES, SMALLEST_PX, Compared
from benchmarks.utility_measures import tail
from benchmarks.utility_sheets import RANDOM

MATCHED = (0.8, 1.25)
"""Sharpness, new over old, from which to which a face counts as matched."""
MEDIANS = {
    "yaw error": 2.5,
    "pitch error": 2.5,
    "roll error": 2.5,
    "mouth opening error": 0.10,
    "gaze error": 0.12,
    "skin tone difference, ITA": 4.0,
}
"""Measure -> the median asked for."""


def numbers(faces: Sequence[Compared], name: str) -> list[float]:
    """Return the values of a measure, faces it could not be taken of left out."""
    return [v for face in faces if not isinstance(v := face.values[name], str)]


def split(faces: Sequence[Compared], kind: str) -> dict[str, list[Compared]]:
    """Return the faces by group; those that can't be read are in none."""
    names = sorted({face.groups[kind] for face in faces if kind in face.groups})
    return {name: [f for f in faces if f.groups.get(kind) == name] for name in names}


def kinds(faces: Sequence[Compared]) -> list[str]:
    """Return the kinds of groups there are."""
    return sorted({kind for face in faces for kind in face.groups})


def summary(faces: Sequence[Compared]) -> dict[str, Any]:
    """Return the figures of the replaced faces of one data set."""
    return {
        "faces": len(faces),
        "found_again": share([f.again is not None for f in faces]) if faces else None,
        "measures": {name: measured(faces, name) for name in MEASURES},
        "readers": {name: read(faces, name) for name in (faces[0].readings if faces else ())},
    }


def measured(faces: Sequence[Compared], name: str) -> dict[str, Any]:
    """Return the figures of one measure."""
    values = numbers(faces, name)
    missing = Counter(v for face in faces if isinstance(v := face.values[name], str))
    out: dict[str, Any] = {
        "unit": MEASURES[name].unit,
        "all": _tail(values),
        "not_measured": dict(missing),
    }
    if MEASURES[name].worst == "furthest from 1" and values:
        out["p5"], out["p10"] = (float(v) for v in np.percentile(values, [5, 10]))
    if name == "sharpness" and values:
        low, high = MATCHED
        out["within 0.8-1.25"] = share([low <= v <= high for v in values])
        # It is the root of a quotient of energies: for those the same limits ask for more.
        out["squares within 0.8-1.25"] = share([low <= v * v <= high for v in values])
    for kind in kinds(faces):
        out[f"by {kind}"] = {
            group: _tail(numbers(some, name)) for group, some in split(faces, kind).items()
        }
    return out


def read(faces: Sequence[Compared], reader: str) -> dict[str, Any]:
    """Return how far a reader's readings of originals and results agree; a face missed does not."""
    out = _agreement(faces, reader)
    for kind in kinds(faces):
        out[f"by {kind}"] = {
            group: _agreement(some, reader) for group, some in split(faces, kind).items()
        }
    return out


def _tail(values: Sequence[float]) -> dict[str, float | int | None]:
    found = tail(values)
    return {"median": found.median, "p90": found.p90, "p95": found.p95, "of": found.of}


def _agreement(faces: Sequence[Compared], reader: str) -> dict[str, Any]:
    before, after = zip(*(face.readings[reader] for face in faces), strict=True)
    out = agreement(before, after, used_inside=reader == "built-in")
    years = [abs(b.years - a.years) for a, b in zip(before, after, strict=True) if a and b]
    out["age_difference_years"] |= _tail(years)
    return out


def asked_rows(figures: Mapping[str, Any]) -> list[Asked]:
    """Return what the project was asked for beside what was measured."""
    rows: list[Asked] = []
    for name, entry in figures["sets"].items():
        rows += set_rows(name, entry)
    rows.append(Asked("swap and blend of a face of 120 px, ms", _median(figures), "<=", 70))
    return [*rows, by_eye_row(figures["by_eye"])]


def set_rows(name: str, entry: Mapping[str, Any]) -> list[Asked]:
    """Return the rows of one data set."""
    found = entry["found_again"]
    what = f"{name}: found again of {entry['faces']} replaced, {SMALLEST_PX} px and more"
    rows = [Asked(what, None if found is None else found.value, ">=", 0.995)]
    outsiders = {k: r for k, r in entry["readers"].items() if not r["used_inside"]}
    for reader in outsiders or ("a judge not used inside",):
        said = outsiders.get(reader)
        gender = None if said is None else said["gender_agreement"].value
        years = None if said is None else said["age_difference_years"]["mean"]
        rows.append(Asked(f"{name}: gender agrees, {reader}", gender, ">=", 0.97))
        rows.append(Asked(f"{name}: age difference, mean years, {reader}", years, "<=", 5))
    measures = entry["measures"]
    for measure, limit in MEDIANS.items():
        part = measures[measure]["all"]
        what = f"{name}: {measure}, median {measures[measure]['unit']}, n={part['of']}"
        rows.append(Asked(what, part["median"], "<=", limit))
    seam = measures["seam visibility"]["all"]
    rows += [
        Asked(f"{name}: seam visibility, median, n={seam['of']}", seam["median"], ">=", 0.9),
        Asked(f"{name}: seam visibility, median, n={seam['of']}", seam["median"], "<=", 1.15),
        Asked(f"{name}: seam visibility, 95th percentile", seam["p95"], "<=", 1.5),
    ]
    within = measures["sharpness"].get("within 0.8-1.25")
    value = None if within is None else within.value
    rows.append(Asked(f"{name}: sharpness within 0.8-1.25, share", value, ">=", 0.9))
    changed = entry["photos_changed_outside"]
    rows.append(Asked(f"{name}: photos changed outside of faces", changed, "<=", 0))
    return rows


def by_eye_row(eye: Mapping[str, Any]) -> Asked:
    """Return the row of the count on the random sheets; not measured until somebody has counted."""
    what = f"obviously fake of {eye['faces']} random faces, by eye"
    # A count of fewer faces does not answer a question about a hundred.
    value = eye["obviously_fake"] if eye["faces"] == RANDOM else None
    return Asked(what, value, "<=", 5)


def _median(figures: Mapping[str, Any]) -> float | None:
    time = figures["swap_and_blend_120_px"]
    return None if time is None else float(time.median)


def show(counts: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    """Print counts and figures as tables."""
    for name, entry in figures["sets"].items():
        rows = [(k, v) for k, v in counts[name].items() if not isinstance(v, dict)]
        print_table((name, "count"), rows)
        print_table(
            (f"{name}: why covered, {SMALLEST_PX} px and more", "faces"),
            Counter(counts[name]["covered"]).most_common(),
        )
        print(f"found again: {entry['found_again']}\n")
        print_table(
            ("measure", "group", "median", "p90", "p95", "n", "unit"),
            [row for measure, part in entry["measures"].items() for row in table(measure, part)],
        )
        print_table(
            ("measure", "not measured because", "faces"),
            [
                (measure, why, n)
                for measure, part in entry["measures"].items()
                for why, n in part["not_measured"].items()
            ],
        )
        print_table(("reader", "group", "gender agrees", "age difference, mean"), readers(entry))
        print(shares_within(entry))
        print(f"Frechet distance: {rounded(entry['frechet'], 2)}\n")
    print(f"swap and blend, 120 px: {figures['swap_and_blend_120_px']}\n")


def table(measure: str, part: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """Return the rows of a measure: all faces, then each group."""
    found = {"all": part["all"]}
    for kind, groups in part.items():
        if kind.startswith("by "):
            found |= groups
    return [
        (measure, group, *(_written(t[k]) for k in ("median", "p90", "p95")), t["of"], part["unit"])
        for group, t in found.items()
    ]


def readers(entry: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """Return the rows of all readers."""
    rows: list[tuple[object, ...]] = []
    for name, said in entry["readers"].items():
        groups = {
            k: g for kind, part in said.items() if kind.startswith("by ") for k, g in part.items()
        }
        for group, one in ({"all": said} | groups).items():
            years = _written(one["age_difference_years"]["mean"])
            rows.append((name, group, one["gender_agreement"], years))
    return rows


def shares_within(entry: Mapping[str, Any]) -> str:
    """Return the shares of the quotients that are near enough to 1, as text."""
    return "\n".join(
        f"{measure}, {name}: {value}"
        for measure, part in entry["measures"].items()
        for name, value in part.items()
        if isinstance(value, Share)
    )


def _written(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
