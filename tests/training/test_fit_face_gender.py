"""What is told of the fit of gender without hair, and that faces are read as the pool's are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")

from anonyface.identities import face_gender
from anonyface.identities.face_gender import UPPER, load_face_gender
from anonyface.identities.people import VIEWS, load_pool
from training.fairface import AGES, GROUPS, count
from training.fit_face_gender import eyes_alone, fit, measure, of_the_pool, read_part, write


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
    assert len(middle) == 8
    assert all((value > 0) == name.startswith("women") for name, value in middle.items())


def test_the_model_that_is_fitted_is_the_one_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    labels = np.stack([np.arange(400) % 2, rng.integers(0, len(AGES), 400), np.zeros(400)], axis=1)
    views = rng.normal(size=(400, len(VIEWS), 128)).astype(np.float32)
    views[:, UPPER, 5] += 3 * (2 * labels[:, 0] - 1)
    model = fit(views, labels.astype(np.int64))
    assert eyes_alone(model, views, labels.astype(np.int64)) == {
        "accuracy of eyes and brows, grown-ups": "1.000"
    }
    write(tmp_path / "face-gender.npz", model)
    file = (tmp_path / "face-gender.npz").read_bytes()
    monkeypatch.setattr(face_gender, "read_weights", lambda _: file)
    load_face_gender.cache_clear()
    read = load_face_gender()
    load_face_gender.cache_clear()
    np.testing.assert_array_equal(read(views), model(views))
    np.testing.assert_array_equal(read.of_eyes(views[:, UPPER]), model.of_eyes(views[:, UPPER]))
