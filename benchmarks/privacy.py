"""Is the person gone? Re-identification on lfw-dev, before and after, under several encoders.

Of every person with two photos, A and B, the face in A is replaced: A'. The threshold is where the
encoder confuses one in 1,000 (and one in 10,000) pairs of different people among the clean photos;
TAR is the share of people it still accepts. A' is searched for faces from scratch. Every person
counts: one whose face is not found in A' is counted once as not recognised, once as recognised.
Beside A' stands A with the face painted flat: what hair, ears and background give away alone.
The curves over all false accept rates go to ``privacy-roc.png``.

Run as ``python -m benchmarks.privacy [--judge NAME=FILE ...]`` in the root of the repository.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from anonyface.types import Face
from benchmarks import anonymized, judges
from benchmarks.anonymized import Replaced, points, seed_for
from benchmarks.contract import Asked, data_path, print_asked, print_table
from benchmarks.covers import paint
from benchmarks.identification import (
    Difference,
    Share,
    accepted,
    compare,
    impostor_scores,
    place,
    rank1,
    roc,
    share,
    threshold_at_far,
)
from benchmarks.judges import Judge
from benchmarks.lfw import People, is_sure, load_people
from benchmarks.outside import OutsideEncoder
from benchmarks.readers import agreement, attribute_readers
from benchmarks.records import RESULTS, build_record, write_record
from benchmarks.roc import FARS as CURVE_FARS
from benchmarks.roc import draw, have_matplotlib

FARS = ("1e-3", "1e-4")
DLIB = ("built-in", "dlib, plain")
"""Judges for which less is asked to remain, since the product decides by this network."""
CURVES = {
    "A,B": "before: A against B",
    "A',B": "after: A' against B",
    "A',A": "after: A' against A itself",
}


def without_numbers(reason: str) -> str:
    """Return a reason with every number as ``#``, so that equal ones can be counted.

    >>> without_numbers("replaced, after 2 redraws (similarity 0.61)")
    'replaced, after # redraws (similarity #)'
    """
    return re.sub(r"\d+(\.\d+)?", "#", reason)


def judge_people(
    judge: Judge,
    people: People,
    faces: Sequence[Face | None],
    replaced: Sequence[Replaced],
    cache: Path | None,
) -> dict[str, Any]:
    """Return all figures of one encoder."""
    first_of, second_of = ([pair[k] for pair in people.pairs] for k in (0, 1))
    images, landmarks = [one.image for one in replaced], points(faces)
    clean = judge.all(people.images, landmarks, cache)
    after = judge.all(images, [one.landmarks for one in replaced], cache)
    # Somebody who knows where the face was needs no detector.
    in_place = judge.all(images, [landmarks[a] for a in first_of], cache)
    painted = judge.all(
        [paint(people.images[a], faces[a]) for a in first_of],
        [landmarks[a] for a in first_of],
        cache,
    )
    first, second = clean[first_of], clean[second_of]
    impostors = impostor_scores(people.names, clean, judge.metric)
    pairs = {
        "A,B": (first, second),
        "A',B": (after, second),
        "A',A": (after, first),
        "A',B in place": (in_place, second),
        "A',A in place": (in_place, first),
        "A painted,B": (painted, second),
        "A painted,A": (painted, first),
    }
    scores = {k: np.diagonal(compare(a, b, judge.metric)) for k, (a, b) in pairs.items()}
    out: dict[str, Any] = {
        "used_inside": judge.used_inside,
        "note": judge.note,
        "impostor_pairs": len(impostors),
        "rank1": {
            "before": share(rank1(compare(first, second, judge.metric))),
            "after": share(rank1(compare(after, second, judge.metric))),
            "painted": share(rank1(compare(painted, second, judge.metric))),
            "chance": 1 / len(people.pairs),
        },
        "place": {
            "before": float(np.median(place(compare(first, second, judge.metric)))),
            "after": float(np.median(place(compare(after, second, judge.metric)))),
            "chance": 0.5,
        },
        "roc": {name: roc(scores[name], impostors, CURVE_FARS) for name in CURVES},
    }
    for far in FARS:
        threshold = threshold_at_far(impostors, float(far))
        out[far] = None if threshold is None else {"threshold": threshold} | tars(scores, threshold)
    return out


def tars(scores: dict[str, Any], threshold: float) -> dict[str, Any]:
    """Return the true accept rate of every list of pairs; faces not found counted both ways.

    Args:
        scores: Name of the pairs -> (n,) scores, NaN where a face was not found.
        threshold: Score from which on a pair is accepted.
    """
    out: dict[str, Any] = {}
    for name, values in scores.items():
        hits = accepted(values, threshold)
        out[name] = share(hits)
        if np.isnan(values).any():
            out[f"{name}, not found counts as recognised"] = share(hits | np.isnan(values))
    return out


def read_attributes(
    encoders: Sequence[OutsideEncoder],
    people: People,
    landmarks: Sequence[Any],
    replaced: Sequence[Replaced],
    threads: int,
) -> dict[str, Any]:
    """Compare what A and A' read as, reader by reader."""
    return {
        reader.name: agreement(
            [reader(people.images[a], landmarks[a]) for a, _ in people.pairs],
            [reader(one.image, one.landmarks) for one in replaced],
            used_inside=reader.used_inside,
        )
        for reader in attribute_readers(encoders, threads)
    }


