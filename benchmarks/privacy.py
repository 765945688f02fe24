"""Is the person gone? Re-identification on lfw-dev, before and after, under several encoders.

Of every person with two photos, A and B, the face in A is replaced: A'. The threshold is where the
encoder confuses one in 1,000 (and one in 10,000) pairs of different people among the clean photos;
TAR is the share of people it still accepts. A' is searched for faces from scratch. Every person
counts: one whose face is not found in A' is counted once as not recognised, once as recognised.

Run as ``python -m benchmarks.privacy [--second faceres.onnx]`` in the root of the repository.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anonyface.api import Anonymizer
from anonyface.detection.retinaface import RetinaFace
from anonyface.types import Face, FloatArray, ImageArray
from benchmarks.calibrate import subject
from benchmarks.contract import Asked, data_path, print_asked, print_table
from benchmarks.identification import (
    Share,
    accepted,
    compare,
    impostor_scores,
    rank1,
    share,
    threshold_at_far,
)
from benchmarks.judges import (
    AttributeReader,
    Judge,
    SecondEncoder,
    attribute_readers,
    built_in_judges,
    second_judges,
)
from benchmarks.lfw import People, face_there, is_sure, load_people, outcome_of
from benchmarks.records import RESULTS, build_record, write_record

FARS = ("1e-3", "1e-4")
SAME_SEX_P = 0.5
"""Probability from which on a face reads as female."""


@dataclass(frozen=True, eq=False)
class Replaced:
    """One person's A after replacement.

    Attributes:
        image: (H, W, 3) RGB uint8, A'.
        face: The face found in its place, None if there is none.
        action: What became of the face of A: an action, or "not found".
        reason: Why, numbers taken out.
    """

    image: ImageArray
    face: Face | None
    action: str
    reason: str


def without_numbers(reason: str) -> str:
    """Return a reason with every number as ``#``, so that equal ones can be counted.

    >>> without_numbers("replaced, after 2 redraws (similarity 0.61)")
    'replaced, after # redraws (similarity #)'
    """
    return re.sub(r"\d+(\.\d+)?", "#", reason)


def replace_faces(
    people: People, faces: list[Face | None], detector: RetinaFace, *, seed: int, threads: int
) -> list[Replaced]:
    """Anonymize every A, each with a seed of its own, and look for the face again."""
    out = []
    for number, (a, _) in enumerate(people.pairs):
        result = Anonymizer(seed=seed + number, threads=threads)(people.images[a])
        outcome = outcome_of(result, faces[a])
        out.append(
            Replaced(
                image=result.image,
                face=face_there(detector(result.image), faces[a]),
                action=outcome.action if outcome else "not found",
                reason=without_numbers(outcome.reason) if outcome else "no face found in A",
            )
        )
        if number % 50 == 49:
            print(f"{number + 1} of {len(people.pairs)} replaced", flush=True)
    return out


def judge_people(
    judge: Judge, people: People, faces: list[Face | None], replaced: list[Replaced]
) -> dict[str, Any]:
    """Return all figures of one encoder."""
    clean = np.stack(
        [judge(i, f.landmarks if f else None) for i, f in zip(people.images, faces, strict=True)]
    )
    after = np.stack([judge(r.image, r.face.landmarks if r.face else None) for r in replaced])
    # Somebody who knows where the face was needs no detector.
    in_place = np.stack(
        [
            judge(r.image, face.landmarks if (face := faces[a]) else None)
            for r, (a, _) in zip(replaced, people.pairs, strict=True)
        ]
    )
    first, second = (clean[[pair[k] for pair in people.pairs]] for k in (0, 1))
    impostors = impostor_scores(people.names, clean, judge.metric)
    out: dict[str, Any] = {
        "used_inside": judge.used_inside,
        "impostor_pairs": len(impostors),
        "rank1": {
            "before": share(rank1(compare(first, second, judge.metric))),
            "after": share(rank1(compare(after, second, judge.metric))),
        },
    }
    for far in FARS:
        threshold = threshold_at_far(impostors, float(far))
        if threshold is None:
            out[far] = None
            continue
        out[far] = {"threshold": threshold} | tars(
            {
                "A,B": (first, second),
                "A',B": (after, second),
                "A',A": (after, first),
                "A',B in place": (in_place, second),
                "A',A in place": (in_place, first),
            },
            judge,
            threshold,
        )
    return out


def tars(
    pairs: dict[str, tuple[FloatArray, FloatArray]], judge: Judge, threshold: float
) -> dict[str, Any]:
    """Return the true accept rate of every list of pairs; faces not found counted both ways."""
    out: dict[str, Any] = {}
    for name, (a, b) in pairs.items():
        scores = np.diagonal(compare(a, b, judge.metric))
        hits = accepted(scores, threshold)
        out[name] = share(hits)
        if np.isnan(scores).any():
            out[f"{name}, not found counts as recognised"] = share(hits | np.isnan(scores))
    return out


def read_attributes(
    reader: AttributeReader, people: People, faces: list[Face | None], replaced: list[Replaced]
) -> dict[str, Any]:
    """Compare gender and age of A and A'; a face that can't be read counts as disagreement."""
    before, after = [], []
    for one, (a, _) in zip(replaced, people.pairs, strict=True):
        face = faces[a]
        before.append(reader(people.images[a], face.landmarks if face else None))
        after.append(reader(one.image, one.face.landmarks if one.face else None))
    old, new = np.array(before), np.array(after)
    read = ~np.isnan(old[:, 0]) & ~np.isnan(new[:, 0])
    agree = read & ((old[:, 0] >= SAME_SEX_P) == (new[:, 0] >= SAME_SEX_P))
    years = np.abs(new[read, 1] - old[read, 1])
    return {
        "used_inside": reader.used_inside,
        "gender_agreement": share(agree),
        "age_difference_years": {
            "mean": float(years.mean()) if len(years) else None,
            "median": float(np.median(years)) if len(years) else None,
            "of": len(years),
        },
    }


def show(figures: dict[str, Any]) -> None:
    """Print the figures as tables."""
    rows: list[tuple[object, ...]] = []
    for name, judge in figures["encoders"].items():
        for far in FARS:
            if judge[far] is None:
                rows.append((name, far, "too few impostor pairs", ""))
                continue
            rows += [(name, far, k, v) for k, v in judge[far].items() if isinstance(v, Share)]
        rows += [(name, "", f"rank-1 {when}", v) for when, v in judge["rank1"].items()]
    print_table(("encoder", "FAR", "measure", "value"), rows)
    for name, reading in figures["attributes"].items():
        years = reading["age_difference_years"]
        print(f"{name}: gender agreement {reading['gender_agreement']}, age difference {years}")
    print(f"found again: {figures['found_again']}\n")


def plain(value: Any) -> Any:
    """Return dicts in place of `Share`, all the way down."""
    if isinstance(value, Share):
        return asdict(value)
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def asked_rows(figures: dict[str, Any]) -> list[Asked]:
    """Return what the project was asked for beside what was measured."""
    rows = []
    for name, judge in figures["encoders"].items():
        entry = judge["1e-3"]
        if name.startswith(("built-in", "dlib")):
            worst = None
            if entry is not None:
                key = "A',B, not found counts as recognised"
                worst = entry.get(key, entry["A',B"]).value
            rows.append(Asked(f"TAR(A',B) at FAR 1e-3, {name}, worst count", worst, "<=", 0.03))
    rows.append(Asked("faces found again", figures["found_again"].value, ">=", 0.99))
    return rows


def run(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return counts and figures."""
    people = load_people(data_path("lfw-dev.zip"), limit=options.limit, seed=options.seed)
    detector = RetinaFace(threads=options.threads)
    faces = [subject(detector(image), image.shape[:2]) for image in people.images]
    replaced = replace_faces(people, faces, detector, seed=options.seed, threads=options.threads)
    second = SecondEncoder(options.second, threads=options.threads) if options.second else None
    judges = built_in_judges(options.threads) + (second_judges(second) if second else [])
    figures = {
        "found_again": share([is_sure(one.face) for one in replaced]),
        "suspected_again": share([one.face is not None for one in replaced]),
        "encoders": {j.name: judge_people(j, people, faces, replaced) for j in judges},
        "attributes": {
            r.name: read_attributes(r, people, faces, replaced)
            for r in attribute_readers(second, options.threads)
        },
    }
    counts = {
        "people_with_two_photos": len(people.pairs),
        "clean_photos": len(people.images),
        "clean_photos_without_a_face": sum(face is None for face in faces),
        "actions": dict(Counter(one.action for one in replaced)),
        "reasons": dict(Counter(one.reason for one in replaced)),
    }
    if second:
        counts["second_encoder_sha256"] = second.sha256
    return counts, figures


def main() -> None:
    """Measure on the command line."""
    parser = argparse.ArgumentParser(description="re-identification before and after, on lfw-dev")
    parser.add_argument("--second", type=Path, help="ONNX file of an encoder from outside")
    parser.add_argument("--limit", type=int, help="people with two photos to take, default all")
    parser.add_argument("--seed", type=int, default=1, help="seed of the draw and the identities")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result")
    options = parser.parse_args()
    counts, figures = run(options)
    asked = asked_rows(figures)
    show(figures)
    print_table(("what became of A", "people"), list(counts["reasons"].items()))
    print_asked(asked)
    record = build_record(
        "privacy", settings=vars(options), counts=counts, figures=plain(figures), asked=asked
    )
    write_record(record, options.results)


if __name__ == "__main__":
    main()
