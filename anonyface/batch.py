"""Folders: which files are photos, where results go, and one failure that stays one failure."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from anonyface.claims import Leftovers, claim
from anonyface.errors import InputError, WeightsError
from anonyface.media.files import check_target
from anonyface.result import AnonymizeResult

if TYPE_CHECKING:
    from anonyface.media.signing import C2paSigner
    from anonyface.protection.selection import Selection

log = logging.getLogger("anonyface")

# Suffixes of photos, with the suffix of the result: None where it stays; formats that can't be
# written become the nearest one that can.
RESULT_SUFFIX = {
    ".jpg": None,
    ".jpeg": None,
    ".png": None,
    ".webp": None,
    ".tif": None,
    ".tiff": None,
    ".bmp": None,
    ".heic": None,
    ".heif": None,
    ".avif": None,
    ".jp2": ".jpg",
    ".gif": ".png",
}
_IS_RESULT = re.compile(r"\.anon\.[^.]+$", re.IGNORECASE)


class Anonymizes(Protocol):
    """What `process` needs of an `Anonymizer`: a path in, a result out."""

    def __call__(self, image: Path, /, *, keep: Selection, only: Selection) -> AnonymizeResult:
        """Return the anonymized image."""
        ...


@dataclass(frozen=True)
class Job:
    """One photo to do.

    Attributes:
        path: The input.
        output: Where its result goes.
        name: What to call it: its path below the folder it was found in, else its file name.
    """

    path: Path
    output: Path
    name: str


@dataclass(frozen=True, eq=False)
class FileResult:
    """What became of one file.

    Attributes:
        path: The input.
        name: What to call it in a report.
        output: The file written, or found there already; None if it failed.
        result: The anonymized image; None if it failed or was skipped.
        error: Why it failed, None if it did not.
    """

    path: Path
    name: str
    output: Path | None = None
    result: AnonymizeResult | None = None
    error: Exception | None = None

    @property
    def status(self) -> Literal["done", "skipped", "failed"]:
        """Return whether the file was done, skipped as its result exists, or failed."""
        if self.error is not None:
            return "failed"
        return "skipped" if self.result is None else "done"


def find_images(paths: Iterable[str | Path], *, recursive: bool = True) -> list[Path]:
    """Return the photos that files and folders stand for, each once.

    Files are taken as they are named. Folders give their images in order of name; hidden files,
    hidden folders, links to folders and earlier results (``*.anon.*``) are left out.

    Args:
        paths: Files and folders.
        recursive: Whether to go into subfolders.

    Returns:
        Paths, in the order given. A named result such as ``a.anon.jpg`` is dropped where its
        original is named, too: this is what ``*.jpg`` gives on a second run.

    Raises:
        InputError: If a path does not exist or can't be reached.
    """
    found: dict[Path, Path] = {}  # absolute -> as named
    for given in map(Path, paths):
        if _state(given) is None:
            raise InputError(f"{given}: no such file or folder")
        files = _walk(given, recursive=recursive) if _is_folder(given) else [given]
        for file in files:
            found.setdefault(file.absolute(), file)
    originals = {(path.parent, path.stem) for path in found} | {
        (path.parent, path.name) for path in found
    }
    return [
        named
        for path, named in found.items()
        if not ((hit := _IS_RESULT.search(path.name)) and _original(path, hit) in originals)
    ]


def _state(path: Path) -> os.stat_result | None:
    """Return what a path leads to, None if it leads nowhere.

    Raises:
        InputError: If the system does not say (no permission, a name too long, links in a ring).
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _is_folder(path: Path) -> bool:
    """Say whether a path leads to a folder; raises as `_state`."""
    state = _state(path)
    return state is not None and stat.S_ISDIR(state.st_mode)


def _original(path: Path, hit: re.Match[str]) -> tuple[Path, str]:
    """Return folder and name, less the suffix, of what a result was made from."""
    return path.parent, path.name[: hit.start()]


