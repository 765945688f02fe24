"""Two runs over one folder: claims on photos. Killed runs: the temporary files they leave."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

Claim: TypeAlias = Literal["held", "unlocked", "busy"]
"""The photo is ours; there are no locks for it; another run is at work on it."""

# The names `anonyface.media.files.replace_file` gives: of longer targets only 100 characters.
_TEMPORARY = re.compile(r"\.(?P<target>.{1,100})\.[0-9a-f]{8}\.tmp", re.DOTALL)
_WHOLE_NAME = 99


@contextmanager
def claim(photo: Path, *, wait: bool = False) -> Iterator[Claim]:
    """Hold a photo against other runs while it is worked on.

    The lock is on the photo itself, so there is no lock file to be left behind, and the system lets
    go of it when the process ends, however it ends. It hinders nobody from reading the photo.

    Args:
        photo: The input.
        wait: Whether to wait for another run to let go of it.

    Yields:
        Whether the photo is held. It is "unlocked" on Windows, on disks without locks, and where
        there is no plain file: then two runs may do a photo twice, but never half.
    """
    descriptor = _open(photo)
    if descriptor is None:
        yield "unlocked"
        return
    try:
        yield _lock(descriptor, wait=wait)
    finally:
        os.close(descriptor)


def _open(photo: Path) -> int | None:
    """Open a photo for locking; None if that is not possible. Never waits, as pipes would."""
    if sys.platform == "win32":
        return None
    try:
        if stat.S_ISREG(photo.stat().st_mode):
            return os.open(photo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        pass  # whoever reads the photo will say what is wrong with it
    return None


def _lock(descriptor: int, *, wait: bool) -> Claim:
    """Lock an open file."""
    if sys.platform == "win32":
        return "unlocked"
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return "busy"
    except OSError:  # some network disks
        return "unlocked"
    return "held"


class Leftovers:
    """Temporary files that killed runs have left; each folder is listed once, when first asked."""

    def __init__(self) -> None:
        self._found: dict[Path, dict[str, list[Path]]] = {}

    def remove(self, output: Path) -> None:
        """Remove the leftovers of one result; only right for who holds its photo.

        Args:
            output: The result; its own temporary files have its name and random digits.
        """
        folder = output.parent
        if folder not in self._found:
            self._found[folder] = _list(folder)
        for path in self._found[folder].pop(output.name, []):
            with contextlib.suppress(OSError):  # gone already, or not ours to remove
                path.unlink()


def _list(folder: Path) -> dict[str, list[Path]]:
    """Return the temporary files in a folder by the result they were to become.

    Names cut to 100 characters are left alone: they may belong to another result.
    """
    found: dict[str, list[Path]] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                hit = _TEMPORARY.fullmatch(entry.name)
                if hit and len(hit["target"]) <= _WHOLE_NAME and entry.is_file():
                    found.setdefault(hit["target"], []).append(Path(entry.path))
    except OSError:
        return {}
    return found
