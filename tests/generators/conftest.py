"""Checkpoints made here in the way official ones are made."""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SOURCE = "open({path!r}, 'w').write('executed')"
"""What stands for the module text in the file: a payload that leaves a trace."""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Where a payload would write a file."""
    return tmp_path / "executed"


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch, trace: Path) -> Callable[..., bytes]:
    """Function that pickles a dictionary with modules in it as the official code does.

    A module becomes a call of ``torch_utils.persistence._reconstruct_persistent_obj`` with a
    description: its source text, class name and attributes, nested modules likewise.
    """

    def _reconstruct_persistent_obj(meta: Any) -> None:
        raise AssertionError("a global of the file was called")

    class EasyDict(dict[str, Any]):
        """Dictionary with attributes."""

    for module, value in (
        ("torch_utils.persistence", _reconstruct_persistent_obj),
        ("dnnlib.util", EasyDict),
    ):
        value.__module__, value.__qualname__ = module, value.__name__
        stand_in = types.ModuleType(module)
        setattr(stand_in, value.__name__, value)
        monkeypatch.setitem(sys.modules, module.partition(".")[0], types.ModuleType("parent"))
        monkeypatch.setitem(sys.modules, module, stand_in)

    class Persistent:
        """What takes a module's place while pickling."""

        def __init__(self, module: Any, options: dict[str, Any]) -> None:
            self.state = dict(module.__dict__)
            self.state["_modules"] = {k: Persistent(v, {}) for k, v in module._modules.items()}
            self.state["_init_kwargs"] = EasyDict(options)
            self.state["act_gain"] = np.float64(np.sqrt(2))
            self.name = type(module).__name__

        def __reduce__(self) -> Any:
            meta = {"type": "class", "version": 6, "module_src": SOURCE.format(path=str(trace))}
            meta |= {"class_name": self.name, "state": self.state}
            return _reconstruct_persistent_obj, (meta,)

    def dump(content: dict[str, Any], *, protocol: int = 4, **options: Any) -> bytes:
        ready = {
            k: Persistent(v, options) if hasattr(v, "_modules") else v for k, v in content.items()
        }
        ready["training_set_kwargs"] = EasyDict(class_name="training.dataset", max_size=3)
        ready["augment_pipe"] = None
        return pickle.dumps(ready, protocol)

    return dump