def _walk(folder: Path, *, recursive: bool) -> list[Path]:
    """Return the images of a folder in order of name, subfolders after files.

    Raises:
        InputError: If a folder can't be read.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: {error.strerror}") from error

    found: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if recursive and not f.startswith("."))
        for name in sorted(files):
            known = Path(name).suffix.lower() in RESULT_SUFFIX
            if known and not name.startswith(".") and not _IS_RESULT.search(name):
                found.append(Path(place, name))
    return found


def output_path(path: Path, *, out_dir: Path | None = None, root: Path | None = None) -> Path:
    """Return where the result of a photo goes.

    Args:
        path: The photo.
        out_dir: Folder of the results, None for beside the photo.
        root: Folder whose tree is rebuilt in ``out_dir``, None to put the result right into it.

    Returns:
        ``photo.anon.jpg`` for ``photo.jpg``. A format that can't be written keeps its suffix in the
        name, so that ``photo.gif`` and ``photo.png`` don't meet: ``photo.gif.anon.png``.

    Raises:
        ValueError: If the photo is not below ``root``.

    >>> output_path(Path("trip/a/photo.jpg"), out_dir=Path("out"), root=Path("trip")).as_posix()
    'out/a/photo.anon.jpg'
    """
    suffix = RESULT_SUFFIX.get(path.suffix.lower(), ".jpg")
    name = f"{path.stem}.anon{path.suffix}" if suffix is None else f"{path.name}.anon{suffix}"
    if out_dir is None:
        return path.with_name(name)
    return out_dir / (path.parent.relative_to(root) if root is not None else "") / name


def plan(
    paths: Sequence[str | Path], *, output: Path | None = None, recursive: bool = True
) -> list[Job]:
    """Say which photos there are to do and where each result goes, before any work.

    Args:
        paths: Files and folders.
        output: Folder of the results, made if it isn't there, with a folder in it for each of
            several input folders; or, with the suffix of an image, the file for a single photo;
            None for beside each photo.
        recursive: Whether to go into subfolders.

    Raises:
        InputError: If a path is missing, there is no photo at all, two photos would be written to
            one file, or ``output`` can't be used or written into.
    """
    photos = find_images(paths, recursive=recursive)
    if not photos:
        raise InputError(f"no images in {', '.join(map(str, paths))}")
    if output is not None and not _is_folder(output) and output.suffix.lower() in RESULT_SUFFIX:
        if len(photos) > 1:
            raise InputError(f"{output} is one file for {len(photos)} photos; give a folder")
        if RESULT_SUFFIX[output.suffix.lower()] is not None:
            raise InputError(f"can't write {output}: the format is not one that can be written")
        check_target(output, inputs=photos)
        return [Job(photos[0], output, photos[0].name)]
    jobs = _spread(photos, [path for path in map(Path, paths) if _is_folder(path)], output)
    if output is not None:
        make_folder(output)
        if not os.access(output, os.W_OK | os.X_OK):
            raise InputError(f"can't write into {output}: the folder is not writable")
    return jobs


def _spread(photos: Sequence[Path], folders: Sequence[Path], out_dir: Path | None) -> list[Job]:
    """Give each photo an output of its own; photos found in a folder keep their place below it.

    Raises:
        InputError: If two photos would be written to one file.
    """
    jobs: dict[Path, Job] = {}
    for photo in photos:
        root = next((folder for folder in folders if photo.is_relative_to(folder)), None)
        several = Path(root.resolve().name) if root is not None and len(folders) > 1 else Path()
        base = None if out_dir is None else out_dir / several
        output = output_path(photo, out_dir=base, root=root)
        name = (several / (photo.name if root is None else photo.relative_to(root))).as_posix()
        other = jobs.setdefault(output.absolute(), Job(photo, output, name))
        if other.path != photo:
            raise InputError(f"{other.path} and {photo} would both be written to {output}")
    return list(jobs.values())


def make_folder(folder: Path) -> None:
    """Make a folder and those above it unless it is there.

    Raises:
        InputError: If the system refuses, or there is a file of that name.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't make the folder {folder}: {error.strerror}") from error


def process(
    anonymizer: Anonymizes,
    jobs: Iterable[Job],
    *,
    keep: Selection = (),
    only: Selection = (),
    overwrite: bool = False,
    sign: C2paSigner | None = None,
) -> Iterator[FileResult]:
    """Anonymize photos one by one; one that fails doesn't stop the rest.

    Several runs may share a folder: a photo another run is at work on is left until the end, and
    done then only if its result is still missing. What killed runs left half-written is removed.

    Args:
        anonymizer: Called with each path.
        jobs: What `plan` returned.
        keep: Faces that stay, for every photo.
        only: Faces that are replaced, for every photo.
        overwrite: Whether a result that exists is made anew; by default the photo is skipped.
        sign: Whose certificate results are signed with, None for no manifest.

    Yields:
        One result per job, as soon as its file is written; in order, except for photos that another
        run was at work on.

    Raises:
        WeightsError: If a model is missing or corrupt, which no photo would survive.
    """
    leftovers = Leftovers()
    busy: list[Job] = []
    for waiting, todo in ((False, jobs), (True, busy)):
        for job in todo:
            with claim(job.path, wait=waiting) as claimed:
                if claimed == "held":
                    leftovers.remove(job.output)
                done = None
                if claimed != "busy":
                    done = _do(
                        anonymizer, job, keep=keep, only=only, overwrite=overwrite, sign=sign
                    )
            if done is None:
                busy.append(job)
            else:
                yield done


def _do(
    anonymizer: Anonymizes,
    job: Job,
    *,
    keep: Selection,
    only: Selection,
    overwrite: bool,
    sign: C2paSigner | None,
) -> FileResult:
    """Anonymize one photo, unless its result is there.

    Raises:
        WeightsError: If a model is missing or corrupt.
    """
    try:
        if not overwrite and _is_done(job.output):
            return FileResult(job.path, job.name, job.output)
        make_folder(job.output.parent)
        check_target(job.output)  # before the work; `save` checks again, and the input
        result = anonymizer(job.path, keep=keep, only=only)
        return FileResult(job.path, job.name, result.save(job.output, sign=sign), result)
    except WeightsError:
        raise
    except Exception as error:  # carried in the result; the next photo gets its turn
        log.debug("%s failed", job.path, exc_info=error)
        return FileResult(job.path, job.name, error=error)


def _is_done(output: Path) -> bool:
    """Say whether a result is there; an empty file is none: a power cut may leave one.

    Raises:
        InputError: If the system does not say.
    """
    state = _state(output)
    return state is not None and stat.S_ISREG(state.st_mode) and state.st_size > 0
