"""The augmentations: identity, percentile mode, derivatives, the controller."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")

from generators.stylegan2_ada import transforms as tf  # noqa: E402
from generators.stylegan2_ada.adaptive import AdaptiveProbability  # noqa: E402
from generators.stylegan2_ada.augment import (  # noqa: E402
    ALL,
    COLOUR,
    GEOMETRIC,
    AugmentConfig,
    AugmentPipe,
)
from generators.stylegan2_ada.resample import SYM6, warp  # noqa: E402


def images(n: int = 2, side: int = 16, channels: int = 3) -> Any:
    """Smooth pictures: noise without its high frequencies."""
    rng = torch.Generator().manual_seed(3)
    small = torch.randn(n, channels, 6, 6, generator=rng)
    size = (side, side)
    return torch.nn.functional.interpolate(small, size, mode="bicubic", align_corners=False)


def test_the_wavelet_is_sym6() -> None:
    h = torch.tensor(SYM6, dtype=torch.float64)
    for shift in range(6):  # orthonormal to its even shifts
        product = (h[2 * shift :] * h[: 12 - 2 * shift]).sum()
        assert product == pytest.approx(float(shift == 0), abs=1e-9)
    sign = torch.tensor([1.0, -1.0] * 6, dtype=torch.float64)
    position = torch.arange(12, dtype=torch.float64)
    for power in range(6):  # six vanishing moments
        assert (h * sign * position**power).sum() == pytest.approx(0, abs=1e-10 * 11**power)


def test_nothing_happens_at_probability_zero() -> None:
    x = images()
    assert torch.equal(AugmentPipe(p=0.0)(x), x)
    pipe = AugmentPipe(AugmentConfig())
    assert torch.equal(pipe(x), x)


def test_the_identity_warp_changes_nothing() -> None:
    x = images()
    torch.testing.assert_close(warp(x, torch.eye(3).repeat(2, 1, 1)), x, atol=1e-5, rtol=0)


EXACT = 2e-5
MIRRORED = 0.1
"""sym6 is not quite symmetric: mirrored in between, up and down filter don't cancel exactly."""


@pytest.mark.parametrize(
    ("config", "percentile", "want", "atol"),
    [
        (AugmentConfig(xflip=1), 0.6, lambda x: x.flip(3), MIRRORED),
        (AugmentConfig(rotate90=1), 0.3, lambda x: x.rot90(1, (2, 3)), MIRRORED),
        (AugmentConfig(rotate90=1), 0.6, lambda x: x.flip(2, 3), MIRRORED),
        (AugmentConfig(brightness=1), 0.8, lambda x: x + 0.2 * 0.5951161, EXACT),
        (AugmentConfig(lumaflip=1), 0.6, lambda x: x - 2 * x.mean(dim=1, keepdim=True), EXACT),
        (AugmentConfig(hue=1), 5 / 6, lambda x: x.roll(1, dims=1), EXACT),
        (AugmentConfig(contrast=1), 0.8, lambda x: x * 2 ** (0.5 * 0.5951161), EXACT),
        (AugmentConfig(saturation=1), 0.5, lambda x: x, EXACT),
    ],
)
def test_single_augmentations(config: Any, percentile: float, want: Any, atol: float) -> None:
    x = images(side=64)
    got = AugmentPipe(config)(x, debug_percentile=percentile)
    torch.testing.assert_close(got, want(x), atol=atol, rtol=0)


def test_whole_pixel_shift() -> None:
    x = images()
    got = AugmentPipe(AugmentConfig(xint=1))(x, debug_percentile=1.0)
    torch.testing.assert_close(
        got[..., 2:, 2:], x[..., :-2, :-2], atol=2e-5, rtol=0
    )  # 0.125 x 16 px
    torch.testing.assert_close(got[..., 2:, 1], x[..., :-2, 1], atol=2e-5, rtol=0)  # reflected


