"""How many faces are found, and how many that are none? On groups-dev, beside two peers.

Every photo counts, one without a find as misses. "Agreed left out" are figures without detections
that match no annotated face, but that a detector of another kind is sure of, too: CenterFace for
ours and the plain network, "thorough" for CenterFace.

Sections: ``find`` the curves, ``turned`` photos that lie on their side, ``time``, ``large``
12-megapixel photos, ``people`` gender and age.

Run as ``python -m benchmarks.detection [SECTION ...] [--sheet DIR]`` in the root of the repository.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anonyface.types import FloatArray, ImageArray
from benchmarks.contact_sheet import check_folder
from benchmarks.contract import (
    Asked,
    data_path,
    measure,
    print_asked,
    print_table,
    read_photos,
    spread,
)
from benchmarks.detection_large import measure_large
from benchmarks.detection_peers import Contestant, contestants, product
from benchmarks.detection_people import asked_of_people, measure_people, show_people
from benchmarks.detection_score import Found, figures, turned_boxes, without_agreed
from benchmarks.detection_sheets import DetectionSheets
from benchmarks.records import RESULTS, build_record, write_record

SECTIONS = ("find", "turned", "time", "large", "people")
SET = "groups-dev"
SHOWN = ("centerface", "normal", "thorough")
"""Whose misses and false positives are shown."""
TIMED_PHOTOS = 40


def photos(limit: int | None, seed: int) -> Iterator[tuple[ImageArray, FloatArray]]:
    """Yield photos and their (m, 4) annotated boxes, all or a random few."""
    path = data_path(f"{SET}.zip")
    with zipfile.ZipFile(path) as archive:
        boxes = json.loads(archive.read("boxes.json"))
    names = sorted(boxes)
    chosen = {names[i] for i in np.random.default_rng(seed).permutation(len(names))[:limit]}
    for name, image in read_photos(path):
        if name in chosen:
            rows = np.array([b[:4] for b in boxes[name]], np.float32)
            yield image, rows.reshape(-1, 4)


def measure_finds(
    who: dict[str, Contestant], options: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the figures of every contestant, and the digests of the sheets."""
    found: dict[str, list[Found]] = {name: [] for name in who}
    used: dict[str, list[Found]] = {name: [] for name in who}
    truth, sheets = [], DetectionSheets()
    for number, (image, boxes) in enumerate(photos(options.limit, options.seed), start=1):
        truth.append(boxes)
        for name, contestant in who.items():
            curve, taken = contestant.look(image)
            found[name].append(curve)
            used[name].append(taken)
            if options.sheet is not None and name in SHOWN:
                sheets.add(name, image, taken, boxes, 0.0)
        if number % 50 == 0:
            print(f"{number} photos", flush=True)
    digests = sheets.write(options.sheet) if options.sheet is not None else {}
    out = {
        name: figures(found[name], truth, {}) | {"as used": as_used(used[name], truth)}
        for name in who
    }
    for name in who:
        other = "thorough" if name == "centerface" else "centerface"
        if other in used:
            rest = without_agreed(found[name], truth, used[other], 0.4)
            out[name]["agreed left out"] = figures(rest, truth, {})["iou 0.4"]
    return out, digests


def as_used(used: Sequence[Found], truth: Sequence[FloatArray]) -> dict[str, Any]:
    """Return recall and false positives of all that a detector reports as it is used."""
    entry: dict[str, Any] = figures(used, truth, {"as used": 0.0})["iou 0.4"]["as used"]
    return entry


def measure_turned(options: argparse.Namespace) -> dict[str, Any]:
    """Return what "thorough" finds in photos that are turned; upright ones in the same run."""
    thorough = product("thorough", options.threads)
    truth: dict[int, list[FloatArray]] = {turns: [] for turns in range(4)}
    found: dict[int, list[Found]] = {turns: [] for turns in range(4)}
    used: dict[int, list[Found]] = {turns: [] for turns in range(4)}
    for image, boxes in photos(options.turned or options.limit, options.seed):
        for turns in range(4):
            curve, taken = thorough.look(np.ascontiguousarray(np.rot90(image, turns)))
            truth[turns].append(turned_boxes(boxes, turns, image.shape))
            found[turns].append(curve)
            used[turns].append(taken)
    return {
        f"{90 * turns} degrees": figures(found[turns], truth[turns], {})["iou 0.4"]
        | {"as used": as_used(used[turns], truth[turns])}
        for turns in range(4)
    }


