"""Losses, weight average and Frechet distance against slow or closed forms."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")

from torch import Tensor, nn  # noqa: E402

from generators.ema import average_decay, update_average  # noqa: E402
from generators.frechet import describe, frechet_distance, moments  # noqa: E402
from generators.losses import (  # noqa: E402
    PathLength,
    discriminator_loss,
    generator_loss,
    lazy_adam,
    mixed_styles,
    r1_penalty,
)
from generators.stylegan2_ada.augment import AugmentPipe  # noqa: E402
from generators.stylegan2_ada.mapping import MappingNetwork  # noqa: E402


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rng(seed))


def test_adversarial_losses_are_the_logarithms_of_the_paper() -> None:
    fake, real = normal(6, 1), normal(6, 1, seed=1)
    expected = -(fake.sigmoid().log()).mean()
    assert torch.allclose(generator_loss(fake), expected)
    expected = -(1 - fake.sigmoid()).log().mean() - real.sigmoid().log().mean()
    assert torch.allclose(discriminator_loss(fake, real), expected)
    # Saturated logits still teach: the gradient for a fake surely recognised is -1.
    sure = torch.tensor([[-200.0]], requires_grad=True)
    generator_loss(sure).backward()
    assert sure.grad is not None
    assert float(sure.grad) == pytest.approx(-1)


def test_r1_of_a_linear_discriminator_is_its_squared_norm() -> None:
    weight = normal(3 * 4 * 4).requires_grad_()
    images = normal(5, 3, 4, 4, seed=1).requires_grad_()
    penalty = r1_penalty((images.flatten(1) @ weight)[:, None], images, gamma=8.0)
    assert torch.allclose(penalty, 4 * weight.square().sum())
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert torch.allclose(gradient, 8 * weight)


def test_r1_reaches_through_the_augmentation() -> None:
    weight = normal(3, 16, 16).requires_grad_()
    images = normal(4, 3, 16, 16, seed=1).requires_grad_()
    seen = AugmentPipe(p=1.0)(images, rng=rng(2))
    penalty = r1_penalty((seen * weight).sum(dim=(1, 2, 3))[:, None], images, gamma=1.0)
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert gradient.isfinite().all()
    assert not torch.allclose(penalty, weight.square().sum() / 2)  # not the linear one's alone


def test_path_length_of_a_linear_generator_is_its_norm() -> None:
    # image = M w, one layer: the length for direction y is |M^T y| / side.
    matrix = normal(3 * 8 * 8, 5).requires_grad_()
    ws = normal(4, 1, 5, seed=1).requires_grad_()
    images = (ws[:, 0] @ matrix.T).reshape(4, 3, 8, 8)
    path = PathLength(torch.tensor(2.0))
    penalty = path.penalty(images, ws, rng=rng(7))
    lengths = (normal(4, 192, seed=7) @ matrix).norm(dim=1) / 8
    mean = 0.99 * 2.0 + 0.01 * lengths.mean()
    assert torch.allclose(path.mean, mean)
    assert torch.allclose(penalty, (lengths - mean).square().mean())
    penalty.backward()
    assert matrix.grad is not None
    assert float(matrix.grad.abs().max()) > 0


def test_path_length_averages_over_layers() -> None:
    ws = normal(2, 3, 4).requires_grad_()
    images = ws.mean(dim=(1, 2))[:, None, None, None].expand(2, 1, 8, 8)
    path = PathLength(torch.tensor(0.0))
    path.penalty(images, ws, rng=rng(3))
    direction = normal(2, 1, 8, 8, seed=3).sum(dim=(1, 2, 3)) / 8
    lengths = (direction / 12).abs() * math.sqrt(4)  # 3 equal layers of 4 equal slopes
    assert torch.allclose(path.mean, 0.01 * lengths.mean(), rtol=1e-3)


@pytest.fixture
def mapping() -> MappingNetwork:
    torch.manual_seed(0)
    return MappingNetwork(z_dim=6, w_dim=5, num_ws=4, num_layers=1)


def test_styles_are_mixed_at_one_layer(mapping: MappingNetwork) -> None:
    ws = mixed_styles(mapping, torch.zeros(400, 0), probability=0.5, rng=rng())
    changes = (ws[:, 1:] != ws[:, :-1]).any(dim=2)  # (400, 3)
    assert int(changes.sum(dim=1).max()) == 1
    assert 150 < int(changes.any(dim=1).sum()) < 250
    assert (changes.sum(dim=0) > 40).all()  # every layer is a place to split
    plain = mixed_styles(mapping, torch.zeros(40, 0), probability=0, rng=rng())
    assert torch.equal(plain, plain[:, :1].expand_as(plain))
    always = mixed_styles(mapping, torch.zeros(40, 0), probability=1, rng=rng())
    assert (always[:, 0] != always[:, -1]).any(dim=1).all()


def test_mixing_moves_the_running_mean_only_when_asked(mapping: MappingNetwork) -> None:
    mixed_styles(mapping, torch.zeros(8, 0), probability=1, rng=rng())
    assert not mapping.w_avg.any()
    mixed_styles(mapping, torch.zeros(8, 0), probability=1, rng=rng(), update_average=True)
    assert mapping.w_avg.any()


def test_the_lazy_correction_keeps_the_pace() -> None:
    rate, betas = lazy_adam(learning_rate=0.0025, betas=(0.0, 0.99), interval=16)
    assert rate * 17 == pytest.approx(0.0025 * 16)
    assert betas[0] == 0
    assert betas[1] ** 17 == pytest.approx(0.99**16)
    assert lazy_adam(learning_rate=0.1, betas=(0.5, 0.9), interval=0) == (0.1, (0.5, 0.9))


def test_the_average_forgets_by_half_in_a_half_life() -> None:
    torch.manual_seed(0)
    network, average = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    start = torch.tensor([1.0, 2.0, 3.0])
    average.weight.data = start.clone()
    network.weight.data = torch.zeros(3)
    network.running_mean = torch.tensor([5.0, 6.0, 7.0])
    decay = average_decay(images=10**9, batch=10, half_life=80, ramp=0.05)
    for _ in range(8):
        update_average(average, network, decay=decay)
    assert torch.allclose(average.weight, start / 2)
    assert torch.equal(average.running_mean, network.running_mean)  # buffers are copied
    assert torch.equal(network.weight, torch.zeros(3))


def test_the_half_life_ramps_up() -> None:
    decays = [
        average_decay(images=n, batch=32, half_life=10_000, ramp=0.05) for n in (0, 640, 10**5)
    ]
    assert decays == [0.0, 0.5, 0.5 ** (32 / 5000)]
    full = average_decay(images=0, batch=32, half_life=10_000, ramp=0)
    assert full == average_decay(images=10**9, batch=32, half_life=10_000, ramp=0.05)


def test_the_frechet_distance_of_normal_distributions() -> None:
    # Diagonal covariances: sum of (mean difference)^2 + (difference of deviations)^2.
    a = normal(500_000, 3).double() * torch.tensor([1.0, 2.0, 3.0]) + torch.tensor([0.0, 1.0, 0.0])
    b = normal(500_000, 3, seed=1).double() * torch.tensor([2.0, 2.0, 1.0])
    distance = frechet_distance(moments(a), moments(b))
    assert distance == pytest.approx(1 + 1 + 4, abs=0.05)
    assert frechet_distance(moments(a), moments(a)) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(moments(b), moments(a)) == pytest.approx(distance)


def test_fewer_images_than_features_are_no_trouble() -> None:
    a, b = moments(normal(10, 40)), moments(normal(10, 40, seed=1) + 1)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(a, b) > 30


def test_images_are_described_in_batches_of_one_size_after_another() -> None:
    class Colours(nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
            assert images.shape[2:] == (16, 16)
            return images.mean(dim=(2, 3)), []

    stream = rng()
    counts = []

    def draw(count: int) -> Tensor:
        counts.append(count)
        return torch.rand(count, 3, 8, 8, generator=stream)

    found = describe(draw, Colours(), count=120, side=16)  # type: ignore[arg-type]
    assert counts == [50, 50, 20]
    assert torch.allclose(found.mean, torch.full((3,), 0.5).double(), atol=0.02)
    assert found.covariance.shape == (3, 3)