def test_fractional_moves_interpolate_smooth_pictures() -> None:
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")

    def wave(dx: float, dy: float) -> Any:
        return torch.sin((x - dx) / 4) * torch.cos((y - dy) / 5)

    inverse = tf.translate_2d(torch.tensor([-0.3]), torch.tensor([0.7]))
    got = warp(wave(0, 0)[None, None], inverse)[0, 0]
    torch.testing.assert_close(got[8:-8, 8:-8], wave(0.3, -0.7)[8:-8, 8:-8], atol=0.02, rtol=0)


def test_each_image_is_augmented_on_its_own() -> None:
    x = images(1).repeat(16, 1, 1, 1)
    rng = torch.Generator().manual_seed(1)
    y = AugmentPipe(AugmentConfig(xflip=1), p=0.5)(x, rng=rng)
    flipped = [not torch.allclose(a, b, atol=1e-4) for a, b in zip(x, y, strict=True)]
    assert 0 < sum(flipped) < 16  # a quarter of them on average
    again = AugmentPipe(AugmentConfig(xflip=1), p=0.5)(x, rng=rng.manual_seed(1))
    assert torch.equal(y, again)


def test_grey_images_and_wide_ones() -> None:
    pipe = AugmentPipe()
    assert pipe(images(channels=1)).shape == (2, 1, 16, 16)
    assert pipe(images()[:, :, :10]).shape == (2, 3, 10, 16)
    colours = AugmentConfig(**dict.fromkeys(COLOUR, 1.0))
    with pytest.raises(ValueError, match="1 or 3 channels"):
        AugmentPipe(colours)(images(channels=2))


@pytest.mark.parametrize("name", GEOMETRIC + COLOUR)
def test_each_augmentation_does_something(name: str) -> None:
    x = images()
    torch.manual_seed(1)
    outcomes = [AugmentPipe(replace(AugmentConfig(), **{name: 1.0}))(x) for _ in range(4)]
    assert any(not torch.allclose(y, x, atol=1e-3) for y in outcomes)
    assert all(y.isfinite().all() for y in outcomes)


def test_the_rotation_probability_is_shared_by_two() -> None:
    # p_rot = 1 - sqrt(1 - p): neither happens with probability 1 - p.
    x = images(1, side=8).repeat(400, 1, 1, 1)
    rng = torch.Generator().manual_seed(0)
    y = AugmentPipe(AugmentConfig(rotate=1), p=0.5)(x, rng=rng)
    share = ((y - x).abs().amax(dim=(1, 2, 3)) > 1e-3).float().mean()
    assert share == pytest.approx(0.5, abs=0.08)  # 3 standard deviations


def test_twice_differentiable() -> None:
    x = images(1, side=8, channels=3).requires_grad_()
    pipe = AugmentPipe(ALL)
    y = pipe(x, debug_percentile=0.4)
    (gradient,) = torch.autograd.grad(y.square().sum() / 2, x, create_graph=True)
    # The pipe is affine, y = A x + b, so the gradient is A' y, and of half its square A A' A'y.
    (second,) = torch.autograd.grad(gradient.square().sum() / 2, x)
    step = 1e-2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))

    def half_square(at: Any) -> Any:
        at = at.detach().requires_grad_()
        out = pipe(at, debug_percentile=0.4).square().sum() / 2
        return torch.autograd.grad(out, at)[0].square().sum() / 2

    slope = (half_square(x + step) - half_square(x - step)) / 2
    assert float(slope) == pytest.approx(float((second * step).sum()), rel=1e-3)


def test_the_probability_rises_with_overfitting_only() -> None:
    control = AdaptiveProbability(ramp_images=1000)
    control.observe(torch.tensor([1.0, 2.0, 3.0, 0.1]))
    assert control.step(100) == pytest.approx(0.1)
    control.observe(torch.tensor([1.0, -2.0]))
    assert control.step(50) == pytest.approx(0.05)
    assert control.step(50) == pytest.approx(0.05)  # nothing observed
    control.observe(torch.tensor([-1.0]))
    assert control.step(999) == 0.0
    control.observe(torch.tensor([1.0]))
    assert control.step(10_000) == 1.0
    pipe = AugmentPipe()
    pipe.set_probability(control.p)
    assert pipe.p.item() == 1.0
