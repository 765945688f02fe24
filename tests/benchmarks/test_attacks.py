"""Attacks that must find what is planted, and must find nothing where there is nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anonyface.verification.encoder import unit

torch = pytest.importorskip("torch")
from benchmarks.inversion import ALL, compare_attacks, found, together  # noqa: E402
from benchmarks.undoing import CHIP_PX, Guess, Seen, attack  # noqa: E402

torch.set_num_threads(1)
DIMS, ATTACKERS, VICTIMS = 32, 400, 150


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def rows(rng: np.random.Generator, n: int, d: int = DIMS) -> np.ndarray:
    return unit(rng.normal(size=(n, d)).astype(np.float32))


def seen(vectors: np.ndarray) -> Seen:
    return Seen(vectors.astype(np.float32), np.zeros((len(vectors), CHIP_PX, CHIP_PX, 3), np.uint8))


@pytest.mark.parametrize("planted", [True, False])
def test_the_attacks_find_what_is_there_and_nothing_else(
    rng: np.random.Generator, planted: bool
) -> None:
    matrix = rng.normal(size=(DIMS, DIMS))
    own, theirs = rows(rng, ATTACKERS), rows(rng, VICTIMS)

    def change(originals: np.ndarray) -> np.ndarray:
        return originals @ matrix if planted else rows(rng, len(originals))

    guesses = attack(
        seen(change(own)), {"e": own}, seen(change(theirs)), seed=1, epochs={"network": 8}
    )
    assert set(guesses) == {"linear", "network"}
    for one in guesses.values():
        first = np.mean(found(one.originals["e"] @ theirs.T)["rank-1"])
        if planted:
            assert min(first, one.own["e"]) > 0.9
        else:
            assert max(first, one.own["e"]) < 0.08


def test_pixels_are_read(rng: np.random.Generator) -> None:
    # Who it is stands only in the colour of the chip.
    def people(n: int) -> tuple[Seen, np.ndarray]:
        colour = rng.uniform(0, 255, (n, 1, 1, 3))
        chips = np.broadcast_to(colour, (n, CHIP_PX, CHIP_PX, 3)).astype(np.uint8)
        return Seen(rows(rng, n), chips), unit((colour[:, 0, 0] / 127.5 - 1).astype(np.float32))

    (mine, own), (theirs, originals) = people(100), people(40)
    guesses = attack(mine, {"e": own}, theirs, seed=1, epochs={"network with pixels": 20})
    close = {k: float((g.originals["e"] * originals).sum(1).mean()) for k, g in guesses.items()}
    assert close["network with pixels"] > 0.6
    assert close["linear"] < 0.4


def test_chance_is_found_by_who_guesses(rng: np.random.Generator) -> None:
    hits = found(rows(rng, 300) @ rows(rng, 300).T)
    assert hits["TAR"].mean() < 0.03
    assert hits["rank-1"].mean() < 0.03
    twins = rows(rng, 300)
    assert found(twins @ twins.T)["TAR"].all()


def test_one_guess_for_everybody_is_no_success(rng: np.random.Generator) -> None:
    # Under a threshold from clean pairs a guess near the mean would pass for many.
    gallery = unit(rows(rng, 300) + 2)
    hits = found(np.repeat(unit(np.ones((1, DIMS), np.float32)), 300, axis=0) @ gallery.T)
    assert hits["TAR"].mean() < 0.02
    assert hits["rank-1"].mean() < 0.02


def test_the_gain_is_over_direct_matching(rng: np.random.Generator) -> None:
    people, noise = rows(rng, 200), rows(rng, 200)
    middle = people.mean(axis=0)

    def oracle(targets: dict[str, np.ndarray]) -> dict[str, Any]:
        good = {"e": unit(people - middle)}
        return {"good": Guess(good, {"e": 0.9}), "bad": Guess({"e": noise}, {"e": 0.1})}

    same = {"e": people}
    both = compare_attacks(same, {"e": noise}, same, same, oracle)
    figures = both["e"]
    # With one encoder all together are that one.
    assert both[ALL]["gained_by_it"] == figures["gained_by_it"]
    assert figures["chosen_by_the_attacker"] == "good"
    assert figures["gained_by_it"]["rank-1"].low > 0.8
    assert figures["before"]["rank-1"].value == 1.0
    assert figures["direct"]["rank-1"].value < 0.05
    nothing = compare_attacks(same, same, same, same, oracle)["e"]
    assert nothing["gained_by_it"]["rank-1"].value == 0.0


def test_two_weak_encoders_know_more_together(rng: np.random.Generator) -> None:
    tables = [np.eye(200) * 2.5 + rng.normal(size=(200, 200)) for _ in range(2)]
    alone = np.mean([found(table)["rank-1"] for table in tables])
    assert found(together(tables))["rank-1"].mean() > alone + 0.2
    # The scale of one of them does not matter.
    assert (found(together([tables[0], 99 * tables[1]]))["rank-1"]).mean() > alone + 0.2
