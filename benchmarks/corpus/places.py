"""What a path can lead to besides a plain file with a plain name."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.corpus.kinds import Keeps, Kind, Sitter


def _folder(s: Sitter, folder: Path) -> Path:
    path = folder / "folder.jpg"
    path.mkdir()
    return path


def _missing(s: Sitter, folder: Path) -> Path:
    return folder / "missing.jpg"


def _loop(s: Sitter, folder: Path) -> Path:
    path = folder / "loop.jpg"
    path.symlink_to(path)
    return path


def _dangling(s: Sitter, folder: Path) -> Path:
    path = folder / "dangling.jpg"
    path.symlink_to(folder / "nowhere.jpg")
    return path


def _link(s: Sitter, folder: Path) -> Path:
    (folder / "real.jpg").write_bytes(s.jpeg)
    path = folder / "link.jpg"
    path.symlink_to("real.jpg")
    return path


def _fifo(s: Sitter, folder: Path) -> Path:
    path = folder / "fifo.jpg"
    os.mkfifo(path)
    return path


def _endless(s: Sitter, folder: Path) -> Path:
    path = folder / "zero.jpg"
    path.symlink_to("/dev/zero")
    return path


def _forbidden(s: Sitter, folder: Path) -> Path:
    path = folder / "forbidden.jpg"
    path.write_bytes(s.jpeg)
    path.chmod(0)
    return path


def _beyond(s: Sitter, folder: Path) -> Path:
    (folder / "file").write_bytes(b"")
    return folder / "file" / "photo.jpg"


def _huge_hole(s: Sitter, folder: Path) -> Path:
    """40 GB that take no room on the disk."""
    path = folder / "hole.jpg"
    with path.open("wb") as file:
        file.write(s.jpeg)
        file.truncate(40 * 2**30)
    return path


def _named(name: str) -> Kind:
    def put(s: Sitter, folder: Path) -> Path:
        path = folder / name
        path.write_bytes(s.jpeg)
        return path

    shown = name.encode("unicode_escape", "surrogatepass").decode()
    # A result's name is longer than its photo's, and may be too long.
    fits = len(os.fsencode(name)) <= 250
    return Kind(f"named {shown[:24]}", ".jpg", put=put, expected="ok" if fits else "either")


def _bad_name(name: str) -> Kind:
    def put(s: Sitter, folder: Path) -> Path:
        path = folder / name
        path.write_bytes(b"no image")
        return path

    shown = name.encode("unicode_escape", "surrogatepass").decode()
    return Kind(f"no image, named {shown[:24]}", ".jpg", put=put, expected="error")


NAMES = (
    "with\nnewline.jpg",
    "ünï ☃ 写真.jpg",
    "raw\udcff\udcfe.jpg",
    "-o.jpg",
    "%s {0} $HOME `id`.jpg",
    " blank .jpg",
    "no suffix",
    ".hidden.jpg",
    "SHOUTING.JPEG",
    "\x1b[31mred\x07.jpg",
    "n" * 251 + ".jpg",
)

KINDS = (
    Kind("folder", ".jpg", put=_folder, expected="error"),
    Kind("missing", ".jpg", put=_missing, expected="error"),
    Kind("below a file", ".jpg", put=_beyond, expected="error"),
    Kind("link to itself", ".jpg", put=_loop, expected="error"),
    Kind("link to nowhere", ".jpg", put=_dangling, expected="error"),
    Kind("link to a photo", ".jpg", put=_link),
    Kind("fifo", ".jpg", put=_fifo, expected="error"),
    Kind("endless device", ".jpg", put=_endless, expected="error"),
    Kind("40 GB hole", ".jpg", put=_huge_hole, expected="error"),
    Kind("no permission", ".jpg", put=_forbidden, expected="either", keeps=Keeps()),
    *(_named(name) for name in NAMES),
    *(_bad_name(name) for name in NAMES[:3] + NAMES[9:10]),
)
