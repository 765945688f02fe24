"""Fit the directions that steer pose and expression: ``python -m training.steering``.

The direction that changes a label by one of its units is the d that minimises

    d^T (C^-POWER + WEIGHT L L^T) d   where   l d = 1

with C the covariance of the styles, scaled to 1 on average, l how this label changes with a style
and L how all others do, by linear fits over the pool: nothing else is to change, and the style is
to stay a likely one. Rows of the pseudo-inverse of (l, L), which change nothing else at all, lead
to where styles hardly differ, and there a portrait does not show what the fits say: of 6 degrees of
yaw it showed 2. Each direction is then made so much longer that portraits change by what is asked.
Run it whenever the pool has changed.
"""

from __future__ import annotations

import argparse

import numpy as np
from tqdm import tqdm

from anonyface.identities.fit import TOLERANCE
from anonyface.identities.latents import STEERED, LatentModel
from anonyface.identities.people import LABELS, load_pool
from anonyface.types import FloatArray
from training.identity_axes import POWER, Slopes, fit_slopes, likely_metric
from training.label import Labeller
from training.manifest import WEIGHTS, record

WEIGHT = 0.03
"""Weight of another label's tolerance against the likelihood of a style: with 0.1 others change as
much for what comes of a step."""
RENDERED = 60
"""People who are steered along each direction to see what comes of it."""
LEAST_GAIN = 0.25
"""What at least must come of a direction, or it is none."""


def directions(slopes: Slopes, reach: float) -> FloatArray:
    """(len(STEERED), 512) directions of one unit of each label; see the module's text."""
    likely, rows = likely_metric(slopes.covariance, POWER), []
    for name in STEERED:
        i = LABELS.index(name)
        others = np.delete(slopes.labels, i, axis=1)
        own = slopes.labels[:, i] * TOLERANCE[name]
        along = np.linalg.solve(likely + WEIGHT * others @ others.T, own)
        rows.append(reach * along / (own @ along))
    return np.asarray(rows, dtype=np.float32)


def gains(along: FloatArray, latents: FloatArray, labeller: Labeller) -> FloatArray:
    """(len(STEERED),) what comes of a tolerance asked, on portraits, in tolerances: the median.

    Args:
        along: (len(STEERED), 512) directions.
        latents: (n, 512) of whom.
        labeller: Renders and reads them.
    """
    columns = [LABELS.index(name) for name in STEERED]
    tolerances = np.array([TOLERANCE[name] for name in STEERED], dtype=np.float32)
    steps = along * tolerances[:, None]
    came: list[list[float]] = [[] for _ in STEERED]
    for w in tqdm(latents, desc="steering", mininterval=10):
        if (before := labeller(w)) is None:
            continue
        for i, (column, step) in enumerate(zip(columns, steps, strict=True)):
            if (after := labeller(w + step)) is not None:
                came[i].append(float(after.row[column] - before.row[column]) / tolerances[i])
    return np.array([np.median(c) for c in came], dtype=np.float32)


def main() -> None:
    """Fit, lengthen, store, measure."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    people, model, labeller = load_pool(), LatentModel(), Labeller()
    rows = np.random.default_rng(14).permutation(len(people))
    seen, unseen = people.latents[rows[:RENDERED]], people.latents[rows[RENDERED : 2 * RENDERED]]
    along = directions(fit_slopes(people, model), model.reach)
    along /= np.maximum(gains(along, seen, labeller), LEAST_GAIN)[:, None]
    path = WEIGHTS / "steering.npz"
    np.savez(path, directions=along.astype(np.float32))
    came = zip(STEERED, gains(along, unseen, labeller), strict=True)
    told = ", ".join(f"{name} {gain:.2f}" for name, gain in came)
    figures = {
        "people steered": str(RENDERED),
        "what comes of a tolerance, on others' portraits, median": told,
    }
    record("steering", path, figures)
    print(figures)


if __name__ == "__main__":
    main()
