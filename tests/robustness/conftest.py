"""A photo of nobody at all, and an Anonymizer whose models are stand-ins: fast enough for many."""

import numpy as np
import pytest

from anonyface.api import Anonymizer
from anonyface.types import Face
from benchmarks.corpus.kinds import Sitter

FACE = np.array([[0.35, 0.4], [0.65, 0.4], [0.5, 0.6], [0.4, 0.75], [0.6, 0.75]])


class OneFace:
    """A detector that sees a face in the middle of every image of some size."""

    def __call__(self, image, /):
        height, width = image.shape[:2]
        if min(height, width) < 8:
            return []
        box = np.array([width / 4, height / 4, 3 * width / 4, 3 * height / 4])
        landmarks = box[:2] + FACE * (box[2:] - box[:2])
        return [Face(box, landmarks, 0.9)]


class NobodyInParticular:
    """An encoder to which every face is another person."""

    def __call__(self, image, landmarks, /):
        seed = int(np.abs(landmarks).sum()) + int(image[::7, ::7].sum())
        vector = np.random.default_rng(seed).standard_normal(128)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def make_fake(**options):
    """Return an Anonymizer that covers faces and has no models of its own to load."""
    options = {"method": "pixelate", "seed": 3, "threads": 1} | options
    return Anonymizer(detector=OneFace(), encoder=NobodyInParticular(), **options)


@pytest.fixture(scope="session")
def fake():
    return make_fake()


@pytest.fixture(scope="session")
def nobody():
    """A sitter without a face: colour ramps with grain, all of which must come out as it was."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:360, :480]
    ramp = np.stack([x / 2, y / 1.5, 255 - x / 2], axis=2) + rng.normal(0, 2, (360, 480, 3))
    photo = np.clip(ramp, 0, 255).astype(np.uint8)
    y, x = np.mgrid[:360, :480]
    clear = (abs(x - 240) > 210) | (abs(y - 180) > 160)  # beyond the face `OneFace` sees
    return Sitter(photo, clear)
