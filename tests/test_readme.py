"""The examples of the README and the docs do what they say."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.demo import make_scene
from anonyface.media.images import load_image, save_image

ROOT = Path(__file__).parent.parent


def python_blocks(document: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def street(
    people: list[NDArray[np.uint8]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with street.jpg, on which the person of me.jpg is seen among others."""
    scene = make_scene(people, side=260, columns=2)
    me = np.ascontiguousarray(
        cv2.resize(people[1], (500, 500), interpolation=cv2.INTER_AREA)[:, ::-1]
    )
    save_image(scene, tmp_path / "street.jpg", source=load_image(scene))
    save_image(me, tmp_path / "me.jpg", source=load_image(me))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_example(street: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = python_blocks(ROOT / "README.md")
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - the README's own lines
    lines = capsys.readouterr().out.splitlines()
    assert (street / "street.anon.jpg").stat().st_size > 10_000
    assert sum(line.startswith("kept protected person") for line in lines) == 1
    assert sum(line.startswith("replaced") for line in lines) == 3
    assert "4 faces" in lines


def test_the_example_of_a_detector_of_ones_own(street: Path) -> None:
    (code,) = python_blocks(ROOT / "docs" / "adding-a-backend.md")
    names: dict[str, object] = {}
    exec(compile(code, "adding-a-backend.md", "exec"), names)  # noqa: S102
    result = names["anonymizer"]("street.jpg")  # type: ignore[operator]
    assert [o.action for o in result.faces] == ["redacted"]


@pytest.mark.parametrize("document", ["README.md", *sorted(p.name for p in ROOT.glob("docs/*.md"))])
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document if document == "README.md" else ROOT / "docs" / document
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{document} -> {target}"
