"""Who wears glasses is seen, with and without a mask; what a mask has for edges is none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.identities.eyewear import EYES_WH, EyewearReader, eye_region
from anonyface.identities.fit import WEARS
from anonyface.identities.generator import Generator
from anonyface.identities.people import load_pool, portrait_face
from anonyface.verification.alignment import align_chip

COUNT = 12
"""People with glasses and without: one reading may be wrong, as the reader is in 1 of 40."""


@pytest.fixture(scope="module")
def portraits() -> dict[bool, list[NDArray[np.uint8]]]:
    """Portraits at 256 px of people who surely wear glasses, and of others."""
    pool, generator = load_pool(), Generator(threads=1)
    glasses = pool.column("eyewear")
    rng = np.random.default_rng(4)
    rows = {True: np.flatnonzero(glasses > 0.99), False: np.flatnonzero(glasses < 0.02)}
    return {
        worn: [generator.render(pool.latents[i], size=256) for i in rng.choice(some, COUNT)]
        for worn, some in rows.items()
    }


def masked(pixels: NDArray[np.uint8], shade: int) -> NDArray[np.uint8]:
    """The portrait in a mask with a sharp upper edge across the nose, and with straps."""
    out = pixels.copy()
    cv2.fillPoly(out, [np.array([[66, 138], [128, 130], [190, 138], [178, 216], [78, 216]])], shade)
    for ear, corner in (((48, 118), (66, 138)), ((208, 118), (190, 138))):
        cv2.line(out, ear, corner, (shade, shade, shade), 2, cv2.LINE_AA)
    return out


@pytest.mark.parametrize("cloth", [None, 40, 235])
def test_glasses_are_seen(
    portraits: dict[bool, list[NDArray[np.uint8]]], cloth: int | None
) -> None:
    read, landmarks = EyewearReader(threads=1), portrait_face(256).landmarks
    for worn, some in portraits.items():
        looks = some if cloth is None else [masked(p, cloth) for p in some]
        said = [read(align_chip(p, landmarks).pixels) for p in looks]
        assert sum((p >= WEARS) == worn for p in said) >= COUNT - 1, said


def test_the_eyes_are_cut_out_of_the_chip() -> None:
    chip = np.zeros((150, 150, 3), np.uint8)
    chip[40:60] = 200  # where the template has the eyes
    eyes = eye_region(chip)
    assert eyes.shape == (EYES_WH[1], EYES_WH[0], 3)
    rows = np.flatnonzero(eyes[:, 64, 0] > 100)
    assert 20 <= rows.min() < rows.max() <= 44
