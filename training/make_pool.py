"""Choose the pool of nobodies among labelled portraits: ``python -m training.make_pool SAMPLES``.

Run ``training.samples`` and ``training.latents`` first. Portraits with artefacts, hands or hair on
the face are left out; of the rest as many are taken as the package has room for, one cell (gender x
age x group x how far turned) after the other: rare people are all in, common ones fill up.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anonyface.identities.people import GROUPS, LABELS
from anonyface.types import FloatArray
from training.fairface import GROUPS as FAIRFACE_GROUPS
from training.manifest import WEIGHTS, record
from training.samples import AGE_EDGES, Samples, cells, column, load

TONE_EDGES = (10, 28, 41, 55)  # Chardon et al. 1991
YAW_EDGES = (-22, -8, 8, 22)
MIN_CLEAR, MIN_SCORE, MIN_PRESENCE, MIN_SOUND, MAX_HAT = 0.6, 0.95, 0.95, 0.6, 0.4


def good(samples: Samples, sound: FloatArray, hat: FloatArray) -> NDArray[np.bool_]:
    """(n,) which portraits may be worn."""
    return np.asarray(
        (column(samples.rows, "clear") >= MIN_CLEAR)
        & (column(samples.rows, "score") >= MIN_SCORE)
        & (column(samples.rows, "presence") >= MIN_PRESENCE)
        & (sound >= MIN_SOUND)
        & (hat <= MAX_HAT)
    )


def spread_evenly(rows: FloatArray, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Take people in turn from all cells that still have some, until there are enough."""
    where = cells(rows)
    order = rng.permutation(len(rows))
    seen: dict[int, int] = {}
    turn = np.empty(len(rows), dtype=np.int64)
    for row in order:
        cell = int(where[row])
        turn[row] = seen[cell] = seen.get(cell, -1) + 1
    return np.sort(order[np.argsort(turn[order], kind="stable")][:count])


def shares_of_groups(rows: FloatArray) -> str:
    """Counts by most probable group."""
    best = np.stack([column(rows, g) for g in GROUPS], axis=1).argmax(axis=1)
    counts = np.bincount(best, minlength=len(GROUPS))
    return ", ".join(f"{name}: {n}" for name, n in zip(FAIRFACE_GROUPS, counts, strict=True))


def tones_of_groups(rows: FloatArray) -> dict[str, int]:
    """Skin tone each group has, degrees: `anonyface.identities.fit.GROUP_TONES`."""
    shares = np.stack([column(rows, g) for g in GROUPS], axis=1)
    tones = np.linalg.lstsq(shares, column(rows, "skin_tone"), rcond=None)[0]
    return dict(zip(FAIRFACE_GROUPS, (round(float(t)) for t in tones), strict=True))


def describe(rows: FloatArray, *, labelled: int, passed: int) -> dict[str, str]:
    """Figures for the card: how many of whom."""

    def shares(name: str, edges: tuple[int, ...]) -> str:
        counts = np.bincount(np.digitize(column(rows, name), edges), minlength=len(edges) + 1)
        limits = ["", *map(str, edges), ""]
        return ", ".join(
            f"{a}..{b}: {n}" for a, b, n in zip(limits, limits[1:], counts, strict=False)
        )

    return {
        "portraits labelled": str(labelled),
        "of them good enough to be worn": str(passed),
        "people": str(len(rows)),
        "read as female": str(int((column(rows, "p_female") > 0.5).sum())),
        "by age, years": shares("age", AGE_EDGES),
        "by skin tone, ITA degrees": shares("skin_tone", TONE_EDGES),
        "by yaw, degrees": shares("yaw", YAW_EDGES),
        "by FairFace group (most probable one)": shares_of_groups(rows),
        "skin tone by group, least squares": str(tones_of_groups(rows)),
        "with glasses": str(int((column(rows, "eyewear") > 0.5).sum())),
    }


def main() -> None:
    """Filter, choose, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("samples", type=Path)
    parser.add_argument("--count", type=int, default=6800, help="people in the pool")
    parser.add_argument("--seed", type=int, default=20)
    args = parser.parse_args()
    samples = load(args.samples)
    with np.load(args.samples / "judged.npz", allow_pickle=False) as judged:
        sound, hat = judged["sound"], judged["hat"]
    passed = np.flatnonzero(good(samples, sound, hat))
    rng = np.random.default_rng(args.seed)
    taken = passed[spread_evenly(samples.rows[passed], args.count, rng)]
    rows = samples.rows[taken]
    labels = [sound[taken] if n == "sound" else column(rows, n) for n in LABELS]
    path = WEIGHTS / "pool.npz"
    np.savez(
        path,
        latents=samples.latents[taken].astype(np.float16),
        embeddings=samples.embeddings[taken].astype(np.float16),
        labels=np.stack(labels, axis=1).astype(np.float16),
        fields=np.array(LABELS),
    )
    figures = describe(rows, labelled=len(samples), passed=len(passed))
    record("pool", path, figures)
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
