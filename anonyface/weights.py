"""The model files: where they are, what they are, and that they are what they should be."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from anonyface.errors import WeightsCorrupt, WeightsMissing


@dataclass(frozen=True)
class ModelRecord:
    """One line of the manifest.

    Attributes:
        name: What the code calls the model.
        file: File name in the weights folder.
        sha256: Hex digest of the file.
        bytes: Size of the file.
        licence: SPDX expression or "CC0-1.0".
        origin: Package, version and file it was made from.
        input: Input specification, in words.
    """

    name: str
    file: str
    sha256: str
    bytes: int
    licence: str
    origin: str
    input: str


def weights_dir() -> Path:
    """Return the folder of the model files: in the wheel, or beside the package in a checkout."""
    packaged = Path(__file__).with_name("_weights")
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "weights"


@cache
def manifest() -> dict[str, ModelRecord]:
    """Return the manifest, model name -> record.

    Raises:
        WeightsMissing: If there is no manifest.
    """
    path = weights_dir() / "manifest.json"
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["models"]
    except FileNotFoundError:
        raise WeightsMissing("manifest", path) from None
    return {e["name"]: ModelRecord(**e) for e in entries}


def read_weights(name: str) -> bytes:
    """Return the bytes of a model file after checking their sha256.

    Raises:
        WeightsMissing: If the name or the file is unknown.
        WeightsCorrupt: If the digest differs from the manifest's.
    """
    record = manifest().get(name)
    if record is None:
        raise WeightsMissing(name, weights_dir())
    path = weights_dir() / record.file
    try:
        data = path.read_bytes()
    except OSError:
        raise WeightsMissing(name, path) from None
    actual = hashlib.sha256(data).hexdigest()
    if actual != record.sha256:
        raise WeightsCorrupt(name, path, expected=record.sha256, actual=actual)
    return data
