"""The network equals the shipped model, and reads biubug6's format or says what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")
pytest.importorskip("onnx", reason="training/ needs the extra 'train'")

import torch

from anonyface.errors import InputError
from anonyface.runtime import open_session
from training.retinaface.checkpoints import (
    from_state_dict,
    load_onnx,
    load_pth,
    to_state_dict,
)
from training.retinaface.network import RetinaFace
from training.retinaface.pictures import to_input

SMALL = {
    "body.stage1.0.0.weight": (8, 3, 3, 3),
    "body.stage1.1.0.weight": (8, 1, 3, 3),
    "body.stage1.5.4.running_mean": (64,),
    "body.stage2.5.3.weight": (128, 128, 1, 1),
    "body.stage3.1.4.bias": (256,),
    "fpn.output3.0.weight": (64, 256, 1, 1),
    "fpn.merge1.1.weight": (64,),
    "ssh2.conv3X3.0.weight": (32, 64, 3, 3),
    "ssh1.conv7x7_3.0.weight": (16, 16, 3, 3),
    "ClassHead.0.conv1x1.weight": (4, 64, 1, 1),
    "BboxHead.2.conv1x1.bias": (8,),
    "LandmarkHead.1.conv1x1.weight": (20, 64, 1, 1),
}
LARGE = {
    "body.conv1.weight": (64, 3, 7, 7),
    "body.bn1.running_var": (64,),
    "body.layer1.0.downsample.0.weight": (256, 64, 1, 1),
    "body.layer2.0.conv2.weight": (128, 128, 3, 3),
    "body.layer4.2.bn3.weight": (2048,),
    "fpn.output1.0.weight": (256, 512, 1, 1),
    "ssh3.conv5X5_1.0.weight": (64, 256, 3, 3),
    "LandmarkHead.0.conv1x1.weight": (20, 256, 1, 1),
}
"""Names and shapes of the format, written down apart from the code that makes them."""


def shaken(backbone: str, seed: int) -> RetinaFace:
    """A network with random weights and random statistics of its norms."""
    torch.manual_seed(seed)
    network = RetinaFace(backbone, traits=False)
    for name, value in network.state_dict().items():
        if "running" in name:
            value.uniform_(0.5, 1.5)
    return network.eval()


def test_outputs_equal_the_shipped_model(detector: RetinaFace, scene: np.ndarray) -> None:
    x = to_input(scene[None, :576, :544])
    want = open_session("detector", threads=1).run(
        ["loc", "conf", "landmarks"], {"input": x.numpy()}
    )
    with torch.no_grad():
        got = detector(x)
    assert want[1][..., 1].max() > 0.9
    for a, b in zip(want, (got.boxes, got.logits.softmax(-1), got.landmarks), strict=True):
        np.testing.assert_allclose(b.numpy(), a, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    ("backbone", "some", "count"), [("mobilenet-0.25", SMALL, 300), ("resnet-50", LARGE, 456)]
)
def test_a_state_dict_comes_back(
    backbone: str, some: dict[str, tuple[int, ...]], count: int
) -> None:
    network = shaken(backbone, 1)
    state = to_state_dict(network)
    assert len(state) == count
    assert {n: tuple(state[n].shape) for n in some} == some
    back = from_state_dict({f"module.{n}": t for n, t in state.items()})
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        want, got, other = network(x), back(x), shaken(backbone, 2)(x)
    for name in ("boxes", "logits", "landmarks"):
        assert torch.equal(getattr(want, name), getattr(got, name))
        assert not torch.allclose(getattr(want, name), getattr(other, name), atol=1e-3)
    assert want.boxes.shape == (1, 2 * (8 * 12 + 4 * 6 + 2 * 3), 4)


def test_folded_norms_change_nothing() -> None:
    network = shaken("mobilenet-0.25", 3)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        want = network(x)
        network.fold()
        got = network(x)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    torch.testing.assert_close(got.landmarks, want.landmarks, atol=1e-4, rtol=1e-4)
    back = from_state_dict(to_state_dict(network))
    with torch.no_grad():
        assert torch.equal(back(x).boxes, got.boxes)


def test_a_file_with_or_without_a_wrapper(tmp_path: Path) -> None:
    state = to_state_dict(shaken("mobilenet-0.25", 4))
    for number, content in enumerate((state, {"state_dict": state, "epoch": 3})):
        path = tmp_path / f"{number}.pth"
        torch.save(content, path)
        assert torch.equal(
            to_state_dict(load_pth(path))["fpn.merge2.0.weight"], state["fpn.merge2.0.weight"]
        )


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("exploded"),))


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"body.stage1.0.0.weight": Bomb()}, "bomb.pth")
    with pytest.raises(InputError, match="more than tensors"):
        load_pth(Path("bomb.pth"))
    assert not Path("exploded").exists()


def test_what_is_wrong_is_said_in_a_line(tmp_path: Path) -> None:
    state = to_state_dict(shaken("mobilenet-0.25", 5))
    name = "ssh1.conv3X3.0.weight"
    with pytest.raises(InputError, match=rf"1 weights are missing, the first is {name}"):
        from_state_dict({n: t for n, t in state.items() if n != name})
    with pytest.raises(InputError, match="has shape"):
        from_state_dict({**state, name: torch.zeros(1, 64, 3, 3)})
    with pytest.raises(InputError, match="have no place, the first is other"):
        from_state_dict({**state, "other": torch.zeros(1)})
    with pytest.raises(InputError, match="no RetinaFace"):
        from_state_dict({"conv.weight": torch.zeros(1)})
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"PK\x03\x04 nothing")
    for path, what in ((tmp_path / "none.pth", "no checkpoint"), (broken, "damaged")):
        with pytest.raises(InputError, match=what):
            load_pth(path)
    broken.with_suffix(".onnx").write_bytes(b"\x00not a model")
    for name in ("broken.onnx", "none.onnx"):
        with pytest.raises(InputError, match=r"no ONNX model|convolutions"):
            load_onnx(tmp_path / name)
