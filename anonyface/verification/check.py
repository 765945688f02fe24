"""Is the old face gone? Thresholds at known false match rates, and the comparison itself."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal

from anonyface.errors import WeightsMissing

FalseMatchRate = Literal["1e-2", "1e-3", "1e-4"]


@cache
def match_threshold(rate: FalseMatchRate) -> float:
    """Similarity from which on two faces count as one person at a false match rate.

    Calibrated on lfw-dev by ``benchmarks/calibrate.py``; the file names source and counts.

    Raises:
        WeightsMissing: If the calibration is not there.
    """
    path = Path(__file__).with_name("thresholds.json")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsMissing("thresholds", path) from None
    return float(record["encoder"]["fmr"][rate])
