"""Faces, and a tiny swap network with its encoder."""

from __future__ import annotations

from pathlib import Path

import pytest

from anonyface.swapping.inswapper import InswapperSwapper

from .tiny_networks import write_encoder, write_swapper


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Path:
    return write_encoder(folder / "w600k_tiny.onnx")


@pytest.fixture(scope="module")
def swapper(folder: Path, encoder: Path) -> InswapperSwapper:
    return InswapperSwapper(write_swapper(folder / "swap.onnx"), threads=1)
