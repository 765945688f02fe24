"""The softer photo is the same one, and softer."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.steadiness import softer


def test_a_softer_photo_is_the_same_photo(people: list[NDArray[np.uint8]]) -> None:
    image = people[0]
    after = softer(image)
    assert after.shape == image.shape
    assert after.dtype == np.uint8
    assert np.abs(after.astype(int) - image).mean() < 6  # grey levels: nobody sees it
    assert 0 < cv2.Laplacian(after, cv2.CV_64F).var() < 0.8 * cv2.Laplacian(image, cv2.CV_64F).var()
