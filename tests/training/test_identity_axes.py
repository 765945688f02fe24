"""The identity axes lead away from a judge's view of somebody, and leave what is labelled."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")
pytest.importorskip("tqdm", reason="training/ needs the extra 'train'")

from dataclasses import replace

from anonyface.identities.axes import COUNT, IdentityAxes
from anonyface.identities.latents import LatentModel
from anonyface.identities.people import LABELS, load_pool
from training.identity_axes import Slopes, all_views, fit_axes, fit_slopes

PEOPLE = load_pool()
MODEL = LatentModel()


@pytest.fixture(scope="module")
def slopes() -> Slopes:
    return fit_slopes(PEOPLE, MODEL)


def test_the_slopes_foretell_labels_and_views(slopes: Slopes) -> None:
    styles = (PEOPLE.latents - PEOPLE.latents.mean(axis=0)) / MODEL.reach
    yaw = styles @ slopes.labels[:, LABELS.index("yaw")]
    assert np.corrcoef(yaw, PEOPLE.column("yaw"))[0, 1] > 0.97
    seen = all_views(PEOPLE)
    for judge in range(seen.shape[1]):
        told = styles @ slopes.embeddings[:, judge]
        left = seen[:, judge] - seen[:, judge].mean(axis=0) - told
        assert np.square(left).sum() < 0.7 * np.square(told + left).sum()


def test_the_axes_lead_far_for_the_judges_and_not_for_the_labels(slopes: Slopes) -> None:
    rng = np.random.default_rng(1)
    axes = fit_axes(PEOPLE, slopes, rng)
    assert axes.shape == (COUNT, 512)
    signs = rng.choice([-1, 1], (50, COUNT))
    steps = signs @ axes
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 1, rtol=1e-4)
    styles = (PEOPLE.latents - PEOPLE.latents.mean(axis=0)) / MODEL.reach
    others = styles[rng.integers(0, len(styles), 50)]
    others /= np.linalg.norm(others, axis=1, keepdims=True)

    def moves(by: np.ndarray, what: np.ndarray) -> float:
        return float(np.linalg.norm(by @ what, axis=1).mean())

    # Against the ways in which people of the pool differ from the mean.
    assert moves(steps, slopes.labels) < 0.1 * moves(others, slopes.labels)
    first = slopes.embeddings[:, 0]
    assert moves(steps, first) > 0.8 * moves(others, first)


def test_what_ships_is_what_is_fitted(slopes: Slopes) -> None:
    shipped, fitted = IdentityAxes(), fit_axes(PEOPLE, slopes, np.random.default_rng(12))
    cosines = (shipped.axes * fitted).sum(axis=1) / np.square(fitted).sum(axis=1)
    np.testing.assert_allclose(np.abs(cosines), 1, atol=0.02)  # signs of principal axes are free
    along = np.tensordot(shipped.axes, slopes.embeddings, axes=1)
    np.testing.assert_allclose(shipped.slopes, along, atol=2e-3)


def test_people_whose_views_nobody_knows_are_an_error() -> None:
    with pytest.raises(ValueError, match="see_pool"):
        all_views(replace(PEOPLE, views=None))
