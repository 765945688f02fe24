"""Gender, age and group as a face reads, on generated portraits that read clearly."""

from __future__ import annotations

import numpy as np
import pytest

from anonyface.identities.generator import Generator
from anonyface.identities.looks import LookReader
from anonyface.identities.people import load_pool, portrait_face
from anonyface.identities.traits import Traits, TraitsModel, load_traits, trait_features
from anonyface.verification.encoder import DlibEncoder, unit

EACH = 3


@pytest.fixture(scope="module")
def read() -> dict[str, list[Traits]]:
    """What is read of girls, women, men and old men of the pool, by kind."""
    pool, generator = load_pool(), Generator()
    looks, encoder, landmarks = LookReader(), DlibEncoder(), portrait_face(256).landmarks
    female, age = pool.column("p_female"), pool.column("age")
    kinds = {
        "girls": (female > 0.9) & (age < 8),
        "women": (female > 0.98) & (age > 28) & (age < 38),
        "men": (female < 0.02) & (age > 28) & (age < 38),
        "old men": (female < 0.02) & (age > 62),
    }
    out = {}
    for kind, which in kinds.items():
        rows = np.flatnonzero(which)[:EACH]
        assert len(rows) == EACH
        portraits = [generator.render(pool.latents[r], size=256) for r in rows]
        chips = [encoder.chip(p, landmarks) for p in portraits]
        out[kind] = [
            looks.traits(p, landmarks, c, encoder.views(c))
            for p, c in zip(portraits, chips, strict=True)
        ]
    return out


def test_gender_is_read(read: dict[str, list[Traits]]) -> None:
    assert all(t.p_female > 0.8 for t in read["women"])
    assert all(t.p_female < 0.2 for t in read["men"] + read["old men"])


def test_age_is_read(read: dict[str, list[Traits]]) -> None:
    years = {kind: np.mean([t.age for t in found]) for kind, found in read.items()}
    assert years["girls"] < 12 < 24 < years["women"] < 42
    assert 24 < years["men"] < 42 < 55 < years["old men"]


def test_groups_are_shares(read: dict[str, list[Traits]]) -> None:
    for traits in read["women"] + read["men"]:
        assert len(traits.groups) == 7
        assert sum(traits.groups) == pytest.approx(1, abs=1e-5)


def test_both_encoders_count_for_gender_and_age_the_first_for_the_group() -> None:
    rng = np.random.default_rng(0)
    views, second, other = (rng.normal(size=s).astype(np.float32) for s in ((2, 128), 128, 128))
    views = unit(views) * np.float32(2)  # about as long as dlib's
    model: TraitsModel = load_traits()
    said = np.zeros(18, np.float32)
    a = model(trait_features(views, unit(second)), said)
    b = model(trait_features(views, unit(other)), said)
    assert a.groups == b.groups
    assert a.p_female != b.p_female
    assert a.age != b.age


def test_what_the_network_says_counts_for_every_trait() -> None:
    rng = np.random.default_rng(1)
    views = unit(rng.normal(size=(2, 128)).astype(np.float32)) * np.float32(2)
    features = trait_features(views, unit(rng.normal(size=128).astype(np.float32)))
    model = load_traits()
    neutral, sure = np.zeros(18, np.float32), np.zeros(18, np.float32)
    sure[[1, 10, 13]] = 6  # female, over 70, the third group
    a, b = model(features, neutral), model(features, sure)
    assert b.p_female > a.p_female
    assert b.age > a.age
    assert b.groups[2] > a.groups[2]


def test_embeddings_and_network_are_added_as_log_odds() -> None:
    """With shares of 1 and nothing from the embeddings the answer is the softmax of the logits."""
    layers = dict(load_traits().layers)
    layers["shares"] = np.repeat(np.float32([[0.0], [1.0]]), 18, axis=1)
    said = np.zeros(18, np.float32)
    said[:2] = np.log([0.25, 0.75])
    said[2:11] = np.log(np.full(9, 1e-9))
    said[7] = 0.0  # 40-49
    traits = TraitsModel(layers)(np.zeros(257, np.float32), said)
    assert traits.p_female == pytest.approx(0.75, abs=1e-5)
    assert traits.age == pytest.approx(44.5, abs=1e-2)
    assert traits.groups == pytest.approx([1 / 7] * 7, abs=1e-5)


def test_chips_are_read_alone_and_together_alike() -> None:
    rng = np.random.default_rng(2)
    chips = [rng.integers(0, 256, (150, 150, 3), dtype=np.uint8) for _ in range(2)]
    looks = LookReader()
    both = looks.read_chips(chips)
    assert both.shape == (2, 18)
    np.testing.assert_allclose(looks.read_chips(chips[1:])[0], both[1], atol=1e-3)
