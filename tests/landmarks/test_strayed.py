"""A mesh that left its face is noticed, and fitted again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.detection.faces import FaceFinder
from anonyface.landmarks.mesh import (
    OTHER_FACTORS,
    STRAYED,
    STRAYED_UNSURE,
    FaceMesh,
    _square_from_face,
    five_points,
    has_strayed,
)
from anonyface.types import Face, Mesh

Image = NDArray[np.uint8]
BLANK = np.zeros((300, 300, 3), np.uint8)


@pytest.fixture(scope="module")
def face(scene: Image) -> Face:
    return FaceFinder()(scene)[0]


@pytest.fixture(scope="module")
def mesh(scene: Image, face: Face) -> Mesh:
    return FaceMesh()(scene, [face])[0]


def off_by(mesh: Mesh, face: Face, share: float, presence: float) -> Mesh:
    """The mesh moved so that it deviates from the detector's landmarks by a share of the face."""
    aside = face.landmarks - five_points(mesh.points) + [[share * face.size, 0]]
    shift = np.concatenate([aside.mean(axis=0), [0]]).astype(np.float32)
    return Mesh(mesh.points + shift, presence)


@pytest.mark.parametrize(
    ("share", "presence", "strayed"),
    [
        (0.5 * STRAYED_UNSURE, 0.0, False),
        (1.5 * STRAYED_UNSURE, 0.0, True),
        (1.5 * STRAYED_UNSURE, 0.9, False),
        (1.2 * STRAYED, 0.9, True),
    ],
)
def test_the_less_sure_a_mesh_the_nearer_it_must_lie(
    mesh: Mesh, face: Face, share: float, presence: float, strayed: bool
) -> None:
    assert has_strayed(off_by(mesh, face, share, presence), face) is strayed


class Told(FaceMesh):
    """Finds what it is told to, in so many squares and without some faces."""

    def __init__(self, find: Callable[[int, Sequence[Face]], list[Mesh]]) -> None:
        self.find, self.fits, self.steady = find, 0, False
        self.without: list[Face] = []

    def _fit(
        self,
        image: Image,
        squares: Sequence[NDArray[np.float64]],
        *,
        without: Sequence[Face] = (),
    ) -> list[Mesh]:
        self.fits += len(squares)
        self.without += without
        return self.find(len(squares), without)


def strays(first: Mesh, others: Sequence[Mesh]) -> Told:
    """Strays at first; then finds others."""
    return Told(lambda count, _: list(others) if count > 1 else [first])


def reaches(stretched: Mesh, alone: Mesh) -> Told:
    """Is stretched over two faces as long as it sees both."""
    return Told(lambda count, without: [alone if without else stretched] * count)


def test_a_strayed_mesh_is_brought_back(mesh: Mesh, face: Face) -> None:
    strayed = off_by(mesh, face, 0.4, 1.0)
    near, nearer_but_unsure = off_by(mesh, face, 0.15, 0.9), off_by(mesh, face, 0.12, 0.0)
    fitter = strays(strayed, [off_by(mesh, face, 0.3, 1.0), nearer_but_unsure, near])
    assert fitter(BLANK, [face]) == [near]
    assert fitter.fits == 2 + len(OTHER_FACTORS)


def test_a_mesh_that_fits_is_left_alone(mesh: Mesh, face: Face) -> None:
    fitter = strays(mesh, [])
    assert fitter(BLANK, [face]) == [mesh]
    assert fitter.fits == 2


def beside(face: Face, share: float) -> Face:
    """Another face, so many sizes of this one to the right of it."""
    aside = np.array([share * face.size, 0], np.float32)
    return Face(face.box + np.tile(aside, 2), face.landmarks + aside, face.score)


def stretched(mesh: Mesh) -> Mesh:
    """Wider to the right by a third, its left edge where it was."""
    left = mesh.points[:, 0].min()
    points = mesh.points.copy()
    points[:, 0] = left + 1.35 * (points[:, 0] - left)
    return Mesh(points, 1.0)


def test_a_mesh_over_two_faces_is_fitted_without_the_other(mesh: Mesh, face: Face) -> None:
    other = beside(face, 0.5)
    fitter = reaches(stretched(mesh), mesh)
    assert fitter(BLANK, [face], others=[other]) == [mesh]
    assert fitter.without == [other, other]
    assert not has_strayed(stretched(mesh), face)  # nothing else would have noticed


def test_without_the_other_it_must_come_nearer(mesh: Mesh, face: Face) -> None:
    wide, worse = stretched(mesh), off_by(mesh, face, 0.3, 1.0)
    assert reaches(wide, worse)(BLANK, [face], others=[beside(face, 0.5)]) == [wide]
    unsure = Mesh(mesh.points, 0.0)
    assert reaches(wide, unsure)(BLANK, [face], others=[beside(face, 0.5)]) == [wide]


def test_faces_apart_are_left_alone(mesh: Mesh, face: Face) -> None:
    fitter = reaches(mesh, stretched(mesh))
    assert fitter(BLANK, [face], others=[beside(face, 1.5)]) == [mesh]
    assert not fitter.without


def test_a_neighbour_is_painted_over_in_what_the_network_sees(
    scene: Image, mesh: Mesh, face: Face
) -> None:
    """Without the eyes, nose and mouth of its face a mesh is surely on none."""
    blind = FaceMesh()._fit(scene, [_square_from_face(face)], without=[face])[0]
    assert blind.presence < 0.5 < mesh.presence
