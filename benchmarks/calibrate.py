"""Calibrate the identity encoders: from which similarity on do two faces count as one person?

Every photo of lfw-dev against every other one. The threshold for a false match rate (FMR) is the
similarity that only this share of the pairs of different people reaches; TAR is the share of the
pairs of one person that reach it too. Writes ``anonyface/verification/thresholds.json``, each
encoder alone, and, for the comparison of protected people with faces of other sizes by the first
encoder with and without the second, ``anonyface/protection/curve.json``.

Run as ``python -m benchmarks.calibrate [--data lfw-dev.zip]`` in the root of the repository.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.detection.retinaface import RetinaFace
from anonyface.protection.portrayal import Portrayal, resemblance
from anonyface.protection.thresholds import CURVE, Judged
from anonyface.protocols import Detector, Encoder
from anonyface.types import Face, FloatArray, ImageArray
from anonyface.verification.check import encoders_by_name
from anonyface.verification.encoder import cosine, similarity
from anonyface.verification.thresholds import EncoderName
from benchmarks.contract import ROOT, read_photos
from benchmarks.identification import threshold_at_far

DATA = ROOT.parent / "shared" / "data" / "lfw-dev.zip"
THRESHOLDS = ROOT / "anonyface" / "verification" / "thresholds.json"
FACE_SIZES = (24, 32, 40, 52, 68)
"""Face heights in pixels at which the thresholds are measured besides the photos' own size."""
RATES = ("1e-2", "1e-3", "1e-4")
CURVE_RATES = tuple(float(f"{10 ** (-k / 10):.3g}") for k in range(10, 51))
"""Rates of the curve, ten a decade from 0.1 to 1e-5: the last is 20 of two million pairs."""
SHOWN_RATES = (1e-2, 1e-3, 1e-4, 1e-5)
CURVES: tuple[Judged, ...] = ("both", "first")
Alike: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]
ALIKE: Mapping[EncoderName, Alike] = {
    "encoder": similarity,
    "second-encoder": cosine,
    "second-encoder, surroundings": cosine,
    "encoder, upper face": similarity,
    "second-encoder, upper face": cosine,
}
"""The scale of each encoder's thresholds, by its name in thresholds.json."""
PROTECTING: tuple[EncoderName, EncoderName] = ("encoder", "second-encoder, surroundings")
"""First and second encoder of the comparison with protected people."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """The faces of a data set as the encoders see them.

    Attributes:
        people: Who is in each photo.
        heights: Size of each face in the photo, in pixels.
        embeddings: Encoder -> face height, None for the photo's own -> (n, 128) embeddings.
        failures: Photos without a face.
    """

    people: list[str]
    heights: list[float]
    embeddings: dict[EncoderName, dict[int | None, FloatArray]]
    failures: int


def photos(path: Path) -> Iterator[tuple[str, ImageArray]]:
    """Yield person and RGB uint8 photo for every Name_0001.jpg in a zip file, ordered by name.

    Raises:
        ValueError: If a file is not a readable image.
    """
    for name, image in read_photos(path):
        yield PurePosixPath(name).stem.rpartition("_")[0], image


def subject(faces: Sequence[Face], image_hw: tuple[int, ...]) -> Face | None:
    """Return the face the photo is of: large and central, None if there is no face."""
    centre = np.array([image_hw[1], image_hw[0]]) / 2

    def prominence(face: Face) -> float:
        off_centre = np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - centre)
        return float(face.size - off_centre)

    return max(faces, key=prominence, default=None)


def shrink(image: ImageArray, face: Face, face_px: int | None) -> tuple[ImageArray, FloatArray]:
    """Return the photo and the landmarks with the face at most ``face_px`` high, None: as it is."""
    factor = 1.0 if face_px is None else min(1.0, face_px / face.size)
    if factor == 1.0:
        return image, face.landmarks
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    scale = np.array([size[0] / image.shape[1], size[1] / image.shape[0]], np.float32)
    return np.asarray(small, np.uint8), (face.landmarks + 0.5) * scale - 0.5


def embed(path: Path, detector: Detector, encoders: Mapping[EncoderName, Encoder]) -> Embedded:
    """Find every photo's subject and encode it at its own size and at every size of the grid."""
    people: list[str] = []
    heights: list[float] = []
    rows: dict[EncoderName, dict[int | None, list[FloatArray]]] = {
        name: {size: [] for size in (None, *FACE_SIZES)} for name in encoders
    }
    failures = 0
    for person, image in photos(path):
        face = subject(detector(image), image.shape[:2])
        if face is None:
            failures += 1
            continue
        people.append(person)
        heights.append(face.size)
        for size in (None, *FACE_SIZES):
            picture, landmarks = shrink(image, face, size)
            for name, encoder in encoders.items():
                rows[name][size].append(encoder(picture, landmarks))
    stacked = {
        name: {size: np.stack(embeddings) for size, embeddings in sizes.items()}
        for name, sizes in rows.items()
    }
    return Embedded(people, heights, stacked, failures)


