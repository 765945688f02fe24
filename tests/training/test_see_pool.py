"""What is stored of the pool's people is what the judges see in their portraits."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")

from anonyface.identities.people import load_pool
from anonyface.verification.encoder import unit
from training.see_pool import Viewer, narrow


def test_stored_views_are_those_of_the_portraits() -> None:
    people = load_pool()
    assert people.views is not None
    viewer = Viewer()
    for row in (0, len(people) // 2, len(people) - 1):
        seen = (viewer(people.latents[row]) * people.views[row]).sum(axis=-1)
        assert (seen > 0.995).all()  # float16 and threads move a portrait by a grey level
        other = (viewer(people.latents[row]) * people.views[(row + 9) % len(people)]).sum(axis=-1)
        assert (other < 0.97).all()


def test_rounding_loses_little() -> None:
    views = unit(np.random.default_rng(0).standard_normal((50, 3, 128)).astype(np.float32))
    stored, scale = narrow(views)
    assert stored.dtype == np.int8
    assert ((unit(stored * np.float32(scale)) * views).sum(axis=-1) > 0.999).all()
