"""What is told of the fit of gender without hair, and that faces are read as the pool's are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")

from anonyface.identities.face_gender import load_face_gender
from anonyface.identities.people import VIEWS, load_pool
from training.fairface import AGES, GROUPS, count
from training.fit_face_gender import measure, of_the_pool, read_part


def test_faces_are_seen_as_those_of_the_pool(labelled: Path) -> None:
    people = load_pool()
    assert people.views is not None
    assert count(labelled) == 4
    views, labels = read_part(labelled, range(4))
    assert views.shape == (3, len(VIEWS), 128)  # who was not found is left out
    assert labels[:, 0].tolist() == (people.column("p_female")[:3] >= 0.5).tolist()
    assert set(labels[:, 1]) == {AGES.index("30-39")}
    assert labels[:, 2].tolist() == [0, 1, 2]
    # Cut out and aligned otherwise, but the same faces under the same judges.
    same = np.einsum("nvd,mvd->vnm", views, people.views[:3])
    for judge in same:
        assert (judge.argmax(axis=1) == np.arange(3)).all()


def test_accuracy_is_told_of_both_sexes_and_all_groups() -> None:
    ages, groups = (2, 5), range(len(GROUPS))
    truth = np.array([[sex, age, group] for sex in (0, 1) for age in ages for group in groups])
    said = np.where(truth[:, 0] == 1, 1.0, -1.0)
    said[(truth[:, 0] == 1) & (truth[:, 1] == 2)] = -1  # the young women are misread
    figures = measure(said.astype(np.float32), truth)
    assert figures["accuracy"] == "0.750"
    assert figures["accuracy from 20 years on"] == "1.000"
    assert figures["Black female"] == "0.500 of 2"
    assert figures["White male"] == "1.000 of 2"


def test_the_pool_is_told_of_by_sex_and_age() -> None:
    figures = of_the_pool(load_face_gender())
    middle = {name: float(value.split(", ")[1]) for name, value in figures.items()}
    assert len(middle) == 4
    assert all((value > 0) == name.startswith("women") for name, value in middle.items())
