"""Who compares the faces: encoders of identity, the product's own and others."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from anonyface.errors import FaceError
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.alignment import align_chip
from anonyface.verification.encoder import DlibEncoder, SFaceEncoder
from benchmarks.identification import Metric
from benchmarks.outside import OUTSIDE, OutsideEncoder

TWINS = ("dlib, plain", "FaceRes")
"""Judges that are another judge's network fed otherwise: to an attacker who has the other one they
would add time and no knowledge."""
Embed: TypeAlias = Callable[[ImageArray, FloatArray], FloatArray]


@dataclass(frozen=True, eq=False)
class Judge:
    """An encoder under which faces are compared.

    Attributes:
        name: What the result calls it.
        embed: Image and (5, 2) landmarks -> (d,) embedding.
        dims: Length d.
        metric: How two embeddings are compared.
        used_inside: Whether the product itself decides by this network, so that a low score here
            proves little.
        note: How it is used inside, or that it is not.
        version: What its embeddings depend on, so that they can be kept; empty: keep none.
    """

    name: str
    embed: Embed
    dims: int
    metric: Metric
    used_inside: bool
    note: str = ""
    version: str = ""

    def __call__(self, image: ImageArray, landmarks: FloatArray | None) -> FloatArray:
        """(d,) embedding; NaN if there is no face or it can't be aligned."""
        missing = np.full(self.dims, np.nan, np.float32)
        if landmarks is None:
            return missing
        try:
            return np.asarray(self.embed(image, landmarks), np.float32)
        except FaceError:
            return missing

    def all(
        self,
        images: Sequence[ImageArray],
        landmarks: Sequence[FloatArray | None],
        cache: Path | None = None,
    ) -> FloatArray:
        """(n, d) embeddings, NaN where there is no face.

        Args:
            images: (H, W, 3) RGB uint8 each.
            landmarks: (5, 2) points each, None where there is no face.
            cache: Folder that keeps the embeddings for the next run, None to keep nothing.
        """
        path = None
        if cache is not None and self.version:
            digest = hashlib.sha256(f"{self.name} {self.version}".encode())
            for image, points in zip(images, landmarks, strict=True):
                digest.update(np.ascontiguousarray(image).tobytes())
                digest.update(b"-" if points is None else np.asarray(points, np.float32).tobytes())
            path = cache / "embeddings" / f"{digest.hexdigest()[:32]}.npy"
            if path.is_file():
                return np.asarray(np.load(path, allow_pickle=False), np.float32)
        rows = [self(i, points) for i, points in zip(images, landmarks, strict=True)]
        table = np.stack(rows)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, table)
        return table


@dataclass(frozen=True, eq=False)
class Jury:
    """All judges of a run.

    Attributes:
        judges: In the order of the tables.
        encoders: The encoders from outside among them, one a file.
        skipped: Name of an encoder from outside -> why it has no say.
    """

    judges: list[Judge]
    encoders: list[OutsideEncoder]
    skipped: dict[str, str]

    @property
    def distinct(self) -> list[Judge]:
        """One judge for each network."""
        return [judge for judge in self.judges if judge.name not in TWINS]

    @property
    def as_counts(self) -> dict[str, Any]:
        """What a record says of it."""
        return {
            "judges": [judge.name for judge in self.judges],
            "judges_skipped": self.skipped,
            "sha256_of_encoders": {encoder.name: encoder.sha256 for encoder in self.encoders},
        }


def built_in_judges(threads: int) -> list[Judge]:
    """Return the product's own encoders as others would use them.

    Args:
        threads: Threads for inference.
    """
    encoder = DlibEncoder(threads=threads)

    def plain(image: ImageArray, landmarks: FloatArray) -> FloatArray:
        return np.asarray(encoder.views(align_chip(image, landmarks).pixels)[0], np.float32)

    wide = SFaceEncoder(sees="surroundings", threads=threads)
    return [
        Judge("built-in", encoder, 128, "euclidean", True, "decides inside"),
        Judge("dlib, plain", plain, 128, "euclidean", True, "the network that decides inside"),
        Judge(
            "SFace, whole chip",
            wide,
            128,
            "cosine",
            True,
            "the network decides inside, on the face alone; like this only with verify='strict'",
        ),
    ]


def outside_judges(encoder: OutsideEncoder) -> list[Judge]:
    """Return an encoder from outside as judges, one for each way to feed it."""
    return [
        Judge(
            feed.name,
            partial(encoder.embed, feed=feed),
            encoder.dims,
            "cosine",
            False,
            feed.note,
            version=f"{encoder.sha256} {feed.px} {feed.template.round(4).tolist()}",
        )
        for feed in encoder.feeds
    ]


def swear_in(files: Mapping[str, Path], threads: int) -> Jury:
    """Return all judges there are, and name those there are not.

    Args:
        files: Name of an encoder from outside, a key of `OUTSIDE` -> its file.
        threads: Threads for inference.
    """
    judges, encoders, skipped = built_in_judges(threads), [], {}
    for name in OUTSIDE:
        if name not in files:
            skipped[name] = f"no file given (--judge {name}=FILE, see benchmarks/encoders.md)"
        elif not files[name].is_file():
            skipped[name] = "the file given is not there"
        else:
            encoders.append(OutsideEncoder(name, files[name], threads=threads))
            judges += outside_judges(encoders[-1])
    for name, why in skipped.items():
        print(f"skipped: {name}: {why}")
    return Jury(judges, encoders, skipped)


def named_file(text: str) -> tuple[str, Path]:
    """Read NAME=FILE of the command line.

    Raises:
        ArgumentTypeError: If it is none, or the name is unknown.
    """
    name, _, file = text.partition("=")
    if name not in OUTSIDE or not file:
        known = ", ".join(OUTSIDE)
        raise argparse.ArgumentTypeError(f"want NAME=FILE with NAME one of {known}, got {text!r}")
    return name, Path(file)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--judge`` and ``--second``."""
    parser.add_argument(
        "--judge",
        type=named_file,
        action="append",
        default=[],
        metavar="NAME=FILE",
        help=f"ONNX file of an encoder from outside, NAME one of {', '.join(OUTSIDE)}",
    )
    parser.add_argument("--second", type=Path, help="the same as --judge faceres=FILE")


def jury(options: argparse.Namespace) -> Jury:
    """Return the judges that `add_options` asked for."""
    files = dict(options.judge)
    if options.second:
        files["faceres"] = options.second
    return swear_in(files, options.threads)


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options as a record may hold them: no files, no folders."""
    kept = {k: v for k, v in vars(options).items() if k not in ("judge", "second")}
    return {k: v for k, v in kept.items() if not isinstance(v, Path)}
