"""Section "pairs": within one job of 50, is anybody given out twice?

Each person of a job is asked for with those given out before, as the product does; in one job all
50 wishes are the same. Then the portraits are compared, every pair of a job, by encoders with the
thresholds that one in 1,000 pairs of strangers reaches on lfw-dev: those of the product, and of
encoders it never uses. A pair of which one portrait is missing or shows no face counts as alike.
Beside it: the mean similarity of all pairs, here and among the strangers; the lower, the more
diverse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anonyface.types import FloatArray
from anonyface.verification.encoder import SFaceEncoder
from anonyface.verification.thresholds import match_threshold
from benchmarks.contract import Asked, data_path, print_table
from benchmarks.generator_lab import (
    Lab,
    Section,
    Shot,
    Wish,
    ask,
    develop,
    draw_wish,
    interval,
    misses,
    take_job,
    written,
)
from benchmarks.identification import (
    Share,
    compare,
    impostor_scores,
    share,
    threshold_at_far,
)
from benchmarks.judges import Judge, outside_judges
from benchmarks.lfw import load_people

JOBS, FEW_JOBS = 6, 2
JOB, FEW_PEOPLE = 50, 4
FAR = 1e-3
LIMIT = 0.002
SAME_WISH = Wish(seed=0, gender="female", age=35.0, skin_tone=40.0, yaw=0.0, pitch=0.0)
"""What all 50 of one job are asked to look like."""


@dataclass(frozen=True, eq=False)
class Bar:
    """An encoder with the score from which on two faces count as one person.

    Attributes:
        judge: The encoder.
        threshold: None if there were too few strangers to tell.
        strangers: Mean score of strangers on lfw-dev, None where it was not measured.
    """

    judge: Judge
    threshold: float | None
    strangers: float | None


def mixed_job(number: int, *, count: int, seed: int) -> list[Wish]:
    """Draw the wishes of a job."""
    rng = np.random.default_rng([seed, number])
    first = seed * 1_000_000 + 200_000 + number * 1_000
    return [draw_wish(rng, seed=first + n) for n in range(count)]


def pair_table(embeddings: FloatArray, judge: Judge) -> FloatArray:
    """(n * (n - 1) / 2,) scores of all pairs, NaN where a face is missing."""
    table = compare(embeddings, embeddings, judge.metric)
    return np.asarray(table[np.triu_indices(len(table), k=1)], np.float32)


def alike(scores: Sequence[FloatArray], threshold: float) -> Share:
    """Return the share of pairs at or above a threshold; a NaN counts as one.

    Args:
        scores: Scores of the pairs of each job.
        threshold: From here on two faces are one person.
    """
    every = np.concatenate(scores)
    return share(np.isnan(every) | (every >= threshold))


def compared(jobs: Mapping[str, FloatArray], bar: Bar) -> dict[str, Any]:
    """Return what an encoder says of all jobs.

    Args:
        jobs: Name -> (n, d) embeddings, NaN for missing faces.
        bar: The encoder and its threshold.
    """
    scores = {name: pair_table(rows, bar.judge) for name, rows in jobs.items()}
    every = np.concatenate(list(scores.values()))
    out: dict[str, Any] = {
        "used_inside": bar.judge.used_inside,
        "threshold": bar.threshold,
        "mean_similarity": float(np.nanmean(every)),
        "highest": float(np.nanmax(every)),
        "mean_similarity_of_strangers": bar.strangers,
        "all jobs": None,
    }
    if bar.threshold is not None:
        out["all jobs"] = alike(list(scores.values()), bar.threshold)
        out["jobs"] = {name: alike([rows], bar.threshold) for name, rows in scores.items()}
    return out


def built_in_bars(threads: int, jury: Sequence[Judge]) -> list[Bar]:
    """Return the product's own encoders with its thresholds.

    Args:
        threads: Threads for inference.
        jury: The built-in judges.
    """
    named = {judge.name: judge for judge in jury}
    alone = SFaceEncoder(sees="face", threads=threads)
    face = Judge("SFace, face alone", alone, 128, "cosine", True, "decides inside")
    wide = named["SFace, whole chip"]
    return [
        Bar(named["built-in"], match_threshold("1e-3"), None),
        Bar(face, match_threshold("1e-3", encoder="second-encoder"), None),
        Bar(wide, match_threshold("1e-3", encoder="second-encoder, surroundings"), None),
    ]


def outside_bars(lab: Lab) -> list[Bar]:
    """Return the encoders from outside with thresholds from all photos of lfw-dev."""
    if not lab.jury.encoders:
        return []
    people = load_people(data_path("lfw-dev.zip"), limit=lab.size(1000, 40), seed=lab.seed)
    points = [None if f is None else f.landmarks for f in map(lab.eye.find, people.images)]
    bars = []
    for encoder in lab.jury.encoders:
        for judge in outside_judges(encoder):
            print(f"threshold of {judge.name}", flush=True)
            table = judge.all(people.images, points, lab.cache)
            scores = impostor_scores(people.names, table, judge.metric)
            bars.append(Bar(judge, threshold_at_far(scores, FAR), float(scores.mean())))
    return bars


def measure(lab: Lab) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return counts and figures."""
    count = lab.size(JOB, FEW_PEOPLE)
    jobs: dict[str, list[Shot]] = {}
    for number in range(lab.size(JOBS, FEW_JOBS) - 1):
        wishes = mixed_job(number, count=count, seed=lab.seed)
        jobs[f"mixed {number + 1}"] = take_job(lab, wishes)
        print(f"{number + 1} mixed jobs of {count}", flush=True)
    people = ask(lab.source, SAME_WISH, n=count)
    # The generator has not so many unlike people of one kind: who is not there is nobody's double.
    jobs["the same wish"] = [develop(lab, SAME_WISH, person) for person in people]
    found = {}
    for bar in [*built_in_bars(lab.threads, lab.jury.judges), *outside_bars(lab)]:
        vectors = {
            name: bar.judge.all([s.pixels for s in shots], [s.landmarks for s in shots])
            for name, shots in jobs.items()
        }
        found[bar.judge.name] = compared(vectors, bar)
    every = [shot for shots in jobs.values() for shot in shots]
    counts = {"jobs": len(jobs), "people_each": count, "people_of_one_wish": len(people)}
    return misses(every) | counts, {"encoders": found}


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures as a table."""
    rows = [
        (
            name,
            "yes" if found["used_inside"] else "no",
            written(found["all jobs"]),
            interval(found["all jobs"]),
            written(found["jobs"]["the same wish"]) if "jobs" in found else "",
            f"{found['mean_similarity']:.3f}",
            "" if (mean := found["mean_similarity_of_strangers"]) is None else f"{mean:.3f}",
        )
        for name, found in figures["encoders"].items()
    ]
    head = ("encoder", "inside", "pairs counted as one person", "95 %", "in the job of one wish")
    print_table((*head, "mean similarity", "of strangers"), rows)


def asked_rows(figures: Mapping[str, Any]) -> list[Asked]:
    """Return what was asked for beside what was measured."""
    return [
        Asked(
            f"pairs of a job of 50 counted as one person, {name}",
            None if found["all jobs"] is None else found["all jobs"]["value"],
            "<=",
            LIMIT,
        )
        for name, found in figures["encoders"].items()
    ]


SECTION = Section(measure, show, asked_rows)
