"""People who might be offered, and the name by which each is found again."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonyface.errors import InputError
from anonyface.identities.axes import STAYS
from anonyface.identities.latents import Recipe
from anonyface.identities.people import People
from anonyface.types import FloatArray, Look

CLEARLY = 0.25
"""How far the probability of female of a parent may be from what is asked: children of people who
hardly read as women read as men, old ones above all."""
BARELY_SHOWS, A_CHILD = 0.5, 12.0
"""The same for those younger than so many years: a child's gender barely shows, and among the few
in whom it does hardly anybody is 4 or 5, or left for the next who asks."""
PERSONA = re.compile(
    r"pool:(?P<mother>\d+)(?:x(?P<father>\d+)@(?P<share>0\.\d\d))?(?:~(?P<code>[0-9a-f]{3}))?(?P<mirrored>m?)"
)


@dataclass(frozen=True)
class Parents:
    """Who may be a parent of those who are offered.

    Attributes:
        margin: What they keep from the limits of similarity.
        reach: How many times as many of them are considered as otherwise.
        clearly: Whether they surely have the gender asked, see `surely`.
        steered_again: How many of their children who fit best are steered twice: the first step
            leads near, not there.
    """

    margin: float = 0.0
    reach: int = 1
    clearly: bool = False
    steered_again: int = 0


@dataclass(frozen=True, eq=False)
class Candidates:
    """People, how they came to be, and (n,) how far they are from what was asked."""

    people: People
    recipe: Recipe
    misfits: FloatArray

    def __getitem__(self, rows: NDArray[np.intp]) -> Candidates:
        return Candidates(self.people[rows], self.recipe[rows], self.misfits[rows])

    def persona(self, row: int) -> str:
        """Name a person so that `LatentIdentities` finds them again."""
        recipe = self.recipe
        mother, father = int(recipe.mother[row]), int(recipe.father[row])
        other = "" if mother == father else f"x{father}@{recipe.share[row]:.2f}"
        code = int(recipe.code[row])
        moved = "" if code == STAYS else f"~{code:03x}"
        return f"pool:{mother}{other}{moved}{'m' if recipe.mirrored[row] else ''}"


def surely(people: People, look: Look) -> NDArray[np.bool_]:
    """(n,) who surely has the gender asked: of young children's parents less is asked."""
    far = np.abs(people.column("p_female") - look.p_female)
    return np.asarray(far <= (BARELY_SHOWS if look.age < A_CHILD else CLEARLY))


def recipe_of(persona: str, count: int) -> Recipe:
    """Return how the person of this name comes to be.

    Args:
        persona: A name from `Candidates.persona`.
        count: Number of people in the pool.

    Raises:
        InputError: If nobody of the pool is called so.
    """
    found = PERSONA.fullmatch(persona)
    mother = int(found["mother"]) if found else count
    father = int(found["father"] or mother) if found else count
    if found is None or max(mother, father) >= count:
        raise InputError(f"no synthetic person is called {persona!r}")
    return Recipe(
        np.array([mother]),
        np.array([father]),
        np.array([found["share"] or 1], dtype=np.float32),
        np.array([bool(found["mirrored"])]),
        np.array([STAYS if found["code"] is None else int(found["code"], 16)]),
    )