def measure_time(who: dict[str, Contestant], options: argparse.Namespace) -> dict[str, Any]:
    """Time every contestant as it is used, taking turns on the same photos."""
    chosen = [image for image, _ in photos(TIMED_PHOTOS, options.seed)]
    taken = measure(
        {name: contestant.timed for name, contestant in who.items()},
        lambda number: chosen[number],
        repeats=options.repeats,
    )
    pixels = float(np.median([i.shape[0] * i.shape[1] for i in chosen[: options.repeats]]))
    times = {name: spread(samples, "ms") for name, samples in taken.items()}
    return {"median_megapixels": pixels / 1e6, "times": times}


def asked_rows(out: dict[str, Any]) -> list[Asked]:
    """Return what the project was asked for beside what was measured."""
    rows: list[Asked] = []
    if "find" in out and "centerface" in out["find"]:
        rows += _asked_of_finds(out["find"])
    if "time" in out and "centerface" in out["time"]["times"]:
        times = out["time"]["times"]
        ratio = times["normal"].median / times["centerface"].median
        rows.append(Asked("normal: time over CenterFace's", ratio, "<=", 1.0))
    if "turned" in out:
        recalls = [e["recall at 1 fp"]["all"].value for e in out["turned"].values()]
        rows.append(
            Asked("thorough: recall lost by turning", recalls[0] - min(recalls), "<=", 0.02)
        )
    if "large" in out:
        for detail, limit in (("normal", 1.5), ("thorough", 6.0)):
            entry = out["large"][detail]
            rows.append(Asked(f"12 MP, {detail}, s", entry["time"].median, "<=", limit))
            rows.append(Asked(f"12 MP, {detail}, MB", entry["peak"].median, "<=", 1000))
    return rows + (asked_of_people(out["people"]) if "people" in out else [])


def _asked_of_finds(finds: dict[str, Any]) -> list[Asked]:
    at = {name: entry["iou 0.4"] for name, entry in finds.items()}
    peers = max(at["centerface"]["ap"], at["plain, scale 1"]["ap"], at["plain, scale 2"]["ap"])
    rows = [Asked("normal: AP over the best peer's", at["normal"]["ap"] - peers, ">=", 0.0)]
    for name, least in (("all", 0.03), ("<32 px", 0.08)):
        ours, peer = (at[n]["recall at 1 fp"].get(name) for n in ("thorough", "centerface"))
        if ours and peer:
            what = f"thorough: recall at 1 fp over CenterFace's, {name}"
            rows.append(Asked(what, ours.value - peer.value, ">=", least))
    return rows


def show(out: dict[str, Any]) -> None:
    """Print the figures as tables."""
    names = ("all", "<32 px", "32-96 px", ">96 px")
    for name, entry in out.get("find", {}).items():
        rows: list[tuple[object, ...]] = []
        for iou in ("iou 0.4", "iou 0.5"):
            for rate in ("recall at 0.1 fp", "recall at 1 fp"):
                got = entry[iou][rate]
                rows.append((f"{iou}, {rate}", *(got.get(n, "") for n in names)))
        for rate in ("recall at 0.1 fp", "recall at 1 fp") if "agreed left out" in entry else ():
            got = entry["agreed left out"][rate]
            rows.append((f"{rate}, agreed left out", *(got.get(n, "") for n in names)))
        used = entry["as used"]
        rows.append(("as used", *(used["recall"].get(n, "") for n in names)))
        print(f"{name}: AP {entry['iou 0.4']['ap']:.4f} at IoU 0.4, {entry['iou 0.5']['ap']:.4f} ")
        print(f"at 0.5; as used {used['fp_an_image']:.2f} false positives an image")
        print_table((name, *names), rows)
    if "turned" in out:
        print_table(
            ("turned", "AP", "recall at 1 fp", "as used"),
            [
                (n, f"{e['ap']:.4f}", e["recall at 1 fp"]["all"], e["as used"]["recall"]["all"])
                for n, e in out["turned"].items()
            ],
        )
    if "time" in out:
        print_table(("detector", "a photo"), list(out["time"]["times"].items()))
    if "large" in out:
        rows = [(n, e["time"], e["peak"], e["faces"]) for n, e in out["large"].items()]
        print_table(("12 megapixels", "time", "peak memory", "faces"), rows)
    show_people(out.get("people", {}))


