"""From which similarity on two faces count as one person, at known false match rates."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from anonyface.errors import WeightsMissing

FalseMatchRate = Literal["1e-2", "1e-3", "1e-4"]
EncoderName = Literal[
    "encoder",
    "second-encoder",
    "second-encoder, surroundings",
    "encoder, upper face",
    "second-encoder, upper face",
]

LARGE_PX = 85.0
"""Median height of the faces in lfw-dev: from here on the thresholds of whole photos hold."""


@cache
def _calibration(encoder: EncoderName) -> dict[str, Any]:
    path = Path(__file__).with_name("thresholds.json")
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))[encoder]
    except FileNotFoundError:
        raise WeightsMissing("thresholds", path) from None
    return record


def match_threshold(
    rate: FalseMatchRate, *, face_px: float | None = None, encoder: EncoderName = "encoder"
) -> float:
    """Similarity from which on two faces count as one person at a false match rate.

    Faces of few pixels all look alike to an encoder: the smaller they are, the more similar two
    strangers come out, and the higher the similarity that means anything. Between the calibrated
    sizes the threshold is interpolated.

    Calibrated on lfw-dev by ``benchmarks/calibrate.py``; the file names source and counts.

    Args:
        rate: False match rate.
        face_px: Height of both faces in pixels, None for faces large enough.
        encoder: Name of the encoder in the manifest.

    Raises:
        WeightsMissing: If the calibration is not there.
    """
    record = _calibration(encoder)
    full = float(record["fmr"][rate])
    if face_px is None:
        return full
    by_size = {float(size): points["fmr"][rate] for size, points in record["by_face_px"].items()}
    sizes = sorted(by_size)
    return float(np.interp(face_px, [*sizes, LARGE_PX], [*(by_size[s] for s in sizes), full]))
