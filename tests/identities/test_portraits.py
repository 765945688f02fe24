"""Portraits: what of a large one is rendered sharp, and that it is the same as in the whole one."""

from __future__ import annotations

import numpy as np
import pytest

from anonyface.identities.candidates import Candidates
from anonyface.identities.fit import wanted
from anonyface.identities.generator import CELL, GRID, RIM, WHOLE, Generator, Window
from anonyface.identities.latents import LatentModel, as_they_are
from anonyface.identities.people import load_pool
from anonyface.identities.portraits import AROUND, Portraits, around
from anonyface.identities.resemblance import MASKED
from anonyface.identities.resemblance import WHOLE as UNMASKED
from anonyface.landmarks import topology as topo
from anonyface.types import FloatArray, IdentityRequest, Mesh


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator()


@pytest.fixture(scope="module")
def latent() -> FloatArray:
    return load_pool().latents[7]


@pytest.mark.parametrize("window", [Window(40, 30, 110, 100), Window(0, 20, 128, 90)])
def test_inside_of_its_window_a_portrait_is_the_whole_one(
    generator: Generator, latent: FloatArray, window: Window
) -> None:
    whole = generator.render(latent, size=1024)
    part = generator.render(latent, size=1024, window=window)
    assert whole.shape == part.shape == (1024, 1024, 3)
    top, left, bottom, right = (
        CELL * (edge + (0 if edge in (0, GRID) else inwards))
        for edge, inwards in zip(window, (RIM, RIM, -RIM, -RIM), strict=True)
    )
    np.testing.assert_array_equal(part[top:bottom, left:right], whole[top:bottom, left:right])
    # Outside it is the small one, enlarged: the same picture, less sharp.
    away = np.ones((1024, 1024), bool)
    away[top:bottom, left:right] = False
    off = np.abs(part.astype(float) - whole)[away]
    assert 0.2 < off.mean() < 12


def test_features_of_another_portrait_are_not_used(
    generator: Generator, latent: FloatArray
) -> None:
    first = generator.render(latent, size=256)
    other = generator.render(load_pool().latents[8], size=256)
    assert (first != other).mean() > 0.5
    np.testing.assert_array_equal(generator.render(latent, size=256), first)


def test_the_window_holds_the_outline_of_the_face_and_ends_at_the_portrait() -> None:
    points = np.full((468, 3), 128.0, np.float32)
    points[topo.FACE_OVAL, 0] = np.linspace(100, 250, len(topo.FACE_OVAL))
    points[topo.FACE_OVAL, 1] = np.linspace(60, 200, len(topo.FACE_OVAL))
    window = around(Mesh(points, 1.0), 256)
    margin = AROUND * GRID
    assert window.left == pytest.approx(50 - margin, abs=1)
    assert window.top == pytest.approx(30 - margin, abs=1)
    assert window.bottom == pytest.approx(100 + margin, abs=1)
    assert window.right == GRID
    assert RIM < margin - 1  # what is spoilt at the window's edge lies outside of the face
    assert around(Mesh(points * 1000, 1.0), 256)[2:] == WHOLE[2:]


def test_the_mesh_is_steady_for_people_in_masks_alone() -> None:
    rows = np.array([7])
    one = Candidates(load_pool()[rows], as_they_are(rows, mirrored=False), np.zeros(1, np.float32))
    nobody = np.zeros((0, 128), np.float32)

    def request(*judges: str) -> IdentityRequest:
        seen = {name: one.people.embeddings[0] for name in judges}
        return IdentityRequest(wanted(), 60, nobody, nobody, seed=1, seen=seen)

    render = Portraits(model=LatentModel())
    bare, masked = render(one, request(*UNMASKED)), render(one, request(*MASKED))
    np.testing.assert_array_equal(bare.pixels, masked.pixels)
    # One fit has no spread; that of several is the mean, next to it.
    assert bare.mesh.spread == 0
    assert 0 < masked.mesh.spread < 0.03
    apart = np.abs(bare.mesh.points - masked.mesh.points)[:, :2].mean()
    assert 0 < apart < 0.02 * np.ptp(bare.mesh.points[topo.FACE_OVAL, 0])
    assert render(one, request(*UNMASKED)).mesh is bare.mesh  # kept apart in the cache
