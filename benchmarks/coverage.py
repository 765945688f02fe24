"""Is every face found replaced or covered, and nothing else touched? On groups-dev and lfw-dev.

Two rules, checked on the returned pixels against the original ones:

- Outside: every pixel that changed lies in the box of a treated face, grown about its centre to
  1.35 times its sides where the face was replaced and to 1.45 times where it was covered (the cover
  is an ellipse of 1.25 times the box with a rim of 15 %), and by 2 px more.
- Inside: in the middle 60 % of the sides of each box, as far as it lies in the photo, the pixels
  changed by at least 3 grey levels in the mean of all channels; JPEG noise is 1 to 2, and a blurred
  face of 15 px in the dark has hardly more contrast of its own.

Run as ``python -m benchmarks.coverage [--sheet DIR]`` in the root of the repository.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anonyface.api import Anonymizer
from anonyface.result import AnonymizeResult, FaceOutcome
from anonyface.types import BoolArray, FloatArray, ImageArray
from benchmarks.contact_sheet import check_folder, crop_pair, write_sheets
from benchmarks.contract import Asked, data_path, print_asked, print_table, read_photos
from benchmarks.privacy import without_numbers
from benchmarks.records import RESULTS, build_record, write_record

SETS = ("groups-dev", "lfw-dev")
GROWTH = {"replaced": 1.35, "redacted": 1.45}
SLACK_PX = 2.0
CORE = 0.6
MIN_CHANGE = 3.0
SHEET_CHANCE = 0.15
"""Share of the faces shown on the sheets when no limit is given."""


@dataclass
class Tally:
    """What was counted in one data set."""

    photos: int = 0
    photos_without_a_face: int = 0
    photos_changed_outside: int = 0
    pixels_changed_outside: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    changes: list[float] = field(default_factory=list)
    cores_outside_photo: int = 0
    annotated: int = 0
    annotated_changed: int = 0


def region(box: FloatArray, factor: float, image_hw: tuple[int, ...]) -> tuple[slice, slice]:
    """Return rows and columns of a box scaled about its centre, clipped to the image.

    >>> region(np.array([10.0, 10.0, 20.0, 20.0]), 0.6, (100, 15))
    (slice(12, 18, None), slice(12, 15, None))
    """
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * factor
    limit = np.array([image_hw[1], image_hw[0]])
    x0, y0 = np.clip(np.floor(centre - half), 0, limit).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(centre + half), 0, limit).astype(int).tolist()
    return slice(y0, y1), slice(x0, x1)


def changed_outside(
    before: ImageArray, after: ImageArray, outcomes: tuple[FaceOutcome, ...]
) -> BoolArray:
    """(H, W) pixels that changed though no treated face is near."""
    changed = np.asarray((before != after).any(axis=2), bool)
    for outcome in outcomes:
        if outcome.action in GROWTH:
            box = outcome.face.box
            padded = box + np.array([-1, -1, 1, 1], np.float32) * SLACK_PX
            changed[region(padded, GROWTH[outcome.action], before.shape)] = False
    return changed


def core_change(before: ImageArray, after: ImageArray, box: FloatArray) -> float | None:
    """Mean absolute change in the middle of a box, grey levels; None if it is not in the photo."""
    part = region(box, CORE, before.shape)
    old, new = before[part].astype(np.float32), after[part].astype(np.float32)
    return float(np.abs(new - old).mean()) if old.size else None


def add(tally: Tally, image: ImageArray, result: AnonymizeResult, boxes: list[FloatArray]) -> None:
    """Count one photo."""
    tally.photos += 1
    tally.photos_without_a_face += not result.faces
    outside = int(changed_outside(image, result.image, result.faces).sum())
    tally.photos_changed_outside += outside > 0
    tally.pixels_changed_outside += outside
    for outcome in result.faces:
        tally.actions[outcome.action] += 1
        tally.reasons[f"{outcome.action}: {without_numbers(outcome.reason)}"] += 1
        change = core_change(image, result.image, outcome.face.box)
        if change is None:
            tally.cores_outside_photo += 1
        else:
            tally.changes.append(change)
    for box in boxes:
        change = core_change(image, result.image, box)
        tally.annotated += 1
        tally.annotated_changed += change is not None and change >= MIN_CHANGE


def annotated_boxes(path: Path) -> dict[str, list[FloatArray]]:
    """Return the annotated boxes of each photo, nothing if the set has none."""
    with zipfile.ZipFile(path) as archive:
        if "boxes.json" not in archive.namelist():
            return {}
        records = json.loads(archive.read("boxes.json"))
    return {name: [np.array(b[:4], np.float32) for b in boxes] for name, boxes in records.items()}


def chosen_photos(
    path: Path, limit: int | None, seed: int
) -> Iterator[tuple[int, str, ImageArray]]:
    """Yield number, name and pixels of all photos, or of a random few."""
    with zipfile.ZipFile(path) as archive:
        count = sum(name.endswith(".jpg") for name in archive.namelist())
    rng = np.random.default_rng(seed)
    chosen = set(rng.permutation(count)[:limit].tolist())
    for number, (name, image) in enumerate(read_photos(path)):
        if number in chosen:
            yield number, name, image


def cover(name: str, options: argparse.Namespace) -> Tally:
    """Anonymize a data set, count, and write the sheets if asked."""
    path = data_path(f"{name}.zip")
    boxes = annotated_boxes(path)
    tally, rng = Tally(), np.random.default_rng(options.seed)
    pairs: list[ImageArray] = []
    for number, photo, image in chosen_photos(path, options.limit, options.seed):
        result = Anonymizer(seed=options.seed + number, threads=options.threads)(image)
        add(tally, image, result, boxes.get(photo, []))
        if options.sheet is not None:
            pairs += [
                crop_pair(image, result.image, outcome.face)
                for outcome in result.faces
                if options.limit or rng.random() < SHEET_CHANCE
            ]
        if tally.photos % 100 == 0:
            print(f"{name}: {tally.photos} photos", flush=True)
    if options.sheet is not None:
        print(f"{name}: {write_sheets(pairs, options.sheet, name)} sheets written")
    return tally


def summary(tally: Tally) -> dict[str, Any]:
    """Return the figures of one data set."""
    weak = sum(change < MIN_CHANGE for change in tally.changes)
    quantiles = np.percentile(tally.changes, [0, 1, 5, 50]) if tally.changes else [0.0] * 4
    names = ("least", "p1", "p5", "median")
    return {
        "photos": tally.photos,
        "photos_without_a_face": tally.photos_without_a_face,
        "photos_changed_outside": tally.photos_changed_outside,
        "pixels_changed_outside": tally.pixels_changed_outside,
        "faces_found": sum(tally.actions.values()),
        "actions": dict(tally.actions),
        "reasons": dict(tally.reasons),
        "faces_hardly_changed": weak,
        "cores_outside_photo": tally.cores_outside_photo,
        "change_in_core": dict(zip(names, quantiles, strict=True)),
        "annotated_faces": tally.annotated,
        "annotated_faces_changed": tally.annotated_changed,
    }


def asked_rows(figures: dict[str, Any]) -> list[Asked]:
    """Return what the project was asked for beside what was measured."""
    rows = []
    for name, entry in figures.items():
        found = entry["faces_found"]
        treated = entry["actions"].get("replaced", 0) + entry["actions"].get("redacted", 0)
        rows.append(
            Asked(
                f"{name}: replaced or covered of {found} found",
                treated / found if found else None,
                ">=",
                1.0,
            )
        )
        rows.append(Asked(f"{name}: hardly changed", entry["faces_hardly_changed"], "<=", 0))
        what = f"{name}: photos of {entry['photos']} changed elsewhere"
        rows.append(Asked(what, entry["photos_changed_outside"], "<=", 0))
    return rows


def show(figures: dict[str, Any]) -> None:
    """Print the figures as tables."""
    for name, entry in figures.items():
        rows = [(k, v) for k, v in entry.items() if not isinstance(v, dict)]
        rows += [(f"change in core, {k}", f"{v:.1f}") for k, v in entry["change_in_core"].items()]
        rows += sorted(entry["reasons"].items(), key=lambda item: -item[1])
        print_table((name, "count"), rows)


def main() -> None:
    """Measure on the command line."""
    parser = argparse.ArgumentParser(description="every face treated, nothing else touched")
    parser.add_argument("--sheet", type=Path, help="folder outside the repository for pictures")
    parser.add_argument("--limit", type=int, help="photos of each set, default all")
    parser.add_argument("--seed", type=int, default=1, help="seed of draw and identities")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result")
    options = parser.parse_args()
    if options.sheet is not None:
        try:
            check_folder(options.sheet)
        except ValueError as error:
            parser.error(str(error))
    figures = {name: summary(cover(name, options)) for name in SETS}
    show(figures)
    asked = asked_rows(figures)
    print_asked(asked)
    counts = {
        name: {k: entry[k] for k in ("photos", "photos_without_a_face", "faces_found", "actions")}
        for name, entry in figures.items()
    }
    record = build_record(
        "coverage", settings=vars(options), counts=counts, figures=figures, asked=asked
    )
    write_record(record, options.results)


if __name__ == "__main__":
    main()
