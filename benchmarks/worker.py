"""A process that anonymizes files one by one, and its keeper, which outlives hangs and crashes.

The product runs as it does in a folder run, through `anonyface.batch.process`. The process may use
only so much memory, so that a file that asks for all of it fails here and not on the machine.
"""

from __future__ import annotations

import json
import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from benchmarks.contract import ROOT

LIMIT_S = 30.0
"""A file that takes longer hangs."""
START_S = 120.0
MEMORY = 6 * 2**30
"""Bytes of address space: the models and the largest photo allowed need 2 GB."""

Status: TypeAlias = Literal["done", "skipped", "failed", "hung", "crashed"]


@dataclass(frozen=True)
class Answer:
    """What became of one file.

    Attributes:
        status: "hung" if it took more than `LIMIT_S`, "crashed" if the process died.
        error: Text of the error, None if there was none.
        kind: Class of the error.
        on_purpose: Whether it is one of anonyface's own errors.
        actions: What was done to each face.
        seconds: Wall clock.
        peak_mb: Largest memory the process has had so far.
        chatter: Whatever was printed meanwhile: the library must not.
    """

    status: Status
    error: str | None = None
    kind: str | None = None
    on_purpose: bool = False
    actions: tuple[str, ...] = ()
    seconds: float = 0.0
    peak_mb: float = 0.0
    chatter: str = ""


class Worker:
    """Keeps a process; use it in a ``with`` block.

    Args:
        settings: Options of the `Anonymizer` in it.
        log: File for what the process prints.
    """

    def __init__(self, settings: Mapping[str, Any], log: Path) -> None:
        self.settings = dict(settings)
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *ignored: object) -> None:
        self._end()

    def run(self, path: Path, output: Path) -> Answer:
        """Anonymize one file.

        Raises:
            RuntimeError: If the process does not even start.
        """
        if self.process is None:
            self._start()
        said = self.log.stat().st_size
        started = time.monotonic()
        self._send({"path": str(path), "output": str(output)})
        line = self._line(LIMIT_S)
        seconds = time.monotonic() - started
        chatter = self.log.read_bytes()[said:].decode(errors="replace")
        if line:
            answer: dict[str, Any] = json.loads(line)
            answer["actions"] = tuple(answer["actions"])
            return Answer(**answer, seconds=seconds, chatter=chatter)
        self._end()
        hung = line is None
        return Answer("hung" if hung else "crashed", seconds=seconds, chatter=chatter)

    def _start(self) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", json.dumps(self.settings)]
        self.starts += 1
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        if not self._line(START_S):
            self._end()
            raise RuntimeError(f"the worker does not start; see {self.log}")

    def _send(self, message: Mapping[str, str]) -> None:
        assert self.process is not None and self.process.stdin is not None  # noqa: S101, PT018
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def _line(self, limit_s: float) -> bytes | None:
        """Return a line of the process, nothing if it has ended, None if it does not come."""
        assert self.process is not None and self.process.stdout is not None  # noqa: S101, PT018
        ready, _, _ = select.select([self.process.stdout], [], [], limit_s)
        return self.process.stdout.readline() if ready else None

    def _end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def serve(settings: Mapping[str, Any]) -> None:
    """Answer on stdout, one line a file, until stdin ends; prints of others go to stderr."""
    from anonyface.api import Anonymizer
    from anonyface.batch import Job, process
    from anonyface.errors import AnonyfaceError

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    anonymizer = Anonymizer(**settings)
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        path = Path(asked["path"])
        (done,) = process(anonymizer, [Job(path, Path(asked["output"]), path.name)])
        answer = {
            "status": done.status,
            "error": None if done.error is None else str(done.error),
            "kind": None if done.error is None else type(done.error).__name__,
            "on_purpose": isinstance(done.error, AnonyfaceError),
            "actions": [outcome.action for outcome in done.result.faces] if done.result else [],
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
