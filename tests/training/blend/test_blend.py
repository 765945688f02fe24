"""Blending: what the network may do, what it is shown, and that it can learn."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="training needs the extra 'train' (torch)")
pytest.importorskip("onnx", reason="training needs the extra 'train' (onnx)")
pytest.importorskip("sklearn", reason="training needs the extra 'train' (scikit-learn)")

import onnxruntime  # noqa: E402

from anonyface.identities.people import portrait_face  # noqa: E402
from anonyface.landmarks.mesh import FaceMesh  # noqa: E402
from training.blend.export import answer, to_onnx  # noqa: E402
from training.blend.network import LIMIT, SHRUNK, BlendNetwork, enlarge, to_input  # noqa: E402
from training.blend.pairs import Maker, relit  # noqa: E402
from training.blend.spoil import Batch, spoiled, varied  # noqa: E402
from training.blend.train import Run, errors, loss  # noqa: E402

SIDE = 64


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Smooth pictures with a round face in them, which is right."""
    rng = torch.Generator().manual_seed(1)
    coarse = 60 + 120 * torch.rand(8, 3, 4, 4, generator=rng)
    photo = torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic")
    line = torch.linspace(-1, 1, SIDE)
    alpha = ((0.6 - torch.hypot(line, line[:, None])) * 8).clamp(0, 1)
    masks = torch.stack([255 * alpha, torch.full_like(alpha, 255)]).repeat(8, 1, 1, 1)
    return Batch(photo.clamp(10, 245), photo.clamp(10, 245), masks)


def test_it_begins_with_doing_nothing(batch: Batch) -> None:
    field = BlendNetwork().eval()(to_input(batch.mixed(), batch.masks))
    assert field.shape == (8, 3, 32, 32)
    assert not field.any()


def test_the_field_is_bounded_and_smooth(batch: Batch) -> None:
    torch.manual_seed(0)
    network = BlendNetwork().eval()
    torch.nn.init.normal_(network.last.weight, std=50)
    field = network(to_input(batch.mixed(), batch.masks))
    assert float(field.detach().abs().max()) <= LIMIT
    network.kernel[:] = 0
    network.kernel[:, :, 2, 2] = 1
    rough = network(to_input(batch.mixed(), batch.masks))
    slopes = [float(f.diff(dim=3).detach().abs().mean()) for f in (field, rough)]
    assert slopes[0] < 0.8 * slopes[1]


def test_spoiling_changes_the_new_face_alone(batch: Batch) -> None:
    bad = spoiled(batch, torch.Generator().manual_seed(3))
    assert torch.equal(bad.photo, batch.photo)
    far = errors(bad)
    assert (far > 2).any()
    assert (far < 0.5).any()  # many stay as they are
    outside = (batch.alpha == 0).expand_as(batch.photo)
    assert torch.equal(bad.mixed()[outside], batch.photo[outside])


def test_other_photos_keep_the_truth(batch: Batch) -> None:
    other = varied(batch, torch.Generator().manual_seed(4))
    assert not torch.equal(other.photo, batch.photo)
    assert torch.equal(other.photo, other.new)
    assert (other.masks[:, 1] < 255).any()
    assert errors(other).max() == 0


def test_the_right_gain_has_no_loss(batch: Batch) -> None:
    gain = torch.zeros(8, 3, 32, 32)
    gain[:, 0] = 0.1
    bad = Batch(batch.photo, batch.new * (-enlarge(gain, SIDE)).exp(), batch.masks)
    assert loss(bad, gain) < 0.1 * loss(bad, torch.zeros_like(gain))
    assert errors(bad, gain).max() < 0.01 < 2.5 < errors(bad).min()


def test_it_learns_to_take_a_cast_away(batch: Batch) -> None:
    run = Run(steps=40)
    warm = torch.tensor([1.15, 1.0, 0.87])[:, None, None]
    bad = Batch(batch.photo, batch.new * warm, batch.masks)
    first = run.step(bad)
    for _ in range(39):
        last = run.step(bad)
    assert last < 0.6 * first


def test_the_exported_file_says_what_torch_says(batch: Batch) -> None:
    torch.manual_seed(2)
    network = BlendNetwork().eval()
    torch.nn.init.normal_(network.last.weight)
    session = onnxruntime.InferenceSession(
        to_onnx(network).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    seen = torch.cat([batch.mixed(), batch.masks], dim=1)[:1]
    large = torch.nn.functional.interpolate(seen, scale_factor=SHRUNK)
    with torch.no_grad():
        exact = network(to_input(seen[:, :3], seen[:, 3:])).numpy()
    assert np.abs(exact).max() > 0.05
    # Weights are stored in half precision.
    np.testing.assert_allclose(answer(session, large), exact, atol=5e-3)


def test_the_engine_puts_a_face_on_itself(people: list[NDArray[np.uint8]]) -> None:
    pixels = np.ascontiguousarray(people[0][::4, ::4])
    mesh = FaceMesh(threads=1)(pixels, [portrait_face(256)])[0]
    photo, new, masks = Maker()(pixels, mesh, np.random.default_rng(1))
    solid = masks[..., 0] > 250
    assert solid.mean() > 0.1
    off = np.abs(photo.astype(float) - new)[solid].mean()
    assert 0.5 < off < 25  # the same face in another picture
    assert np.abs(photo.astype(float) - relit(photo, np.random.default_rng(2))).mean() > 1
