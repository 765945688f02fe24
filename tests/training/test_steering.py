"""Directions change what they are to change, on portraits, and little else."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")

from types import SimpleNamespace
from typing import Any

from anonyface.identities.fit import TOLERANCE
from anonyface.identities.latents import STEERED, LatentModel
from anonyface.identities.people import LABELS, load_pool
from training import steering
from training.identity_axes import LABEL_TOLERANCES, fit_slopes
from training.label import FIELDS

COLUMNS = [FIELDS.index(name) for name in STEERED]
TOLERANCES = np.array([TOLERANCE[name] for name in STEERED], np.float32)


class Half:
    """A labeller to whom half of a step shows; of every fifth portrait it says nothing."""

    def __init__(self, along: np.ndarray) -> None:
        self.inverse = np.linalg.pinv(along)
        self.calls = 0

    def __call__(self, w: np.ndarray) -> Any:
        self.calls += 1
        if self.calls % 5 == 0:
            return None
        row = np.zeros(len(FIELDS), np.float32)
        row[COLUMNS] = 0.5 * w @ self.inverse
        return SimpleNamespace(row=row)


def test_a_unit_asked_is_a_unit_and_others_stay() -> None:
    people, model = load_pool(), LatentModel()
    slopes = fit_slopes(people, model)
    along = steering.directions(slopes, model.reach)
    assert along.shape == (len(STEERED), 512)
    changes = along / model.reach @ slopes.labels[:, : len(LABELS)]  # in tolerances
    for row, name in zip(changes * TOLERANCES[:, None], STEERED, strict=True):
        column = LABELS.index(name)
        assert row[column] * LABEL_TOLERANCES[name] == pytest.approx(TOLERANCE[name], rel=1e-2)
        # Eyes hardly open alone: the mouth gets narrower, and the head bends.
        assert np.abs(np.delete(row, column)).max() < 0.7


def test_what_comes_of_a_step_is_the_median_of_those_who_are_read() -> None:
    rng = np.random.default_rng(1)
    along = rng.standard_normal((len(STEERED), 512)).astype(np.float32)
    latents = rng.standard_normal((9, 512)).astype(np.float32)
    told = steering.gains(along, latents, Half(along))  # type: ignore[arg-type]
    np.testing.assert_allclose(told, 0.5, atol=0.05)
