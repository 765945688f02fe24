"""Fit the identity axes: ``python -m training.identity_axes``.

Linear fits over the pool say how the labels, L, and the embeddings of all judges, E, change with
the style vector. Somebody is led away from another fastest, for what it costs in the labels and in
being a likely style, along

    d = (C^-POWER + WEIGHT L L^T)^-1 E (e - o)

where C is the covariance of the styles, scaled to 1 on average, and e - o what their embeddings
differ by. The axes are the principal directions of d over many pairs of people, each as long as d
is along it on average. Run it whenever the pool or the judges' views of it have changed.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from anonyface.identities.axes import COUNT, IdentityAxes
from anonyface.identities.fit import (
    GROUP_TOLERANCE,
    HAIR_TOLERANCE,
    TOLERANCE,
    UNSOUND_TOLERANCE,
    wanted,
)
from anonyface.identities.latents import LatentModel
from anonyface.identities.people import LABELS, PROBABILITIES, People, load_pool
from anonyface.identities.resemblance import SECOND_SHARE, SEEN_BY, WHOLE, excess, rises
from anonyface.types import FloatArray, IdentityRequest
from anonyface.verification.encoder import unit
from anonyface.weights import manifest
from training.manifest import WEIGHTS, record
from training.see_pool import Viewer

WEIGHT = 0.1
"""Weight of a label's tolerance against the likelihood of a style: with 0.01 the labels of the
nearest people strayed a little more."""
POWER = 0.5
"""How much more a step costs where styles differ little: with 1, a Mahalanobis distance, people
hardly become others, and with 0.75 fewer do; with 0 portraits are hazy after long steps."""
RIDGE = 1.0
PAIRS, RENDERED = 4000, 100
SMALLEST_VARIANCE = 1e-5
LABEL_TOLERANCES = {
    **TOLERANCE,
    "clear": HAIR_TOLERANCE,
    "sound": UNSOUND_TOLERANCE,
    "roll": 5.0,
    "eyewear": 0.1,
}
"""What the search takes for as bad as one tolerance; of roll and glasses it does so otherwise."""
GROUP_SHARE = 1.2 * GROUP_TOLERANCE
"""Probability of a group that is as bad: about half a Hellinger distance in the middle."""
SURE, LOGIT_TOLERANCE = (0.002, 0.998), 0.7
"""Probabilities that are sure enough, and the change of a logit that is as bad as a tolerance."""


@dataclass(frozen=True, eq=False)
class Slopes:
    """How things change with a style, in units of its average distance from the mean.

    Attributes:
        labels: (512, len(LABELS) + len(PROBABILITIES) + 1) in tolerances; probabilities once more
            as logits: among those who surely read as women some do so more than others. The last is
            that of a hand at the face.
        embeddings: (512, 1 + len(VIEWS), 128) under all judges.
        covariance: (512, 512) of the styles.
    """

    labels: FloatArray
    embeddings: FloatArray
    covariance: FloatArray


def fit_slopes(people: People, model: LatentModel) -> Slopes:
    """Ridge regressions over people whose views are known."""
    styles = (people.latents - people.latents.mean(axis=0)) / model.reach
    gram = np.linalg.inv(styles.T @ styles + RIDGE * np.eye(styles.shape[1]))

    def slopes(values: FloatArray) -> FloatArray:
        centred = np.nan_to_num(values - np.nanmean(values, axis=0))
        return np.asarray(gram @ (styles.T @ centred), dtype=np.float32)

    tolerances = np.array([LABEL_TOLERANCES.get(name, GROUP_SHARE) for name in LABELS])
    sure = np.clip(people.labels[:, [LABELS.index(n) for n in PROBABILITIES]], *SURE)
    labels = [people.labels / tolerances, np.log(sure / (1 - sure)) / LOGIT_TOLERANCE]
    seen = all_views(people)
    hands = model.reach * model.hands.weight[:, None] / LOGIT_TOLERANCE
    return Slopes(
        np.concatenate([slopes(np.concatenate(labels, axis=1)), hands], axis=1),
        slopes(seen.reshape(len(people), -1)).reshape(-1, *seen.shape[1:]),
        np.asarray(np.cov(styles.T)),
    )


def all_views(people: People) -> FloatArray:
    """(n, 1 + len(VIEWS), 128) under all judges.

    Raises:
        ValueError: If the views of the later judges are not known.
    """
    if people.views is None:
        raise ValueError("the views of these people are not known: run training.see_pool")
    return np.concatenate([people.embeddings[:, None], people.views], axis=1)


def likely_metric(covariance: FloatArray, power: float) -> FloatArray:
    """(n, n) what a step costs in being a likely style: the covariance to the power of -power.

    It is scaled to 1 on average first.
    """
    variance, vectors = np.linalg.eigh(covariance)
    cost = (variance.mean() / np.maximum(variance, SMALLEST_VARIANCE)) ** power
    return np.asarray((vectors * cost) @ vectors.T)


def fit_axes(people: People, slopes: Slopes, rng: np.random.Generator) -> FloatArray:
    """(COUNT, 512) axes; see the module's text."""
    likely = likely_metric(slopes.covariance, POWER)
    metric = np.linalg.inv(likely + WEIGHT * slopes.labels @ slopes.labels.T)
    one, other = rng.integers(0, len(people), (2, PAIRS))
    seen = all_views(people)
    first = unit(seen[one, 0] - seen[other, 0] + 1e-9) @ slopes.embeddings[:, 0].T
    second = seen[other, 1] @ slopes.embeddings[:, 1].T
    away = unit((first - SECOND_SHARE * second) @ metric)
    principal = np.linalg.svd(away, full_matrices=False)[2][:COUNT]
    lengths = np.abs(away @ principal.T).mean(axis=0)
    axes = lengths[:, None] * principal
    return np.asarray(axes / np.linalg.norm(lengths), dtype=np.float32)


