"""What a latent will look like, without rendering it; and new people bred from known ones.

The search needs people by the thousand in milliseconds. Mapping fresh latents through the generator
finds somebody who fits fifteen labels at once too rarely. The style space is close to linear in
what is matched, so people who nearly fit are crossed: a child's latent lies between those of its
parents, a small network says what that changes, and what is known of the parents corrects it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anonyface.errors import WeightsMissing
from anonyface.identities.axes import STAYS
from anonyface.identities.fit import CHILD_AGE
from anonyface.identities.flaws import load_flaw
from anonyface.identities.people import GROUPS, LABELS, MIRRORED, PROBABILITIES, People
from anonyface.runtime import open_session, run
from anonyface.types import FloatArray, Look
from anonyface.verification.encoder import unit
from anonyface.weights import read_weights, weights_dir

STEERED = ("yaw", "pitch", "mouth_open", "smile", "eyes_open", "side_light", "age")
"""What a latent can be moved along while the rest of the face stays: see ``training.steering``."""
CROSSED = (0.25, 0.75)
"""Share of the one parent in a child: nearer to a parent it would hardly be somebody new."""
SHORT_STEP, LONG_STEP = 0.2, 0.5
"""Longest step that steers a latent, in units of the average distance from the mean: a short one
for people who are chosen for their pose, a long one for somebody who must take another. The longer,
the more the person changes."""
EXPANSION = 0.6
"""A mix is nearer to the mean, a more average face, than its parents: share of that undone."""

ROUNDING = 2e-3
"""Latents are rounded: what is steered up to the limit must not end beyond."""


@dataclass(frozen=True, eq=False)
class Recipe:
    """How n people come to be.

    Attributes:
        mother: (n,) row of the one parent.
        father: (n,) row of the other; the same row for somebody who is only steered.
        share: (n,) share of the mother's latent, a multiple of 1/100.
        mirrored: (n,) whether the portrait is to be mirrored.
        code: (n,) where they are moved along the identity axes, `axes.STAYS` for not at all.
    """

    mother: NDArray[np.intp]
    father: NDArray[np.intp]
    share: FloatArray
    mirrored: NDArray[np.bool_]
    code: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.mother)

    def __getitem__(self, rows: NDArray[np.intp]) -> Recipe:
        return Recipe(**{f.name: getattr(self, f.name)[rows] for f in fields(Recipe)})


@lru_cache(maxsize=1)
def load_directions() -> FloatArray:
    """Read the (len(STEERED), 512) directions shipped with the package.

    Raises:
        WeightsError: If they are missing, corrupt or of another layout.
    """
    with np.load(io.BytesIO(read_weights("steering")), allow_pickle=False) as data:
        directions = np.asarray(data["directions"], dtype=np.float32)
    if directions.shape != (len(STEERED), 512):
        raise WeightsMissing("steering", weights_dir())
    return directions


class LatentModel:
    """A small network from style vectors to labels and identity embeddings.

    Args:
        threads: Threads for inference, 0 for all usable cores.

    Raises:
        WeightsError: If a file is missing, corrupt or of another layout.

    Attributes:
        mean: (512,) mean of all styles.
        reach: Average distance of a style from the mean.
        hands: Says whose portrait would show a hand.
        directions: (len(STEERED), 512) what changes one of `STEERED` by one of its units and, to
            first order, nothing else.
    """

    def __init__(self, *, threads: int = 0) -> None:
        self.session = open_session("latents", threads=threads)
        feed = {"w": np.zeros((1, 512), dtype=np.float32)}
        self.mean, reach = run(self.session, feed, ["mean", "reach"])
        self.reach, self.hands = float(reach[0]), load_flaw("hands")
        self.directions = load_directions()

    def __call__(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(n, 512) style vectors -> (n, len(LABELS)) labels, (n, 128) embeddings."""
        labels, embeddings = run(
            self.session, {"w": np.asarray(w, dtype=np.float32)}, ["labels", "embeddings"]
        )
        return labels, embeddings

    def psi(self, w: FloatArray) -> FloatArray:
        """How far (n, 512) styles are from the mean, 1 for the average distance."""
        return np.asarray(np.linalg.norm(w - self.mean, axis=-1) / self.reach, dtype=np.float32)

    def breed(
        self, people: People, recipe: Recipe, look: Look, *, longest_step: float = SHORT_STEP
    ) -> People:
        """Return the children of these parents, steered towards a look.

        Args:
            people: The parents.
            recipe: Who with whom.
            look: What is asked; NaN for what may stay as it comes.
            longest_step: How far a latent may be moved to turn the head or move the mouth, in units
                of the average distance from the mean.
        """
        rows, inverse = np.unique(
            np.concatenate([recipe.mother, recipe.father]), return_inverse=True
        )
        parents = people[rows]
        mother, father = np.split(inverse, 2)

        def mixed(values: FloatArray) -> FloatArray:
            share = recipe.share.reshape(-1, *(1,) * (values.ndim - 1))
            return np.asarray(share * values[mother] + (1 - share) * values[father])

        alone = mother == father
        shrunk = np.where(alone, 1, np.hypot(recipe.share, 1 - recipe.share))[:, None]
        grown = np.float32(1 - EXPANSION) + np.float32(EXPANSION) / shrunk
        steps = self._steps(mixed(parents.labels), recipe.mirrored, look, longest_step)
        latents = self.mean + (mixed(parents.latents) - self.mean) * grown + steps
        # The network's error at the parents is known; between them it is about the same.
        said_labels, said_embeddings = self(parents.latents)
        return self._corrected(
            latents,
            mixed(parents.labels - said_labels),
            mixed(parents.embeddings - said_embeddings),
            None if parents.views is None else unit(mixed(parents.views)),
        )

    def steer(
        self,
        people: People,
        mirrored: NDArray[np.bool_],
        look: Look,
        *,
        longest_step: float,
        max_psi: float,
    ) -> People:
        """Return the same people, taken from how they look to how they are to look.

        Args:
            people: Whose labels are predicted, or better, measured.
            mirrored: (n,) whether their portraits are to be mirrored; labels are as without.
            look: What is asked; NaN for what may stay as it is.
            longest_step: See `breed`.
            max_psi: How far from the mean they may get.
        """
        latents = people.latents + self._steps(people.labels, mirrored, look, longest_step)
        inside = np.minimum(1, np.float32(max_psi - ROUNDING) / np.maximum(self.psi(latents), 1e-6))
        said_labels, said_embeddings = self(people.latents)
        return self._corrected(
            self.mean + (latents - self.mean) * inside[:, None],
            people.labels - said_labels,
            people.embeddings - said_embeddings,
            people.views,
        )

    def moved(self, people: People, steps: FloatArray, seen: FloatArray) -> People:
        """Return people who were moved somewhere else.

        Args:
            people: Whose labels and embeddings are predicted, or better, measured.
            steps: (n, 512) in units of the average distance from the mean.
            seen: (n, len(VIEWS), 128) how that changes the views of the other judges.
        """
        said_labels, said_embeddings = self(people.latents)
        return self._corrected(
            people.latents + self.reach * steps,
            people.labels - said_labels,
            people.embeddings - said_embeddings,
            None if people.views is None else unit(people.views + seen),
        )

    def _corrected(
        self,
        latents: FloatArray,
        label_errors: FloatArray,
        embedding_errors: FloatArray,
        views: FloatArray | None,
    ) -> People:
        """People with these latents, as the network says but for its known errors."""
        # Rounded, so that the size of a batch does not show in the portrait.
        latents = latents.astype(np.float16).astype(np.float32)
        labels, embeddings = self(latents)
        embeddings = unit(embeddings + embedding_errors)
        labels = _sane(labels + label_errors)
        # Hands come and go on the way between people, and what is known of those says nothing.
        sound = LABELS.index("sound")
        labels[:, sound] = np.minimum(labels[:, sound], 1 - self.hands(latents))
        return People(latents, embeddings, labels, views)

    def _steps(
        self, labels: FloatArray, mirrored: NDArray[np.bool_], look: Look, longest: float
    ) -> FloatArray:
        """(n, 512) steps that would lead to a look if everything were linear, up to the longest."""
        asked = np.array([getattr(look, name) for name in STEERED], dtype=np.float32)
        if look.age < CHILD_AGE:  # nobody grown up becomes a child that way
            asked[STEERED.index("age")] = np.nan
        turns = np.array([name in MIRRORED for name in STEERED])
        signs = np.where(mirrored[:, None] & turns, np.float32(-1), np.float32(1))
        have = labels[:, [LABELS.index(name) for name in STEERED]]
        steps = np.nan_to_num(signs * asked - have) @ self.directions  # NaN: as it comes
        length = np.linalg.norm(steps, axis=1, keepdims=True) / self.reach
        return np.asarray(steps * np.minimum(1, longest / np.maximum(length, 1e-6)))


