"""Section "artefacts": 200 random requests on numbered sheets; a person counts the broken ones.

Nothing is left out, and the sheets show nothing but a number above each portrait. Look at them at
full size (a tile is a 256-px portrait), count whoever is visibly broken (melted ears, a second
face, smeared teeth, holes), and put the count into the result: ``--broken N``. The count belongs to
the very portraits whose digest the result holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.contract import Asked, print_table
from benchmarks.generator_lab import (
    Lab,
    Section,
    Shot,
    Wish,
    draw_wish,
    interval,
    misses,
    take,
    written,
)
from benchmarks.generator_sheets import write_numbered
from benchmarks.identification import share

PORTRAITS, FEW = 200, 12
LIMIT = 0.02
HOW_SEEN = "seen at full size"


def random_wishes(count: int, *, seed: int) -> list[Wish]:
    """Draw wishes from the whole range of looks."""
    rng = np.random.default_rng([seed, 3])
    return [draw_wish(rng, seed=seed * 1_000_000 + 500_000 + n) for n in range(count)]


def digest(shots: Sequence[Shot]) -> str:
    """Return what names these very portraits, in this order."""
    sha = hashlib.sha256()
    for shot in shots:
        sha.update(np.ascontiguousarray(shot.pixels).tobytes())
    return sha.hexdigest()


def screened(shots: Sequence[Shot]) -> dict[str, Any]:
    """Return quantiles of what the source says of its people: truncation, and soundness."""
    out: dict[str, Any] = {}
    for name in ("psi", "sound"):
        values = [
            getattr(s.identity.screens, name)
            for s in shots
            if s.identity is not None and s.identity.screens is not None
        ]
        if values:
            low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
            out[name] = {"p05": float(low), "median": float(middle), "p95": float(high)}
    return out


def measure(lab: Lab) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return counts and figures, and write the sheets."""
    shots = take(lab, random_wishes(lab.size(PORTRAITS, FEW), seed=lab.seed))
    if lab.sheets is None:
        print("no sheets written: --sheet DIR says where to")
    else:
        files = write_numbered([shot.pixels for shot in shots], lab.sheets, "artefacts")
        requests = {f"{n:03d}": asdict(shot.wish) for n, shot in enumerate(shots, start=1)}
        text = json.dumps(requests, indent=1)
        (lab.sheets / "artefacts.json").write_text(text + "\n", encoding="utf-8")
        print(f"{len(files)} sheets in {lab.sheets}: count the broken ones, then --broken N")
    figures: dict[str, Any] = {
        "portraits": len(shots),
        "digest": digest(shots),
        "answered": share([shot.identity is not None for shot in shots]),
        "screens": screened(shots),
        "broken": None,
    }
    return misses(shots), figures


def with_broken(figures: Mapping[str, Any], broken: int) -> dict[str, Any]:
    """Return the figures of the file with the count of broken portraits.

    Args:
        figures: Of this section.
        broken: How many are visibly broken.

    Raises:
        ValueError: If there are not so many portraits.
    """
    of = int(figures["portraits"])
    if not 0 <= broken <= of:
        raise ValueError(f"{broken} of {of} portraits can't be broken")
    counted = share([n < broken for n in range(of)])
    return {**figures, "broken": asdict(counted) | {"how": HOW_SEEN}}


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures as a table."""
    rows = [
        ("requests answered", written(figures["answered"]), interval(figures["answered"])),
        ("visibly broken", written(figures["broken"]), interval(figures["broken"])),
    ]
    print_table(("what", "value", "95 %"), rows)
    rows = [
        (name, *(f"{v[k]:.3f}" for k in ("p05", "median", "p95")))
        for name, v in figures["screens"].items()
    ]
    print_table(("screen", "p05", "median", "p95"), rows)


def asked_rows(figures: Mapping[str, Any]) -> list[Asked]:
    """Return what was asked for beside what was counted."""
    broken = figures["broken"]
    value = None if broken is None else broken["value"]
    of = figures["portraits"]
    return [Asked(f"visibly broken of {of}, {HOW_SEEN}", value, "<=", LIMIT)]


SECTION = Section(measure, show, asked_rows)
