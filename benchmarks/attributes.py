"""What can still be read off an anonymized face: gender, age, group, glasses; on FairFace.

That gender and age stay is wanted: the picture keeps its meaning. It is information about the
person all the same, so it is measured what remains. Readers that know nothing of the tool read the
original and the result; and an attacker who has the tool trains one of his own: ridge regressions
from what all encoders say of his anonymized photos to the labels, tested on people he never saw
(five folds). Chance is the share of the most frequent label.

The product's own reader learned on FairFace: its accuracy before says little.

Run as ``python -m benchmarks.attributes [--judge NAME=FILE ...]`` in the root of the repository.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anonyface.types import FloatArray
from anonyface.verification.encoder import unit
from benchmarks import anonymized, judges
from benchmarks.anonymized import SEED_BLOCK, points, seed_for
from benchmarks.contract import data_path, print_table
from benchmarks.fairface import Labelled, load_labelled
from benchmarks.identification import Share, share
from benchmarks.privacy import plain, show_agreement
from benchmarks.readers import Reading, agreement, attribute_readers
from benchmarks.records import RESULTS, build_record, write_record
from benchmarks.regression import apply_map, best_ridge

FOLDS = 5
PHOTOS = 1000


def accuracy(readings: Sequence[Reading | None], labels: Labelled) -> dict[str, Share]:
    """Return how often readings agree with the labels; a face that can't be read is wrong."""
    out = {
        "gender": [
            r is not None and r.female == t for r, t in zip(readings, labels.female, strict=True)
        ],
        "age class": [
            r is not None and r.age_class == t
            for r, t in zip(readings, labels.age_class, strict=True)
        ],
    }
    if any(r is not None and r.group is not None for r in readings):
        out["group"] = [
            r is not None and r.group == t for r, t in zip(readings, labels.group, strict=True)
        ]
    return {trait: share(hits) for trait, hits in out.items()}


def learned(features: FloatArray, labels: np.ndarray, *, seed: int) -> Share:
    """Return how often a reader trained on the other four fifths of the people is right.

    Args:
        features: (n, d), zero for faces that could not be encoded.
        labels: (n,) whole numbers from 0.
        seed: Of the folds.
    """
    fold = np.random.default_rng(seed).permutation(len(labels)) % FOLDS
    wanted = np.eye(int(labels.max()) + 1, dtype=np.float32)[labels]
    hits = np.zeros(len(labels), bool)
    for number in range(FOLDS):
        rest = np.flatnonzero(fold != number)
        held, train = rest[: len(rest) // 6], rest[len(rest) // 6 :]

        def right(matrix: FloatArray, rows: np.ndarray) -> np.ndarray:
            said = np.argmax(apply_map(matrix, features[rows]), axis=1)
            return np.asarray(said == labels[rows], bool)

        matrix = best_ridge(
            features[train],
            wanted[train],
            lambda m, rows=held, score=right: float(score(m, rows).mean()),
        )
        tested = np.flatnonzero(fold == number)
        hits[tested] = right(matrix, tested)
    return share(hits)


def most_frequent(labels: np.ndarray) -> float:
    """Return the share of the most frequent label: what a guess reaches without looking."""
    return float(np.bincount(labels).max() / len(labels))


def trained_readers(
    labelled: Labelled,
    read: Sequence[Reading | None],
    features: Mapping[str, FloatArray],
    *,
    seed: int,
) -> dict[str, Any]:
    """Return how well each trait can be learned from originals and from results.

    Args:
        labelled: The photos.
        read: What the product reads off the originals, for what has no label.
        features: Kind of photo -> (n, d) what all encoders say of it.
        seed: Of the folds.
    """
    labels = {
        "gender": labelled.female.astype(int),
        "age class": labelled.age_class,
        "group": labelled.group,
        "glasses, as read off the original": np.array([int(bool(r and r.glasses)) for r in read]),
    }
    return {
        trait: {k: learned(table, truth, seed=seed) for k, table in features.items()}
        | {"chance": most_frequent(truth)}
        for trait, truth in labels.items()
    }


def run(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return counts and figures."""
    count = options.limit or PHOTOS
    labelled = load_labelled(data_path("fairface-train.zip"), count=count, seed=options.seed)
    room = anonymized.darkroom(options)
    faces = room.subjects(labelled.images)
    # The same seeds as the attacker's photos of inversion.py: made once, used twice.
    seeds = [seed_for("attacker", options.seed, SEED_BLOCK // 2 + n) for n in range(count)]
    replaced = room.all(labelled.images, faces, seeds)
    photos = {
        "original": (labelled.images, points(faces)),
        "anonymized": ([r.image for r in replaced], [r.landmarks for r in replaced]),
    }
    jury = judges.jury(options)
    readers, read = {}, {}
    for reader in attribute_readers(jury.encoders, options.threads):
        read[reader.name] = {
            k: [reader(i, p) for i, p in zip(images, where, strict=True)]
            for k, (images, where) in photos.items()
        }
        before, after = (read[reader.name][k] for k in photos)
        kept = [n for n, one in enumerate(replaced) if one.action == "replaced"]
        readers[reader.name] = agreement(before, after, used_inside=reader.used_inside) | {
            "replaced_only": agreement(
                [before[n] for n in kept],
                [after[n] for n in kept],
                used_inside=reader.used_inside,
            ),
            "right": {k: accuracy(readings, labelled) for k, readings in read[reader.name].items()},
        }
    features = {
        k: np.concatenate(
            [np.nan_to_num(unit(j.all(*where, options.cache))) for j in jury.distinct], axis=1
        )
        for k, where in photos.items()
    }
    trained = trained_readers(labelled, read["built-in"]["original"], features, seed=options.seed)
    counts = {
        "photos": count,
        "photos_without_a_face": sum(face is None for face in faces),
        "not_replaced": sum(one.action != "replaced" for one in replaced),
        "face_not_found_after": sum(one.face is None for one in replaced),
    }
    return counts | jury.as_counts, {"readers": readers, "trained_on_the_tool": trained}


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures as tables."""
    readers = figures["readers"]
    only = {f"{name}, replaced only": r["replaced_only"] for name, r in readers.items()}
    show_agreement(readers | only)
    rows: list[tuple[object, ...]] = [
        (name, trait, *(reader["right"][k][trait] for k in ("original", "anonymized")), "")
        for name, reader in figures["readers"].items()
        for trait in reader["right"]["original"]
    ]
    rows += [
        ("trained", trait, found["original"], found["anonymized"], f"{found['chance']:.4f}")
        for trait, found in figures["trained_on_the_tool"].items()
    ]
    print_table(("reader", "right about", "original", "anonymized", "chance"), rows)


def main() -> None:
    """Measure on the command line."""
    parser = argparse.ArgumentParser(description="what remains readable, on FairFace")
    judges.add_options(parser)
    anonymized.add_options(parser)
    parser.add_argument("--limit", type=int, help=f"photos to take, default {PHOTOS}")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result")
    options = parser.parse_args()
    counts, figures = run(options)
    show(figures)
    record = build_record(
        "attributes",
        settings=judges.settings(options),
        counts=counts,
        figures=plain(figures),
        asked=[],
    )
    write_record(record, options.results)


if __name__ == "__main__":
    main()
