"""The softer photo is the same one, and softer."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.identities.people import portrait_face
from benchmarks.steadiness import PoseReader, pose_lines, softer


def test_a_softer_photo_is_the_same_photo(people: list[NDArray[np.uint8]]) -> None:
    image = people[0]
    after = softer(image)
    assert after.shape == image.shape
    assert after.dtype == np.uint8
    assert np.abs(after.astype(int) - image).mean() < 6  # grey levels: nobody sees it
    assert 0 < cv2.Laplacian(after, cv2.CV_64F).var() < 0.8 * cv2.Laplacian(image, cv2.CV_64F).var()


def test_the_change_of_a_pose_is_measured(people: list[NDArray[np.uint8]]) -> None:
    image, face = people[0], portrait_face(1024)
    compare = PoseReader(threads=1)
    same = compare(image, image, face)
    assert same is not None
    assert same[0] is False
    assert same[1].max() == 0
    turn = cv2.getRotationMatrix2D((511.5, 511.5), 8, 1)
    turned = cv2.warpAffine(image, turn, (1024, 1024), borderMode=cv2.BORDER_REPLICATE)
    change = compare(image, np.asarray(turned, np.uint8), face)
    assert change is not None
    assert abs(change[1][2] - 8) < 2  # roll, which the mesh follows
    assert "bare (1)" in pose_lines([change])[0]
