"""Section "pose": is the head turned as asked?

The mesh is fitted to the portrait from the detector's box and read as for any photo; so the figure
holds the reading error of the mesh, too. Nobody, or no face, is a miss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from anonyface.errors import FaceError
from benchmarks.contract import Asked, print_table
from benchmarks.generator_lab import (
    BROAD,
    GENDERS,
    Lab,
    Section,
    Shot,
    Wish,
    interval,
    misses,
    take,
    written,
)
from benchmarks.identification import Share, share

YAW, PITCH = 30.0, 10.0
"""Farthest turn asked for, either way, in degrees."""
WITHIN = 5.0
BANDS = ((0, 10), (10, 20), (20, 30))
"""Of the yaw asked, either way, in degrees."""
REQUESTS, FEW = 200, 12

Turn: TypeAlias = tuple[float, float]
"""Yaw and pitch in degrees."""


def pose_wishes(count: int, *, seed: int) -> list[Wish]:
    """Draw wishes: yaw and pitch evenly, and somebody of any gender, age and skin tone."""
    rng = np.random.default_rng(seed)
    return [
        Wish(
            seed=seed * 1_000_000 + 100_000 + n,
            gender=GENDERS[int(rng.integers(2))],
            age=round(float(rng.uniform(*BROAD["age"])), 1),
            skin_tone=round(float(rng.uniform(*BROAD["skin_tone"])), 1),
            yaw=round(float(rng.uniform(-YAW, YAW)), 2),
            pitch=round(float(rng.uniform(-PITCH, PITCH)), 2),
        )
        for n in range(count)
    ]


def shares(asked: Sequence[Turn], read: Sequence[Turn | None]) -> dict[str, Share]:
    """Return how often yaw, pitch and both are within `WITHIN` degrees; unread is not.

    Args:
        asked: Yaw and pitch asked for.
        read: Yaw and pitch measured, None where there is no face.
    """
    off = np.array(
        [
            (np.inf, np.inf) if r is None else (abs(r[0] - a[0]), abs(r[1] - a[1]))
            for a, r in zip(asked, read, strict=True)
        ]
    )
    near = off <= WITHIN
    return {"yaw": share(near[:, 0]), "pitch": share(near[:, 1]), "both": share(near.all(axis=1))}


def errors(asked: Sequence[Turn], read: Sequence[Turn | None]) -> dict[str, Any]:
    """Return median and 90th percentile of the errors, and how far yaw falls short, in degrees.

    Falling short is signed: positive where the head is turned less than asked.
    """
    both = [(a, r) for a, r in zip(asked, read, strict=True) if r is not None]
    if not both:
        return {"of": 0}
    a, r = (np.array(side) for side in zip(*both, strict=True))
    off = np.abs(r - a)
    return {
        "yaw": {"median": float(np.median(off[:, 0])), "p90": float(np.quantile(off[:, 0], 0.9))},
        "pitch": {"median": float(np.median(off[:, 1])), "p90": float(np.quantile(off[:, 1], 0.9))},
        "yaw_short_median": float(np.median(np.sign(a[:, 0]) * (a[:, 0] - r[:, 0]))),
        "of": len(both),
    }


def by_band(asked: Sequence[Turn], read: Sequence[Turn | None]) -> dict[str, Any]:
    """Return shares and errors for all, and for each band of the yaw asked that has any."""
    yaw = np.abs([turn[0] for turn in asked])
    out: dict[str, Any] = {}
    for name, low, high in (("all", 0.0, np.inf), *((f"{a}-{b}", a, b) for a, b in BANDS)):
        last = np.inf if high == BANDS[-1][1] else high
        rows = [int(i) for i in np.flatnonzero((yaw >= low) & (yaw < last))]
        if rows:
            some, seen = [asked[i] for i in rows], [read[i] for i in rows]
            out[name] = {"within": shares(some, seen), "error_degrees": errors(some, seen)}
    return out


def read_turn(lab: Lab, shot: Shot) -> Turn | None:
    """Return yaw and pitch of a portrait, None if there is no face to read."""
    if shot.face is None:
        return None
    try:
        pose = lab.eye.pose(shot.pixels, shot.face)
    except FaceError:
        return None
    return pose.yaw, pose.pitch


def measure(lab: Lab) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return counts and figures."""
    shots = take(lab, pose_wishes(lab.size(REQUESTS, FEW), seed=lab.seed))
    asked = [(shot.wish.yaw or 0.0, shot.wish.pitch or 0.0) for shot in shots]
    return misses(shots), {"bands": by_band(asked, [read_turn(lab, shot) for shot in shots])}


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures as a table."""
    rows = [
        (
            band,
            trait,
            written(found["within"][trait]),
            interval(found["within"][trait]),
            *(
                f"{found['error_degrees'].get(trait, {}).get(k, float('nan')):.1f}"
                for k in ("median", "p90")
            ),
        )
        for band, found in figures["bands"].items()
        for trait in found["within"]
    ]
    print_table(
        ("|yaw| asked", "what", f"within {WITHIN:g} degrees", "95 %", "median", "p90"), rows
    )


def asked_rows(figures: Mapping[str, Any]) -> list[Asked]:
    """Return what was asked for beside what was measured."""
    within = figures["bands"]["all"]["within"]
    return [
        Asked(f"yaw within 5 degrees of asked, up to {YAW:g}", within["yaw"]["value"], ">=", 0.9),
        Asked("yaw and pitch within 5 degrees of asked", within["both"]["value"], ">=", 0.9),
    ]


SECTION = Section(measure, show, asked_rows)
