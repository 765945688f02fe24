"""Can the anonymization be undone? A trained attack against matching without one, on lfw-dev.

The attacker has the tool. He anonymizes photos of his own (of other people than the victims), and
trains networks that name a person's original from the anonymized face (``undoing.py``). Then he
gets A' of people he never saw and compares his guess with B, another photo of each. If there is
something of the original in A', he finds B better than one who compares A' with B directly.

Both are measured in the same way: TAR at the score that one in 1,000 pairs of A' and somebody
else's B reaches, and rank-1 among all B. Under a single encoder an attack has the others to read
from, so it may gain without undoing anything; "all together" compares both with all encoders.
The same attack on photos whose face is painted flat shows what hair and background give away, and
as a control it is made on plain mosaics, which are known to give way: where it finds nothing
there, its failure elsewhere would mean nothing.

Needs torch (extra "train"). Run as ``python -m benchmarks.inversion [--judge NAME=FILE ...]`` in
the root of the repository.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anonyface.errors import FaceError
from anonyface.types import Face, FloatArray, ImageArray
from anonyface.verification.alignment import ARCFACE_PX, ARCFACE_TEMPLATE, align_chip
from anonyface.verification.encoder import unit
from benchmarks import anonymized, judges
from benchmarks.anonymized import SEED_BLOCK, Darkroom, points, seed_for
from benchmarks.contract import Asked, data_path, print_asked, print_table
from benchmarks.covers import mosaic, paint
from benchmarks.fairface import load_labelled
from benchmarks.identification import (
    Share,
    accepted,
    gain,
    rank1,
    share,
    strangers,
    threshold_at_far,
)
from benchmarks.judges import Judge
from benchmarks.lfw import People, load_people
from benchmarks.outside import place
from benchmarks.privacy import plain
from benchmarks.records import RESULTS, build_record, write_record
from benchmarks.undoing import CHIP_PX, Guess, Seen, attack

FAR = 1e-3
ALL = "all together"
CHIP_TEMPLATE = place(ARCFACE_TEMPLATE, ARCFACE_PX, CHIP_PX, scale=0.8)
"""Of the pixels an attack sees: hair and chin are in view."""


@dataclass(frozen=True, eq=False)
class Group:
    """Photos, the face each is of, and what became of it.

    Attributes:
        images: (H, W, 3) RGB uint8 originals.
        faces: The face of each.
        changed: Way of changing -> the changed photos.
    """

    images: list[ImageArray]
    faces: list[Face]
    changed: dict[str, list[ImageArray]]


def change(
    room: Darkroom, images: Sequence[ImageArray], faces: Sequence[Face | None], seeds: Sequence[int]
) -> Group:
    """Anonymize photos, and make mosaics of them; those without a face are left out."""
    kept = [(i, f, s) for i, f, s in zip(images, faces, seeds, strict=True) if f is not None]
    originals, there = [i for i, _, _ in kept], [f for _, f, _ in kept]
    return Group(
        originals,
        there,
        {
            "anonymized": [r.image for r in room.all(originals, there, [s for _, _, s in kept])],
            "painted (surroundings alone)": [
                paint(i, f) for i, f in zip(originals, there, strict=True)
            ],
            "mosaic (control)": [mosaic(i, f) for i, f in zip(originals, there, strict=True)],
        },
    )


def look(images: Sequence[ImageArray], faces: Sequence[Face], tables: Sequence[FloatArray]) -> Seen:
    """Return what an attacker sees; what can't be encoded is all zero to him.

    Args:
        images: The photos.
        faces: Where the face is, or was.
        tables: (n, d) embeddings, one table an encoder.
    """
    chips = []
    for image, face in zip(images, faces, strict=True):
        try:
            chip = align_chip(image, face.landmarks, CHIP_PX, template=CHIP_TEMPLATE).pixels
        except FaceError:
            chip = np.zeros((CHIP_PX, CHIP_PX, 3), np.uint8)
        chips.append(chip)
    return Seen(np.concatenate([np.nan_to_num(unit(t)) for t in tables], axis=1), np.stack(chips))


def found(table: FloatArray) -> dict[str, Any]:
    """Return hits of guesses about people against another photo of each.

    Args:
        table: (n, n) scores, the same people in rows and columns; a row of NaN for nothing.
    """
    threshold = threshold_at_far(strangers(table), FAR)
    hits = None if threshold is None else accepted(np.diagonal(table), threshold)
    return {"TAR": hits, "rank-1": rank1(table)}


def together(tables: Sequence[FloatArray]) -> FloatArray:
    """(n, n) mean of the scores of all encoders, each in standard deviations of strangers."""
    scaled = [(t - np.mean(strangers(t))) / (np.std(strangers(t)) + 1e-12) for t in tables]
    return np.asarray(np.mean(scaled, axis=0), np.float64)


def compare_attacks(
    own: Mapping[str, FloatArray],
    changed: Mapping[str, FloatArray],
    first: Mapping[str, FloatArray],
    second: Mapping[str, FloatArray],
    run_attack: Callable[[dict[str, FloatArray]], dict[str, Guess]],
) -> dict[str, Any]:
    """Return the figures of one way of changing, encoder by encoder and for all together.

    Args:
        own: Encoder -> (m, d) embeddings of the attacker's originals.
        changed: Encoder -> (n, d) of the victims' changed photos.
        first: Encoder -> (n, d) of the originals of these.
        second: Encoder -> (n, d) of another photo of each victim.
        run_attack: Originals, as embeddings about their mean -> guesses about the victims.
    """
    # What all faces have in common says nothing about who it is.
    middle = {name: unit(table).mean(axis=0) for name, table in own.items()}
    guesses = run_attack({name: unit(unit(t) - middle[name]) for name, t in own.items()})
    gallery = {name: unit(unit(table) - middle[name]) for name, table in second.items()}
    tables = {
        "before": {name: unit(first[name]) @ unit(second[name]).T for name in own},
        "direct": {name: unit(changed[name]) @ unit(second[name]).T for name in own},
        **{
            k: {name: g.originals[name] @ gallery[name].T for name in own}
            for k, g in guesses.items()
        },
    }
    held = {k: g.own | {ALL: float(np.mean(list(g.own.values())))} for k, g in guesses.items()}
    for row in tables.values():
        row[ALL] = together(list(row.values()))
    return {
        name: figures_of(
            {what: found(row[name]) for what, row in tables.items()},
            {k: share_found[name] for k, share_found in held.items()},
        )
        for name in (*own, ALL)
    }


def figures_of(hits: Mapping[str, dict[str, Any]], held: Mapping[str, float]) -> dict[str, Any]:
    """Return the figures of one encoder.

    Args:
        hits: "before", "direct" and every attack -> what `found` says.
        held: Attack -> share of the attacker's held-out photos it finds first.
    """
    chosen = max(held, key=lambda k: held[k])
    shares = {k: {m: _share(v) for m, v in row.items()} for k, row in hits.items()}
    return {
        "before": shares["before"],
        "direct": shares["direct"],
        "attacks": {
            k: shares[k] | {"own photos, held out, found first": round(held[k], 4)} for k in held
        },
        "chosen_by_the_attacker": chosen,
        "gained_by_it": {
            m: None if v is None else gain(hits[chosen][m], v) for m, v in hits["direct"].items()
        },
    }


def _share(hits: Any) -> Share | None:
    return None if hits is None else share(hits)


def embeddings(
    jury: Sequence[Judge], images: Sequence[ImageArray], faces: Sequence[Face], cache: Path | None
) -> dict[str, FloatArray]:
    """Encoder -> (n, d) embeddings, read where the face is or was."""
    return {judge.name: judge.all(images, points(faces), cache) for judge in jury}


def attackers_photos(
    people: People, room: Darkroom, options: argparse.Namespace
) -> tuple[Group, dict[str, Any]]:
    """Anonymize photos of people who are no victims; return them and their numbers."""
    paired = {row for pair in people.pairs for row in pair}
    lone = [image for row, image in enumerate(people.images) if row not in paired]
    drawn = load_labelled(
        data_path("fairface-train.zip"), count=options.attackers, seed=options.seed
    ).images
    seeds = [
        *(seed_for("attacker", options.seed, n) for n in range(len(lone))),
        *(seed_for("attacker", options.seed, SEED_BLOCK // 2 + n) for n in range(len(drawn))),
    ]
    images = [*lone, *drawn]
    group = change(room, images, room.subjects(images), seeds)
    return group, {
        "attackers_photos_lfw": len(lone),
        "attackers_photos_fairface": len(drawn),
        "attackers_photos_without_a_face": len(images) - len(group.images),
    }


def run(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return counts and figures."""
    torch.set_num_threads(max(1, options.threads))
    people = load_people(data_path("lfw-dev.zip"), limit=options.limit, seed=options.seed)
    room = anonymized.darkroom(options)
    faces = room.subjects(people.images)
    pairs = [(a, b) for a, b in people.pairs if faces[a] is not None and faces[b] is not None]
    numbers = {a: number for number, (a, _) in enumerate(people.pairs)}
    first, second = ([pair[k] for pair in pairs] for k in (0, 1))
    seeds = [seed_for("A", options.seed, numbers[a]) for a in first]
    victims = change(room, [people.images[a] for a in first], [faces[a] for a in first], seeds)
    own, counts = attackers_photos(people, room, options)
    jury = judges.jury(options)
    seeing = jury.distinct

    def encoded(images: Sequence[ImageArray], there: Sequence[Any]) -> dict[str, FloatArray]:
        return embeddings(seeing, images, there, options.cache)

    originals = encoded(own.images, own.faces)
    a = encoded(victims.images, victims.faces)
    b = encoded([people.images[row] for row in second], [faces[row] for row in second])
    known = ~np.isnan(np.concatenate(list(originals.values()), axis=1)).any(axis=1)
    figures: dict[str, Any] = {"chance": {"TAR": FAR, "rank-1": 1 / len(pairs)}}
    for way, images in victims.changed.items():
        mine, theirs = encoded(own.changed[way], own.faces), encoded(images, victims.faces)
        seen = look(own.changed[way], own.faces, list(mine.values()))[known]
        there = look(images, victims.faces, list(theirs.values()))
        print(f"{way}: attacked with {len(seen.vectors)} photos", flush=True)
        figures[way] = compare_attacks(
            {name: table[known] for name, table in originals.items()},
            theirs,
            a,
            b,
            lambda targets, s=seen, t=there: attack(s, targets, t, seed=options.seed),
        )
    counts |= {
        "torch": str(torch.__version__),
        "victims": len(pairs),
        "victims_without_a_face": len(people.pairs) - len(pairs),
    }
    return counts | jury.as_counts, figures


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures as tables."""
    for way, encoders in figures.items():
        if way == "chance":
            continue
        rows: list[tuple[object, ...]] = []
        for name, found_here in encoders.items():
            tried = {"A, before": found_here["before"], "direct": found_here["direct"]}
            for what, measures in (tried | found_here["attacks"]).items():
                cells = [
                    f"{v} {v.interval}" if isinstance(v, Share) else "too few pairs"
                    for v in (measures["TAR"], measures["rank-1"])
                ]
                mark = " *" if what == found_here["chosen_by_the_attacker"] else ""
                rows.append((name, what + mark, *cells))
            gained = found_here["gained_by_it"]
            rows.append((name, "* over direct", *(str(gained[m]) for m in ("TAR", "rank-1"))))
        print(way)
        print_table(("encoder", "attack", "TAR at FAR 1e-3, 95 %", "rank-1, 95 %"), rows)
    chance = figures["chance"]
    print(f"chance: TAR {chance['TAR']:g}, rank-1 {chance['rank-1']:.4f}\n")


def asked_rows(figures: Mapping[str, Any]) -> list[Asked]:
    """Return what the project was asked for beside what was measured."""
    rows = []
    for name, here in figures["anonymized"].items():
        for measure, gained in here["gained_by_it"].items():
            what = f"{measure} gained by the attack over direct matching, {name}, lower end"
            rows.append(Asked(what, None if gained is None else gained.low, "<=", 0.0))
    control = [e["gained_by_it"]["rank-1"].low for e in figures["mosaic (control)"].values()]
    what = "rank-1 gained on mosaics (the attack must work there), best encoder, lower end"
    rows.append(Asked(what, max(control), ">=", 0.01))
    return rows


def main() -> None:
    """Measure on the command line."""
    parser = argparse.ArgumentParser(description="inversion by trained networks, on lfw-dev")
    judges.add_options(parser)
    anonymized.add_options(parser)
    parser.add_argument("--limit", type=int, help="victims to take, default all")
    parser.add_argument(
        "--attackers", type=int, default=1000, help="FairFace photos the attacker takes besides"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result")
    options = parser.parse_args()
    counts, figures = run(options)
    asked = asked_rows(figures)
    show(figures)
    print_asked(asked)
    record = build_record(
        "inversion",
        settings=judges.settings(options),
        counts=counts,
        figures=plain(figures),
        asked=asked,
    )
    write_record(record, options.results)


if __name__ == "__main__":
    main()
