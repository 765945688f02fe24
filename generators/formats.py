"""The file formats of checkpoints: pickle, torch's two formats, safetensors; all read as data."""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from functools import partial

import torch
from torch import Tensor

from generators import rebuild
from generators.errors import CheckpointCorrupt, CheckpointError
from generators.inert_pickle import Symbol, read_pickle

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""First value in a torch file of the format before 1.6."""

_SAFETENSORS: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_file(data: bytes, budget: rebuild.Budget) -> object:
    """Read a file of any of the known formats as inert data.

    Args:
        data: The file.
        budget: What may still be made.

    Returns:
        Plain values, tensors, ``rebuild.Record`` and ``rebuild.Array``.

    Raises:
        UnsafeGlobal: The file refers to code that is not on the list.
        CheckpointCorrupt: The file is damaged or of another kind.
    """
    if data[:4] == b"PK\x03\x04":
        return _read_zip(data, budget)
    header = int.from_bytes(data[:8], "little")
    if data[8:9] == b"{" and header <= len(data) - 8:
        return _read_safetensors(data, budget)
    return _read_stream(data, budget)


def _read_stream(data: bytes, budget: rebuild.Budget, *, nested: bool = False) -> object:
    """Read a plain pickle, or a torch file of the format before 1.6: several pickles, then data."""
    stream = io.BytesIO(data)
    storages: dict[str, rebuild.Storage] = {}

    def persistent(pid: object) -> rebuild.Storage:
        key, dtype, count, view = _storage_id(pid)
        if key not in storages:
            storages[key] = budget.storage(count, dtype)
        if view is None:
            return storages[key]
        if type(view) is not tuple or len(view) != 3:
            raise CheckpointCorrupt("damaged storage view")
        start, length = rebuild.sizes(view[1:])
        return rebuild.Storage(storages[key].values[start : start + length])

    allowed = rebuild.table(budget, None if nested else partial(_load_storage, budget))
    first = read_pickle(stream, allowed)
    if type(first) is not int or first != _LEGACY_MAGIC:
        return first
    read_pickle(stream, {})  # format version
    machine = read_pickle(stream, {})  # byte order and sizes of the machine that wrote it
    if type(machine) is not dict or machine.get("little_endian") is False:
        raise CheckpointCorrupt("written on a big-endian machine")
    content = read_pickle(stream, allowed, persistent=persistent)
    keys = read_pickle(stream, {})
    if not isinstance(keys, list) or set(map(str, keys)) != set(storages):
        raise CheckpointCorrupt("the file's storages are not those its tensors use")
    for key in keys:
        values = storages[str(key)].values
        count = int.from_bytes(stream.read(8), "little")
        block = stream.read(values.nbytes)
        if count != values.numel() or len(block) != values.nbytes:
            raise CheckpointCorrupt("the file is shorter than its tensors")
        _fill(values, block)
    return content


def _read_zip(data: bytes, budget: rebuild.Budget) -> object:
    """Read a torch file of the format since 1.6: a zip of a pickle and one file a storage."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read_archive(archive, budget)
    except CheckpointError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        LookupError,
        NotImplementedError,
        OSError,
        OverflowError,
        RuntimeError,
        ValueError,
    ) as error:
        raise CheckpointCorrupt(f"damaged zip: {error}") from error


def _read_archive(archive: zipfile.ZipFile, budget: rebuild.Budget) -> object:
    pickles = [n for n in archive.namelist() if n == "data.pkl" or n.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointCorrupt(f"a torch file has one data.pkl, this zip has {len(pickles)}")
    root = pickles[0].removesuffix("data.pkl")
    order = f"{root}byteorder"
    if order in archive.namelist() and _stored(archive, order) != b"little":
        raise CheckpointCorrupt("written on a big-endian machine")
    storages: dict[str, rebuild.Storage] = {}

    def persistent(pid: object) -> rebuild.Storage:
        key, dtype, count, _ = _storage_id(pid)
        if key not in storages:
            storages[key] = budget.storage(count, dtype)
            _fill(storages[key].values, _stored(archive, f"{root}data/{key}"))
        return storages[key]

    stream = io.BytesIO(_stored(archive, pickles[0]))
    return read_pickle(stream, rebuild.table(budget, None), persistent=persistent)


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:
        raise CheckpointCorrupt(f"{name} is compressed; torch files are not")
    return archive.read(info)


def _storage_id(pid: object) -> tuple[str, torch.dtype, int, object]:
    """Check a persistent id: ("storage", class, key, device, count[, view])."""
    if type(pid) is not tuple or len(pid) not in (5, 6) or pid[0] != "storage":
        raise CheckpointCorrupt("a persistent id that is not a storage")
    kind, key, count = pid[1], pid[2], pid[4]
    name = kind.name.removesuffix("Storage") if isinstance(kind, Symbol) else ""
    if name not in rebuild.DTYPES or type(key) is not str or type(count) is not int or count < 0:
        raise CheckpointCorrupt("damaged storage")
    return key, rebuild.DTYPES[name], count, pid[5] if len(pid) == 6 else None


def _fill(values: Tensor, block: bytes) -> None:
    if len(block) != values.nbytes:
        raise CheckpointCorrupt("a storage is not as long as its tensors say")
    if block:
        values.copy_(torch.frombuffer(bytearray(block), dtype=values.dtype))


def _load_storage(budget: rebuild.Budget, data: object) -> rebuild.Storage:
    if not isinstance(data, bytes):
        raise CheckpointCorrupt("a storage without bytes")
    content = _read_stream(data, budget, nested=True)
    if not isinstance(content, rebuild.Storage):
        raise CheckpointCorrupt("bytes that hold no storage")
    return content


def _read_safetensors(data: bytes, budget: rebuild.Budget) -> dict[str, object]:
    """Read safetensors: length of the header, JSON header, tensors one after the other."""
    start = 8 + int.from_bytes(data[:8], "little")
    body = memoryview(data)[start:]
    try:
        header = json.loads(str(data[8:start], "utf-8"))  # of bytes, json guesses the encoding
        return {
            name: _entry(body, entry, budget)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except CheckpointError:
        raise
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise CheckpointCorrupt(f"damaged safetensors: {error}") from error


def _entry(data: memoryview, entry: dict[str, object], budget: rebuild.Budget) -> Tensor:
    dtype = _SAFETENSORS[str(entry["dtype"])]
    shape = rebuild.sizes(entry["shape"])
    begin, end = rebuild.sizes(entry["data_offsets"])
    count = math.prod(shape)
    if end > len(data) or end - begin != count * dtype.itemsize:
        raise CheckpointCorrupt("a tensor doesn't fit into the file")
    storage = budget.storage(count, dtype)
    _fill(storage.values, bytes(data[begin:end]))
    return storage.values.reshape(shape)
