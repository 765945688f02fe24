"""Calibrate the identity encoder: from which similarity on do two faces count as one person?

Every photo of lfw-dev against every other one. The threshold for a false match rate (FMR) is the
similarity that only this share of the pairs of different people reaches; TAR is the share of the
pairs of one person that reach it too. Writes ``anonyface/verification/thresholds.json``.

Run as ``python -m benchmarks.calibrate [--data lfw-dev.zip]`` in the root of the repository.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.detection.retinaface import RetinaFace
from anonyface.types import Detector, Encoder, Face, FloatArray, ImageArray
from anonyface.verification.encoder import DlibEncoder, similarity
from benchmarks.contract import ROOT, read_photos
from benchmarks.identification import threshold_at_far

DATA = ROOT.parent / "shared" / "data" / "lfw-dev.zip"
THRESHOLDS = ROOT / "anonyface" / "verification" / "thresholds.json"
FACE_SIZES = (24, 32, 40, 52, 68)
"""Face heights in pixels at which the thresholds are measured besides the photos' own size."""
RATES = ("1e-2", "1e-3", "1e-4")


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


def embed(
    path: Path, detector: Detector, encoder: Encoder, face_px: int | None = None
) -> tuple[list[str], FloatArray, int]:
    """Return the people, their (n, 128) embeddings and the number of photos without a face."""
    people: list[str] = []
    embeddings: list[FloatArray] = []
    failures = 0
    for person, image in photos(path):
        face = subject(detector(image), image.shape[:2])
        if face is None:
            failures += 1
            continue
        people.append(person)
        embeddings.append(encoder(*shrink(image, face, face_px)))
    return people, np.stack(embeddings), failures


def pair_scores(
    people: Sequence[str], embeddings: FloatArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the similarities of all genuine and of all impostor pairs."""
    names = np.array(people)
    genuine, impostor = [], []
    for i in range(len(names) - 1):
        scores = similarity(embeddings[i], embeddings[i + 1 :])
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


def calibrate(path: Path, detector: Detector, encoder: Encoder) -> dict[str, Any]:
    """Return the record of thresholds.json for one encoder."""
    people, embeddings, failures = embed(path, detector, encoder)
    genuine, impostor = pair_scores(people, embeddings)
    small = {}
    for face_px in FACE_SIZES:
        names, rows, _ = embed(path, detector, encoder, face_px)
        small[str(face_px)] = operating_points(*pair_scores(names, rows))
    return operating_points(genuine, impostor) | {
        "by_face_px": small,
        "pairs": {"genuine": len(genuine), "impostor": len(impostor)},
        "source": f"{path.stem}: {len(set(people))} people, {len(people)} photos",
        "failures": failures,
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


def main() -> None:
    """Calibrate on the command line."""
    parser = argparse.ArgumentParser(description="calibrate the identity encoder on lfw-dev")
    default = Path(os.environ.get("ANONYFACE_DATA", DATA))
    parser.add_argument("--data", type=Path, default=default, help="zip file, or its folder")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    path = options.data / DATA.name if options.data.is_dir() else options.data
    detector, encoder = RetinaFace(threads=options.threads), DlibEncoder(threads=options.threads)
    record = calibrate(path, detector, encoder)
    show(record)
    THRESHOLDS.write_text(json.dumps({"encoder": record}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
