"""One inference engine: onnxruntime sessions with bounded threads, each model loaded once."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anonyface.errors import BackendError
from anonyface.weights import read_weights

if TYPE_CHECKING:
    import onnxruntime

SIZE_VARIES = frozenset({"detector"})
NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"

_sessions: dict[tuple[str, int], onnxruntime.InferenceSession] = {}
_lock = threading.Lock()


def usable_cores() -> int:
    """Number of cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_session(name: str, *, threads: int = 0) -> onnxruntime.InferenceSession:
    """Return the session of a shipped model, loading and checking it the first time.

    Args:
        name: Model name in the manifest.
        threads: Threads the model may use; 0 for all usable cores.

    Raises:
        WeightsError: If the file is missing or corrupt.
        BackendError: If onnxruntime can't open it.
    """
    count = threads or usable_cores()
    with _lock:
        session = _sessions.get((name, count))
        if session is None:
            session = _sessions[(name, count)] = _create(name, count)
        return session


def engine() -> ModuleType:
    """Import onnxruntime with its telemetry off.

    From 1.31 on its wheels keep a device id in the user's cache folder and report home, on Linux,
    too. Only this variable stops it, and only while the library is loaded.
    """
    before = os.environ.get(NO_TELEMETRY)
    os.environ[NO_TELEMETRY] = "1"
    try:
        import onnxruntime
    finally:
        if before is None:
            del os.environ[NO_TELEMETRY]
        else:
            os.environ[NO_TELEMETRY] = before
    onnxruntime.disable_telemetry_events()  # for a program that had imported it before us
    module: ModuleType = onnxruntime
    return module


def start_session(
    model: bytes | Path, *, threads: int = 0, arena: bool = True
) -> onnxruntime.InferenceSession:
    """Open a model that is not kept: shipped ones come from `open_session`.

    Args:
        model: The file's content, or where it lies.
        threads: Threads the model may use; 0 for all usable cores.
        arena: Whether memory is kept between two runs.

    Raises:
        BackendError: If onnxruntime can't open it.
    """
    ort = engine()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    # Idle workers must not burn the cores that numpy and OpenCV use between two runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    try:
        return ort.InferenceSession(source, options, providers=ort.get_available_providers())
    except Exception as error:  # onnxruntime has no error class of its own for this
        problem = " ".join(str(error).split())
        raise BackendError(f"onnxruntime can't open it, {problem}") from error


def _create(name: str, threads: int) -> onnxruntime.InferenceSession:
    # The arena saves the generator a third of its time. The detector's inputs differ in size: there
    # an arena sized for the largest photo ever seen would never shrink.
    try:
        return start_session(read_weights(name), threads=threads, arena=name not in SIZE_VARIES)
    except BackendError as error:
        raise BackendError(f"model {name!r}: {error}") from error


def run(
    session: onnxruntime.InferenceSession, feeds: dict[str, NDArray[Any]], outputs: list[str]
) -> list[NDArray[Any]]:
    """Run a session and return the named outputs.

    Raises:
        BackendError: If onnxruntime fails.
    """
    try:
        results: list[NDArray[Any]] = session.run(outputs, feeds)
    except Exception as error:
        raise BackendError(f"inference failed: {error}") from error
    return [np.asarray(r) for r in results]
