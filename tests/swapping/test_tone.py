"""Contrast, the liveliness of the edge, and mouths that are open."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.swapping.engine import MeshSwapper
from anonyface.swapping.resolution import mix
from anonyface.swapping.tone import match_contrast, match_rim
from anonyface.types import FloatArray, Identity, Mesh
from benchmarks.utility_measures import edge_ring, gradient_energy

from .faces import SIDE, disc, opened


def waves(strength: float) -> FloatArray:
    x = np.arange(SIDE, dtype=np.float32)
    row = 120 + strength * np.sin(x / 3)
    return np.broadcast_to(row[None, :, None], (SIDE, SIDE, 3)).astype(np.float32)


def test_contrast_is_that_of_the_face_whatever_lies_beside_it() -> None:
    """A black mask or a white wall beside the face is no contrast of the face."""
    where = disc(40)
    plain = match_contrast(waves(6), waves(6), where, 100)
    beside = waves(6) * disc(44)[..., None]
    np.testing.assert_allclose(plain[where > 0], waves(6)[where > 0], atol=1)
    np.testing.assert_allclose(match_contrast(waves(6), beside, where, 100), plain, atol=1)
    louder = match_contrast(waves(6), waves(8), where, 100)
    assert np.std(louder[where > 0]) == pytest.approx(np.std(waves(8)[where > 0]), rel=0.08)


def test_wrinkles_that_the_photo_has_not_fade_at_the_edge() -> None:
    out = match_rim(waves(20), waves(3), disc(45), 100)
    lively = np.abs(out - 120).mean(axis=(0, 2))
    assert lively[SIDE // 2 - 44 : SIDE // 2 - 38].mean() < 0.6 * 20 * 2 / np.pi
    middle = slice(SIDE // 2 - 8, SIDE // 2 + 8)
    assert np.abs(out - waves(20))[middle, middle].max() < 6


@pytest.mark.parametrize("strength", [(6, 9), (9, 8), (8, 8)])
def test_the_edge_is_as_lively_as_the_photo(strength: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    grain = (cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE)), (0, 0), 0.7) for _ in strength)
    old, new = (
        np.asarray(120 + s * g[..., None].repeat(3, axis=2), np.float32)
        for s, g in zip(strength, grain, strict=True)
    )
    alpha = np.asarray(cv2.GaussianBlur(disc(40), (0, 0), 4), np.float32)
    ring = edge_ring(alpha, np.ones((SIDE, SIDE), bool))
    mixed = mix(old, new, alpha)
    assert 0.8 < gradient_energy(mixed, ring) / gradient_energy(old, ring) < 1.25


def test_a_mouth_open_much_wider_is_followed_more(
    people: list[NDArray[np.uint8]], meshes: list[Mesh]
) -> None:
    swapper = MeshSwapper()

    def share(by: float, portrait: float) -> float:
        own = opened(meshes[1], portrait)
        identity = Identity(
            people[1], own, np.zeros(512), "female", 30.0, np.eye(128)[0], seed=1, source="test"
        )
        return swapper.mouth_share(opened(meshes[1], by), identity)

    assert share(0.2, 0.2) == pytest.approx(swapper.mouth)
    assert share(0.5, 0.2) > 0.9
    shut = share(0.5, -0.05)
    assert shut == pytest.approx(swapper.mouth) or shut > 0.9  # shut only if the portrait's is