def cross_at_random(
    rows: NDArray[np.intp], count: int, rng: np.random.Generator, *, mirrored: bool
) -> Recipe:
    """Pair people at random.

    Args:
        rows: (n,) who may be a parent.
        count: Number of children.
        rng: Source of the choice.
        mirrored: Whether the children's portraits are to be mirrored.
    """
    mother, father = rng.choice(rows, (2, count))
    share = rng.uniform(*CROSSED, count).round(2).astype(np.float32)
    return Recipe(mother, father, share, np.full(count, mirrored), np.full(count, STAYS))


def as_they_are(rows: NDArray[np.intp], *, mirrored: bool) -> Recipe:
    """Everybody for themselves: only steered."""
    n = len(rows)
    return Recipe(rows, rows, np.ones(n, np.float32), np.full(n, mirrored), np.full(n, STAYS))


def together(recipes: list[Recipe]) -> Recipe:
    """All people of several recipes."""
    names = [f.name for f in fields(Recipe)]
    return Recipe(**{n: np.concatenate([getattr(r, n) for r in recipes]) for n in names})


def _sane(labels: FloatArray) -> FloatArray:
    """Labels with probabilities that are some."""
    for name in PROBABILITIES:
        i = LABELS.index(name)
        labels[:, i] = np.clip(labels[:, i], 0, 1)
    groups = [LABELS.index(g) for g in GROUPS]
    labels[:, groups] /= np.maximum(labels[:, groups].sum(axis=1, keepdims=True), 1e-6)
    return labels
