"""People for the tests: generated ones only."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.api import Anonymizer
from anonyface.demo import make_people, make_scene
from anonyface.identities.generator import Generator
from anonyface.result import AnonymizeResult


@pytest.fixture(scope="session")
def people() -> list[NDArray[np.uint8]]:
    """Four 1024-px portraits of nobody."""
    return make_people(Generator(), 4, seed=101)


@pytest.fixture(scope="session")
def scene(people: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """(600, 600, 3) photo with the four of them, faces about 140 px high."""
    return make_scene(people, side=260, columns=2)


@pytest.fixture(scope="session")
def anonymizer() -> Anonymizer:
    """The default anonymizer with a fixed seed; loads every model once for the whole session."""
    return Anonymizer(seed=5)


@pytest.fixture(scope="session")
def result(anonymizer: Anonymizer, scene: NDArray[np.uint8]) -> AnonymizeResult:
    """The scene, anonymized."""
    return anonymizer(scene)
