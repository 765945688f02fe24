"""A student learns to render what its teacher renders, in legs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")
pytest.importorskip("onnx", reason="reading the shipped generator needs onnx")
pytest.importorskip("safetensors", reason="states are safetensors")
pytest.importorskip("matplotlib", reason="curves need matplotlib")

from anonyface.errors import InputError  # noqa: E402
from generators.distillation import Distiller  # noqa: E402
from generators.moments import optimiser_tensors, restore_optimisers  # noqa: E402
from generators.recipes import RECIPES, Recipe, find_recipe  # noqa: E402
from generators.stylegan2_ada import Generator  # noqa: E402
from generators.teachers import Bank, ReferenceTeacher, feature_distance  # noqa: E402
from generators.trainer import TrainingError  # noqa: E402

CPU = torch.device("cpu")
TINY = Recipe(
    resolution=32,
    batch=8,
    channel_base=256,
    channel_max=16,
    learning_rate=0.01,
    adversarial_weight=0.0,
    ema_images=100,
    snapshot_images=16,
    w_dim=8,
    mapping_layers=2,
)


class Blobs:
    """A teacher whose pictures are discs: the style says where, how large and in which colour."""

    def __init__(self, side: int = 32) -> None:
        line = torch.linspace(-1, 1, side)
        self.y, self.x = torch.meshgrid(line, line, indexing="ij")

    def pairs(self, count: int, rng: Any) -> Any:
        w = torch.randn(count, 8, generator=rng)
        a = w.tanh()[:, :, None, None]
        distance = (self.x - a[:, 0] / 2).square() + (self.y - a[:, 1] / 2).square()
        disc = torch.sigmoid(20 * (0.3 + 0.2 * a[:, 2] - distance))[:, None]
        return w, (2 * disc - 1) * (0.7 + 0.3 * a[:, 3:6])


def mapping() -> dict[str, Any]:
    torch.manual_seed(9)
    generator = Generator(z_dim=8, w_dim=8, img_resolution=8, mapping_layers=2, channel_max=4)
    return dict(generator.mapping.state_dict())


def student(recipe: Recipe = TINY, **options: Any) -> Distiller:
    return Distiller(recipe, mapping=mapping(), device=CPU, seed=1, **options)


def learn(distiller: Distiller, steps: int) -> list[dict[str, float]]:
    teacher = Blobs()
    return [distiller.step(*teacher.pairs(8, distiller.rng)) for _ in range(steps)]


def same(a: Distiller, b: Distiller) -> bool:
    tensors = b.tensors()
    return all(torch.equal(v, tensors[k]) for k, v in a.tensors().items())


def test_twenty_steps_lower_the_pixel_loss() -> None:
    distiller = student()
    held_out = Blobs().pairs(16, torch.Generator().manual_seed(7))
    before = distiller.psnr(*held_out)
    losses = [step["pixel"] for step in learn(distiller, 20)]
    assert sum(losses[-4:]) < 0.6 * sum(losses[:4])
    assert distiller.psnr(*held_out) > before + 2  # the average, on pictures never shown
    assert distiller.images == 160
    state, given = distiller.G_ema.mapping.state_dict(), mapping()
    assert all(torch.equal(state[name], value) for name, value in given.items())


def test_the_picture_follows_the_style() -> None:
    distiller = student(replace(TINY, learning_rate=0.02))
    learn(distiller, 60)
    w, target = Blobs().pairs(16, torch.Generator().manual_seed(7))
    with torch.no_grad():
        image = distiller.render(w)
    right = (image - target).abs().mean()
    wrong = (image - target.roll(1, dims=0)).abs().mean()
    assert right < 0.8 * wrong


class Edges(torch.nn.Module):
    """Stands for the feature network: two maps of differences."""

    def forward(self, x: Any) -> Any:
        low = torch.nn.functional.avg_pool2d(x, 2)
        maps = [torch.cat([x, x.roll(1, 3) - x], 1), torch.cat([low, low.roll(1, 2) - low], 1)]
        return x.mean(dim=(2, 3)), maps


def test_every_loss_plays_its_part() -> None:
    recipe = replace(TINY, adversarial_weight=0.1, adversarial_from=16, r1_interval=2)
    distiller = student(recipe, features=Edges())
    before = {k: v.clone() for k, v in distiller.D.state_dict().items()}
    history = learn(distiller, 4)
    assert [set(step) for step in history] == [
        {"pixel", "features"},
        {"pixel", "features"},
        {"pixel", "features", "generator", "discriminator", "r1"},
        {"pixel", "features", "generator", "discriminator"},
    ]
    assert any(not torch.equal(v, before[k]) for k, v in distiller.D.state_dict().items())
    # A loss with weight changes what is learnt.
    results = [student(r, features=Edges()) for r in (TINY, replace(TINY, feature_weight=5.0))]
    for result in results:
        learn(result, 1)
    assert not same(*results)


def test_the_distance_by_features() -> None:
    a = Blobs().pairs(4, torch.Generator().manual_seed(1))[1].requires_grad_()
    b = Blobs().pairs(4, torch.Generator().manual_seed(2))[1]
    features = Edges()
    assert float(feature_distance(features, a.detach(), a.detach(), side=32)) == 0
    near = feature_distance(features, a, a.detach() + 0.01, side=32)
    far = feature_distance(features, a, b, side=32)
    assert 0 < near.item() < far.item()
    far.backward()
    assert a.grad is not None
    assert a.grad.abs().max() > 0
    seen: list[int] = []
    features.register_forward_pre_hook(lambda _, x: seen.append(x[0].shape[-1]))
    feature_distance(features, a, b, side=48)
    feature_distance(features, a, b, side=16)  # never made smaller
    assert seen == [48, 48, 32, 32]


def test_a_resumed_run_goes_on_bit_by_bit() -> None:
    recipe = replace(TINY, adversarial_weight=0.1, r1_interval=2)
    whole, first, second = student(recipe), student(recipe), student(recipe)
    learn(whole, 4)
    learn(first, 2)
    assert not same(whole, first)
    second.restore({k: v.clone() for k, v in first.tensors().items()}, first.facts())
    learn(second, 2)
    assert (second.images, second.steps) == (whole.images, whole.steps) == (32, 4)
    assert same(whole, second)
    without = student(recipe)
    without.restore(first.tensors(optimisers=False), first.facts())
    learn(without, 2)
    assert not same(whole, without)


def test_a_state_of_another_run_is_refused() -> None:
    distiller = student()
    with pytest.raises(InputError, match="another recipe"):
        student(replace(TINY, batch=4)).restore(distiller.tensors(), distiller.facts())
    tensors = distiller.tensors()
    del tensors["G.synthesis.b4.const"]
    with pytest.raises(InputError, match="does not fit") as caught:
        student().restore(tensors, distiller.facts())
    assert "\n" not in str(caught.value)


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    distiller = student()
    w, target = Blobs().pairs(8, distiller.rng)
    with pytest.raises(TrainingError, match="'pixel' is nan"):
        distiller.step(w, target * float("nan"))


def test_moments_go_into_names_and_back() -> None:
    def optimisers() -> dict[str, Any]:
        torch.manual_seed(0)
        return {n: torch.optim.Adam(torch.nn.Linear(2, 2).parameters()) for n in ("G", "D")}

    first, second = optimisers(), optimisers()
    for parameter in first["G"].param_groups[0]["params"]:
        parameter.grad = torch.ones_like(parameter)
    first["G"].step()
    tensors = optimiser_tensors(first)
    assert len(tensors) == 6  # two parameters: step and two moments each
    restore_optimisers(second, tensors)
    assert second["D"].state_dict()["state"] == {}
    again = optimiser_tensors(second)
    assert all(torch.equal(again[name], value) for name, value in tensors.items())


def test_a_bank_gives_its_teachers_pairs() -> None:
    bank = Bank(Blobs(), size=5, seed=3)
    w, images = bank.pairs(64, torch.Generator().manual_seed(0))
    whole = {tuple(row.tolist()): image for row, image in zip(bank.w, bank.images, strict=True)}
    assert len(whole) == 5
    rows = [tuple(row.tolist()) for row in w]
    assert set(rows) == set(whole)
    assert all(torch.equal(whole[row], image) for row, image in zip(rows, images, strict=True))


@pytest.mark.models
def test_the_shipped_teacher() -> None:
    teacher = ReferenceTeacher(resolution=64, device=CPU, psi=(0.5, 0.5))
    w, images = teacher.pairs(1, torch.Generator().manual_seed(0))
    assert images.shape == (1, 3, 64, 64)
    with torch.no_grad():
        portrait = teacher.generator.render(w)
    want = portrait.reshape(1, 3, 64, 4, 64, 4).mean(dim=(3, 5)).clamp(-1, 1)
    torch.testing.assert_close(images, want)
    recipe = replace(TINY, w_dim=512, mapping_layers=8)
    generator = recipe.generator(teacher.generator.mapping_state())
    z = torch.randn(2, 512)
    full = teacher.generator.truncate(teacher.generator.map(z), 0.7)
    torch.testing.assert_close(generator.mapping(z, psi=0.7)[:, 0], full, atol=1e-4, rtol=0)


def test_the_recipes_can_be_built() -> None:
    for recipe in RECIPES.values():
        with torch.device("meta"):
            shapes = Generator(z_dim=512, img_resolution=8, channel_max=1).mapping.state_dict()
            recipe.generator(dict(shapes))
            recipe.discriminator()
    with pytest.raises(InputError, match="there are cpu-32"):
        find_recipe("typo")
