"""Section "distance": do requested people look like what the generator draws by itself?

Frechet distance in EfficientNet-lite0 features (``generators/frechet.py``; needs torch, extra
"train") between the portraits of random requests and fresh draws, truncated to psi 0.7; and, what
the same number of portraits gives by chance, between two halves of fresh draws. Requests are drawn
evenly over gender, age and skin tone, the generator is not: part of the distance is that wanted
difference, the rest is what search and breeding cost. Figures compare with each other only where
feature side and number of portraits are the same.

Diversity: the mean similarity of all pairs under the built-in encoder, and the share of pairs at or
above the threshold for one person. Here nobody is told who was given out before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anonyface.identities.generator import Generator
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.thresholds import match_threshold
from benchmarks.contract import Asked, print_table
from benchmarks.generator_lab import Lab, Section, ask, develop, draw_wish, written
from benchmarks.generator_pairs import alike, pair_table
from benchmarks.judges import Judge

PORTRAITS, FEW = 1000, 24
PSI = 0.7
STYLES = 10_000
"""Draws whose mean is what truncation draws towards."""
SIDE_PX = 128
PROGRESS_EVERY = 200


def fresh_styles(generator: Generator, count: int, rng: np.random.Generator) -> FloatArray:
    """(count, 512) style vectors, truncated to `PSI`."""
    mean = generator.map(rng.standard_normal((STYLES, 512)).astype(np.float32)).mean(axis=0)
    w = generator.map(rng.standard_normal((count, 512)).astype(np.float32))
    return np.asarray(mean + PSI * (w - mean), np.float32)


def diversity(embeddings: FloatArray, judge: Judge) -> dict[str, Any]:
    """Return how similar the pairs are; those without a face are left out, and counted.

    Args:
        embeddings: (n, d), NaN for missing faces, two there at least.
        judge: How they are compared.
    """
    there = np.isfinite(embeddings).all(axis=1)
    scores = pair_table(embeddings[there], judge)
    return {
        "mean_similarity": float(scores.mean()),
        "pairs_of_one_person": alike([scores], match_threshold("1e-3")),
        "without_a_face": int((~there).sum()),
    }


def distances(
    requested: FloatArray, fresh: tuple[FloatArray, FloatArray]
) -> dict[str, float | int]:
    """Return the Frechet distances of features.

    Args:
        requested: (n, d) features.
        fresh: Two more of (n, d).
    """
    import torch

    from generators.frechet import frechet_distance, moments

    asked, one, other = (moments(torch.from_numpy(x)) for x in (requested, *fresh))
    return {
        "requested_to_fresh": frechet_distance(asked, one),
        "fresh_to_fresh": frechet_distance(one, other),
        "portraits_each": len(requested),
    }


def describer(lab: Lab) -> Callable[[ImageArray], FloatArray]:
    """Return what turns a square portrait into its (1280,) pooled features.

    Raises:
        ImportError: If torch is not installed.
    """
    import torch
    from torch.nn import functional

    from generators.features import load_features

    torch.set_num_threads(lab.threads)
    with tempfile.TemporaryDirectory() as folder:
        network = load_features(lab.cache or Path(folder))

    @torch.no_grad()
    def describe(pixels: ImageArray) -> FloatArray:
        image = torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1)
        small = functional.interpolate(image, (SIDE_PX, SIDE_PX), mode="bilinear", antialias=True)
        return np.asarray(network(small)[0][0], np.float32)

    return describe


def measure(lab: Lab) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return counts and figures; without torch only the diversity."""
    count = lab.size(PORTRAITS, FEW)
    try:
        describe = describer(lab)
    except ImportError as error:
        print(f"skipped: distance: {error.name} is not installed (extra train)")
        describe = None
    (judge,) = (j for j in lab.jury.judges if j.name == "built-in")
    seen: dict[str, list[FloatArray]] = {"requested": [], "fresh": []}
    known: dict[str, list[FloatArray]] = {"requested": [], "fresh": []}

    def note(who: str, pixels: ImageArray, landmarks: FloatArray | None) -> None:
        if describe is not None:
            seen[who].append(describe(pixels))
        known[who].append(judge(pixels, landmarks))
        if len(known[who]) % PROGRESS_EVERY == 0:
            print(f"{len(known[who])} portraits {who}", flush=True)

    counts = _requested(lab, count, note)
    rng, generator = np.random.default_rng([lab.seed, 5]), Generator(threads=lab.threads)
    for style in fresh_styles(generator, 2 * count, rng):
        pixels = generator.render(style, size=256)
        face = lab.eye.find(pixels)
        note("fresh", pixels, None if face is None else face.landmarks)
    frechet = None
    if describe is not None:
        came = np.stack(seen["requested"])
        fresh = np.stack(seen["fresh"])
        # The same number on every side: the distance shrinks with it.
        frechet = distances(came, (fresh[: len(came)], fresh[count : count + len(came)]))
    figures = {
        "frechet": frechet,
        "diversity": {who: diversity(np.stack(rows), judge) for who, rows in known.items()},
    }
    return counts | {"fresh_portraits": 2 * count}, figures


def _requested(
    lab: Lab, count: int, note: Callable[[str, ImageArray, FloatArray | None], None]
) -> dict[str, int]:
    """Ask for random people and note them; return how many did not come, or show no face."""
    rng = np.random.default_rng([lab.seed, 6])
    counts = {"requests": count, "nobody_came": 0, "portraits_without_a_face": 0}
    for number in range(count):
        wish = draw_wish(rng, seed=lab.seed * 1_000_000 + 600_000 + number)
        people = ask(lab.source, wish)
        if not people:
            counts["nobody_came"] += 1
            continue
        shot = develop(lab, wish, people[0])
        counts["portraits_without_a_face"] += shot.face is None
        note("requested", shot.pixels, shot.landmarks)
    return counts


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures as tables."""
    found = figures["frechet"]
    if found is not None:
        names = {
            "requested_to_fresh": "requested to fresh draws",
            "fresh_to_fresh": "fresh draws to fresh draws",
        }
        rows = [
            (text, f"{found[name]:.2f}", found["portraits_each"]) for name, text in names.items()
        ]
        print_table(("Frechet distance", "value", "portraits each"), rows)
    print_table(
        ("portraits", "mean similarity of pairs", "pairs counted as one person", "without a face"),
        [
            (
                who,
                f"{d['mean_similarity']:.3f}",
                written(d["pairs_of_one_person"]),
                d["without_a_face"],
            )
            for who, d in figures["diversity"].items()
        ],
    )


def asked_rows(figures: Mapping[str, Any]) -> list[Asked]:
    """Return nothing: no value was asked for."""
    return []


SECTION = Section(measure, show, asked_rows)
