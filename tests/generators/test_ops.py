"""Every fast operation against its slow twin."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")

from generators.stylegan2_ada import ops, reference  # noqa: E402
from generators.stylegan2_ada.resample import SYM6  # noqa: E402

LOPSIDED = (0.1, 0.6, 0.4, 0.2)
"""Not symmetric, so that a turned filter shows."""

FILTERS = [ops.BINOMIAL, LOPSIDED, SYM6]


def normal(*shape: int, seed: int = 0) -> Any:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def close(got: Any, want: Any) -> None:
    torch.testing.assert_close(got, want, atol=1e-9, rtol=1e-9)


def taps(values: Any) -> Any:
    return ops.fir_filter(values).double()


@pytest.mark.parametrize("values", FILTERS)
def test_upsample(values: Any) -> None:
    x = normal(2, 3, 6, 5)
    close(ops.upsample(x, taps(values)), reference.upsample(x, taps(values)))


@pytest.mark.parametrize("values", FILTERS)
def test_downsample(values: Any) -> None:
    x = normal(2, 3, 16, 18)
    want = reference.downsample(x, taps(values))
    close(ops.downsample(x, taps(values)), want)
    # Trimmed by whole pixels: the inside of the same picture, and no zero has entered it.
    close(ops.downsample(x, taps(values), trim=6), want[..., 3:-3, 3:-3])


@pytest.mark.parametrize("values", FILTERS)
def test_a_constant_stays_constant_away_from_the_border(values: Any) -> None:
    y = ops.upsample(torch.ones(1, 1, 12, 12).double(), taps(values))[..., 6:-6, 6:-6]
    # LOPSIDED is the one whose odd and even taps have different sums.
    assert y.allclose(torch.ones_like(y), atol=1e-6) == (values != LOPSIDED)


@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("values", [ops.BINOMIAL, LOPSIDED])
def test_conv_resample(side: int, values: Any) -> None:
    x, weight = normal(2, 3, 8, 6), normal(4, 3, side, side, seed=1)
    close(ops.conv_resample(x, weight), reference.correlate(x, weight))
    up = ops.conv_resample(x, weight, taps(values), resample="up")
    close(up, reference.conv_up(x, weight, taps(values)))
    down = ops.conv_resample(x, weight, taps(values), resample="down")
    close(down, reference.conv_down(x, weight, taps(values)))


def test_conv_resample_needs_a_filter() -> None:
    with pytest.raises(ValueError, match="filter"):
        ops.conv_resample(normal(1, 1, 4, 4), normal(1, 1, 3, 3), resample="up")
    with pytest.raises(ValueError, match="even"):
        ops.fir_filter([1, 2, 1])


@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_conv(demodulate: bool) -> None:
    x, weight, styles = normal(3, 4, 5, 6), normal(2, 4, 3, 3, seed=1), normal(3, 4, seed=2)
    got = ops.modulated_conv(x, weight, styles, demodulate=demodulate)
    close(got, reference.modulated_conv(x, weight, styles, demodulate=demodulate))


@pytest.mark.parametrize("channels", [1, 2])
def test_minibatch_stddev(channels: int) -> None:
    x = normal(6, 4, 3, 3).float()
    got = ops.minibatch_stddev(x, group_size=3, channels=channels)
    want = reference.minibatch_stddev(x, group_size=3, channels=channels)
    torch.testing.assert_close(got, want)


def test_minibatch_stddev_groups() -> None:
    x = normal(6, 4, 3, 3).float()
    whole = ops.minibatch_stddev(x, group_size=None)
    torch.testing.assert_close(whole, ops.minibatch_stddev(x, group_size=99))
    with pytest.raises(ValueError, match="divide"):
        ops.minibatch_stddev(x, group_size=4)


def test_bias_act() -> None:
    x = torch.tensor([[-1.0, 0.5, 100.0]])
    got = ops.bias_act(x, torch.tensor([0.0, 0.5, 0.0]), activation="lrelu", gain=0.5, clamp=4.0)
    want = torch.tensor([[-0.1 * 2**0.5, 0.5 * 2**0.5, 2.0]])
    torch.testing.assert_close(got, want)


def test_normalized_latents_have_mean_square_one() -> None:
    z = ops.normalize_second_moment(normal(5, 16) * 7)
    close(z.square().mean(dim=1), torch.ones(5).double())
