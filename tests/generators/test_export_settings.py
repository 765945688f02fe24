"""What the tensors of a file say about its generator, and what one that fits nothing gets told."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")
pytest.importorskip("onnx", reason="exporting needs onnx")
pytest.importorskip("safetensors", reason="exporting needs safetensors")

from generators.checkpoint import Network  # noqa: E402
from generators.errors import CheckpointError  # noqa: E402
from generators.settings import (  # noqa: E402
    UnknownArchitecture,
    build_generator,
    infer_settings,
    pick_network,
)
from generators.stylegan2_ada import Discriminator  # noqa: E402

from .test_export import NARROW, ODD, make  # noqa: E402


@pytest.mark.parametrize("name", ODD)
def test_settings_are_read_off_the_tensors(name: str) -> None:
    generator = make(**ODD[name])
    settings = infer_settings(Network(generator.state_dict()))
    for key, value in ODD[name].items():
        if key != "channel_base":  # any base that gives the same features is right
            assert getattr(settings, key) == value, key
    rebuilt = build_generator(Network(generator.state_dict()))
    assert {k: v.shape for k, v in rebuilt.state_dict().items()} == {
        k: v.shape for k, v in generator.state_dict().items()
    }
    z, c = torch.randn(2, settings.z_dim), torch.ones(2, settings.c_dim)
    torch.testing.assert_close(rebuilt(z, c, noise="const"), generator(z, c, noise="const"))


@pytest.mark.parametrize(
    ("base", "most"), [(64, 512), (500, 64), (511, 64), (33, 7), (4096, 16), (100, 25)]
)
def test_every_rule_of_features_is_found(base: int, most: int) -> None:
    options: dict[str, Any] = {"z_dim": 2, "w_dim": 2, "mapping_layers": 1, "img_resolution": 32}
    state = make(channel_base=base, channel_max=most, **options).state_dict()
    assert build_generator(Network(state)).state_dict().keys() == state.keys()


def test_half_precision_and_left_out_filters_are_fine() -> None:
    generator = make(**ODD["unconditional, 64 px"])
    state = {k: v.half() for k, v in generator.state_dict().items() if "resample" not in k}
    rebuilt = build_generator(Network(state))
    z = torch.randn(1, 12)
    assert rebuilt(z).dtype == torch.float32
    torch.testing.assert_close(
        rebuilt(z, noise="const"), generator(z, noise="const"), atol=0.05, rtol=0.05
    )


def without(name: str) -> Any:
    return lambda state: state.pop(name)


def reshaped(name: str, *shape: int) -> Any:
    return lambda state: state.update({name: torch.zeros(shape)})


def huge(state: dict[str, Any]) -> None:
    """Claim a million features at every resolution, with four bytes of data."""
    for side in (4, 8, 16):
        claim = torch.zeros(1).expand(10**6, 16, 3, 3)
        state[f"synthesis.b{side}.conv1.weight"] = claim


STRANGE: dict[str, tuple[Any, str]] = {
    "no blocks": (lambda s: [s.pop(k) for k in list(s) if ".conv1." in k], "found none"),
    "a block missing": (without("synthesis.b8.conv1.weight"), "found 4, 16"),
    "a layer missing": (without("mapping.fc0.bias"), "lacks mapping.fc0.bias"),
    "no mapping": (without("mapping.fc0.weight"), "no tensor mapping.fc0.weight"),
    "no colours": (without("synthesis.b16.torgb.weight"), "no tensor synthesis.b16.torgb"),
    "a tensor too many": (reshaped("synthesis.b4.extra", 1), "has synthesis.b4.extra"),
    "another kernel": (reshaped("synthesis.b8.conv0.weight", 16, 16, 5, 5), "has shape"),
    "features by no rule": (reshaped("synthesis.b8.conv1.weight", 3, 16, 3, 3), "follow no rule"),
    "huge features": (reshaped("synthesis.b4.conv1.weight", 10**7, 0, 3, 3), "4 sides expected"),
    "layers of a terabyte each": (huge, "has shape"),
    "labels only": (reshaped("mapping.embed.weight", 9, 9), "takes no latents"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_file_that_fits_nothing_gives_one_line(name: str) -> None:
    generator = make(z_dim=6, w_dim=6, img_resolution=16, mapping_layers=2)
    state = dict(generator.state_dict())
    change, message = STRANGE[name]
    change(state)
    with pytest.raises(UnknownArchitecture, match=message) as caught:
        build_generator(Network(state))
    assert isinstance(caught.value, CheckpointError)
    assert len(str(caught.value).splitlines()) == 1


def test_a_discriminator_is_no_generator() -> None:
    network = Network(Discriminator(img_resolution=8, **NARROW).state_dict())
    with pytest.raises(UnknownArchitecture, match="no generator in the file, only D"):
        pick_network({"D": network})
