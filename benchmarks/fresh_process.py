"""What only a fresh process can tell: import, peak memory, and the command from cold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.contract import ROOT, Spread, spread

IMPORT = """
import json, sys, time
started = time.perf_counter()
{statement}
seconds = time.perf_counter() - started
heavy = sorted(name for name in ("torch", "onnxruntime", "cv2", "numpy") if name in sys.modules)
print(json.dumps({{"seconds": seconds, "heavy": heavy}}))
"""

MEMORY = """
import json, resource, sys
from pathlib import Path
from anonyface import Anonymizer
result = Anonymizer(threads=int(sys.argv[2]))(sys.argv[1])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
# ru_maxrss starts with what the parent had before exec; VmHWM is this program's alone.
status = Path("/proc/self/status")
if status.is_file():
    lines = status.read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
print(json.dumps({"kilobytes": peak, "faces": len(result.faces),
                  "replaced": sum(f.action == "replaced" for f in result.faces)}))
"""

COMMAND = "import sys; from anonyface.cli import main; sys.exit(main())"
"""What the installed ``anonyface`` script does."""


def run_python(code: str, *arguments: str, folder: Path = ROOT) -> tuple[str, float]:
    """Run code in a fresh interpreter.

    Args:
        code: What to run.
        arguments: ``sys.argv[1:]`` of it.
        folder: Its working directory.

    Returns:
        Its standard output and the seconds from start to end.

    Raises:
        RuntimeError: If it fails.
    """
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    elapsed = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout, elapsed


def import_time(statement: str, repeats: int = 5) -> tuple[Spread, list[str]]:
    """Time an import statement, byte code already compiled.

    Args:
        statement: The statement.
        repeats: Fresh interpreters after the warm-up.

    Returns:
        Seconds, and which heavy modules it loaded.
    """
    answers = [
        json.loads(run_python(IMPORT.format(statement=statement))[0]) for _ in range(repeats + 1)
    ]
    heavy = sorted({name for answer in answers for name in answer["heavy"]})
    return spread([a["seconds"] for a in answers[1:]], "s"), heavy


def peak_memory(photo: Path, *, threads: int, repeats: int = 3) -> dict[str, Any]:
    """Anonymize one photo in fresh processes.

    Returns:
        "peak": megabytes (10^6 bytes); "faces" and "replaced" in the last run.
    """
    answers = [json.loads(run_python(MEMORY, str(photo), str(threads))[0]) for _ in range(repeats)]
    peak = spread([a["kilobytes"] * 1024 / 1e6 for a in answers], "MB")
    return {"peak": peak, "faces": answers[-1]["faces"], "replaced": answers[-1]["replaced"]}


def cold_command(photo: Path, *, threads: int, repeats: int = 3) -> Spread:
    """Time ``anonyface photo.jpg`` from the start of the process to its end.

    The files are in the system's cache after the warm-up, as they are after an installation.

    Raises:
        RuntimeError: If the command fails or writes nothing.
    """
    output = photo.with_suffix(".anon" + photo.suffix)
    taken = []
    for number in range(repeats + 1):
        output.unlink(missing_ok=True)
        _, elapsed = run_python(COMMAND, str(photo), "--threads", str(threads), folder=photo.parent)
        if not output.is_file():
            raise RuntimeError("the command wrote nothing")
        if number:
            taken.append(elapsed)
    return spread(taken, "s")
