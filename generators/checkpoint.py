"""Read the tensors of a checkpoint without executing anything that is in it.

Official StyleGAN2-ADA pickles carry the source text of their classes and are meant to be rebuilt
by executing it; here the text is skipped and the parameters are collected from the stored
attributes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from generators import rebuild
from generators.errors import CheckpointCorrupt, CheckpointError, UnsafeGlobal
from generators.formats import read_file

__all__ = [
    "CheckpointCorrupt",
    "CheckpointError",
    "Network",
    "UnsafeGlobal",
    "load_networks",
    "load_state_dicts",
]

NETWORKS = ("G", "D", "G_ema")
"""Names official checkpoints give their networks; as first part of a name in a flat file too."""

_MAX_DEPTH = 32
_MAX_VALUES = 1_000_000
"""Bounds on what is walked through when tensors are collected: a file may refer to itself."""


@dataclass(frozen=True)
class Network:
    """One network of a checkpoint.

    Attributes:
        tensors: Parameters and buffers by dotted name.
        class_name: Name of its class where the file tells, else None.
        options: Constructor arguments where the file tells; plain values.
    """

    tensors: dict[str, Tensor]
    class_name: str | None = None
    options: dict[str, object] = field(default_factory=dict)


def load_state_dicts(path: str | Path) -> dict[str, dict[str, Tensor]]:
    """Read the tensors of a checkpoint.

    Args:
        path: An official pickle, a torch file (state dict, or a dictionary of several), or
            safetensors.

    Returns:
        For each network its tensors by dotted name, ready for ``load_state_dict``. Official
        pickles name their networks "G", "D", "G_ema". A file with one flat state dict gives
        "model", except that tensors whose name starts with "G.", "D." or "G_ema." go to that
        network, without the prefix.

    Raises:
        UnsafeGlobal: The file refers to code that is not on the list.
        CheckpointCorrupt: The file is damaged, of another kind, or holds no tensors.
        OSError: The file can't be opened.
    """
    return {name: network.tensors for name, network in load_networks(path).items()}


def load_networks(path: str | Path) -> dict[str, Network]:
    """Read a checkpoint like ``load_state_dicts``, with what it tells about each network.

    Raises:
        UnsafeGlobal: The file refers to code that is not on the list.
        CheckpointCorrupt: The file is damaged, of another kind, or holds no tensors.
        OSError: The file can't be opened.
    """
    data = Path(path).read_bytes()
    budget = rebuild.Budget(len(data))
    networks = _group(read_file(data, budget), _Collector(budget))
    if not networks:
        raise CheckpointCorrupt("the file holds no tensors")
    return networks


class _Collector:
    """Finds the tensors in nested records, dictionaries and lists."""

    def __init__(self, budget: rebuild.Budget) -> None:
        self.budget = budget
        self.visited = 0

    def tensors(self, value: object) -> dict[str, Tensor]:
        """Return the tensors below a value by dotted name."""
        result: dict[str, Tensor] = {}
        self._walk(value, "", 0, result)
        return result

    def _walk(self, value: object, name: str, depth: int, result: dict[str, Tensor]) -> None:
        self.visited += 1
        if depth > _MAX_DEPTH or self.visited > _MAX_VALUES:
            raise CheckpointCorrupt("the file's contents are nested without end")
        if isinstance(value, rebuild.Array):
            value = value.tensor(self.budget)
        if isinstance(value, Tensor):
            result[name] = value
            return
        for key, child in _children(value):
            self._walk(child, f"{name}.{key}" if name else str(key), depth + 1, result)


def _children(value: object) -> list[tuple[object, object]]:
    if isinstance(value, rebuild.Record):
        return _attributes(value.state)
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list | tuple) else []


def _attributes(state: dict[str, object]) -> list[tuple[object, object]]:
    """What a module contributes to its state dict: parameters, lasting buffers, submodules."""
    passing = state.get("_non_persistent_buffers_set", ())
    if not isinstance(passing, set | tuple | list):
        raise CheckpointCorrupt("a module with damaged buffers")
    result: list[tuple[object, object]] = []
    for kind in ("_parameters", "_buffers", "_modules"):
        part = state.get(kind, {})
        if not isinstance(part, dict):
            raise CheckpointCorrupt(f"a module whose {kind} are no dictionary")
        result += [(k, v) for k, v in part.items() if kind != "_buffers" or k not in passing]
    return result


def _group(content: object, collector: _Collector) -> dict[str, Network]:
    if not isinstance(content, dict):
        content = {"model": content}
    flat = any(isinstance(v, Tensor | rebuild.Array) for v in content.values())
    if flat:
        return {k: Network(v) for k, v in _split(collector.tensors(content)).items()}
    networks = {str(k): _network(v, collector) for k, v in content.items()}
    return {name: network for name, network in networks.items() if network.tensors}


def _split(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        prefix, _, rest = name.partition(".")
        if prefix in NETWORKS and rest:
            groups.setdefault(prefix, {})[rest] = tensor
        else:
            groups.setdefault("model", {})[name] = tensor
    return groups


def _network(value: object, collector: _Collector) -> Network:
    tensors = collector.tensors(value)
    if not isinstance(value, rebuild.Record):
        return Network(tensors)
    options = value.state.get("_init_kwargs", {})
    plain = {str(k): v for k, v in options.items()} if isinstance(options, dict) else {}
    return Network(tensors, class_name=value.class_name, options=plain)
