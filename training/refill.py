"""Bring the pool up to date: ``python -m training.refill [--only LABEL ...]``.

After the readers have changed, everybody of the pool is rendered and read again. And corners that
are still thin are searched once more: of many latents those that the regressors of
``training.latents`` take for the oldest people and for small children, group by group, are rendered
and read; who is what was looked for, and would be worn, joins the pool.

With ``--only`` nobody joins or leaves, and only these labels are read again.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from anonyface.identities.generator import Generator
from anonyface.identities.latents import LatentModel
from anonyface.identities.people import GROUPS, LABELS, People, load_pool
from anonyface.identities.screens import MAX_PSI
from anonyface.types import FloatArray
from training.label import FIELDS, Labeller
from training.make_pool import MIN_CLEAR, MIN_PRESENCE, MIN_SCORE, describe
from training.manifest import WEIGHTS, record
from training.samples import GROUP_WEIGHTS, column, draw

DRAWN, BATCH = 400_000, 20_000
PSI = (0.7, 1.0)
MIN_SOUND = 0.75
"""Probability of no artefact that the regressors must predict: the portraits themselves are not
judged here, so it is higher than the pool's own limit."""
MIN_KEPT = 0.52
"""How clear of hair and how sound somebody must read to stay."""
OLD_FROM, YOUNG_UP_TO = 60.0, 9.0
OLDEST, YOUNGEST = 100, 20
"""Portraits rendered of each gender and group: the oldest, and the youngest."""

_labeller: Labeller | None = None


@dataclass(frozen=True)
class Read:
    """What was read off one portrait; ``row`` has the order of `FIELDS`."""

    row: FloatArray
    embedding: FloatArray


def read_one(w: FloatArray) -> Read | None:
    """Read the portrait of a (512,) latent; None where no face is found or it can't be read."""
    global _labeller
    if _labeller is None:  # once a process
        _labeller = Labeller(threads=1)
    found = _labeller(w)
    return None if found is None else Read(found.row, found.embedding)


