"""The new face is as sharp as the photo: out of focus, through JPEG, behind something sharp."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.texture import Scene, _luma, match_sharpness
from anonyface.types import Crop, Identity, ImageArray, Mesh
from benchmarks.utility_measures import sharpness_ratio, well_inside

from .faces import piece


def blurred(image: ImageArray, sigma: float) -> ImageArray:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8) if sigma else image


def as_jpeg(image: ImageArray, quality: int) -> ImageArray:
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def measured(crop: Crop, mesh: Mesh, identity: Identity) -> float:
    """Sharpness of the new face over that of the old one, as the benchmark measures it."""
    patch = MeshSwapper()(crop, mesh, identity)
    ratio = sharpness_ratio(crop.pixels, patch.pixels, well_inside(patch.alpha))
    assert ratio is not None
    return ratio


@pytest.mark.parametrize("sigma", [0, 1, 2.5, 5, 8, 12])
@pytest.mark.parametrize("quality", [100, 80])
def test_a_face_out_of_focus_stays_out_of_focus(
    sigma: float,
    quality: int,
    people: list[NDArray[np.uint8]],
    meshes: list[Mesh],
    identity: Identity,
) -> None:
    crop, mesh = piece(people, meshes, 0.3)
    photo = Crop(as_jpeg(blurred(crop.pixels, sigma), quality), crop.matrix)
    assert 0.8 < measured(photo, mesh, identity) < 1.25


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_grain_over_a_face_out_of_focus_is_no_detail(
    noise: float, people: list[NDArray[np.uint8]], meshes: list[Mesh], identity: Identity
) -> None:
    """At full size such a photo is as steep as a sharp one; at a quarter it is not."""
    crop, mesh = piece(people, meshes, 0.5)
    grain = noise * np.random.default_rng(0).standard_normal((*crop.pixels.shape[:2], 1))
    soft = 90 + 0.4 * (blurred(crop.pixels, 8).astype(np.float32) - 90) + grain
    photo = Crop(np.round(soft).astype(np.uint8), crop.matrix)
    patch = MeshSwapper()(photo, mesh, identity)
    scene = Scene(_luma(soft.astype(np.float32)), well_inside(patch.alpha), 200)
    assert scene.steepness(scene.luma) > 1.2
    quarter = scene.halved().halved()
    new = cv2.resize(
        _luma(patch.pixels.astype(np.float32)),
        quarter.luma.shape[::-1],
        interpolation=cv2.INTER_AREA,
    )
    assert 0.8 < quarter.steepness(new) / quarter.steepness(quarter.luma) < 1.25


def edges(image: ImageArray, part: tuple[slice, slice]) -> float:
    luma = _luma(image[part].astype(np.float32))
    return float(np.abs(cv2.Laplacian(luma, cv2.CV_32F)).mean())


def test_what_is_sharp_in_front_does_not_make_the_face_behind_it_sharp(
    people: list[NDArray[np.uint8]], meshes: list[Mesh], identity: Identity
) -> None:
    crop, mesh = piece(people, meshes, 0.3)
    soft = blurred(crop.pixels, 6)
    low, high = mesh.points[:, :2].min(axis=0), mesh.points[:, :2].max(axis=0)
    chin = round(float(low[1] + 0.75 * (high[1] - low[1])))
    striped = soft.copy()
    striped[chin:, ::4] = (200, 30, 30)
    striped[chin:, 1::4] = (240, 240, 240)
    eyes = (slice(round(float(low[1])), chin - 12), slice(round(float(low[0])), int(high[0])))
    alone, behind = (
        edges(MeshSwapper()(Crop(photo, crop.matrix), mesh, identity).pixels, eyes)
        for photo in (soft, striped)
    )
    assert behind < 1.5 * alone
    assert behind < 0.5 * edges(crop.pixels, eyes)


def test_a_flat_photo_blurs_no_more_than_it_must() -> None:
    rng = np.random.default_rng(0)
    portrait = np.asarray(cv2.GaussianBlur(rng.uniform(0, 255, (90, 90, 3)), (0, 0), 1.2))
    flat = np.full((90, 90), 128, np.float32)
    scene = Scene(flat, np.ones((90, 90), bool), 90)
    out = match_sharpness(portrait.astype(np.float32), scene)
    assert np.isfinite(out).all()
    assert out.shape == portrait.shape
