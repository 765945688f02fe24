"""Shapes, truncation, noise and precision of the networks in several configurations."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")

from generators.stylegan2_ada import Discriminator, Generator  # noqa: E402
from generators.stylegan2_ada.mapping import MappingNetwork  # noqa: E402

SMALL: dict[str, Any] = {"channel_base": 256, "channel_max": 16}
LATENTS: dict[str, Any] = {"z_dim": 12, "w_dim": 10, "mapping_layers": 2}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def labels(n: int, c_dim: int) -> Any:
    return torch.eye(c_dim)[torch.arange(n) % c_dim] if c_dim else None


@pytest.mark.parametrize("architecture", ["orig", "skip", "resnet"])
@pytest.mark.parametrize(("c_dim", "resolution", "colours"), [(0, 64, 3), (5, 16, 1), (3, 8, 4)])
def test_shapes_and_gradients(architecture: Any, c_dim: int, resolution: int, colours: int) -> None:
    options = {"c_dim": c_dim, "img_resolution": resolution, "img_channels": colours}
    options |= {"architecture": architecture, "conv_clamp": 256}
    generator = Generator(**SMALL, **LATENTS, **options)
    discriminator = Discriminator(**SMALL, **options)
    image = generator(torch.randn(4, 12), labels(4, c_dim))
    assert image.shape == (4, colours, resolution, resolution)
    logits = discriminator(image, labels(4, c_dim))
    assert logits.shape == (4, 1)
    logits.sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_names_follow_the_published_checkpoints() -> None:
    skip = Discriminator(img_resolution=16, architecture="skip", **SMALL).state_dict()
    for side in (16, 8, 4):
        assert f"b{side}.fromrgb.weight" in skip
    residual = Generator(img_resolution=16, architecture="resnet", **SMALL, **LATENTS)
    names = set(residual.state_dict())
    assert {"synthesis.b16.skip.weight", "synthesis.b16.torgb.weight"} <= names
    assert not {"synthesis.b8.torgb.weight", "synthesis.b16.skip.bias"} & names
    assert not any("embed" in name for name in names)


def test_channels_and_styles_follow_the_options() -> None:
    generator = Generator(img_resolution=32, channel_base=256, channel_max=16, **LATENTS)
    state = generator.state_dict()
    widths = [state[f"synthesis.b{side}.conv1.weight"].shape[0] for side in (4, 8, 16, 32)]
    assert widths == [16, 16, 16, 8]
    assert generator.synthesis.num_ws == 8


@pytest.mark.parametrize("resolution", [4, 48, 0])
def test_a_bad_resolution_is_an_error(resolution: int) -> None:
    with pytest.raises(ValueError, match="power of 2"):
        Generator(img_resolution=resolution)


def test_bad_input_is_an_error() -> None:
    generator = Generator(img_resolution=8, c_dim=3, **SMALL, **LATENTS)
    with pytest.raises(ValueError, match=r"c must have shape \(N, 3\)"):
        generator(torch.randn(1, 12))
    with pytest.raises(ValueError, match="ws must have shape"):
        generator.synthesis(torch.randn(1, 3, 10))
    with pytest.raises(ValueError, match="image must be"):
        Discriminator(img_resolution=8, **SMALL)(torch.randn(1, 3, 16, 16))
    with pytest.raises(ValueError, match="architecture"):
        Generator(img_resolution=8, architecture="typo", **SMALL)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nothing to map"):
        MappingNetwork(z_dim=0)


def test_truncation() -> None:
    mapping = MappingNetwork(z_dim=6, w_dim=5, num_ws=4, num_layers=2)
    mapping.w_avg.copy_(torch.randn(5))
    z = torch.randn(3, 6)
    full = mapping(z)
    assert full.shape == (3, 4, 5)
    torch.testing.assert_close(mapping(z, psi=0.0), mapping.w_avg.expand(3, 4, 5))
    want = mapping.w_avg + 0.3 * (full - mapping.w_avg)
    torch.testing.assert_close(mapping(z, psi=0.3), want)
    part = mapping(z, psi=0.3, cutoff=1)
    torch.testing.assert_close(part[:, :1], want[:, :1])
    torch.testing.assert_close(part[:, 1:], full[:, 1:])
    torch.testing.assert_close(mapping(z * 9), full)  # latents are normalised


def test_the_running_mean_follows_the_batches() -> None:
    mapping = MappingNetwork(z_dim=6, w_dim=5, num_layers=1, w_avg_beta=0.9)
    z = torch.randn(8, 6)
    mapping(z)
    assert not mapping.w_avg.any()
    w = mapping(z, update_average=True)
    torch.testing.assert_close(mapping.w_avg, 0.1 * w.mean(dim=0))
    mapping(z, update_average=True)
    torch.testing.assert_close(mapping.w_avg, 0.19 * w.mean(dim=0))
    without = MappingNetwork(z_dim=6, w_dim=5, num_layers=1, w_avg_beta=None)
    with pytest.raises(ValueError, match="running mean"):
        without(z, psi=0.5)


def test_labels_matter() -> None:
    options: dict[str, Any] = {"img_resolution": 8, "c_dim": 2, **SMALL}
    z, image = torch.randn(1, 12), torch.randn(1, 3, 8, 8)
    one, other = torch.eye(2)[:1], torch.eye(2)[1:]
    generator, discriminator = Generator(**options, **LATENTS), Discriminator(**options)
    assert not torch.allclose(generator.mapping(z, one), generator.mapping(z, other))
    assert not torch.allclose(discriminator(image, one), discriminator(image, other))


def test_noise() -> None:
    generator = Generator(img_resolution=8, **SMALL, **LATENTS)
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.5)
    z = torch.randn(1, 12)
    const, none = (generator(z, noise=n) for n in ("const", "none"))
    assert torch.equal(const, generator(z, noise="const"))
    assert not torch.allclose(const, none)
    drawn = [generator(z, rng=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.allclose(drawn[0], drawn[2])


@pytest.mark.parametrize("architecture", ["skip", "resnet"])
def test_half_precision_stays_near_full(architecture: Any) -> None:
    options: dict[str, Any] = {"img_resolution": 16, "conv_clamp": 256, "num_fp16_res": 2}
    options |= {"architecture": architecture, **SMALL}
    generator, discriminator = Generator(**options, **LATENTS), Discriminator(**options)
    z = torch.randn(2, 12)
    full, mixed, auto = (
        generator(z, noise="const", precision=p) for p in ("full", "mixed", "auto")
    )
    assert mixed.dtype == torch.float32
    assert torch.equal(full, auto)  # no accelerator here
    assert not torch.equal(full, mixed)
    torch.testing.assert_close(mixed, full, atol=0.03, rtol=0.03)  # float16 has 11 bits
    scores = [discriminator(full, precision=p) for p in ("full", "mixed")]
    torch.testing.assert_close(scores[1], scores[0], atol=0.03, rtol=0.03)


def test_large_styles_don_t_overflow_half_precision() -> None:
    generator = Generator(img_resolution=16, num_fp16_res=2, conv_clamp=256, **SMALL, **LATENTS)
    ws = 3e4 * generator.mapping(torch.randn(2, 12))
    assert generator.synthesis(ws, noise="none", precision="mixed").isfinite().all()


def test_clamp_limits_the_output() -> None:
    generator = Generator(img_resolution=8, conv_clamp=0.01, **SMALL, **LATENTS)
    assert generator(torch.randn(2, 12)).abs().max() <= 0.02 + 1e-6  # two images are summed
