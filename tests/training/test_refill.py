"""Reading the pool again."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")
pytest.importorskip("tqdm", reason="training/ needs the extra 'train'")

from anonyface.identities.people import LABELS, People, load_pool
from training import refill
from training.label import FIELDS
from training.refill import Read


@pytest.fixture
def few() -> People:
    return load_pool(views=False)[np.arange(4)]


def test_only_the_labels_asked_are_read_again(few: People, monkeypatch: pytest.MonkeyPatch) -> None:
    new = Read(np.full(len(FIELDS), 0.25, np.float32), np.zeros(128, np.float32))
    unreadable = 2
    found = [None if i == unreadable else new for i in range(len(few))]
    monkeypatch.setattr(refill, "read_all", lambda latents, what: found)
    people, told = refill.read_again(few, ["facial_hair", "shade"])
    columns = [LABELS.index("facial_hair"), LABELS.index("shade")]
    others = [i for i in range(len(LABELS)) if i not in columns]
    np.testing.assert_array_equal(people.labels[:, others], few.labels[:, others])
    np.testing.assert_array_equal(people.labels[unreadable], few.labels[unreadable])
    read = [i for i in range(len(few)) if i != unreadable]
    assert (people.labels[read][:, columns] == 0.25).all()
    np.testing.assert_array_equal(people.latents, few.latents)
    np.testing.assert_array_equal(people.embeddings, few.embeddings)
    assert len(told) == 2
