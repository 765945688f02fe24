"""The picture of the curves."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from benchmarks.roc import draw

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("judges", [1, 7])
def test_every_judge_gets_a_panel(judges: int, tmp_path: Path) -> None:
    line = [(0.5, 0.9), (0.01, 0.5), (0.001, 0.2)]
    curves = {f"judge {n}": {"before": line, "after": [(0.5, 0.4)]} for n in range(judges)}
    draw(curves, tmp_path / "sub" / "roc.png", title="try")
    picture = cv2.imread(str(tmp_path / "sub" / "roc.png"))
    # "before" is blue, and there is a line of it in every panel.
    blue = (picture[..., 0] > 150) & (picture[..., 2] < 60)
    parts, _ = cv2.connectedComponents(blue.astype("uint8"))
    assert parts - 1 >= judges + 1
