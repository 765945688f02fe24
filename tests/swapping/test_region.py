"""Parts of a face: what belongs to them, and what a patch may change."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.errors import FaceError, InputError
from anonyface.identities.people import portrait_face
from anonyface.landmarks import topology as topo
from anonyface.landmarks.mesh import FaceMesh
from anonyface.swapping.mask import face_width
from anonyface.swapping.region import RAMP, limit_to_region, region_mask
from anonyface.types import Crop, Mesh, Patch, Region

SIDE = 256
FOREHEAD, PHILTRUM, BRIDGE = 151, 164, 6


@pytest.fixture(scope="module")
def face(people: list[NDArray[np.uint8]]) -> tuple[Crop, Mesh]:
    small = cv2.resize(people[0], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    (mesh,) = FaceMesh(threads=1)(people[0], [portrait_face(1024)])
    return Crop(np.asarray(small, np.uint8), np.eye(2, 3)), Mesh(mesh.points / 4, 1.0)


def mask_of(mesh: Mesh, region: Region, side: int = SIDE) -> NDArray[np.float32]:
    return region_mask(mesh.points, (side, side), region, face_width(mesh.points))


def at(mask: NDArray[np.float32], mesh: Mesh, indices: Any) -> NDArray[np.float32]:
    x, y = mesh.points[np.atleast_1d(indices), :2].round().astype(int).T
    return mask[y, x]


EYES = np.concatenate([topo.LEFT_EYE, topo.RIGHT_EYE, topo.LEFT_BROW, topo.RIGHT_BROW])
LIPS = np.concatenate([topo.LIPS_OUTER, topo.LIPS_INNER])
BELONGS = {
    "eyes": (np.append(EYES, BRIDGE), np.append(LIPS, [topo.CHIN, topo.NOSE_TIP, PHILTRUM])),
    "mouth": (
        np.concatenate([LIPS, topo.CHIN_PATCH, [PHILTRUM]]),
        np.append(EYES, [BRIDGE, FOREHEAD, topo.NOSE_TIP, topo.LEFT_SIDE, topo.RIGHT_SIDE]),
    ),
}


@pytest.mark.parametrize("region", ["eyes", "mouth"])
def test_a_part_holds_what_belongs_to_it_and_nothing_else(
    region: Region, face: tuple[Crop, Mesh]
) -> None:
    mask, (inside, outside) = mask_of(face[1], region), BELONGS[region]
    assert mask.dtype == np.float32
    assert (at(mask, face[1], inside) == 1).all()
    assert (at(mask, face[1], outside) == 0).all()
    assert 0.02 < mask.mean() < 0.25


@pytest.mark.parametrize("region", ["eyes", "mouth"])
def test_edges_are_soft(region: Region, face: tuple[Crop, Mesh]) -> None:
    mask = mask_of(face[1], region)
    assert mask.min() == 0
    assert mask.max() == 1
    # The steepest step of 3 x^2 - 2 x^3 is 1.5; sqrt(2) for a step of two pixels across.
    steepest = 1.6 / (RAMP * face_width(face[1].points))
    assert np.abs(np.diff(mask, axis=0)).max() < steepest
    assert np.abs(np.diff(mask, axis=1)).max() < steepest


def test_a_part_keeps_its_shape_at_any_size(face: tuple[Crop, Mesh]) -> None:
    large = mask_of(Mesh(face[1].points * 4, 1.0), "eyes", SIDE * 4)
    shrunk = cv2.resize(large, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk - mask_of(face[1], "eyes")).max() < 0.15


def test_the_whole_face_is_everywhere(face: tuple[Crop, Mesh]) -> None:
    mask = region_mask(face[1].points, (5, 7, 3), "face", 3.0)
    assert mask.dtype == np.float32
    np.testing.assert_array_equal(mask, np.ones((5, 7)))


def test_a_part_beside_the_crop_is_nowhere(face: tuple[Crop, Mesh]) -> None:
    away = face[1].points + np.array([5000, 0, 0], np.float32)
    assert not region_mask(away, (SIDE, SIDE), "eyes", 100.0).any()


def test_an_unknown_part_is_refused(face: tuple[Crop, Mesh]) -> None:
    with pytest.raises(InputError, match="face, eyes, mouth, not 'nose'"):
        region_mask(face[1].points, (SIDE, SIDE), "nose", 100.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("region", ["eyes", "mouth"])
def test_a_patch_changes_the_part_alone(region: Region, face: tuple[Crop, Mesh]) -> None:
    crop, mesh = face
    greedy = Patch(255 - crop.pixels, np.full((SIDE, SIDE), 0.75, np.float32))
    patch, mask = limit_to_region(greedy, crop, mesh, region), mask_of(mesh, region)
    assert patch.pixels.dtype == np.uint8
    np.testing.assert_array_equal(patch.pixels[mask == 0], crop.pixels[mask == 0])
    np.testing.assert_array_equal(patch.pixels[mask == 1], greedy.pixels[mask == 1])
    np.testing.assert_allclose(patch.alpha, 0.75 * mask, atol=1e-6)
    half = (mask > 0.4) & (mask < 0.6)
    assert np.abs(patch.pixels[half].astype(int) - 127).mean() < 25  # halfway to the negative


def test_a_part_of_which_nothing_was_replaced_is_a_face_error(face: tuple[Crop, Mesh]) -> None:
    crop, mesh = face
    eyes_only = limit_to_region(
        Patch(255 - crop.pixels, np.ones((SIDE, SIDE), np.float32)), crop, mesh, "eyes"
    )
    with pytest.raises(FaceError, match="nothing of the mouth"):
        limit_to_region(eyes_only, crop, mesh, "mouth")


def test_the_whole_face_is_left_to_the_patch(face: tuple[Crop, Mesh]) -> None:
    patch = Patch(255 - face[0].pixels, np.ones((SIDE, SIDE), np.float32))
    assert limit_to_region(patch, *face, "face") is patch
