"""Would a photographer keep it? Faces before and after replacement, on lfw-dev and groups-dev.

Default settings; faces whose box is 48 px and more and that were replaced. Covered ones are counted
apart with the reasons, and every measure says how many faces it could not be taken of, and why.

Run as ``python -m benchmarks.utility [--judge faceres=FILE] [--sheet DIR]`` in the root of the
repository; then look at the random faces and run ``python -m benchmarks.utility --fake N``.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from anonyface.types import ImageArray
from benchmarks import anonymized, judges
from benchmarks.contact_sheet import check_folder
from benchmarks.contract import print_asked, rounded
from benchmarks.coverage import changed_outside
from benchmarks.privacy import plain, without_numbers
from benchmarks.readers import attribute_readers
from benchmarks.records import RESULTS, build_record, write_record
from benchmarks.utility_faces import MEASURES, SMALLEST_PX, Compared, Examiner
from benchmarks.utility_figures import asked_rows, by_eye_row, show, summary
from benchmarks.utility_frechet import Describe, Features, describer, distances
from benchmarks.utility_measures import psnr
from benchmarks.utility_photos import SETS, Print, album, photos
from benchmarks.utility_sheets import RANDOM, RANDOM_NAME, Picks, cut_pair
from benchmarks.utility_time import time_swap

PROGRESS_EVERY = 50


@dataclass(eq=False)
class Tally:
    """What was seen in one data set.

    Attributes:
        counts: Photos and faces.
        covered: Reason -> faces of `SMALLEST_PX` and more that were covered for it.
        faces: The replaced ones.
        features: What the feature network says of them before and after.
        outside_db: PSNR outside of the treated faces, one a photo.
    """

    counts: Counter[str] = field(default_factory=Counter)
    covered: Counter[str] = field(default_factory=Counter)
    faces: list[Compared] = field(default_factory=list)
    features: list[Features] = field(default_factory=list)
    outside_db: list[float] = field(default_factory=list)

    def add_photo(self, before: ImageArray, after: Print) -> None:
        """Count the faces of a photo, and look at what lies outside of them."""
        self.counts["photos"] += 1
        self.counts["photos_without_a_face"] += not after.outcomes
        for outcome in after.outcomes:
            large = outcome.face.size >= SMALLEST_PX
            self.counts[f"{outcome.action}{'' if large else '_smaller'}"] += 1
            if outcome.action == "redacted" and large:
                self.covered[without_numbers(outcome.reason)] += 1
        # Every pixel differs from its complement, so all that are outside are named.
        outside = changed_outside(before, ~before, after.outcomes)
        self.outside_db.append(psnr(before, after.image, outside))


def offer(picks: Picks, name: str, face: Compared, pair: Any, rng: np.random.Generator) -> None:
    """Offer a face to the sheets of everything it may be among the worst at."""
    for measure, value in face.values.items():
        if isinstance(value, str):
            continue
        bad = value
        if MEASURES[measure].worst == "furthest from 1":
            bad = abs(math.log(max(value, 1e-9)))
        picks.offer(f"{name} {measure}", bad, f"{value:.3f}, {face.face.size:.0f} px", pair)
    if face.again is None:
        picks.offer(f"{name} not found again", face.face.size, f"{face.face.size:.0f} px", pair)
    for reader, (old, new) in face.readings.items():
        if old is None or new is None:
            continue
        said = " -> ".join(f"{'woman' if r.female else 'man'} {r.years:.0f}" for r in (old, new))
        years = abs(old.years - new.years)
        picks.offer(f"{name} age, {reader}", years, said, pair)
        if old.female != new.female:
            picks.offer(f"{name} gender, {reader}", years, said, pair)
    picks.offer(RANDOM_NAME, float(rng.random()), f"{name}, {face.face.size:.0f} px", pair)


def look(
    name: str, options: argparse.Namespace, examiner: Examiner, describe: Describe | str
) -> tuple[Tally, Picks]:
    """Anonymize a set and measure it.

    Args:
        name: One of `SETS`.
        options: Of the command line.
        examiner: Measures the faces.
        describe: Gives features for the Frechet distance, or says why not.
    """
    tally, picks, room = Tally(), Picks(), album(options)
    rng = np.random.default_rng([options.seed, SETS.index(name)])
    for before, seed in photos(name, limit=options.limit, seed=options.seed):
        after = room.develop(before, seed)
        tally.add_photo(before, after)
        for face in examiner(before, after):
            tally.faces.append(face)
            if not isinstance(describe, str) and face.again is not None:
                old = describe(before, face.face.landmarks)
                tally.features.append((old, describe(after.image, face.again.landmarks)))
            offer(picks, name, face, partial(cut_pair, before, after.image, face.face), rng)
        if tally.counts["photos"] % PROGRESS_EVERY == 0:
            print(f"{name}: {tally.counts['photos']} photos", flush=True)
    return tally, picks


def run(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any], Picks]:
    """Return counts, figures, and what the sheets show."""
    jury = judges.jury(options)
    examiner = Examiner(attribute_readers(jury.encoders, options.threads), threads=options.threads)
    describe = describer(options.cache, threads=options.threads)
    if isinstance(describe, str):
        print(f"skipped: Frechet distance: {describe}")
    sets: dict[str, Any] = {}
    counts: dict[str, Any] = {}
    every = Picks()
    for name in SETS:
        tally, picks = look(name, options, examiner, describe)
        every.take(picks)
        counts[name] = {**tally.counts, "covered": dict(tally.covered)}
        sets[name] = summary(tally.faces) | {
            "photos_changed_outside": sum(map(math.isfinite, tally.outside_db)),
            "least_psnr_outside_db": least_db(tally.outside_db),
            "frechet": distances(tally.features, seed=options.seed),
        }
    figures = {
        "sets": sets,
        "swap_and_blend_120_px": time_swap(
            threads=options.threads, repeats=options.repeats, seed=options.seed
        ),
        "by_eye": {
            "faces": len(every.kept.get(RANDOM_NAME, [])),
            "digest": every.digest(RANDOM_NAME),
            "obviously_fake": None,
        },
    }
    counts["encoders_skipped"] = jury.skipped
    counts["sha256_of_encoders"] = {encoder.name: encoder.sha256 for encoder in jury.encoders}
    return counts, figures, every


def least_db(values: list[float]) -> float | str:
    """Return the least PSNR, "infinite" if nothing changed.

    >>> least_db([math.inf, 51.0]), least_db([math.inf])
    (51.0, 'infinite')
    """
    least = min(values, default=math.inf)
    return least if math.isfinite(least) else "infinite"


def count_fake(folder: Path, fake: int) -> Path:
    """Put the count of obviously fake faces on the random sheets into the result.

    Args:
        folder: Of the result.
        fake: How many there are.

    Raises:
        ValueError: If there is no result, or it shows fewer faces.
    """
    path = folder / "utility.json"
    if not path.is_file():
        raise ValueError("nothing was measured yet: run the benchmark with --sheet first")
    record = json.loads(path.read_text(encoding="utf-8"))
    eye = record["figures"]["by_eye"]
    if not 0 <= fake <= eye["faces"]:
        raise ValueError(f"{fake} of {eye['faces']} faces can't be fake")
    eye["obviously_fake"] = fake
    new = by_eye_row(eye)
    row = rounded(asdict(new) | {"met": new.met})
    record["asked"] = [row if r["what"] == new.what else r for r in record["asked"]]
    return write_record(record, folder)


def arguments() -> argparse.ArgumentParser:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description="faces before and after, on lfw-dev, groups-dev")
    judges.add_options(parser)
    anonymized.add_options(parser)
    parser.add_argument("--sheet", type=Path, help="folder outside the repository for pictures")
    parser.add_argument("--limit", type=int, help="photos of each set: a try, writes no result")
    parser.add_argument("--repeats", type=int, default=10, help="faces put on for the clock")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result")
    parser.add_argument(
        "--fake", type=int, metavar="N", help=f"put a count of the {RANDOM} into the result"
    )
    return parser


def main() -> None:
    """Measure on the command line."""
    parser = arguments()
    options = parser.parse_args()
    try:
        if options.fake is not None:
            print(f"written: {count_fake(options.results, options.fake).name}")
            return
        if options.sheet is not None:
            check_folder(options.sheet)
    except ValueError as error:
        parser.error(str(error))
    cv2.setNumThreads(options.threads)
    counts, figures, picks = run(options)
    asked = asked_rows(figures)
    show(counts, figures)
    print_asked(asked)
    if options.sheet is not None:
        print(f"{len(picks.write(options.sheet))} sheets written")
    if options.limit is not None:
        print(f"a try with {options.limit} photos of each set: no result is written")
        return
    settings = judges.settings(options)
    record = build_record(
        "utility", settings=settings, counts=counts, figures=plain(figures), asked=asked
    )
    write_record(record, options.results)


if __name__ == "__main__":
    main()
