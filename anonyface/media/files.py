"""Write a file whole or not at all, and never over an input."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from anonyface.errors import InputError


def check_target(path: str | Path, *, inputs: Iterable[Path] = ()) -> Path:
    """Check that a file can be written at a path before the work for it is done.

    Args:
        path: Where to write.
        inputs: Files that must survive, whatever name, link or hard link leads to them.

    Returns:
        The path.

    Raises:
        InputError: If the folder is missing or not writable, the path is a folder, or it is one of
            the inputs.
    """
    target = Path(path)
    try:
        return _check_target(target, inputs)
    except (OSError, ValueError) as error:  # a name too long for the system, a NUL in it
        if isinstance(error, InputError):
            raise
        problem = getattr(error, "strerror", None) or error
        raise InputError(f"can't write {target}: {problem}") from error


def _check_target(target: Path, inputs: Iterable[Path]) -> Path:
    folder = target.parent
    if not folder.is_dir():
        raise InputError(f"can't write {target}: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"can't write {target}: the folder {folder} is not writable")
    if target.is_dir():
        raise InputError(f"can't write {target}: it is a folder")
    for kept in inputs:
        if _same_file(kept, target):
            raise InputError(f"refusing to overwrite the input: {target}")
    return target


def _same_file(first: Path, second: Path) -> bool:
    """Say whether two paths lead to one file; a file that is gone is compared by name."""
    try:
        return first.samefile(second)
    except OSError:  # absolute() where resolve() would follow links in a circle
        return first.absolute() == second.absolute()


def replace_file(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write bytes under a temporary name beside the target, then move them there in one step.

    Args:
        path: The target; an existing file is replaced (a link, not what it points to).
        data: The whole content.
        mode: Permissions, less the user's umask.

    Raises:
        InputError: If the system refuses (disk full, no permission); no file is left then.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        # "x" never follows or reuses what is there.
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # or a power cut may leave the name and not the content
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
