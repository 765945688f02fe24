"""What a result file says: figures, counts, machine, versions, commit; checked when written."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from anonyface.runtime import usable_cores
from anonyface.weights import weights_dir
from benchmarks.contract import ROOT, Asked, rounded

RESULTS = Path(__file__).with_name("results")
SCHEMA = "anonyface.benchmark/1"
PACKAGES = ("numpy", "onnxruntime", "opencv-python-headless", "pillow")
PARTS = {
    "schema": str,
    "benchmark": str,
    "date": str,
    "commit": str,
    "weights_manifest_sha256": str,
    "machine": dict,
    "versions": dict,
    "settings": dict,
    "counts": dict,
    "figures": dict,
    "asked": list,
}
"""Part of a record -> its JSON type."""
ROW = frozenset({"what", "value", "sense", "limit", "met"})
"""Parts of a row of ``asked``."""


def build_record(
    benchmark: str,
    *,
    settings: Mapping[str, Any],
    counts: Mapping[str, Any],
    figures: Mapping[str, Any],
    asked: Sequence[Asked],
) -> dict[str, Any]:
    """Return the record of one run, complete with machine, versions and commit.

    Args:
        benchmark: Its name, which is the name of the file, too.
        settings: The options of the run; paths among them are left out.
        counts: The denominators, misses among them.
        figures: The measurements.
        asked: The values asked for.
    """
    manifest = (weights_dir() / "manifest.json").read_bytes()
    return {
        "schema": SCHEMA,
        "benchmark": benchmark,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%MZ"),
        "commit": commit(),
        "weights_manifest_sha256": hashlib.sha256(manifest).hexdigest(),
        "machine": {"cpu": cpu_name(), "usable_cores": usable_cores()},
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "settings": {k: rounded(v) for k, v in settings.items() if not isinstance(v, Path)},
        "counts": rounded(counts),
        "figures": rounded(figures),
        "asked": [rounded(asdict(row) | {"met": row.met}) for row in asked],
    }


def check_record(record: Mapping[str, Any]) -> None:
    """Check that a record says all it must, in strict JSON.

    Raises:
        ValueError: Naming the first thing that is missing or wrong.
    """
    for name, kind in PARTS.items():
        if not isinstance(record.get(name), kind):
            raise ValueError(f"{name} must be a {kind.__name__}, got {record.get(name)!r}")
        if not record[name] and name not in ("settings", "asked"):
            raise ValueError(f"{name} is empty")
    if unknown := set(record) - set(PARTS):
        raise ValueError(f"unknown parts: {', '.join(sorted(unknown))}")
    if record["schema"] != SCHEMA:
        raise ValueError(f"schema must be {SCHEMA}, got {record['schema']}")
    for row in record["asked"]:
        if set(row) != ROW:
            raise ValueError(f"a row of asked has the parts {sorted(row)}")
    _check_json(record, "record")


def _check_json(value: Any, where: str) -> None:
    """Check that only strict JSON types are in a value.

    Raises:
        ValueError: If something else is, naming the place.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{where}: the key {key!r} is not a string")
            _check_json(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            _check_json(inner, f"{where}[{i}]")
    elif type(value) not in (str, int, float, bool, type(None)):
        raise ValueError(f"{where}: {type(value).__name__} is no JSON type")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where}: {value} is not finite")


def write_record(record: Mapping[str, Any], folder: Path) -> Path:
    """Check a record and write it to ``<folder>/<benchmark>.json``.

    Args:
        record: What `build_record` returned.
        folder: `RESULTS`, or another one for a run that is only a try.

    Raises:
        ValueError: If the record is incomplete.
    """
    check_record(record)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record['benchmark']}.json"
    path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return path


def commit() -> str:
    """Return the git commit, marked where tracked files differ from it; else "unknown"."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    answers = []
    for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"]):
        done = subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            return "unknown"
        answers.append(done.stdout.strip())
    # A result file of an earlier benchmark does not make the code another one.
    changed = [line for line in answers[1].splitlines() if "benchmarks/results/" not in line]
    return answers[0] + (" with changes" if changed else "")


def cpu_name() -> str:
    """Return the processor's model name."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def version(package: str) -> str:
    """Return the installed version of a package, "not installed" if there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