def measure(people: People, model: LatentModel, rng: np.random.Generator) -> dict[str, str]:
    """Move people away from others; what is predicted of that against what portraits show."""
    viewer, axes = Viewer(SEEN_BY), IdentityAxes()
    predicted, shown, moves = [], [], []
    for row, other in tqdm(rng.integers(0, len(people), (RENDERED, 2)), mininterval=10):
        views = all_views(people)[other]
        request = IdentityRequest(
            look=wanted(),
            face_px=0,
            avoid=views[:1],
            taken=views[:0],
            seed=0,
            seen=dict(zip(WHOLE[1:], views[1:], strict=False)),
        )
        still = people[[row]]
        code = axes.code(rises(still, request, axes.slopes))
        moved = model.moved(still, axes.step(code), axes.seen(code))
        predicted.append(excess(moved, request)[0] - excess(still, request)[0])
        seen = [viewer(p.latents[0])[None] for p in (still, moved)]
        read = [People(still.latents, v[:, 0], still.labels, v[:, 1:]) for v in seen]
        shown.append(excess(read[1], request)[0] - excess(read[0], request)[0])
        moves.append(np.abs(moved.labels - still.labels)[0])
    labels = dict(zip(LABELS, np.median(moves, axis=0), strict=True))
    return {
        "people moved away from somebody else": str(RENDERED),
        "change of both judges' similarity, predicted": f"{np.mean(predicted):+.3f}",
        "the same on portraits": f"{np.mean(shown):+.3f}",
        "share of portraits on which it falls": f"{np.mean(np.less(shown, 0)):.2f}",
        "predicted change of age, years, median": f"{labels['age']:.1f}",
        "of the probability of female": f"{labels['p_female']:.2f}",
        "of yaw, degrees": f"{labels['yaw']:.1f}",
    }


def main() -> None:
    """Fit, store, measure."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    rng = np.random.default_rng(12)
    people, model = load_pool(), LatentModel()
    slopes = fit_slopes(people, model)
    axes = fit_axes(people, slopes, rng)
    path = WEIGHTS / "identity-axes.npz"
    along = np.tensordot(axes, slopes.embeddings, axes=1)
    np.savez(path, axes=axes.astype(np.float16), slopes=along.astype(np.float16))
    record("identity-axes", path, {})
    manifest.cache_clear()
    figures = {"people": str(len(people)), **measure(people, model, rng)}
    record("identity-axes", path, figures)
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
