"""Do two anonymized photos show that they are of one person? On lfw-dev, without any original.

Of every person with two photos, A and B, both are anonymized. Without a seed two photos get
unrelated synthetic people; here seeds of their own stand for that, and one seed for both photos is
measured beside it. "Linked" is what a search system would do: its threshold comes from clean pairs
of different people. Since replacements that fit alike people are alike, it links strangers, too,
more often than one in 1,000: how often stands beside it, and a second count has its threshold from
pairs of different people whose photos are both anonymized. Hair and background stay and are in all
figures.

Run as ``python -m benchmarks.linkability [--judge NAME=FILE ...]`` in the root of the repository.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from anonyface.types import Face, FloatArray
from benchmarks import anonymized, judges
from benchmarks.anonymized import Darkroom, Replaced, Role, points, seed_for
from benchmarks.contract import data_path, print_table
from benchmarks.identification import (
    Metric,
    Share,
    accepted,
    compare,
    impostor_scores,
    rank1,
    share,
    strangers,
    threshold_at_far,
)
from benchmarks.lfw import People, load_people
from benchmarks.privacy import plain
from benchmarks.records import RESULTS, build_record, write_record

FAR = 1e-3
PAIRS = {
    "clean: A, B": ("A", "B"),
    "seeds apart: A', B'": ("A' (seed 1)", "B' (seed 2)"),
    "one seed: A', B'": ("A' (seed 1)", "B' (seed 1)"),
    "one photo twice, seeds apart: A', A''": ("A' (seed 1)", "A' (seed 3)"),
}
"""What is compared -> the two sets of photos, one photo a person in each."""


def links(
    first: FloatArray, second: FloatArray, metric: Metric, threshold: float | None
) -> dict[str, Any]:
    """Return how often one person's two photos are linked.

    Args:
        first: (n, d) embeddings, a row of NaN where no face was found.
        second: (n, d) of the same people in the same order.
        metric: How they are compared.
        threshold: From clean pairs, None if there were too few.
    """
    table = compare(first, second, metric)
    scores, others = np.diagonal(table), strangers(table)
    missing, own = np.isnan(scores), threshold_at_far(others, FAR)
    out: dict[str, Any] = {}
    if threshold is not None:
        hits = accepted(scores, threshold)
        out["linked"] = share(hits)
        if missing.any():
            out["linked, not found counts as linked"] = share(hits | missing)
        out["strangers linked"] = share(accepted(others, threshold))
    return out | {
        "linked, threshold of these photos": None if own is None else share(accepted(scores, own)),
        "rank-1": share(rank1(table)),
        "face not found": int(missing.sum()),
    }


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures as a table."""
    rows = [
        (judge, pairs, name, value, value.interval)
        for judge, found in figures["encoders"].items()
        for pairs, measures in found["pairs"].items()
        for name, value in measures.items()
        if isinstance(value, Share)
    ]
    print_table(("encoder", "photos", "measure", "value", "95 %"), rows)
    chance = figures["chance"]
    print(f"chance: linked {chance['linked']:g}, rank-1 {chance['rank-1']:.4f}\n")


def taken(
    room: Darkroom,
    people: People,
    faces: Sequence[Face | None],
    which: Sequence[int],
    role: Role,
    *,
    base: int,
) -> list[Replaced]:
    """Anonymize one photo of each person, with the seeds of a role."""
    print(f"seeds of {role!r}", flush=True)
    seeds = [seed_for(role, base, number) for number in range(len(which))]
    return room.all([people.images[i] for i in which], [faces[i] for i in which], seeds)


def run(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return counts and figures."""
    people = load_people(data_path("lfw-dev.zip"), limit=options.limit, seed=options.seed)
    room = anonymized.darkroom(options)
    faces = room.subjects(people.images)
    rows = {name: [pair[k] for pair in people.pairs] for k, name in enumerate(("A", "B"))}
    take = partial(taken, room, people, faces, base=options.seed)
    sets = {
        "A' (seed 1)": take(rows["A"], "A"),
        "B' (seed 2)": take(rows["B"], "B"),
        "B' (seed 1)": take(rows["B"], "A"),
        "A' (seed 3)": take(rows["A"], "A again"),
    }
    jury = judges.jury(options)
    encoders: dict[str, Any] = {}
    for judge in jury.judges:
        clean = judge.all(people.images, points(faces), options.cache)
        impostors = impostor_scores(people.names, clean, judge.metric)
        threshold = threshold_at_far(impostors, FAR)
        vectors = {name: clean[which] for name, which in rows.items()} | {
            name: judge.all([r.image for r in found], [r.landmarks for r in found], options.cache)
            for name, found in sets.items()
        }
        encoders[judge.name] = {
            "used_inside": judge.used_inside,
            "threshold": threshold,
            "pairs": {
                name: links(vectors[a], vectors[b], judge.metric, threshold)
                for name, (a, b) in PAIRS.items()
            },
        }
    counts = {
        "people_with_two_photos": len(people.pairs),
        "clean_photos": len(people.images),
        "not_replaced": {
            name: sum(one.action != "replaced" for one in found) for name, found in sets.items()
        },
    }
    chance = {"linked": FAR, "rank-1": 1 / len(people.pairs)}
    return counts | jury.as_counts, {"chance": chance, "encoders": encoders}


def main() -> None:
    """Measure on the command line."""
    parser = argparse.ArgumentParser(description="linkability of anonymized photos, on lfw-dev")
    judges.add_options(parser)
    anonymized.add_options(parser)
    parser.add_argument("--limit", type=int, help="people with two photos to take, default all")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result")
    options = parser.parse_args()
    counts, figures = run(options)
    show(figures)
    record = build_record(
        "linkability",
        settings=judges.settings(options),
        counts=counts,
        figures=plain(figures),
        asked=[],
    )
    write_record(record, options.results)


if __name__ == "__main__":
    main()
