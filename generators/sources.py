"""Where training images come from: the protocol, and folders or zip files."""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from anonyface.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
LABELS_FILE = "labels.csv"
MODES = ("RGB", "L", "P")
"""Modes that become RGB without losing anything."""
MAX_SIDE = 4096
MAX_LABELS_BYTES = 2**28


class ImageSource(Protocol):
    """An endless supply of training images.

    Attributes:
        resolution: Side of the images, px.
        label_names: One name a class; empty for images without labels.
    """

    resolution: int
    label_names: tuple[str, ...]

    def batch(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw images.

        Args:
            count: How many.
            rng: Source of randomness, on the CPU.

        Returns:
            Images (count, 3, resolution, resolution) float32 RGB in [-1, 1], and labels (count,
            number of classes) float32, one-hot.
        """
        ...


class FolderSource:
    """Images of a folder or zip file, with labels from sub-folders or a table.

    Images are PNG, JPEG, WebP or BMP, square, with a side that is the resolution or a multiple of
    it (box-averaged). Labels: ``labels.csv`` with the columns file and label, or, without that
    file, the names of the sub-folders. Other files are ignored.

    Args:
        path: The folder or zip file.
        resolution: Side of the images returned, px.
        mirror: Whether half of the images drawn are mirrored left to right.

    Raises:
        InputError: There is nothing at ``path``, or something in it can't be used; the message
            names the file. Pixels are decoded when they are drawn, so a file that is damaged
            behind its header comes to light then.
    """

    def __init__(self, path: str | Path, *, resolution: int, mirror: bool = False) -> None:
        self.resolution = resolution
        self.mirror = mirror
        self.origin = Path(path)
        names, self._read = _open(self.origin)
        self.files = sorted(n for n in names if PurePosixPath(n).suffix.lower() in SUFFIXES)
        if not self.files:
            raise InputError(f"no images in {self.origin}")
        for name in self.files:
            self._check(name)
        labels = self._table() if LABELS_FILE in names else _folder_labels(self.files)
        self.label_names = tuple(sorted(set(labels)))
        self._classes = torch.tensor([self.label_names.index(label) for label in labels])

    def batch(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw images, each one as likely; see `ImageSource.batch`.

        Raises:
            InputError: A file drawn can't be decoded.
        """
        drawn = torch.randint(len(self.files), (count,), generator=rng)
        flips = torch.rand(count, generator=rng) < 0.5
        pixels = [self._pixels(self.files[int(i)]) for i in drawn]
        images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1
        if self.mirror:
            images = torch.where(flips[:, None, None, None], images.flip(3), images)
        labels = torch.zeros(count, len(self.label_names))
        if self.label_names:
            labels[torch.arange(count), self._classes[drawn]] = 1
        return images, labels

    def _image(self, name: str) -> Image.Image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # odd files are errors, not noise
                image = Image.open(io.BytesIO(self._read(name)))
        except (OSError, SyntaxError, ValueError, Warning, Image.DecompressionBombError) as error:
            raise InputError(f"{name} in {self.origin}: {_reason(error)}") from error
        return image

    def _check(self, name: str) -> None:
        with self._image(name) as image:
            (width, height), mode = image.size, image.mode
        if width != height or width % self.resolution or width > MAX_SIDE:
            raise InputError(
                f"{name} in {self.origin}: {width}x{height} px; it must be square with a side that "
                f"is {self.resolution} px or a multiple, {MAX_SIDE} at most"
            )
        if mode not in MODES:
            raise InputError(f"{name} in {self.origin}: mode {mode}, must be {', '.join(MODES)}")

    def _pixels(self, name: str) -> NDArray[np.uint8]:
        try:
            with self._image(name) as image:
                colours = image.convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{name} in {self.origin}: {_reason(error)}") from error
        if colours.width > self.resolution:
            colours = colours.reduce(colours.width // self.resolution)
        return np.asarray(colours)

    def _table(self) -> list[str]:
        where = f"{LABELS_FILE} in {self.origin}"
        try:
            rows = list(csv.DictReader(io.StringIO(self._read(LABELS_FILE).decode("utf-8-sig"))))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{where}: {_reason(error)}") from error
        if not rows or any(not row.get("file") or not row.get("label") for row in rows):
            raise InputError(f"{where}: every row needs a file and a label")
        table = {row["file"]: row["label"] for row in rows}
        if len(table) < len(rows):
            raise InputError(f"{where} names a file twice")
        for name in self.files:
            if name not in table:
                raise InputError(f"{where} has no label for {name}")
        if len(table) > len(self.files):
            missing = min(set(table) - set(self.files))
            raise InputError(f"{where} names {missing}, which is not there")
        return [table[name] for name in self.files]


def _folder_labels(files: Iterable[str]) -> list[str]:
    """Return the parent folder of every file; nothing where all have the same."""
    parents = [str(PurePosixPath(name).parent) for name in files]
    if len(set(parents)) == 1:
        return []
    if "." in parents:
        stray = next(n for n, p in zip(files, parents, strict=True) if p == ".")
        raise InputError(f"{stray} lies beside the sub-folders that name the labels")
    return parents


def _open(path: Path) -> tuple[list[str], Callable[[str], bytes]]:
    """Return the relative names of all files at ``path``, and a function that reads one."""
    if path.is_dir():
        names = [p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()]
        return names, lambda name: (path / name).read_bytes()
    if not path.exists():
        raise InputError(f"no folder or zip file at {path}")
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is neither a folder nor a zip file") from error
    return [n for n in archive.namelist() if not n.endswith("/")], lambda n: _member(archive, n)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        if archive.getinfo(name).file_size > MAX_LABELS_BYTES:
            raise OSError("too large")
        return archive.read(name)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise OSError(f"damaged zip member: {error}") from error


def _reason(error: BaseException) -> str:
    return "not an image" if isinstance(error, UnidentifiedImageError) else str(error)
