"""The calibrated thresholds."""

from __future__ import annotations

import pytest

from anonyface.verification.thresholds import match_threshold


def test_a_lower_false_match_rate_asks_for_more_similarity() -> None:
    assert match_threshold("1e-2") < match_threshold("1e-3") < match_threshold("1e-4")


@pytest.mark.parametrize("rate", ["1e-2", "1e-3"])
def test_small_faces_need_more_similarity_to_mean_something(rate: str) -> None:
    sizes = (20, 24, 30, 40, 60, 85, 400)
    values = [match_threshold(rate, face_px=s) for s in sizes]  # type: ignore[arg-type]
    assert values == sorted(values, reverse=True)
    assert values[0] == values[1] > values[-1]
    assert values[-1] == match_threshold(rate)  # type: ignore[arg-type]
