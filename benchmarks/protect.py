"""Do protected people stay, and nobody else? lfw-dev, one reference each, the whole way.

The reference is a person's first photo, cropped around the face where it is refused for showing
several; the test is the second photo as it is. Detector, quality gate, encoder and
decision are those of `Anonymizer`. Every photo of somebody else is a stranger; a stranger who
stays is a failure of privacy.

Run as ``python -m benchmarks.protect`` in the root of the repository.
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from anonyface.protection.references import References
from anonyface.types import ImageArray
from benchmarks.calibrate import FACE_SIZES
from benchmarks.contract import Asked, data_path, print_asked, print_table
from benchmarks.galleries import (
    Probe,
    Reader,
    blur_photo,
    group_errors,
    held_out,
    join,
    rate_with_interval,
    shrink_photo,
    stays,
    strangers,
    tabulate,
    take,
)
from benchmarks.identification import share
from benchmarks.lfw import People, load_people
from benchmarks.records import RESULTS, build_record, write_record

GROUPS = (1, 5, 20)
ROUNDS = 20
BLURS = (2, 3, 4, 6, 8)
"""Sigma in pixels of the encoder's chip of 150 px."""


@dataclass(frozen=True, eq=False)
class Protected:
    """People with an accepted reference.

    Attributes:
        references: One row a person.
        pairs: Index of that person's pair for each row.
        owners: Name for each row.
        taken: What was accepted as reference, or why nothing was -> how often.
        noted: References accepted with a note.
    """

    references: References
    pairs: list[int]
    owners: list[str]
    taken: Mapping[str, int]
    noted: int


def protect(pictures: Sequence[ImageArray], people: People, reader: Reader) -> Protected:
    """Load a picture of every person with two photos as reference."""
    accepted: list[References] = []
    pairs: list[int] = []
    taken: Counter[str] = Counter()
    for k, picture in enumerate(pictures):
        loaded, how = reader.reference(picture)
        taken[how] += 1
        if loaded is not None:
            accepted.append(loaded)
            pairs.append(k)
    owners = [people.names[people.pairs[k][0]] for k in pairs]
    noted = sum(bool(r.notes) for r in accepted)
    return Protected(join(accepted), pairs, owners, dict(taken), noted)


def kept_in_groups(
    protected: Protected, probes: Sequence[Probe], people: People, *, size: int, seed: int
) -> dict[str, Any]:
    """Protect people in random groups and see whether each stays in the second photo.

    A person whose reference was refused counts as not kept.
    """
    outcomes: Counter[str] = Counter()
    order = np.random.default_rng(seed).permutation(len(protected.owners)).tolist()
    for start in range(0, len(order), size):
        group = order[start : start + size]
        # The last group is filled up with people who had their turn.
        members = (group + [k for k in order if k not in group])[:size]
        gallery = take(protected.references, members)
        for row in group:
            probe = probes[people.pairs[protected.pairs[row]][1]]
            outcomes[stays(probe, gallery)] += 1
    outcomes["reference refused"] = len(people.pairs) - len(order)
    total = len(people.pairs)
    flags = [True] * outcomes["keep"] + [False] * (total - outcomes["keep"])
    return {"kept": asdict(share(flags)), "outcomes": dict(outcomes)}


def strangers_in_groups(
    protected: Protected, probes: Sequence[Probe], *, size: int, seed: int
) -> dict[str, Any]:
    """Protect people in random groups and see which strangers stay, or come out as unsure."""
    table = tabulate(probes, protected.references, among=size)
    different = strangers(probes, protected.owners)
    names = [p.person for p in probes]
    rounds = 1 if size in (1, len(protected.owners)) else ROUNDS
    figures = {}
    for name, hits in (("kept", table.sure), ("unsure", table.unsure & ~table.sure)):
        counts = group_errors(hits, different, size=size, rounds=rounds, seed=seed)
        figures[f"strangers_{name}"] = rate_with_interval(counts, names, seed=seed)
    return figures


def worse_references(
    people: People, probes: Sequence[Probe], originals: Sequence[Any], reader: Reader, seed: int
) -> list[dict[str, Any]]:
    """Make the references smaller or blurred; people are protected one at a time."""
    rows = []
    changes: list[tuple[str, Any, Any]] = [("px", size, shrink_photo) for size in FACE_SIZES]
    changes += [("blur", sigma, blur_photo) for sigma in BLURS]
    for kind, amount, change in tqdm(changes, desc="worse references"):
        pictures = []
        for (a, _), face in zip(people.pairs, originals, strict=True):
            picture = people.images[a]
            pictures.append(picture if face is None else change(picture, face, amount))
        protected = protect(pictures, people, reader)
        kept = sum(
            stays(probes[people.pairs[k][1]], take(protected.references, [row])) == "keep"
            for row, k in enumerate(protected.pairs)
        )
        errors = strangers_in_groups(protected, probes, size=1, seed=seed)["strangers_kept"]
        rows.append(
            {
                "reference": kind,
                "amount": amount,
                "accepted": len(protected.pairs),
                "noted": protected.noted,
                "kept_of_accepted": kept / max(len(protected.pairs), 1),
                "strangers_kept": errors,
            }
        )
    return rows