def show(figures: dict[str, Any]) -> None:
    """Print the figures as tables."""
    rows: list[tuple[object, ...]] = []
    for name, judge in figures["encoders"].items():
        for far in FARS:
            if judge[far] is None:
                rows.append((name, far, "too few impostor pairs", "", ""))
                continue
            rows += [
                (name, far, k, v, v.interval) for k, v in judge[far].items() if isinstance(v, Share)
            ]
        rows += [
            (name, "", f"rank-1 {when}", v, v.interval)
            for when, v in judge["rank1"].items()
            if isinstance(v, Share)
        ]
        rows += [(name, "", f"median place {when}", v, "") for when, v in judge["place"].items()]
    print_table(("encoder", "FAR", "measure", "value", "95 %"), rows)
    print_table(
        ("encoder", "decides inside", "how"),
        [
            (n, "yes" if j["used_inside"] else "no", j["note"])
            for n, j in figures["encoders"].items()
        ],
    )
    show_agreement(figures["attributes"])
    print(f"found again: {figures['found_again']}\n")


def show_agreement(readers: dict[str, Any]) -> None:
    """Print how far readings before and after agree."""
    rows: list[tuple[object, ...]] = []
    for name, reading in readers.items():
        rows += [(name, k, v, v.interval) for k, v in reading.items() if isinstance(v, Share)]
        years = reading["age_difference_years"]
        if years["of"]:
            rows.append((name, "age difference, mean", f"{years['mean']:.1f} years", ""))
    print_table(("reader", "A and A' agree", "value", "95 %"), rows)


def plain(value: Any) -> Any:
    """Return dicts in place of dataclasses, all the way down."""
    if isinstance(value, Share | Difference):
        return asdict(value)
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def asked_rows(figures: dict[str, Any]) -> list[Asked]:
    """Return what the project was asked for beside what was measured."""
    rows = []
    for name, judge in figures["encoders"].items():
        limits = {"A',B": 0.03} if name in DLIB else {"A',B": 0.05, "A',A": 0.12}
        for pairs, limit in limits.items():
            entry, worst = judge["1e-3"], None
            if entry is not None:
                worst = entry.get(f"{pairs}, not found counts as recognised", entry[pairs]).value
            what = f"TAR({pairs}) at FAR 1e-3, {name}, worst count"
            rows.append(Asked(what, worst, "<=", limit))
    for name, reading in figures["attributes"].items():
        agree = reading["gender_agreement"].value
        rows.append(Asked(f"gender of A and A' agrees, {name}", agree, ">=", 0.97))
    rows.append(Asked("faces found again", figures["found_again"].value, ">=", 0.99))
    return rows


def run(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return counts and figures."""
    people = load_people(data_path("lfw-dev.zip"), limit=options.limit, seed=options.seed)
    room = anonymized.darkroom(options)
    faces = room.subjects(people.images)
    first = [a for a, _ in people.pairs]
    replaced = room.all(
        [people.images[a] for a in first],
        [faces[a] for a in first],
        [seed_for("A", options.seed, number) for number in range(len(first))],
    )
    jury, landmarks = judges.jury(options), points(faces)
    figures = {
        "found_again": share([is_sure(one.face) for one in replaced]),
        "suspected_again": share([one.face is not None for one in replaced]),
        "encoders": {
            judge.name: judge_people(judge, people, faces, replaced, options.cache)
            for judge in jury.judges
        },
        "attributes": read_attributes(jury.encoders, people, landmarks, replaced, options.threads),
    }
    counts = {
        "people_with_two_photos": len(people.pairs),
        "clean_photos": len(people.images),
        "clean_photos_without_a_face": sum(face is None for face in faces),
        "actions": dict(Counter(one.action for one in replaced)),
        "reasons": dict(Counter(without_numbers(one.reason) for one in replaced)),
    }
    return counts | jury.as_counts, figures


def draw_curves(figures: dict[str, Any], folder: Path) -> None:
    """Draw the curves of all judges, or say why not."""
    if not have_matplotlib():
        print('skipped: curves: matplotlib is not installed (extra "bench")')
        return
    of = figures["found_again"].of
    named = {
        name: {label: judge["roc"][key] for key, label in CURVES.items()}
        for name, judge in figures["encoders"].items()
    }
    draw(named, folder / "privacy-roc.png", title=f"Is the person recognised? {of} people, lfw-dev")


def main() -> None:
    """Measure on the command line."""
    parser = argparse.ArgumentParser(description="re-identification before and after, on lfw-dev")
    judges.add_options(parser)
    anonymized.add_options(parser)
    parser.add_argument("--limit", type=int, help="people with two photos to take, default all")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result")
    options = parser.parse_args()
    counts, figures = run(options)
    asked = asked_rows(figures)
    show(figures)
    print_table(("what became of A", "people"), list(counts["reasons"].items()))
    print_asked(asked)
    record = build_record(
        "privacy",
        settings=judges.settings(options),
        counts=counts,
        figures=plain(figures),
        asked=asked,
    )
    write_record(record, options.results)
    draw_curves(figures, options.results)


if __name__ == "__main__":
    main()
