"""Covered faces: the whole face is covered, nothing comes back, nothing else changes."""

import numpy as np
import pytest

from anonyface.errors import FaceError, InputError
from anonyface.redaction import cover, cover_face, ellipse_alpha
from anonyface.types import Face

METHODS = ["blur", "pixelate", "solid"]


def rng():
    return np.random.default_rng(0)


def texture(height, width, seed=1):
    """A crop with coarse and fine structure, like skin with eyes and brows."""
    random = np.random.default_rng(seed)
    coarse = np.kron(
        random.integers(60, 200, (height // 8 + 1, width // 8 + 1, 3)), np.ones((8, 8, 1))
    )
    fine = random.integers(-25, 26, (height, width, 3))
    return np.clip(coarse[:height, :width] + fine, 0, 255).astype(np.uint8)


# --- where --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "box",
    [
        (40, 30, 80, 90),
        (40.3, 30.8, 47.9, 40.1),
        (-30, -20, 50, 60),
        (150, 80, 260, 190),
        (-50, -50, 300, 300),
        (10, 10, 10, 10),
        (80, 90, 40, 30),
    ],
)
def test_alpha_is_one_on_every_pixel_of_the_grown_ellipse(box):
    height, width = 120, 200
    rows, columns, alpha = ellipse_alpha(np.array(box, np.float32), (height, width))
    full = np.zeros((height, width), np.float32)
    full[rows, columns] = alpha
    assert alpha.dtype == np.float32
    assert full[rows, columns].shape == alpha.shape
    x0, y0, x1, y1 = box
    y, x = np.mgrid[:height, :width]
    radius_x, radius_y = max(abs(x1 - x0) * 0.625, 1), max(abs(y1 - y0) * 0.625, 1)
    distance = np.hypot((x - (x0 + x1) / 2) / radius_x, (y - (y0 + y1) / 2) / radius_y)
    assert (full[distance <= 0.9999] == 1).all()
    assert (full[distance > 1.0001] < 1).all()
    rim = max(0.15, 1 / min(radius_x, radius_y))
    assert (full[distance > 1.001 + rim] == 0).all()
    assert ((full >= 0) & (full <= 1)).all()


@pytest.mark.parametrize(
    "box", [(-90, 10, -50, 60), (300, 10, 350, 60), (10, -90, 60, -50), (10, 300, 60, 350)]
)
def test_a_face_outside_of_the_image_needs_no_cover(box):
    assert ellipse_alpha(np.array(box, np.float32), (120, 200)) is None


def test_a_corner_that_only_the_square_around_the_ellipse_reaches_needs_no_cover():
    assert ellipse_alpha(np.array([-100, -100, -2, -2], np.float32), (120, 200)) is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_box_without_a_place_is_an_error_not_an_uncovered_face(value):
    with pytest.raises(FaceError, match="redaction: the box is not finite"):
        ellipse_alpha(np.array([1, 2, value, 4], np.float32), (120, 200))


# --- how ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_outside_of_alpha_every_bit_stays(method):
    pixels = texture(90, 70)
    before = pixels.copy()
    alpha = ellipse_alpha(np.array([15, 15, 55, 70], np.float32), (90, 70))[2]
    alpha = np.pad(alpha, ((0, 90 - alpha.shape[0]), (0, 70 - alpha.shape[1])))
    out = cover(pixels, alpha, method, rng=rng())
    assert (alpha == 0).sum() > 1000
    assert np.array_equal(out[alpha == 0], pixels[alpha == 0])
    assert np.array_equal(pixels, before)
    assert (out.dtype, out.shape) == (np.uint8, pixels.shape)


@pytest.mark.parametrize(("method", "numbers"), [("blur", 36), ("pixelate", 64), ("solid", 0)])
def test_a_cover_holds_only_a_few_numbers_of_the_face(method, numbers):
    """Covers of many faces span no more dimensions than there are means: the rest is lost."""
    count, size = 120, 20
    alpha = np.ones((size, size), np.float32)
    faces = [texture(size, size, seed) for seed in range(count)]
    covers = [cover(face, alpha, method, rng=rng()) for face in faces]
    one_channel = np.stack(covers)[..., 1].reshape(count, -1).astype(float)
    strengths = np.linalg.svd(one_channel - one_channel.mean(0), compute_uv=False) ** 2
    assert strengths[numbers:].sum() <= 0.002 * strengths.sum()  # rounding to whole levels
    original = np.stack(faces)[..., 1].reshape(count, -1)
    lost = np.linalg.svd(original - original.mean(0), compute_uv=False) ** 2
    assert lost[64:].sum() > 0.02 * lost.sum()  # the faces themselves span more


@pytest.mark.parametrize("method", METHODS)
def test_a_covered_face_looks_different(method):
    """A cover that does nothing must fail here."""
    pixels = texture(120, 100)
    out = cover(pixels, np.ones((120, 100), np.float32), method, rng=rng())
    assert np.abs(out.astype(int) - pixels).mean() > 15


@pytest.mark.parametrize(("method", "size", "cell"), [("blur", 60, 10), ("pixelate", 64, 8)])
def test_faces_with_the_same_few_means_become_the_same(method, size, cell):
    """Irreversible: two faces that differ only within the cells can't be told apart."""
    base = np.kron(
        rng().integers(80, 170, (size // cell, size // cell, 3)), np.ones((cell, cell, 1))
    )
    checks = np.indices((size, size)).sum(0)[..., None] % 2 * 40 - 20
    one, other = (base + checks).astype(np.uint8), (base - checks).astype(np.uint8)
    assert np.abs(one.astype(int) - other).min() == 40
    alpha = np.ones((size, size), np.float32)
    first = cover(one, alpha, method, rng=rng())
    assert np.array_equal(first, cover(other, alpha, method, rng=rng()))


def test_blocks_are_means_not_samples():
    """A sampled pixel would be a pixel of the face."""
    pixels = texture(64, 64)
    out = cover(pixels, np.ones((64, 64), np.float32), "pixelate", rng=rng())
    means = pixels.reshape(8, 8, 8, 8, 3).mean((1, 3))
    assert np.abs(out[4::8, 4::8] - means).max() <= 0.51
    assert np.array_equal(out, out[4::8, 4::8].repeat(8, 0).repeat(8, 1))


@pytest.mark.parametrize("method", METHODS)
def test_cover_face_changes_the_face_in_place_and_nothing_else(method):
    image = texture(100, 120)
    before = image.copy()
    found = Face([90, 20, 130, 70], np.zeros((5, 2)), 1.0)  # reaches over the border
    cover_face(image, found, method, rng=rng())
    assert np.abs(image[25:65, 95:].astype(int) - before[25:65, 95:]).mean() > 15
    assert np.array_equal(image[:, :80], before[:, :80])
    outside = Face([300, 20, 340, 70], np.zeros((5, 2)), 1.0)
    after = image.copy()
    cover_face(image, outside, method, rng=rng())
    assert np.array_equal(image, after)


def test_solid_keeps_nothing_at_all():
    alpha = np.ones((50, 40), np.float32)
    assert (cover(texture(50, 40), alpha, "solid", rng=rng()) == 128).all()


@pytest.mark.parametrize(
    "shape", [(64, 64), (100, 40), (33, 71), (300, 9), (5, 5), (1, 1), (2, 300)]
)
def test_pixelate_has_few_colours(shape):
    alpha = np.ones(shape, np.float32)
    out = cover(texture(*shape), alpha, "pixelate", rng=rng())
    assert len(np.unique(out.reshape(-1, 3), axis=0)) <= max(1, min(64, shape[0] * shape[1] // 4))


def test_a_face_cut_by_the_border_gets_no_finer_cells():
    out = cover(texture(80, 20), np.ones((80, 20), np.float32), "pixelate", rng=rng())
    assert len(np.unique(out.reshape(-1, 3), axis=0)) <= 8 * 2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (2, 3), (3, 2)])
def test_tiny_crops(method, shape):
    out = cover(texture(*shape), np.ones(shape, np.float32), method, rng=rng())
    assert out.shape == (*shape, 3)


def test_the_seed_decides_the_grain_and_nothing_else_does():
    pixels, alpha = texture(60, 60), np.ones((60, 60), np.float32)
    first = cover(pixels, alpha, "blur", rng=rng())
    assert np.array_equal(first, cover(pixels, alpha, "blur", rng=rng()))
    other = cover(pixels, alpha, "blur", rng=np.random.default_rng(9))
    assert 0 < np.abs(first.astype(int) - other).mean() < 12


def test_grain_follows_the_photo():
    smooth = np.full((80, 80, 3), 120, np.uint8)
    noisy = np.clip(120 + rng().normal(0, 4, (80, 80, 1)), 0, 255).repeat(3, 2).astype(np.uint8)
    alpha = np.ones((80, 80), np.float32)
    assert cover(smooth, alpha, "blur", rng=rng()).std() == 0
    grain = np.diff(cover(noisy, alpha, "blur", rng=rng())[..., 0].astype(float)).std() / 2**0.5
    assert 3 < grain < 5


def test_wrong_use():
    pixels, alpha = texture(20, 20), np.ones((20, 20), np.float32)
    with pytest.raises(InputError, match="one of blur, pixelate, solid, not 'mosaic'"):
        cover(pixels, alpha, "mosaic", rng=rng())
    with pytest.raises(ValueError, match=r"got \(20, 20, 3\) and \(19, 20\)"):
        cover(pixels, alpha[1:], "blur", rng=rng())
