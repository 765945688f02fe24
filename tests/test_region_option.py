"""A part of a face replaced, as asked: the outcome says so, and is not called verified for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anonyface.api import Anonymizer
from anonyface.cli import main
from anonyface.config import Config
from anonyface.errors import InputError
from anonyface.report import is_verified

from .fakes import DoNothing, Failing


def test_a_swapper_that_changes_nothing_covers_the_face(pair: NDArray[np.uint8]) -> None:
    result = Anonymizer(region="mouth", swapper=DoNothing(), seed=5, threads=1)(pair)
    assert [o.action for o in result.faces] == ["redacted"] * 2
    assert "nothing of the mouth" in result.faces[0].reason


def test_what_stays_recognisable_is_replaced_in_part_and_not_called_verified(
    one: NDArray[np.uint8],
) -> None:
    result = Anonymizer(region="mouth", seed=5)(one)
    assert len(result.faces) == 1
    for outcome in result.faces:
        assert outcome.action == "replaced"
        assert outcome.reason.startswith("only the mouth replaced, as asked, not verified")
        assert is_verified(outcome) is False
    assert result.report()["settings"]["region"] == "mouth"


def test_a_part_is_replaced_and_the_rest_is_untouched(pair: NDArray[np.uint8]) -> None:
    result = Anonymizer(region="eyes", seed=5)(pair)
    assert len(result.faces) == 2
    for outcome in result.faces:
        assert outcome.action == "replaced"
        assert "only the eyes replaced" in outcome.reason
        eyes, mouth = outcome.face.landmarks[:2], outcome.face.landmarks[3:]
        change = np.abs(result.image.astype(int) - pair).max(axis=2)
        for x, y in eyes.round().astype(int):
            assert change[y - 4 : y + 5, x - 6 : x + 7].mean() > 3
        for x, y in mouth.round().astype(int):
            assert not change[y - 4 : y + 5, x - 6 : x + 7].any()


def test_a_part_that_fails_covers_the_whole_face(scene: NDArray[np.uint8]) -> None:
    result = Anonymizer(region="eyes", swapper=Failing(), seed=5, threads=1)(scene)
    assert {outcome.action for outcome in result.faces} == {"redacted"}


def test_a_part_can_only_be_replaced() -> None:
    with pytest.raises(InputError, match="region 'eyes' needs method synthetic"):
        Config(region="eyes", method="blur")
    with pytest.raises(InputError, match="region must be one of face, eyes, mouth"):
        Config(region="nose")  # type: ignore[arg-type]


def test_the_command_line_has_it_all(
    tmp_path: Path, pair: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "scene.png"
    Image.fromarray(pair[:, :300]).save(photo)
    folder = tmp_path / "compared"
    arguments = [str(photo), "--region", "eyes", "--seed", "5", "--compare", str(folder)]
    assert main(arguments) == 0
    assert (folder / "scene.compare.jpg").exists()
    capsys.readouterr()
    assert main([str(photo), "--swapper", str(tmp_path / "no.onnx")]) == 2
    assert "no.onnx: no such file" in capsys.readouterr().err
