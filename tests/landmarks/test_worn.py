"""What is worn over nose and mouth: painted on generated people, found and left as it is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.identities.people import portrait_face
from anonyface.landmarks import topology as topo
from anonyface.landmarks.mesh import FaceMesh
from anonyface.landmarks.skin import fit_skin, to_lab
from anonyface.swapping.engine import MeshSwapper
from anonyface.types import Crop, Identity, Mesh

SIDE = 256
UPPER_EDGE = [93, 123, 118, 120, 196, 419, 349, 347, 352, 323]
JAW = [361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132]
CLOTHS = {"white": (235, 236, 238), "black": (22, 22, 24), "blue": (120, 175, 215)}


@pytest.fixture(scope="module")
def faces(people: list[NDArray[np.uint8]]) -> list[tuple[NDArray[np.uint8], Mesh]]:
    finder = FaceMesh(threads=1)
    small = [
        np.asarray(cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
        for p in people
    ]
    return [(p, finder(p, [portrait_face(SIDE)])[0]) for p in small]


def cloth_on(mesh: Mesh) -> NDArray[np.float32]:
    """(h, w) where a mask is painted."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(mask, [mesh.points[UPPER_EDGE + JAW, :2].round().astype(np.int32)], 255)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.0) / np.float32(255))


def paint(pixels: NDArray[np.uint8], mesh: Mesh, cloth: str) -> NDArray[np.uint8]:
    """Paint a mask with folds, in the light of the face."""
    where = cloth_on(mesh)[..., None]
    light = cv2.GaussianBlur(pixels.astype(np.float32).mean(axis=2), (0, 0), 20)
    light = 0.6 + 0.4 * light / light[where[..., 0] > 0.5].mean()
    folds = 1 + 0.04 * np.sin(np.arange(SIDE) / 3)[:, None]
    painted = np.array(CLOTHS[cloth]) * (light * folds)[..., None]
    return np.clip(pixels * (1 - where) + painted * where, 0, 255).astype(np.uint8)


def test_bare_faces_wear_nothing(faces: list[tuple[NDArray[np.uint8], Mesh]]) -> None:
    for pixels, mesh in faces:
        assert fit_skin(to_lab(pixels), mesh).worn is None


def test_sunglasses_make_no_mask_of_the_cheeks(
    faces: list[tuple[NDArray[np.uint8], Mesh]],
) -> None:
    """Or else a bare mouth would stay."""
    for pixels, mesh in faces:
        dark = pixels.copy()
        band = np.concatenate([[127], topo.LEFT_BROW, topo.RIGHT_BROW, [356, 345, 6, 116]])
        hull = cv2.convexHull(mesh.points[band, :2].round().astype(np.int32))
        cv2.fillConvexPoly(dark, hull, (18, 18, 22))
        assert fit_skin(to_lab(dark), mesh).worn is None


@pytest.mark.parametrize("cloth", CLOTHS)
def test_a_mask_is_found_with_its_border(
    cloth: str, faces: list[tuple[NDArray[np.uint8], Mesh]]
) -> None:
    for pixels, mesh in faces:
        skin = fit_skin(to_lab(paint(pixels, mesh, cloth)), mesh)
        assert skin.worn is not None
        below = skin.worn.below(pixels.shape)
        face = np.zeros((SIDE, SIDE), np.uint8)
        outline = mesh.points[topo.FACE_OVAL, :2].round().astype(np.int32)
        cv2.fillPoly(face, [outline], 1)
        wrong = np.abs(below - cloth_on(mesh))[cv2.erode(face, np.ones((9, 9))) > 0]
        assert wrong.mean() < 0.06
        eyes = np.concatenate([topo.LEFT_EYE, topo.RIGHT_EYE])
        x, y = mesh.points[eyes, :2].round().astype(int).T
        assert below[y, x].max() == 0
        # The colour of the skin is that of the forehead, not of the cloth.
        cheek = to_lab(pixels)[tuple(mesh.points[50, 1::-1].round().astype(int))]
        dyed = to_lab(np.array(CLOTHS[cloth], np.float32)[None, None])[0, 0]
        assert np.linalg.norm(skin.centre - cheek) < np.linalg.norm(skin.centre - dyed)


@pytest.mark.parametrize("cloth", CLOTHS)
def test_the_mask_stays_on_and_the_eyes_change(
    cloth: str, faces: list[tuple[NDArray[np.uint8], Mesh]]
) -> None:
    (pixels, mesh), (portrait, other) = faces[:2]
    who = Identity(
        portrait, other, np.zeros(512), "female", 30.0, np.eye(128)[0], seed=1, source="test"
    )
    masked = paint(pixels, mesh, cloth)
    patch = MeshSwapper()(Crop(masked, np.eye(2, 3)), mesh, who)
    change = np.abs(patch.pixels.astype(int) - masked).mean(axis=2)
    solid = cv2.erode((cloth_on(mesh) > 0.99).astype(np.uint8), np.ones((9, 9))) > 0
    assert change[solid].mean() < 1
    for eye in (topo.LEFT_EYE, topo.RIGHT_EYE):
        hull = np.zeros((SIDE, SIDE), np.uint8)
        cv2.fillPoly(hull, [mesh.points[eye, :2].round().astype(np.int32)], 1)
        assert change[hull > 0].mean() > 6
        assert patch.alpha[hull > 0].min() > 0.9


def test_the_border_does_not_depend_on_the_size(
    faces: list[tuple[NDArray[np.uint8], Mesh]],
) -> None:
    pixels, mesh = faces[0]
    masked = paint(pixels, mesh, "white")
    large = np.asarray(cv2.resize(masked, (3 * SIDE, 3 * SIDE)), np.uint8)
    grown = mesh.moved(np.array([[3, 0, 1], [0, 3, 1]], np.float64))
    one, three = (fit_skin(to_lab(p), m).worn for p, m in ((masked, mesh), (large, grown)))
    assert one is not None
    assert three is not None
    off = (three.line - 1) / 3 - one.line
    assert np.median(np.abs(off)) < 2
