"""Checkpoints of every format give their tensors."""

from __future__ import annotations

import io
import json
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")

from generators.checkpoint import (  # noqa: E402
    CheckpointCorrupt,
    load_networks,
    load_state_dicts,
)
from generators.stylegan2_ada import Discriminator, Generator  # noqa: E402

SMALL: dict[str, Any] = {"img_resolution": 8, "channel_base": 64, "channel_max": 8, "c_dim": 2}
LATENTS: dict[str, Any] = {"z_dim": 4, "w_dim": 6, "mapping_layers": 2}


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def same(got: dict[str, Any], want: dict[str, Any]) -> None:
    assert list(got) == list(want)
    for name, tensor in want.items():
        torch.testing.assert_close(got[name], tensor, atol=0, rtol=0)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_official_pickle(official: Any, tmp_path: Path, trace: Path, protocol: int) -> None:
    generator = Generator(**SMALL, **LATENTS)
    discriminator = Discriminator(**SMALL, architecture="skip")
    content = {"G": generator, "D": discriminator, "G_ema": generator}
    data = official(content, protocol=protocol, z_dim=4, conv_clamp=256)
    networks = load_networks(write(tmp_path / "network.pkl", data))
    assert list(networks) == ["G", "D", "G_ema"]
    assert networks["D"].class_name == "Discriminator"
    assert networks["G"].options == {"z_dim": 4, "conv_clamp": 256}
    # The order of a state dict is not that of the attributes; names and values are the same.
    other = Generator(**SMALL, **LATENTS)
    other.load_state_dict(networks["G_ema"].tensors)
    same(other.state_dict(), generator.state_dict())
    Discriminator(**SMALL, architecture="skip").load_state_dict(networks["D"].tensors)
    assert not trace.exists()


def test_passing_buffers_are_left_out(official: Any, tmp_path: Path) -> None:
    module = torch.nn.Module()
    module.register_buffer("kept", torch.ones(2))
    module.register_buffer("passing", torch.ones(3), persistent=False)
    module.register_parameter("absent", None)
    path = write(tmp_path / "n.pkl", official({"G": module}))
    same(load_state_dicts(path)["G"], {"kept": torch.ones(2)})


STATE = OrderedDict(
    weight=torch.arange(6.0).reshape(2, 3).T,  # not contiguous
    half=torch.tensor([1.5, -2.0]).half(),
    count=torch.tensor(7),
    flag=torch.tensor([True, False]),
    brain=torch.tensor([0.25]).bfloat16(),
    empty=torch.zeros(0, 3),
)


def dump_zip(content: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def dump_legacy(content: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def dump_safetensors(content: dict[str, Any]) -> bytes:
    names = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}
    names |= {torch.bool: "BOOL", torch.bfloat16: "BF16"}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, tensor in content.items():
        block = bytes(tensor.contiguous().flatten().view(torch.uint8).tolist())
        span = [len(body), len(body) + len(block)]
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape)}
        header[name]["data_offsets"] = span
        body += block
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


FORMATS: dict[str, Callable[[Any], bytes]] = {
    "zip": dump_zip,
    "legacy": dump_legacy,
    "pickle": pickle.dumps,
    "safetensors": dump_safetensors,
}


@pytest.mark.parametrize("form", FORMATS)
def test_state_dict(form: str, tmp_path: Path) -> None:
    path = write(tmp_path / "model", FORMATS[form](STATE))
    same(load_state_dicts(path)["model"], STATE)


@pytest.mark.parametrize("form", FORMATS)
def test_flat_names_are_split(form: str, tmp_path: Path) -> None:
    flat = {"G.b4.const": torch.ones(1), "D.b4": torch.zeros(2), "io.z": torch.ones(3)}
    got = load_state_dicts(write(tmp_path / "model", FORMATS[form](flat)))
    assert {k: list(v) for k, v in got.items()} == {
        "G": ["b4.const"],
        "D": ["b4"],
        "model": ["io.z"],
    }


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_several_state_dicts_and_what_is_not_one(form: str, tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    content = {"g_ema": {"a": {"w": weight}}, "step": 5, "args": ["x", 1.5], "optim": {"state": {}}}
    got = load_state_dicts(write(tmp_path / "model", FORMATS[form](content)))
    assert list(got) == ["g_ema"]
    same(got["g_ema"], {"a.w": weight.detach()})


def test_views_of_one_storage(tmp_path: Path) -> None:
    whole = torch.arange(10.0)
    content = {"a": whole[2:5], "b": whole[::3], "c": whole}
    for dump in (dump_zip, dump_legacy):
        same(load_state_dicts(write(tmp_path / "model", dump(content)))["model"], content)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_numpy_arrays(tmp_path: Path, protocol: int) -> None:
    arrays = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "big": np.arange(3, dtype=">f8"),
        "none": np.zeros((0, 2), np.float16),
    }
    content = {**arrays, "scalar": np.float64(0.5)}
    got = load_state_dicts(write(tmp_path / "model", pickle.dumps(content, protocol)))["model"]
    assert list(got) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(got[name].numpy(), array)


def test_our_own_safetensors_are_the_packages(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.torch")
    state = {k: v.contiguous() for k, v in STATE.items()}
    package.save_file(state, tmp_path / "model")
    got = load_state_dicts(tmp_path / "model")["model"]
    same(dict(sorted(got.items())), dict(sorted(state.items())))


@pytest.mark.parametrize(
    "data",
    [b"", b"no checkpoint", b"PK\x03\x04", b"\x80\x04.", pickle.dumps({"a": 1}), pickle.dumps([])],
)
def test_files_without_tensors_are_an_error(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(CheckpointCorrupt):
        load_state_dicts(write(tmp_path / "model", data))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_state_dicts(tmp_path / "absent.pkl")
