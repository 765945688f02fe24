"""Make the pool of nobodies: ``python -m training.make_pool [--count 5000]``.

The generator draws mostly light-skinned adults who face the camera. A pool must offer everybody,
so it is drawn in rounds: label what there is, fit ridge regressors from w to the labels, draw many
more latents, predict their labels, and render those that fall into the cells (gender x age x skin
tone x yaw) that are still thin. Truncation is relaxed (psi up to 1) for those only.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from anonyface.identities.generator import Generator
from anonyface.identities.pool import GROUPS
from anonyface.types import FloatArray
from training.fairface import GROUPS as FAIRFACE_GROUPS
from training.label import FIELDS, Labeller
from training.manifest import WEIGHTS, record

AGE_EDGES = (10, 18, 30, 45, 58)
TONE_EDGES = (10, 28, 41, 55)  # Chardon et al. 1991
YAW_EDGES = (-22, -8, 8, 22)
TURNED = (10, 25)
GROUP_WEIGHTS = np.array([2.0, 1, 1.5, 1, 1, 1, 1], dtype=np.float32)
"""Leaning of the regression's argmax: it is shy of the groups the generator rarely draws."""
MIN_CLEAR, MIN_SCORE, MIN_PRESENCE = 0.6, 0.95, 0.95
DRAWS = 250_000


def column(rows: FloatArray, name: str) -> FloatArray:
    """One label of all rows."""
    return np.asarray(rows[:, FIELDS.index(name)])


def cells(rows: FloatArray) -> NDArray[np.int64]:
    """Cell index of each row: gender x age x group x how far turned."""
    out = (column(rows, "p_female") > 0.5).astype(np.int64)
    out = out * (len(AGE_EDGES) + 1) + np.digitize(column(rows, "age"), AGE_EDGES)
    groups = np.stack([column(rows, g) for g in GROUPS], axis=1) * GROUP_WEIGHTS
    out = out * len(GROUPS) + groups.argmax(axis=1)
    return out * (len(TURNED) + 1) + np.digitize(np.abs(column(rows, "yaw")), TURNED)


def draw(
    generator: Generator,
    mean: FloatArray,
    count: int,
    psi: tuple[float, float],
    rng: np.random.Generator,
) -> FloatArray:
    """(count, 512) truncated latents, psi uniform between the two limits."""
    w = generator.map(rng.standard_normal((count, 512)).astype(np.float32))
    share = rng.uniform(*psi, (count, 1)).astype(np.float32)
    return np.asarray(mean + share * (w - mean), dtype=np.float32)


def label_all(labeller: Labeller, latents: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Latents, embeddings and label rows of those portraits that show a face."""
    kept, embeddings, rows = [], [], []
    started = time.monotonic()
    for k, w in enumerate(latents):
        found = labeller(w)
        if found is not None:
            kept.append(w)
            embeddings.append(found.embedding)
            rows.append(found.row)
        if k % 250 == 0:
            print(f"  {k}/{len(latents)} {time.monotonic() - started:.0f} s", flush=True)
    return np.stack(kept), np.stack(embeddings), np.stack(rows)


def thinnest(
    have: FloatArray,
    candidates: FloatArray,
    predicted: FloatArray,
    count: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Choose candidates for the cells with the fewest people, one cell after the other."""
    size = 2 * (len(AGE_EDGES) + 1) * len(GROUPS) * (len(TURNED) + 1)
    filled = np.bincount(cells(have), minlength=size).astype(float)
    usable = (column(predicted, "clear") > 0.75) & (column(predicted, "eyewear") < 0.6)
    where = cells(predicted)
    queues = {c: list(rng.permutation(np.flatnonzero(usable & (where == c)))) for c in range(size)}
    chosen: list[int] = []
    while len(chosen) < count and any(queues.values()):
        cell = min((c for c in queues if queues[c]), key=lambda c: filled[c])
        chosen.append(int(queues[cell].pop()))
        filled[cell] += 1
    return candidates[chosen]


def shares_of_groups(rows: FloatArray) -> str:
    """Counts by most probable group."""
    best = np.stack([column(rows, g) for g in GROUPS], axis=1).argmax(axis=1)
    counts = np.bincount(best, minlength=len(GROUPS))
    return ", ".join(f"{name}: {n}" for name, n in zip(FAIRFACE_GROUPS, counts, strict=True))


def main() -> None:
    """Draw, label, balance, filter, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=5000, help="portraits labelled in all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=20)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    labeller = Labeller(threads=args.threads)
    generator = labeller.generator
    mean = generator.map(rng.standard_normal((16384, 512)).astype(np.float32)).mean(axis=0)
    each = args.count // (args.rounds + 1)
    w, embeddings, rows = label_all(labeller, draw(generator, mean, each, (0.6, 0.85), rng))
    fits: dict[str, float] = {}
    for number in range(args.rounds):
        train = rng.random(len(w)) < 0.85
        model = Ridge(alpha=20.0).fit(w[train] - mean, rows[train])
        held_out = model.predict(w[~train] - mean)
        fits = {
            f: round(float(r2_score(rows[~train, i], held_out[:, i])), 2)
            for i, f in enumerate(FIELDS)
        }
        print(f"round {number}: {len(w)} people, R2 {fits}", flush=True)
        candidates = draw(generator, mean, DRAWS, (0.7, 1.0), rng)
        predicted = np.asarray(model.predict(candidates - mean), dtype=np.float32)
        new = label_all(labeller, thinnest(rows, candidates, predicted, each, rng))
        w, embeddings, rows = (
            np.concatenate(pair) for pair in zip((w, embeddings, rows), new, strict=True)
        )
    good = (
        (column(rows, "clear") >= MIN_CLEAR)
        & (column(rows, "score") >= MIN_SCORE)
        & (column(rows, "presence") >= MIN_PRESENCE)
    )
    w, embeddings, rows = w[good], embeddings[good], rows[good]
    path = WEIGHTS / "pool.npz"
    np.savez(
        path,
        latents=w.astype(np.float16),
        embeddings=embeddings.astype(np.float16),
        labels=rows.astype(np.float32),
        fields=np.array(FIELDS),
    )
    record("pool", path, describe(rows, fits, labelled=len(good)))


def describe(rows: FloatArray, fits: dict[str, float], *, labelled: int) -> dict[str, str]:
    """Figures for the card: how many of whom."""

    def shares(name: str, edges: tuple[int, ...]) -> str:
        counts = np.bincount(np.digitize(column(rows, name), edges), minlength=len(edges) + 1)
        limits = ["", *map(str, edges), ""]
        return ", ".join(
            f"{a}..{b}: {n}" for a, b, n in zip(limits, limits[1:], counts, strict=False)
        )

    figures = {
        "people": str(len(rows)),
        "portraits labelled": str(labelled),
        "read as female": str(int((column(rows, "p_female") > 0.5).sum())),
        "by age, years": shares("age", AGE_EDGES),
        "by skin tone, ITA degrees": shares("skin_tone", TONE_EDGES),
        "by yaw, degrees": shares("yaw", YAW_EDGES),
        "by FairFace group (most probable one)": shares_of_groups(rows),
        "with glasses": str(int((column(rows, "eyewear") > 0.5).sum())),
        "R2 of ridge from w on held-out portraits": str(fits),
    }
    for name, value in figures.items():
        print(f"{name}: {value}")
    return figures


if __name__ == "__main__":
    main()
