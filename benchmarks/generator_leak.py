"""Section "leak": is one of the shipped people somebody real?

A generator that has memorised a face of its training set gives that face out again. Such a portrait
would be as similar to photos of that person as two photos of one person are: far above anything
strangers reach by chance. So for 5,000 people of the shipped pool it is measured how similar the
nearest of all people of a data set is, and beside it the same of real strangers: the people of
one half of the set against those of the other, with galleries of the same size.

What would show memorisation: single scores of generated people above the highest of strangers, and
a larger share of them over the thresholds of one in 10,000 pairs and rarer, while the median stays.
A median that is higher all over shows no copies: it says that generated faces are more average, or
that their mix of gender, age and origin is another. What it can't show: a copy of somebody who is
in neither data set; the generator's own training photos are not here. FairFace does not say who is
who: two photos of one person in it would make strangers look alike, so lfw-dev, one photo a person,
is the sharper yardstick.

The similarity is that of the built-in encoder, and the thresholds are its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonyface.identities.people import load_pool
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.thresholds import FalseMatchRate, match_threshold
from benchmarks.contract import Asked, data_path, print_table
from benchmarks.fairface import load_labelled
from benchmarks.generator_lab import Lab, Section, written
from benchmarks.identification import compare, share
from benchmarks.lfw import load_people

PEOPLE, FEW_PEOPLE = 5000, 200
PHOTOS, FEW_PHOTOS = 1500, 60
"""Of fairface-dev."""
RATES: tuple[FalseMatchRate, ...] = ("1e-2", "1e-3", "1e-4")
QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)
CHUNK = 1000


def nearest(probes: FloatArray, gallery: FloatArray) -> FloatArray:
    """(n,) similarity of each probe to the nearest face of a gallery: 1 minus the distance.

    Args:
        probes: (n, d) embeddings.
        gallery: (m, d) embeddings, m >= 1.
    """
    parts = [
        compare(probes[i : i + CHUNK], gallery, "euclidean").max(axis=1)
        for i in range(0, len(probes), CHUNK)
    ]
    return np.concatenate(parts)


def halves(count: int, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split rows into two random halves of the same size; an odd one is left out."""
    order = rng.permutation(count)
    return order[: count // 2], order[count // 2 : count // 2 * 2]


def statistic(similarities: FloatArray) -> dict[str, Any]:
    """Return quantiles and the shares at and above the thresholds."""
    return {
        "quantiles": {f"{q:g}": float(np.quantile(similarities, q)) for q in QUANTILES},
        "over": {rate: share(similarities >= match_threshold(rate)) for rate in RATES},
        "of": len(similarities),
    }


def leak(generated: FloatArray, real: FloatArray, rng: np.random.Generator) -> dict[str, Any]:
    """Compare generated people with real ones, as real ones compare with each other.

    Args:
        generated: (n, d) embeddings.
        real: (m, d) embeddings, one photo a person, m >= 2.
        rng: Source of the halves.

    Returns:
        Under "generated" and "strangers" the nearest of a half, both halves pooled; under
        "generated, all" the nearest of everybody.
    """
    sides = [real[rows] for rows in halves(len(real), rng)]
    one, other = sides
    return {
        "gallery": len(one),
        "strangers": statistic(np.concatenate([nearest(one, other), nearest(other, one)])),
        "generated": statistic(np.concatenate([nearest(generated, side) for side in sides])),
        "generated, all": statistic(nearest(generated, real)),
    }


def real_people(lab: Lab) -> dict[str, list[ImageArray]]:
    """Return one photo of each person: data set -> photos."""
    lfw = load_people(data_path("lfw-dev.zip"), limit=30 if lab.quick else None, seed=lab.seed)
    first = [lfw.names.index(name) for name in dict.fromkeys(lfw.names)]
    fairface = load_labelled(
        data_path("fairface-dev.zip"), count=lab.size(PHOTOS, FEW_PHOTOS), seed=lab.seed
    )
    return {"lfw-dev": [lfw.images[i] for i in first], "fairface-dev": fairface.images}


def measure(lab: Lab) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return counts and figures."""
    rng = np.random.default_rng([lab.seed, 4])
    pool = load_pool().embeddings
    rows = rng.permutation(len(pool))[: lab.size(PEOPLE, FEW_PEOPLE)]
    (judge,) = (j for j in lab.jury.judges if j.name == "built-in")
    figures: dict[str, Any] = {}
    counts: dict[str, Any] = {"people_of_the_pool": len(rows)}
    for name, images in real_people(lab).items():
        print(f"{len(images)} people of {name}", flush=True)
        faces = [lab.eye.find(image) for image in images]
        table = judge.all(images, [None if f is None else f.landmarks for f in faces])
        there = np.isfinite(table).all(axis=1)
        counts[name] = {"people": len(images), "without_a_face": int((~there).sum())}
        figures[name] = leak(pool[rows], table[there], rng)
    return counts, figures


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures as tables."""
    head = ("people of", "probes", "gallery", *(f"q{q:g}" for q in QUANTILES))
    rows, over = [], []
    for name, found in figures.items():
        for who in ("strangers", "generated", "generated, all"):
            gallery = found["gallery"] * (2 if who.endswith("all") else 1)
            values = (f"{found[who]['quantiles'][f'{q:g}']:.3f}" for q in QUANTILES)
            rows.append((name, who, gallery, *values))
            over.append((name, who, *(written(found[who]["over"][rate]) for rate in RATES)))
    print("similarity to the nearest real person")
    print_table(head, rows)
    print("share at or above the threshold of a false match rate")
    print_table(("people of", "probes", *RATES), over)


def asked_rows(figures: Mapping[str, Any]) -> list[Asked]:
    """Return nothing: no value was asked for."""
    return []


SECTION = Section(measure, show, asked_rows)
