"""Faces, and a tiny swap network with its encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.identities.people import portrait_face
from anonyface.landmarks.mesh import FaceMesh
from anonyface.swapping.inswapper import InswapperSwapper
from anonyface.types import Identity, Mesh

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


@pytest.fixture(scope="module")
def meshes(people: list[NDArray[np.uint8]]) -> list[Mesh]:
    finder = FaceMesh(threads=1)
    return [finder(p, [portrait_face(1024)])[0] for p in people[:2]]


@pytest.fixture(scope="module")
def identity(people: list[NDArray[np.uint8]], meshes: list[Mesh]) -> Identity:
    return Identity(
        people[1], meshes[1], np.zeros(512), "female", 30.0, np.eye(128)[0], seed=1, source="test"
    )
