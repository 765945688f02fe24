"""Section "speed": how long does a nobody take?

The search alone; the search and the screens up to the first offer, with 20 protected people and 50
given out before; and whole requests, portrait, encoding and screens included. Every repeat asks for
other people. A batch of 8 is 8 wishes one after the other; 8 people for one wish stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

import cv2
import numpy as np

from anonyface.identities.fit import wanted
from anonyface.types import FloatArray, IdentityRequest, Offer
from anonyface.verification.encoder import unit
from benchmarks.contract import Asked, Spread, print_table, spread
from benchmarks.contract import measure as timed
from benchmarks.generator_lab import (
    EMBEDDING_DIMS,
    Lab,
    Section,
    Side,
    Source,
    Wish,
    ask,
    draw_wish,
)

REPEATS, FEW_REPEATS = 20, 3
WARMUP = 2
BATCHES = (1, 4, 8)
PROTECTED, GIVEN = 20, 50
FACE_PX = 100.0
"""Of the faces in the photo: a 256-px portrait does."""
SEARCH_MS, FACE_S = 15.0, 0.12


class Searching(Source, Protocol):
    """A source whose search can be timed alone."""

    def search(self, request: IdentityRequest) -> object:
        """Return the people who fit best, before any screen."""
        ...

    def __call__(self, request: IdentityRequest, /) -> Iterator[Offer]:
        """Offer people who pass the screens."""
        ...


def as_request(
    wish: Wish, *, avoid: FloatArray | None = None, taken: FloatArray | None = None
) -> IdentityRequest:
    """Return a wish as the search gets it.

    Args:
        wish: What is asked.
        avoid: (n, 128) embeddings of real people.
        taken: (m, 128) embeddings of people given out before.
    """
    look = wanted(
        p_female={"female": 1.0, "male": 0.0, None: None}[wish.gender],
        age=wish.age,
        skin_tone=wish.skin_tone,
        yaw=wish.yaw,
        pitch=wish.pitch,
        mouth_open=wish.mouth_open,
        smile=wish.smile,
        eyes_open=wish.eyes_open,
        side_light=wish.side_light,
        eyewear=float(wish.glasses),
    )
    nobody = np.zeros((0, EMBEDDING_DIMS), np.float32)
    return IdentityRequest(
        look=look,
        face_px=FACE_PX,
        avoid=nobody if avoid is None else avoid,
        taken=nobody if taken is None else taken,
        seed=wish.seed,
    )


def crowd(count: int, rng: np.random.Generator) -> FloatArray:
    """(count, 128) embeddings of nobody in particular, of unit length."""
    return unit(rng.standard_normal((count, EMBEDDING_DIMS)).astype(np.float32))


def time_search(source: Searching, *, repeats: int, seed: int) -> dict[str, Spread]:
    """Time the search alone, and up to the first offer, in ms."""
    rng = np.random.default_rng([seed, 1])

    def prepare(number: int) -> tuple[IdentityRequest, IdentityRequest]:
        wish = draw_wish(rng, seed=seed * 1_000_000 + 300_000 + number)
        busy = as_request(wish, avoid=crowd(PROTECTED + 1, rng), taken=crowd(GIVEN, rng))
        return as_request(wish), busy

    taken = timed(
        {
            "search": lambda both: source.search(both[0]),
            "search and screens, to the first offer": lambda both: next(source(both[1]), None),
        },
        prepare,
        repeats=repeats,
        warmup=WARMUP,
    )
    return {name: spread(samples, "ms") for name, samples in taken.items()}


def time_faces(source: Source, *, repeats: int, seed: int) -> tuple[dict[str, Spread], int]:
    """Time whole requests, in seconds a face.

    Returns:
        What was asked -> seconds a face; and how many people were refused, all in all.
    """
    rng = np.random.default_rng([seed, 2])
    refused: list[int] = []

    def wishes(number: int) -> list[Wish]:
        first = seed * 1_000_000 + 400_000 + 1_000 * number
        return [draw_wish(rng, seed=first + n) for n in range(max(BATCHES))]

    def together(few: list[Wish], *, batch: int, size: Side) -> None:
        refused.append(sum(not ask(source, wish, size=size) for wish in few[:batch]))

    def alike(few: list[Wish]) -> None:
        refused.append(0 if len(ask(source, few[0], n=8)) == 8 else 8)

    actions: dict[str, tuple[Callable[[list[Wish]], None], int]] = {
        f"256 px, batch of {batch}": (partial(together, batch=batch, size=256), batch)
        for batch in BATCHES
    }
    actions["256 px, 8 people for one wish"] = (alike, 8)
    actions["1024 px, one"] = (partial(together, batch=1, size=1024), 1)
    out = {}
    for name, (action, faces) in actions.items():  # one by one: a portrait is kept by the source
        taken = timed({name: action}, wishes, repeats=repeats, warmup=WARMUP)[name]
        out[name] = spread([ms / 1000 / faces for ms in taken], "s a face")
        print(f"{name}: {out[name]}", flush=True)
    return out, sum(refused)


def measure(lab: Lab) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return counts and figures."""
    cv2.setNumThreads(lab.threads)
    repeats = lab.size(REPEATS, FEW_REPEATS)
    source: Any = lab.source
    search = time_search(source, repeats=repeats, seed=lab.seed)
    faces, refused = time_faces(source, repeats=repeats, seed=lab.seed)
    rate = {name: 1 / time.median for name, time in faces.items()}
    counts = {"repeats": repeats, "people_refused": refused}
    return counts, {"search": search, "faces": faces, "identities_a_second": rate}


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures as a table."""
    rows = [
        (name, str(Spread(**entry)))
        for part in ("search", "faces")
        for name, entry in figures[part].items()
    ]
    rate = figures["identities_a_second"]
    rows += [(f"identities a second, {name}", f"{value:.2f}") for name, value in rate.items()]
    print_table(("what", "median (quartiles)"), rows)


def asked_rows(figures: Mapping[str, Any]) -> list[Asked]:
    """Return what was asked for beside what was measured."""
    search, faces = figures["search"], figures["faces"]
    return [
        Asked("search part, ms", search["search"]["median"], "<=", SEARCH_MS),
        Asked(
            "search and screens to the first offer, 20 protected, ms",
            search["search and screens, to the first offer"]["median"],
            "<=",
            SEARCH_MS,
        ),
        Asked(
            "request to 256-px face in a batch of 8, s each",
            faces["256 px, batch of 8"]["median"],
            "<=",
            FACE_S,
        ),
    ]


SECTION = Section(measure, show, asked_rows)
