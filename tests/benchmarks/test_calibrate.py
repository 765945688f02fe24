"""The counting of benchmarks/calibrate.py, and what it stores."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.protection.thresholds import CURVE, Judged
from anonyface.verification.thresholds import EncoderName
from benchmarks.calibrate import (
    ALIKE,
    CURVE_RATES,
    FACE_SIZES,
    RATES,
    THRESHOLDS,
    Embedded,
    calibrate,
    compact,
    protection_curve,
    protection_scores,
)

PEOPLE = [f"p{k // 2}" for k in range(300)]


def points(seed: int, noise: float) -> NDArray[np.float32]:
    """Two photos each of 150 people: noise around the person."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(rng.normal(size=(150, 128)), 2, axis=0) + noise * rng.normal(size=(300, 128))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def found() -> Embedded:
    """Two encoders that err in different ways; smaller faces are noisier."""
    sizes = dict(zip((None, *FACE_SIZES), (1.0, 1.8, 1.6, 1.4, 1.2, 1.1), strict=True))
    embeddings: dict[EncoderName, dict[int | None, NDArray[np.float32]]] = {
        name: {size: points(seed, 1.2 * noise) for size, noise in sizes.items()}
        for seed, name in enumerate(get_args(EncoderName))
    }
    return Embedded(PEOPLE, [80.0] * 300, embeddings, 0)


def test_every_encoder_has_a_section_of_the_same_form(found: Embedded) -> None:
    stored = json.loads(THRESHOLDS.read_text(encoding="utf-8"))
    assert set(stored) == set(ALIKE) == set(get_args(EncoderName))
    made = calibrate(found, "second-encoder", "made up")
    assert made.keys() == stored["second-encoder"].keys()
    assert made["pairs"] == {"genuine": 150, "impostor": 300 * 298 // 2}
    assert list(made["by_face_px"]) == [str(size) for size in FACE_SIZES]
    assert [made["fmr"][rate] for rate in RATES] == sorted(made["fmr"].values())


def test_pairs_count_both_ways_and_no_photo_meets_itself(found: Embedded) -> None:
    for judged in get_args(Judged):
        genuine, impostor = protection_scores(found, (None, None), judged)
        assert (len(genuine), len(impostor)) == (300, 300 * 298)
        assert genuine.max() < 0.99
        assert genuine.mean() > impostor.mean() + 0.1
    small = protection_scores(found, (24, None), "both")[0]
    assert small.mean() < protection_scores(found, (None, None), "both")[0].mean()


def test_two_encoders_miss_less_than_one(found: Embedded) -> None:
    record = protection_curve(found, "made up")
    at = CURVE_RATES.index(1e-3)
    both, first = (record[name][-1]["fnmr"][at] for name in ("both", "first"))
    assert both < first


def test_the_curve_is_stored_as_it_is_made(found: Embedded) -> None:
    record = protection_curve(found, "made up")
    stored = json.loads(CURVE.read_text(encoding="utf-8"))
    assert record.keys() == stored.keys()
    assert json.loads(compact(record)) == record
    assert compact(stored) == CURVE.read_text(encoding="utf-8")
