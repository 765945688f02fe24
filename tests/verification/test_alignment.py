"""Alignment: exact where it can be, refuses what can't be aligned, places chips to sub-pixel."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.errors import FaceError
from anonyface.verification.alignment import CHIP_TEMPLATE, align_chip, fit_similarity

Points = NDArray[np.float64]


def similarity_matrix(scale: float, degrees: float, shift: tuple[float, float]) -> Points:
    angle = np.deg2rad(degrees)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def apply(matrix: Points, points: Points) -> Points:
    moved: Points = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def invert(matrix: Points) -> Points:
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def dots_image(points: Points, radius: float, size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw a Gaussian dot at every point, radius being its standard deviation."""
    x, y = np.meshgrid(np.arange(size_wh[0]), np.arange(size_wh[1]))
    grey = np.zeros(x.shape)
    for px, py in points:
        grey += 250 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * radius**2))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def centroid_near(pixels: NDArray[np.uint8], point: Points, window: int) -> Points:
    """Return the brightness centroid in the window around a point."""
    x0, y0 = np.round(point).astype(int) - window
    patch = pixels[y0 : y0 + 2 * window + 1, x0 : x0 + 2 * window + 1, 0].astype(np.float64)
    y, x = np.mgrid[: patch.shape[0], : patch.shape[1]]
    return np.array([x0 + (x * patch).sum() / patch.sum(), y0 + (y * patch).sum() / patch.sum()])


@pytest.mark.parametrize("degrees", [0, 37, 90, 180, -135])
@pytest.mark.parametrize("scale", [1e-3, 0.7, 1, 40])
def test_similarity_is_recovered_exactly(scale: float, degrees: float) -> None:
    truth = similarity_matrix(scale, degrees, (123.4, -56.7))
    fitted = fit_similarity(CHIP_TEMPLATE, apply(truth, CHIP_TEMPLATE))
    np.testing.assert_allclose(fitted, truth, rtol=0, atol=1e-9 * max(1, scale))


def test_two_points_are_enough() -> None:
    truth = similarity_matrix(2, 30, (5, 6))
    source = np.array([[0.0, 0.0], [3.0, 1.0]])
    np.testing.assert_allclose(fit_similarity(source, apply(truth, source)), truth, atol=1e-12)


def test_residual_is_least_squares() -> None:
    rng = np.random.default_rng(0)
    target = apply(similarity_matrix(1.3, 20, (4, 9)), CHIP_TEMPLATE)
    target += rng.normal(0, 2, target.shape)
    fitted = fit_similarity(CHIP_TEMPLATE, target)
    best = np.square(apply(fitted, CHIP_TEMPLATE) - target).sum()
    for change in np.vstack([np.eye(4), -np.eye(4)]) * 1e-4:
        cosine, sine = fitted[:, 0] + change[:2]
        shift = fitted[:, 2] + change[2:]
        other = np.column_stack([[cosine, sine], [-sine, cosine], shift])
        assert np.square(apply(other, CHIP_TEMPLATE) - target).sum() > best


def test_never_reflects() -> None:
    mirrored = CHIP_TEMPLATE * (-1, 1)
    assert np.linalg.det(fit_similarity(CHIP_TEMPLATE, mirrored)[:, :2]) > 0


@pytest.mark.parametrize(
    "points",
    [
        np.full((5, 2), 7.3),
        np.zeros((5, 2)),
        np.full((5, 2), np.nan),
        np.where(np.eye(5, 2) > 0, np.inf, CHIP_TEMPLATE),
        CHIP_TEMPLATE * 1e200,
        CHIP_TEMPLATE[:4],
        CHIP_TEMPLATE[:, :1],
    ],
    ids=["one point", "zeros", "nan", "inf", "huge", "four points", "one column"],
)
def test_degenerate_landmarks_raise(points: Points) -> None:
    with pytest.raises(FaceError) as caught:
        fit_similarity(points, CHIP_TEMPLATE)
    assert caught.value.stage == "alignment"
    with pytest.raises(FaceError):
        align_chip(np.zeros((60, 60, 3), np.uint8), points)


def test_face_outside_of_the_image_raises() -> None:
    with pytest.raises(FaceError):
        align_chip(np.zeros((60, 60, 3), np.uint8), CHIP_TEMPLATE + 500)


@pytest.mark.parametrize(
    ("face_scale", "degrees", "size"),
    [(0.4, 0, 150), (1, 0, 150), (1, 25, 150), (3.4, -70, 150), (5.2, 160, 150), (2.5, 10, 96)],
)
def test_landmarks_land_on_the_template(face_scale: float, degrees: float, size: int) -> None:
    to_image = similarity_matrix(face_scale, degrees, (0, 0))
    to_image[:, 2] = np.array([500.3, 480.6]) - to_image[:, :2] @ np.array([74.5, 74.5])
    landmarks = apply(to_image, CHIP_TEMPLATE)
    image = dots_image(landmarks, radius=3 * face_scale, size_wh=(1000, 960))
    crop = align_chip(image, landmarks, size)
    expected = (CHIP_TEMPLATE + 0.5) * size / 150 - 0.5
    assert crop.pixels.shape == (size, size, 3)
    np.testing.assert_allclose(apply(crop.matrix, landmarks), expected, atol=1e-6)
    for point in expected:
        found = centroid_near(crop.pixels, point, window=round(11 * size / 150))
        np.testing.assert_allclose(found, point, atol=0.1)


def test_large_face_is_averaged_not_sampled() -> None:
    """A one-pixel checkerboard becomes grey; sampling it would leave black or white pixels."""
    board = (np.indices((1200, 1200)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image = np.repeat(board[:, :, None], 3, axis=2)
    chip = align_chip(image, (CHIP_TEMPLATE + 0.5) * 6 + 100).pixels
    assert np.abs(chip.astype(int) - 127).max() <= 2


def test_beyond_the_border_the_border_is_repeated_and_the_image_is_untouched() -> None:
    down, across = np.mgrid[0:120, 0:150]
    image = np.stack([down, across, np.full_like(down, 9)], axis=2).astype(np.uint8)
    image.setflags(write=False)
    chip = align_chip(image, CHIP_TEMPLATE + np.array([40, 0])).pixels.astype(int)
    np.testing.assert_array_equal(
        chip[..., 0], np.repeat(np.arange(150).clip(max=119), 150).reshape(150, 150)
    )
    np.testing.assert_array_equal(
        chip[..., 1], np.tile((np.arange(150) + 40).clip(max=149), (150, 1))
    )


def test_only_the_region_of_the_face_matters() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (900, 900, 3), dtype=np.uint8)
    landmarks = CHIP_TEMPLATE * 2 + 300
    other = image.copy()
    other[:280] = 0
    other[:, 640:] = 255
    np.testing.assert_array_equal(
        align_chip(image, landmarks).pixels, align_chip(other, landmarks).pixels
    )
