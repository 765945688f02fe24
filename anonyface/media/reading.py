"""Whatever a caller names as an image -> its bytes, never more of them than the limit."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from anonyface.errors import InputError

MAX_BYTES = 700_000_000  # 100 megapixels of uncompressed 16-bit colour are 600 MB


def read_input(
    image: str | os.PathLike[str] | bytes | BinaryIO, *, max_bytes: int
) -> tuple[bytes, Path | None, str]:
    """Return the bytes, the file's absolute path if it has one, and what to call it.

    Args:
        image: Path, bytes, or binary file object (read from where it stands).
        max_bytes: Largest size; of more, no more than one byte beyond it is read.

    Raises:
        InputError: If there is nothing to read, too much of it, or ``image`` is of another type.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        size = image.nbytes if isinstance(image, memoryview) else len(image)
        _check_size(size, "image", max_bytes)
        return bytes(image), None, "image"
    if isinstance(image, str | os.PathLike):
        return _read_path(Path(image), max_bytes)
    if not hasattr(image, "read"):
        raise InputError(
            "an image is a path, bytes, a binary file, a PIL image or an RGB uint8 array, "
            f"not {type(image).__name__}"
        )
    named = getattr(image, "name", None)
    name = str(named) if isinstance(named, str) else "image"
    return _read_file(image, name, max_bytes), existing_path(named), name


def existing_path(name: object) -> Path | None:
    """Return the absolute path of a file that a name leads to, else None."""
    if isinstance(name, str | os.PathLike) and os.fspath(name) and Path(name).is_file():
        return Path(name).absolute()
    return None


def _read_path(path: Path, max_bytes: int) -> tuple[bytes, Path, str]:
    """Read a regular file; pipes and devices may never end.

    Raises:
        InputError: If it is missing, something else, unreadable or too large.
    """
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise InputError(f"{path}: this is a folder, not an image")
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path}: not a regular file; pass an open file object instead")
        _check_size(found.st_size, str(path), max_bytes)
        with path.open("rb") as file:
            return _read_file(file, str(path), max_bytes), path.absolute(), str(path)
    except InputError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        problem = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: {problem}".replace("\x00", "?")) from error


def _read_file(file: BinaryIO, name: str, max_bytes: int) -> bytes:
    """Read a file to its end, at most one byte beyond the limit.

    Raises:
        InputError: If it is too large, a text file, or its ``read`` fails.
    """
    pieces: list[bytes] = []
    left = max_bytes + 1
    while left > 0:
        try:
            piece = file.read(left)
        except (OSError, ValueError) as error:
            problem = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise InputError(f"{name}: {problem}") from error
        if not isinstance(piece, bytes):
            raise InputError("the file object must be opened in binary mode")
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    if left <= 0:
        raise InputError(f"{name}: larger than the limit of {max_bytes:,} bytes")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _check_size(size: int, name: str, max_bytes: int) -> None:
    """Raise InputError if a size is over the limit."""
    if size > max_bytes:
        raise InputError(f"{name}: {size:,} bytes, the limit is {max_bytes:,}")
