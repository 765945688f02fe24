"""Runs over a folder that are killed (SIGKILL) at random moments, and what the next run does.

Each run has 50 photos and a fixed seed. It is killed once, at a random moment within the work on a
random photo (drawn by progress, not by the clock: the speed of a machine varies); then it is
started again and has to finish. The results that are there after the kill must be whole and must
not be made again, and in the end all must be those of a run nobody disturbed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.contract import ROOT, Asked, print_table
from benchmarks.corpus.people import make_folder_photos

PHOTOS = 50
SYNTHETIC_EVERY = 5
"""Every fifth run replaces faces, the others blur them: the same code writes the files, faster."""
LIMIT_S = 300.0
START_S = 1.5
"""About what the command needs before the first photo."""


@dataclass(frozen=True)
class Kill:
    """One killed run.

    Attributes:
        method: What it did to faces.
        after: Results there when it was chosen to be killed within one more photo's time.
        ended_before: Whether the run was over by then.
        done: Results there after the kill.
        temporary: Temporary files there after the kill.
        broken: Of these results, how many are not the ones of an undisturbed run.
        exit_code: Of the run after it.
        missing: Results that this did not bring.
        wrong: Results that are not the ones of an undisturbed run.
        again: Results made a second time.
        stray: Files in the folder that are no results.
    """

    method: str
    after: int
    ended_before: bool
    done: int
    temporary: int
    broken: int
    exit_code: int
    missing: int
    wrong: int
    again: int
    stray: int

    @property
    def right(self) -> bool:
        """Whether all is as if nothing had happened."""
        wrong = self.broken + self.missing + self.wrong + self.again + self.stray
        return wrong == 0 and self.exit_code == 0


@dataclass
class Interrupted:
    """All killed runs."""

    kills: list[Kill] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Return counts over all runs."""
        return {
            "photos": PHOTOS,
            "kills": len(self.kills),
            "ended_before_the_kill": sum(k.ended_before for k in self.kills),
            "results_there_at_the_kill": [k.done for k in self.kills],
            "temporary_files_at_the_kill": sum(k.temporary for k in self.kills),
            "runs_right": sum(k.right for k in self.kills),
            "broken_after_the_kill": sum(k.broken for k in self.kills),
            "reruns_failed": sum(k.exit_code != 0 for k in self.kills),
            "missing": sum(k.missing for k in self.kills),
            "wrong": sum(k.wrong for k in self.kills),
            "done_twice": sum(k.again for k in self.kills),
            "stray_files": sum(k.stray for k in self.kills),
        }

    def asked(self) -> list[Asked]:
        """Return what the project was asked for beside what was measured."""
        count = len(self.kills)
        right = sum(k.right for k in self.kills) if count else None
        return [
            Asked(f"killed runs of {count} whose rerun completes, all valid", right, ">=", count),
            Asked(
                f"photos done twice in {count} reruns",
                sum(k.again for k in self.kills) if count else None,
                "<=",
                0,
            ),
        ]


def interrupt_runs(kills: int, *, seed: int = 1, threads: int = 2) -> Interrupted:
    """Kill runs at random moments and look at what follows."""
    rng = np.random.default_rng(seed)
    out = Interrupted()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        photos = folder / "photos"
        photos.mkdir()
        for number, photo in enumerate(make_folder_photos(PHOTOS, threads=threads)):
            Image.fromarray(photo).save(photos / f"{number:02}.jpg", quality=90)
        whole: dict[str, dict[str, str]] = {}
        for number in range(kills):
            method = "synthetic" if number % SYNTHETIC_EVERY == 0 else "blur"
            if method not in whole:
                _start(photos, folder / method, method, threads).wait(LIMIT_S)
                whole[method] = digests(folder / method)
            moment = int(rng.integers(0, PHOTOS)), float(rng.uniform())
            place = folder / f"out{number}"
            out.kills.append(_kill_once(photos, place, method, moment, whole[method], threads))
    _show(out.kills)
    return out


def _start(photos: Path, out: Path, method: str, threads: int) -> subprocess.Popen[bytes]:
    """Start the command."""
    code = "import sys; from anonyface.cli import main; sys.exit(main())"
    options = ["--method", method, "--seed", "7", "--threads", str(threads), "--quiet"]
    command = [sys.executable, "-c", code, str(photos), "-o", str(out), *options]
    return subprocess.Popen(command, cwd=ROOT)


def _wait_for(run: subprocess.Popen[bytes], out: Path, count: int) -> None:
    """Wait until so many results are there or the run is over."""
    while run.poll() is None:
        if count == 0 or (out.is_dir() and len(list(out.glob("[!.]*"))) >= count):
            return
        time.sleep(0.001)


def _kill_once(
    photos: Path,
    out: Path,
    method: str,
    moment: tuple[int, float],
    wanted: dict[str, str],
    threads: int,
) -> Kill:
    """Kill one run, start it again, compare.

    Args:
        photos: The inputs.
        out: Folder of the results.
        method: What to do to faces.
        moment: Results to wait for, and the share of one photo's time to wait on.
        wanted: The results of a run nobody disturbed.
        threads: Threads of the command.
    """
    after, share = moment
    run = _start(photos, out, method, threads)
    _wait_for(run, out, min(after, 1))
    started = time.monotonic()
    _wait_for(run, out, after)
    one_photo = (time.monotonic() - started) / max(1, after - 1)
    try:
        # Before the first result the models load: that time counts as a photo's, too.
        run.wait(share * (one_photo if after else START_S))
        ended = True
    except subprocess.TimeoutExpired:
        os.kill(run.pid, signal.SIGKILL)
        ended = False
    run.wait()
    there, marks = digests(out), stamps(out)
    code = _start(photos, out, method, threads).wait(LIMIT_S)
    final, later = digests(out), stamps(out)
    return Kill(
        method=method,
        after=after,
        ended_before=ended,
        done=sum(name in wanted for name in there),
        temporary=sum(name not in wanted for name in there),
        broken=sum(name in wanted and wanted[name] != digest for name, digest in there.items()),
        exit_code=code,
        missing=sum(name not in final for name in wanted),
        wrong=sum(name in final and final[name] != digest for name, digest in wanted.items()),
        again=sum(later.get(name) != mark for name, mark in marks.items() if name in wanted),
        stray=sum(name not in wanted for name in final),
    )


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file in a folder, hidden ones, too; nothing if there is none."""
    if not folder.is_dir():
        return {}
    out = {}
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # renamed meanwhile, if a run is going on
            out[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return out


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Return inode and time of the last change of every file in a folder."""
    if not folder.is_dir():
        return {}
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.iterdir()}


def _show(kills: Sequence[Kill]) -> None:
    rows = [
        (
            k.method,
            k.after,
            "over" if k.ended_before else k.done,
            k.temporary,
            "yes" if k.right else f"NO: {k}",
        )
        for k in kills
    ]
    print_table(("method", "killed after", "results then", "temporary", "right"), rows)