def pair_scores(
    people: Sequence[str], embeddings: FloatArray, alike: Alike
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the similarities of all genuine and of all impostor pairs."""
    names = np.array(people)
    genuine, impostor = [], []
    for i in range(len(names) - 1):
        scores = alike(embeddings[i], embeddings[i + 1 :])
        same = names[i + 1 :] == names[i]
        genuine.append(scores[same])
        impostor.append(scores[~same])
    return np.concatenate(genuine), np.concatenate(impostor)


def operating_points(
    genuine: NDArray[np.float32], impostor: NDArray[np.float32]
) -> dict[str, dict[str, float]]:
    """Return threshold and true accept rate for every false match rate in ``RATES``.

    Raises:
        ValueError: If there are too few impostor pairs for the smallest rate.
    """
    fmr: dict[str, float] = {}
    tar: dict[str, float] = {}
    for rate in RATES:
        exact = threshold_at_far(impostor, float(rate))
        if exact is None:
            raise ValueError(f"{len(impostor)} impostor pairs are too few for an FMR of {rate}")
        threshold = round(exact, 4)
        fmr[rate] = threshold
        tar[rate] = round(float((genuine >= threshold).mean()), 4)
    return {"fmr": fmr, "tar": tar}


def calibrate(found: Embedded, name: EncoderName, source: str) -> dict[str, Any]:
    """Return the record of thresholds.json for one encoder."""
    points, alike = found.embeddings[name], ALIKE[name]
    genuine, impostor = pair_scores(found.people, points[None], alike)
    small = {
        str(face_px): operating_points(*pair_scores(found.people, points[face_px], alike))
        for face_px in FACE_SIZES
    }
    return operating_points(genuine, impostor) | {
        "by_face_px": small,
        "pairs": {"genuine": len(genuine), "impostor": len(impostor)},
        "source": f"{source}: {len(set(found.people))} people, {len(found.people)} photos",
        "failures": found.failures,
    }


def protection_scores(
    found: Embedded, sizes: tuple[int | None, int | None], judged: Judged
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return genuine and impostor similarities of references and faces of two sizes.

    Every pair of photos counts twice, each of the two in the role of the reference.

    Args:
        found: The embeddings.
        sizes: Of the references, and of the faces.
        judged: By which encoders they are compared.
    """
    first, second = (found.embeddings[name] for name in PROTECTING)
    rows = [
        resemblance(
            first[sizes[0]], second[sizes[0]], Portrayal(a, b if judged == "both" else None)
        )
        for a, b in zip(first[sizes[1]], second[sizes[1]], strict=True)
    ]
    table = np.stack([score for score, _ in rows])
    names = np.array(found.people)
    same = names[:, None] == names[None]
    other_photo = ~np.eye(len(names), dtype=bool)
    return table[same & other_photo], table[~same]


def protection_curve(found: Embedded, source: str) -> dict[str, Any]:
    """Return the record of curve.json: error rates of references against faces of any size."""
    full = round(float(np.median(found.heights)))
    grid = {**{size: size for size in FACE_SIZES}, full: None}
    curves: dict[Judged, list[dict[str, Any]]] = {"both": [], "first": []}
    for judged, pairs in curves.items():
        for px in combinations_with_replacement(grid, 2):
            genuine, impostor = protection_scores(found, (grid[px[0]], grid[px[1]]), judged)
            reached = np.quantile(impostor, 1 - np.array(CURVE_RATES))
            fnmr = [float((genuine < value).mean()) for value in reached]
            pairs.append(
                {
                    "px": list(px),
                    "similarity": [round(float(value), 4) for value in reached],
                    "fnmr": [round(value, 4) for value in fnmr],
                }
            )
    return {
        "source": f"{source}: {len(set(found.people))} people, {len(found.people)} photos",
        "pairs_each": {"genuine": len(genuine), "impostor": len(impostor)},
        "sizes_px": list(grid),
        "fmr": list(CURVE_RATES),
        **curves,
    }


def show(record: dict[str, Any]) -> None:
    """Print the record as a table."""
    pairs = record["pairs"]
    print(f"{record['source']}; {record['failures']} photos without a face")
    print(f"{pairs['genuine']} genuine and {pairs['impostor']} impostor pairs")
    print(f"{'FMR':>6}  {'similarity':>10}  {'distance':>8}  {'TAR':>6}")
    for rate, threshold in record["fmr"].items():
        print(f"{rate:>6}  {threshold:>10.4f}  {1 - threshold:>8.4f}  {record['tar'][rate]:>6.4f}")
    for size, points in record["by_face_px"].items():
        print(f"both faces shrunk to {size} px: {points}")


def show_curve(record: dict[str, Any]) -> None:
    """Print threshold and true accept rate of every pair of sizes at the usual rates."""
    columns = [record["fmr"].index(rate) for rate in SHOWN_RATES]
    print(f"columns: similarity (TAR) at FMR {SHOWN_RATES}")
    for judged in CURVES:
        for pair in record[judged]:
            points = [f"{pair['similarity'][k]:.4f} ({1 - pair['fnmr'][k]:.3f})" for k in columns]
            print(f"{judged}: reference {pair['px'][0]} px, face {pair['px'][1]} px:", *points)


def compact(record: dict[str, Any]) -> str:
    """Return JSON with one line a part, and one a pair of sizes."""
    lines = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in record.items() if k not in CURVES]
    for name in CURVES:
        pairs = ",\n".join(f"    {json.dumps(pair)}" for pair in record[name])
        lines.append(f'  "{name}": [\n{pairs}\n  ]')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    """Calibrate on the command line."""
    parser = argparse.ArgumentParser(description="calibrate the identity encoders on lfw-dev")
    default = Path(os.environ.get("ANONYFACE_DATA", DATA))
    parser.add_argument("--data", type=Path, default=default, help="zip file, or its folder")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    path = options.data / DATA.name if options.data.is_dir() else options.data
    threads: int = options.threads
    encoders = encoders_by_name(ALIKE, threads=threads)
    found = embed(path, RetinaFace(threads=threads), encoders)
    records = {name: calibrate(found, name, path.stem) for name in encoders}
    for name, record in records.items():
        print(name)
        show(record)
    THRESHOLDS.write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
    curve = protection_curve(found, path.stem)
    show_curve(curve)
    CURVE.write_text(compact(curve), encoding="utf-8")


if __name__ == "__main__":
    main()