def read_all(latents: FloatArray, what: str) -> list[Read | None]:
    """Read portraits, as many at once as there are cores."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(tqdm(pool.map(read_one, latents, chunksize=16), total=len(latents), desc=what))


def corners(model: LatentModel, generator: Generator, rng: np.random.Generator) -> FloatArray:
    """(n, 512) latents of people who should be old, and of some who should be small children."""
    latents, labels = [], []
    for _ in tqdm(range(DRAWN // BATCH), desc="drawing"):
        w = draw(generator, model.mean, BATCH, PSI, rng).astype(np.float16).astype(np.float32)
        said = model(w)[0]
        age, sound, clear = (said[:, LABELS.index(n)] for n in ("age", "sound", "clear"))
        keep = (sound >= MIN_SOUND) & (clear >= MIN_CLEAR) & (model.psi(w) <= MAX_PSI)
        keep &= (age > OLD_FROM - 6) | (age < YOUNG_UP_TO)
        latents.append(w[keep])
        labels.append(said[keep])
    people, said = np.concatenate(latents), np.concatenate(labels)
    female = said[:, LABELS.index("p_female")] > 0.5
    group = np.argmax(said[:, [LABELS.index(g) for g in GROUPS]] * GROUP_WEIGHTS, axis=1)
    age = said[:, LABELS.index("age")]
    chosen: list[NDArray[np.intp]] = []
    for cell in range(2 * len(GROUPS)):
        here = np.flatnonzero((female == cell % 2) & (group == cell // 2))
        order = here[np.argsort(age[here])]
        chosen += [order[::-1][:OLDEST], order[age[order] < YOUNG_UP_TO][:YOUNGEST]]
    return people[np.unique(np.concatenate(chosen))]


def worth_adding(read: Read) -> bool:
    """Whether somebody is old or a small child, and would be worn."""
    value = partial(dict(zip(FIELDS, read.row.tolist(), strict=True)).__getitem__)
    fits = value("age") >= OLD_FROM or value("age") <= YOUNG_UP_TO
    good = value("clear") >= MIN_CLEAR and value("score") >= MIN_SCORE
    return fits and good and value("presence") >= MIN_PRESENCE


def row_of(read: Read, sound: float) -> FloatArray:
    """One row of labels in the order of `LABELS`."""
    values = dict(zip(FIELDS, read.row.tolist(), strict=True)) | {"sound": sound}
    return np.array([values[name] for name in LABELS], dtype=np.float32)


def read_again(old: People, names: Sequence[str]) -> tuple[People, dict[str, str]]:
    """The same people with some labels as they read now, and what is to be told of it."""
    columns = [LABELS.index(name) for name in names]
    labels = old.labels.copy()
    found = read_all(old.latents, "reading again")
    for i, read in enumerate(found):
        if read is not None:  # who could be read when the pool was made stays as known
            labels[i, columns] = row_of(read, float(old.column("sound")[i]))[columns]
    moved = {
        f"{name} read again, 90th percentile of the change": f"{np.percentile(change, 90):.2f}"
        for name, change in zip(names, np.abs(labels - old.labels)[:, columns].T, strict=True)
    }
    return replace(old, labels=labels), moved


def with_corners(old: People, seed: int) -> tuple[People, dict[str, str]]:
    """Everybody who reads as fit to be worn, with some more old people and small children."""
    model = LatentModel()
    found = read_all(old.latents, "reading again")
    labels, embeddings = old.labels.copy(), old.embeddings.copy()
    for i, read in enumerate(found):
        if read is not None:  # who could be read when the pool was made stays as known
            labels[i] = row_of(read, float(old.column("sound")[i]))
            embeddings[i] = read.embedding
    candidates = corners(model, Generator(), np.random.default_rng(seed))
    sound = model(candidates)[0][:, LABELS.index("sound")]
    added = [
        (w, read, float(min(s, 1)))
        for w, read, s in zip(candidates, read_all(candidates, "corners"), sound, strict=True)
        if read is not None and worth_adding(read)
    ]
    people = People(
        np.concatenate([old.latents, *(w[None] for w, _, _ in added)]),
        np.concatenate([embeddings, *(read.embedding[None] for _, read, _ in added)]),
        np.concatenate([labels, *(row_of(read, s)[None] for _, read, s in added)]),
    )
    worn = (people.column("clear") > MIN_KEPT) & (people.column("sound") > MIN_KEPT)
    moved = np.abs(labels - old.labels)[:, LABELS.index("age")]
    return people[np.flatnonzero(worn)], {
        "read again": str(sum(read is not None for read in found)),
        "age read again, median change in years": f"{float(np.median(moved)):.1f}",
        "added from thin corners": str(len(added)),
        "labelled": str(len(old) + len(candidates)),
    }


def main() -> None:
    """Read again, add, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--only", nargs="+", choices=FIELDS, metavar="LABEL", default=[])
    args = parser.parse_args()
    old = load_pool(views=False)
    people, told = read_again(old, args.only) if args.only else with_corners(old, args.seed)
    path = WEIGHTS / "pool.npz"
    np.savez(
        path,
        latents=people.latents.astype(np.float16),
        embeddings=people.embeddings.astype(np.float16),
        labels=people.labels.astype(np.float16),
        fields=np.array(LABELS),
    )
    rows = np.full((len(people), len(FIELDS)), np.nan, dtype=np.float32)
    for name in LABELS:
        if name in FIELDS:
            rows[:, FIELDS.index(name)] = people.column(name)
    figures = describe(rows, labelled=int(told.pop("labelled", len(people))), passed=len(people))
    figures |= told
    figures["over 58, median of all"] = f"{int((column(rows, 'age') > 58).sum())}"
    record("pool", path, figures)
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
