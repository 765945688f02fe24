"""Files that users bring as swap networks and encoders: refused in one line, or found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from anonyface.errors import InputError
from anonyface.swapping.inswapper import InswapperSwapper, find_encoder

from .tiny_networks import EMAP, constant, write_encoder, write_swapper


def one_line(error: pytest.ExceptionInfo[InputError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def write_bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def outside_constant() -> onnx.TensorProto:
    tensor = constant("emap", EMAP)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../elsewhere")
    return tensor


def too_small() -> list[onnx.NodeProto]:
    return [
        helper.make_node("AveragePool", ["sum"], ["output"], kernel_shape=[2, 2], strides=[2, 2])
    ]


BAD_SWAPPERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda p: p, "no such file"),
    "folder": (lambda p: p.mkdir(), "no such file"),
    "empty": (lambda p: write_bytes(p, b""), "empty"),
    "text": (lambda p: write_bytes(p, b"no model\n" * 40), "not a usable ONNX model"),
    "cut off": (
        lambda p: write_bytes(p, write_swapper(p).read_bytes()[:-1000]),
        "not a usable ONNX model",
    ),
    "other inputs": (lambda p: write_swapper(p, names=("image", "latent")), "no input 'target'"),
    "other size": (lambda p: write_swapper(p, side=256), r"256.*expected.*128"),
    "other output": (
        lambda p: write_swapper(p, ending=too_small(), output=[1, 3, 64, 64]),
        r"output.*64.*expected.*128",
    ),
    "other emap": (lambda p: write_swapper(p, emap=EMAP[:, :3]), r"512, 3.*expected"),
    "no emap": (lambda p: write_swapper(p, last=[]), "last constant"),
    "broken emap": (lambda p: write_swapper(p, emap=EMAP * np.nan), "not finite"),
    "emap outside": (lambda p: write_swapper(p, last=[outside_constant()]), "another file"),
    "an encoder": (lambda p: write_encoder(p), "last constant"),
}


@pytest.mark.parametrize("kind", BAD_SWAPPERS)
def test_a_file_that_is_no_swapper_is_refused_in_one_line(
    kind: str, tmp_path: Path, encoder: Path
) -> None:
    make, problem = BAD_SWAPPERS[kind]
    path = tmp_path / "swap.onnx"
    make(path)
    with pytest.raises(InputError, match=problem) as error:
        InswapperSwapper(path, encoder=encoder, threads=1)
    assert "swap.onnx" in one_line(error)


BAD_ENCODERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda p: p, "no such file"),
    "text": (lambda p: write_bytes(p, b"no model\n" * 40), "onnxruntime can't open it"),
    "other size": (lambda p: write_encoder(p, side=224), r"224.*expected.*112"),
    "a swapper": (lambda p: write_swapper(p), "inputs 'target', 'source', expected 1 input"),
}


@pytest.mark.parametrize("kind", BAD_ENCODERS)
def test_a_file_that_is_no_encoder_is_refused_in_one_line(
    kind: str, tmp_path: Path, swapper: InswapperSwapper
) -> None:
    make, problem = BAD_ENCODERS[kind]
    path = tmp_path / "who.onnx"
    make(path)
    with pytest.raises(InputError, match=problem) as error:
        InswapperSwapper(swapper.path, encoder=path, threads=1)
    assert "who.onnx" in one_line(error)


class TestFindEncoder:
    def test_a_name_that_says_so_wins(self, tmp_path: Path) -> None:
        swap = write_swapper(tmp_path / "swap.onnx")
        write_encoder(tmp_path / "another.onnx")
        for name in ("W600K_r50.onnx", "my_ArcFace.ONNX"):
            named = write_encoder(tmp_path / name)
            assert find_encoder(swap) == named
            named.unlink()

    def test_else_the_input_tells(self, tmp_path: Path) -> None:
        swap = write_swapper(tmp_path / "swap.onnx")
        write_bytes(tmp_path / "broken.onnx", b"\x3a\xff")
        write_swapper(tmp_path / "second-swap.onnx")
        write_encoder(tmp_path / "big.onnx", side=224)
        wanted = write_encoder(tmp_path / "another.onnx")
        assert find_encoder(swap) == wanted
        assert InswapperSwapper(swap, threads=1).encoder_path == wanted

    def test_none_is_refused(self, tmp_path: Path) -> None:
        swap = write_swapper(tmp_path / "swap.onnx")
        write_encoder(tmp_path / "big.onnx", side=224)
        with pytest.raises(InputError, match="no ArcFace encoder") as error:
            InswapperSwapper(swap, threads=1)
        one_line(error)

    def test_which_of_several_is_not_guessed(self, tmp_path: Path) -> None:
        swap = write_swapper(tmp_path / "swap.onnx")
        for name in ("arcface-1.onnx", "arcface-2.onnx"):
            write_encoder(tmp_path / name)
        with pytest.raises(InputError, match=r"arcface-1\.onnx, arcface-2\.onnx") as error:
            find_encoder(swap)
        one_line(error)

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="can't be read") as error:
            find_encoder(tmp_path / "nowhere" / "swap.onnx")
        one_line(error)
