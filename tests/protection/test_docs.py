"""The example of docs/protecting-people.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_keeps_the_two(
    portraits: list[NDArray[np.uint8]],
    scene: NDArray[np.uint8],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("cryptography")
    monkeypatch.chdir(tmp_path)
    for name, picture in (
        ("anna-1", portraits[0]),
        ("anna-2", portraits[0][:, ::-1]),
        ("berta", portraits[3]),
        ("group", scene),
    ):
        Image.fromarray(picture).save(f"{name}.jpg", quality=95)
    text = (ROOT / "docs" / "protecting-people.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "protecting-people.md", "exec"), names)  # noqa: S102 - our own lines
    outcomes = names["result"].faces
    kept = {o.match.reference for o in outcomes if o.action == "kept"}
    assert kept == {"Anna", "Berta"}
    assert len(outcomes) == 4
    assert sum(o.action == "kept" for o in outcomes) == 2
    assert capsys.readouterr().out.count("protected person") == 2
