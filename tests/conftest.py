"""People for the tests: generated ones only."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.api import Anonymizer
from anonyface.demo import make_people, make_scene
from anonyface.identities.generator import Generator
from anonyface.identities.people import portrait_face
from anonyface.landmarks.mesh import FaceMesh
from anonyface.result import AnonymizeResult
from anonyface.types import Identity, Mesh


@pytest.fixture(scope="session")
def people() -> list[NDArray[np.uint8]]:
    """Four 1024-px portraits of nobody."""
    return make_people(Generator(), 4, seed=101)


@pytest.fixture(scope="session")
def meshes(people: list[NDArray[np.uint8]]) -> list[Mesh]:
    """The meshes of the first two of them."""
    finder = FaceMesh(threads=1)
    return [finder(p, [portrait_face(1024)])[0] for p in people[:2]]


@pytest.fixture(scope="session")
def identity(people: list[NDArray[np.uint8]], meshes: list[Mesh]) -> Identity:
    """The second of them, to be put on."""
    return Identity(
        people[1], meshes[1], np.zeros(512), "female", 30.0, np.eye(128)[0], seed=1, source="test"
    )


@pytest.fixture(scope="session")
def scene(people: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """(600, 600, 3) photo with the four of them, faces about 140 px high."""
    return make_scene(people, side=260, columns=2)


@pytest.fixture(scope="session")
def pair(scene: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(300, 600, 3) the upper two of them, where the number of faces does not matter."""
    return np.ascontiguousarray(scene[:300])


@pytest.fixture(scope="session")
def one(scene: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(300, 300, 3) the first of them, where one face is enough."""
    return np.ascontiguousarray(scene[:300, :300])


@pytest.fixture(scope="session")
def anonymizer() -> Anonymizer:
    """The default anonymizer with a fixed seed; loads every model once for the whole session."""
    return Anonymizer(seed=5)


@pytest.fixture(scope="session")
def result(anonymizer: Anonymizer, scene: NDArray[np.uint8]) -> AnonymizeResult:
    """The scene, anonymized."""
    return anonymizer(scene)