def small_faces(
    people: People, originals: Sequence[Probe], protected: Protected, reader: Reader, seed: int
) -> list[dict[str, Any]]:
    """Shrink the photos in which people are looked for; one person is protected at a time."""
    rows = []
    tested = [b for _, b in people.pairs]
    for face_px in FACE_SIZES:
        probes: dict[int, Probe] = {}
        for index in tqdm(tested, desc=f"faces of {face_px} px"):
            original = originals[index]
            image = people.images[index]
            if original.subject is not None:
                image = shrink_photo(image, original.faces[original.subject], face_px)
            probes[index] = reader.probe(original.person, image)
        verdicts = Counter(
            stays(probes[people.pairs[k][1]], take(protected.references, [row]))
            for row, k in enumerate(protected.pairs)
        )
        flags = np.arange(len(people.pairs)) < verdicts["keep"]
        errors = strangers_in_groups(protected, list(probes.values()), size=1, seed=seed)
        rows.append(
            {"face_px": face_px, "kept": asdict(share(flags)), "outcomes": dict(verdicts)} | errors
        )
    return rows


def asked_rows(groups: Mapping[str, Any]) -> list[Asked]:
    """Put what was asked for beside what was measured."""
    rows = []
    for size, figures in groups.items():
        at_a_time = f"{size} protected at a time"
        rows.append(
            Asked(f"protected people kept, {at_a_time}", figures["kept"]["value"], ">=", 0.95)
        )
        rate = figures["strangers_kept"]["value"]
        rows.append(Asked(f"strangers kept, {at_a_time}", rate, "<=", 1e-3))
    return rows


def show(figures: Mapping[str, Any], counts: Mapping[str, Any]) -> None:
    """Print all figures as tables."""
    print_table(("counts", ""), [(k, v) for k, v in counts.items()])

    def rate(part: Mapping[str, Any]) -> str:
        return f"{part['value']:.2e} ({part['low']:.1e}-{part['high']:.1e})"

    head = ("kept", "strangers kept (95 %)", "strangers unsure", "what became of the protected")
    print_table(
        ("protected at a time", *head),
        [
            (size, f"{g['kept']['value']:.3f}", rate(g["strangers_kept"]),
             rate(g["strangers_unsure"]), g["outcomes"])
            for size, g in figures["groups"].items()
        ],
    )  # fmt: skip
    print_table(
        ("face px", *head),
        [
            (g["face_px"], f"{g['kept']['value']:.3f}", rate(g["strangers_kept"]),
             rate(g["strangers_unsure"]), g["outcomes"])
            for g in figures["small_faces"]
        ],
    )  # fmt: skip
    print_table(
        ("reference", "accepted", "with a note", "kept of accepted", "strangers kept"),
        [
            (f"{g['reference']} {g['amount']}", g["accepted"], g["noted"],
             f"{g['kept_of_accepted']:.3f}", rate(g["strangers_kept"]))
            for g in figures["worse_references"]
        ],
    )  # fmt: skip
    print_table(
        ("calibrated on one half, tested on the other: rate", "kept", "false matches"),
        [(k, f"{v['kept']:.3f}", f"{v['false']:.2e}") for k, v in figures["held_out"].items()],
    )


def measure(people: People, reader: Reader, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return figures and counts."""
    probes = [
        reader.probe(name, image)
        for name, image in tqdm(
            zip(people.names, people.images, strict=True), total=len(people.names), desc="photos"
        )
    ]
    firsts = [probes[a] for a, _ in people.pairs]
    originals = [None if p.subject is None else p.faces[p.subject] for p in firsts]
    protected = protect([people.images[a] for a, _ in people.pairs], people, reader)
    groups: dict[str, Any] = {}
    for size in (*GROUPS, len(protected.owners)):
        if size <= len(protected.owners):
            kept = kept_in_groups(protected, probes, people, size=size, seed=seed)
            groups[str(size)] = kept | strangers_in_groups(protected, probes, size=size, seed=seed)
    # A reference is not to meet the photo it was cut from.
    tests = [p for k, p in enumerate(probes) if k not in {a for a, _ in people.pairs}]
    score = tabulate(tests, protected.references, among=1).score
    figures = {
        "groups": groups,
        "held_out": {
            f"{rate:g}": held_out(score, tests, protected.owners, rate) for rate in (1e-3, 2e-4)
        },
        "small_faces": small_faces(people, probes, protected, reader, seed),
        "worse_references": worse_references(people, probes, originals, reader, seed),
    }
    counts = {
        "people with a reference": len(people.pairs),
        "photos": len(probes),
        "photos without a face": sum(p.subject is None for p in probes),
        "accepted as reference": dict(protected.taken),
        "accepted with a note": protected.noted,
    }
    return figures, counts


def main() -> None:
    """Measure on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--limit", type=int, help="so many people with two photos; a try")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    # Notes on references are counted, not told.
    logging.getLogger("anonyface").setLevel(logging.ERROR)
    people = load_people(data_path("lfw-dev.zip"), limit=options.limit, seed=options.seed)
    figures, counts = measure(people, Reader(threads=options.threads), options.seed)
    asked = asked_rows(figures["groups"])
    show(figures, counts)
    print_asked(asked)
    record = build_record(
        "protect", settings=vars(options), counts=counts, figures=figures, asked=asked
    )
    print(f"written to {write_record(record, options.results)}")


if __name__ == "__main__":
    main()
