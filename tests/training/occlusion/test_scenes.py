"""Painted scenes: what is said to be in front was painted, and nothing else was."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="training needs the extra 'train' (torch)")
pytest.importorskip("sklearn", reason="training needs the extra 'train' (scikit-learn)")

from anonyface.identities.people import portrait_face
from anonyface.landmarks import topology as topo
from anonyface.landmarks.mesh import FaceMesh
from training.occlusion.canvas import Canvas, canvas
from training.occlusion.cloth import CUTS, wear
from training.occlusion.faces import Faces, surely_bare
from training.occlusion.scenes import PLANS, Painter
from training.occlusion.things import THINGS

SIDE = 160


@pytest.fixture(scope="module")
def faces(people: list[NDArray[np.uint8]]) -> Faces:
    finder = FaceMesh(threads=1)
    small = [
        cv2.resize(p[160:960, 112:912], (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in people
    ]
    pixels = np.array(small, np.uint8)
    points = np.array(
        [
            (finder(p, [portrait_face(1024)])[0].points - np.array([112, 160, 0])) / 5
            for p in people
        ],
        np.float32,
    )
    bare = np.array(
        [np.packbits(surely_bare(*b), axis=1) for b in zip(pixels, points, strict=True)]
    )
    return Faces(pixels, points, bare, np.arange(4), np.zeros(4, bool))


def fresh(faces: Faces, row: int, seed: int) -> tuple[Canvas, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return canvas(faces.picture(row), faces.points[row], rng), rng


@pytest.mark.parametrize("name", THINGS)
def test_things_change_what_they_lie_on(name: str, faces: Faces) -> None:
    painted = 0.0
    for seed in range(6):
        drawn, rng = fresh(faces, seed % 4, seed)
        before = drawn.pixels.copy()
        THINGS[name][0](drawn, rng, lambda: (faces.picture(1), faces.points[1]))
        front, worn = drawn.shares
        assert not worn.any()
        assert front.min() >= 0
        assert front.max() <= 1
        assert drawn.pixels.dtype == np.float32
        assert np.isfinite(drawn.pixels).all()
        # Where nothing lies there are but shadows: nothing gets lighter.
        assert (drawn.pixels - before)[front == 0].max(initial=0) < 0.01
        painted += float(front.mean())
    assert painted > 0.02


@pytest.mark.parametrize("cut", CUTS)
def test_masks_hide_the_mouth_unless_they_have_slipped(cut: str, faces: Faces) -> None:
    lips = faces.points[0][topo.LIPS_OUTER, :2].round().astype(int)
    eyes = faces.points[0][topo.LEFT_EYE, :2].round().astype(int)
    hidden = []
    for seed in range(8):
        drawn, rng = fresh(faces, 0, seed)
        wear(drawn, rng, lambda: (faces.picture(1), faces.points[1]), {cut: 1.0})
        assert not drawn.shares[0].any()
        hidden.append(drawn.shares[1][lips[:, 1], lips[:, 0]].mean())
        assert drawn.shares[1][eyes[:, 1], eyes[:, 0]].mean() < 0.2
    assert np.mean(hidden) > 0.9 if cut != "slipped" else np.mean(hidden) < 0.9


def test_the_core_and_beards_are_face_for_sure_and_hair_is_not(faces: Faces) -> None:
    shares = []
    for row in range(4):
        bare, points = faces.bare_of(row), faces.points[row]
        core = np.concatenate([topo.LEFT_EYE, topo.LIPS_OUTER, topo.RIGHT_BROW, topo.CHIN_PATCH])
        x, y = points[core, :2].round().astype(int).T
        shares.append(bare[y, x].mean())
        assert not bare[0, 0]
    assert np.median(shares) > 0.9  # on a turned head the far eye lies on the outline


@pytest.mark.parametrize("plan", PLANS)
def test_the_same_scene_is_painted_again(plan: tuple[str, ...], faces: Faces) -> None:
    paint = Painter(faces, np.arange(4))
    one, two = (paint(2, np.random.default_rng(5), plan) for _ in range(2))
    np.testing.assert_array_equal(one.pixels, two.pixels)
    np.testing.assert_array_equal(one.shares, two.shares)
    assert one.pixels.shape == (128, 128, 3)
    assert one.pixels.dtype == np.uint8
    assert one.shares.shape == (2, 64, 64)
    assert one.known.shape == (64, 64)
    assert one.known.mean() > 0.15
    assert one.shares[0].any() == ("thing" in plan)
    assert one.shares[1].any() == ("worn" in plan)
