"""Shards keep what was labelled; choosing fills thin cells and wanted looks; fits learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")
pytest.importorskip("sklearn", reason="training/ needs the extra 'train'")

from training import latents, make_pool, samples
from training.label import FIELDS


def rows(count: int, rng: np.random.Generator) -> np.ndarray:
    """Made-up labels: plausible ranges, no relation."""
    out = rng.uniform(0, 1, (count, len(FIELDS))).astype(np.float32)
    out[:, FIELDS.index("age")] = rng.uniform(2, 78, count)
    out[:, FIELDS.index("yaw")] = rng.uniform(-35, 35, count)
    out[:, FIELDS.index("clear")] = 0.9
    out[:, FIELDS.index("eyewear")] = 0.1
    return out


def test_a_shard_comes_back_as_it_was(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    made = samples.Samples(
        latents=rng.standard_normal((3, 512)).astype(np.float16).astype(np.float32),
        embeddings=rng.standard_normal((3, 128)).astype(np.float16).astype(np.float32),
        rows=rows(3, rng),
        meshes=np.zeros((3, 468, 3), np.float32),
        jpegs=(b"one", b"", b"three"),
    )
    samples._write(tmp_path / "shard-0000.npz", made)
    found = samples.load(tmp_path)
    assert found.jpegs == made.jpegs
    for name in ("latents", "embeddings", "rows", "meshes"):
        assert np.array_equal(getattr(found, name), getattr(made, name))
    assert not list(tmp_path.glob("*.part"))


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="run python"):
        samples.load(tmp_path)


def test_thin_cells_are_filled_first() -> None:
    rng = np.random.default_rng(1)
    have, candidates = rows(400, rng), rows(400, rng)
    have[:, FIELDS.index("p_female")] = 0.9  # no man yet
    chosen = samples.thinnest(have, candidates, 50, rng)
    assert len(set(chosen)) == 50
    assert (candidates[chosen, FIELDS.index("p_female")] < 0.5).all()


def test_even_looks_reach_the_ends_of_the_range() -> None:
    rng = np.random.default_rng(2)
    candidates = rows(4000, rng)
    ages = np.clip(rng.normal(35, 10, 4000), 2, 78)  # as the generator draws them
    candidates[:, FIELDS.index("age")] = ages
    taken = [0, 1, 2]
    chosen = samples.evenly(candidates, 200, taken, rng)
    assert len(set(chosen)) == 200
    assert not set(chosen) & set(taken)
    assert np.std(ages[chosen]) > 1.15 * np.std(ages)


def test_the_pool_takes_rare_people_first() -> None:
    rng = np.random.default_rng(3)
    people = rows(500, rng)
    people[:, FIELDS.index("age")] = 35
    people[:10, FIELDS.index("age")] = 70
    taken = make_pool.spread_evenly(people, 300, rng)
    assert len(set(taken.tolist())) == 300
    assert set(range(10)) <= set(taken.tolist())


def test_the_network_learns() -> None:
    rng = np.random.default_rng(4)
    w = rng.standard_normal((1500, 512)).astype(np.float32)
    slopes = rng.standard_normal((512, len(latents.FITTED) + 128)).astype(np.float32) / 22
    answers = w @ slopes
    data = latents.Table(w, answers[:, : len(latents.FITTED)], answers[:, len(latents.FITTED) :])
    net = latents.fit(data, width=16, epochs=6)
    figures = latents.measure(net, data, np.arange(200))
    assert float(figures["identity embedding, median cosine"]) > 0.8
