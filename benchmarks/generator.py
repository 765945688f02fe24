"""Is the source of nobodies any good? What was asked for, beside what came.

Sections, each a question, in a file ``generator_<section>.py`` of its own:

- classes: gender, age class and skin tone of a balanced grid, as teachers from outside see them;
- pose: is the head turned as asked;
- pairs: is anybody given out twice in a job of 50;
- speed: the search, and whole requests;
- artefacts: sheets of 200 random requests, for a person to count what is broken;
- leak: do the shipped people resemble real ones more than strangers resemble each other;
- distance: Frechet distance to fresh draws, diversity.

Each section's figures hold commit and date of their own, since a run may measure some only: those
of the other sections stay as they are in the file as long as the models are the same, else they go.

Run as ``python -m benchmarks.generator [SECTION ...] [--judge NAME=FILE ...] [--sheet DIR]`` in the
root of the repository; afterwards ``python -m benchmarks.generator --broken N``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anonyface.identities.source import LatentIdentities
from anonyface.verification.thresholds import match_threshold
from benchmarks import (
    generator_artefacts,
    generator_classes,
    generator_distance,
    generator_leak,
    generator_pairs,
    generator_pose,
    generator_speed,
    judges,
)
from benchmarks.contract import Asked, print_asked, rounded
from benchmarks.generator_lab import Examiner, Lab, Section
from benchmarks.privacy import plain
from benchmarks.records import RESULTS, build_record, write_record

NAME = "generator"
SECTIONS: dict[str, Section] = {
    "classes": generator_classes.SECTION,
    "pose": generator_pose.SECTION,
    "pairs": generator_pairs.SECTION,
    "speed": generator_speed.SECTION,
    "artefacts": generator_artefacts.SECTION,
    "leak": generator_leak.SECTION,
    "distance": generator_distance.SECTION,
}
"""Section -> its parts."""


def build_lab(options: argparse.Namespace) -> Lab:
    """Load the product's source and all who look at its people."""
    source = LatentIdentities(
        max_resemblance=match_threshold("1e-2"),
        max_sibling_similarity=match_threshold("1e-3"),
        threads=options.threads,
    )
    return Lab(
        source=source,
        eye=Examiner(threads=options.threads),
        jury=judges.jury(options),
        seed=options.seed,
        threads=options.threads,
        quick=options.quick,
        cache=options.cache,
        sheets=options.sheet,
    )


def measure(lab: Lab, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure sections and show each when it is done.

    Returns:
        Section -> counts, section -> figures; both as they will stand in the file.
    """
    counts, figures = {}, {}
    for name in names:
        print(f"== {name}", flush=True)
        counted, found = SECTIONS[name].measure(lab)
        counts[name], figures[name] = rounded(plain(counted)), rounded(plain(found))
        SECTIONS[name].show(figures[name])
    return counts, figures


def asked_rows(figures: Mapping[str, Any]) -> list[Asked]:
    """Return what the project was asked for beside what was measured, in the sections there are."""
    return [
        row for name in SECTIONS if name in figures for row in SECTIONS[name].asked(figures[name])
    ]


def kept(folder: Path, manifest: str) -> Mapping[str, Any]:
    """Return the record in a folder, an empty one if there is none or it is of other models.

    Args:
        folder: Of the results.
        manifest: sha256 of the manifest of the models.
    """
    path = folder / f"{NAME}.json"
    if path.is_file():
        record: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if record["weights_manifest_sha256"] == manifest:
            return record
        print(f"{path.name} was measured with other models: its sections are dropped")
    return {"counts": {}, "figures": {}}


def merged(
    old: Mapping[str, Any],
    counts: Mapping[str, Any],
    figures: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the whole record: new sections, and the old ones that were not measured again.

    Args:
        old: What `kept` returned.
        counts: Section -> counts.
        figures: Section -> figures.
        settings: The options of this run.
    """
    record = build_record(NAME, settings=settings, counts=counts, figures=figures, asked=[])
    stamp = {key: record[key] for key in ("commit", "date", "settings", "machine")}
    fresh = {name: {**found, "measured": stamp} for name, found in record["figures"].items()}
    every = {**old["figures"], **fresh}
    record["figures"] = {name: every[name] for name in SECTIONS if name in every}
    record["counts"] = {**old["counts"], **record["counts"]}
    return with_asked(record)


def with_asked(record: dict[str, Any]) -> dict[str, Any]:
    """Put in what was asked for, and print it."""
    rows = asked_rows(record["figures"])
    print_asked(rows)
    empty = build_record(NAME, settings={}, counts={}, figures={}, asked=rows)
    return {**record, "asked": empty["asked"]}


def count_broken(folder: Path, broken: int) -> Path:
    """Put the count of broken portraits into the result.

    Args:
        folder: Of the results.
        broken: How many of the sheets' portraits are visibly broken.

    Returns:
        The file.

    Raises:
        FileNotFoundError: If there is no result yet.
        ValueError: If it has no such portraits, or not so many.
    """
    path = folder / f"{NAME}.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    if "artefacts" not in record["figures"]:
        raise ValueError(f"{path.name} has no section artefacts: measure it first")
    found = generator_artefacts.with_broken(record["figures"]["artefacts"], broken)
    record["figures"]["artefacts"] = found
    return write_record(with_asked(record), folder)


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="the identity source: asked and got")
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; default all"
    )
    judges.add_options(parser)
    parser.add_argument("--sheet", type=Path, metavar="DIR", help="folder for pictures to look at")
    parser.add_argument("--broken", type=int, metavar="N", help="put a count into the result")
    parser.add_argument("--quick", action="store_true", help="few samples, nothing is written")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="folder that keeps downloads and what is fitted")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result")
    options = parser.parse_args()
    for name in options.sections:
        if name not in SECTIONS:
            parser.error(f"no section {name}; there are {', '.join(SECTIONS)}")
    if options.broken is not None and (options.sections or options.quick):
        parser.error("--broken counts what was measured before: give it alone")
    return options


def main() -> None:
    """Measure on the command line."""
    options = read_options()
    if options.broken is not None:
        print(f"written: {count_broken(options.results, options.broken).name}")
        return
    lab, names = build_lab(options), options.sections or list(SECTIONS)
    if options.quick:
        print("quick: far too few samples for a figure, nothing is written\n")
        print_asked(asked_rows(measure(lab, names)[1]))
        return
    settings = judges.settings(options)
    for name in names:  # each is kept once it is measured: all of them take an hour
        counts, figures = measure(lab, [name])
        empty = build_record(NAME, settings=settings, counts=counts, figures=figures, asked=[])
        old = kept(options.results, empty["weights_manifest_sha256"])
        write_record(merged(old, counts, figures, settings), options.results)


if __name__ == "__main__":
    main()