def run_sections(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures of the sections asked for, and counts."""
    who, skipped = contestants(options.threads)
    out: dict[str, Any] = {}
    counts: dict[str, Any] = {"skipped": skipped, "set": SET}
    if "find" in options.sections:
        out["find"], counts["sheets"] = measure_finds(who, options)
    if "turned" in options.sections:
        out["turned"] = measure_turned(options)
    if "time" in options.sections:
        out["time"] = measure_time(who, options)
    if "large" in options.sections:
        with tempfile.TemporaryDirectory() as folder:
            out["large"] = measure_large(Path(folder), options.threads, options.seed)
    if "people" in options.sections:
        out["people"] = measure_people(options.limit, options.seed, options.threads)
    return out, counts


def main() -> None:
    """Measure on the command line."""
    parser = argparse.ArgumentParser(description="faces found, beside two peers")
    parser.add_argument("sections", nargs="*", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--sheet", type=Path, help="folder outside the repository for pictures")
    parser.add_argument("--limit", type=int, help="photos of each set, default all")
    parser.add_argument("--turned", type=int, default=100, help="photos that are turned")
    parser.add_argument("--repeats", type=int, default=20, help="photos that are timed")
    parser.add_argument("--seed", type=int, default=1, help="seed of the draws")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result")
    options = parser.parse_args()
    if options.sheet is not None:
        try:
            check_folder(options.sheet)
        except ValueError as error:
            parser.error(str(error))
    out, counts = run_sections(options)
    show(out)
    asked = asked_rows(out)
    print_asked(asked)
    record = build_record(
        "detection", settings=vars(options), counts=counts, figures=plain_figures(out), asked=asked
    )
    write_record(with_earlier(record, options.results), options.results)


def with_earlier(record: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a record with the sections that were not measured this time, as they were before.

    Earlier ones of other models are dropped; each section says when it was measured, and on what.

    Args:
        record: Of this run.
        folder: That holds the earlier result, if there is one.
    """
    stamp = {key: record[key] for key in ("commit", "date", "settings", "machine")}
    path, kept = folder / f"{record['benchmark']}.json", []
    old: dict[str, Any] = {"figures": {}, "counts": {"measured": {}}, "asked": []}
    if path.is_file():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if earlier["weights_manifest_sha256"] == record["weights_manifest_sha256"]:
            old = earlier
            news = {row["what"] for row in record["asked"]}
            kept = [row for row in earlier["asked"] if row["what"] not in news]
        else:
            print(f"{path.name} was measured with other models: its sections are dropped")
    times = {**old["counts"]["measured"], **{name: stamp for name in record["figures"]}}
    return {
        **record,
        "figures": {**old["figures"], **record["figures"]},
        "counts": {**old["counts"], **record["counts"], "measured": times},
        "asked": [*kept, *record["asked"]],
    }


def plain_figures(value: Any) -> Any:
    """Return figures with their shares as mappings, for JSON."""
    if isinstance(value, dict):
        return {k: plain_figures(v) for k, v in value.items()}
    return vars(value) if hasattr(value, "hits") and hasattr(value, "of") else value


if __name__ == "__main__":
    main()
