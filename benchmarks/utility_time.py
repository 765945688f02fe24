"""Time of putting a face on: cut, swap, blend, paste; on generated people, as in speed.py."""

from __future__ import annotations

from anonyface.demo import make_people
from anonyface.identities.generator import Generator
from anonyface.swapping.crop import cut_crop, paste
from benchmarks.contract import Spread, measure, spread
from benchmarks.speed import Crowd
from benchmarks.stages import OneFace, Studio

FACE_PX = 120
PEOPLE = 20
"""Portraits the faces are drawn from."""


def time_swap(*, threads: int, repeats: int, seed: int) -> Spread:
    """Return the milliseconds it takes to put a new face on one of `FACE_PX`.

    Args:
        threads: Threads for inference and OpenCV.
        repeats: Measurements, each on another face.
        seed: Seed of the people.
    """
    crowd = Crowd(make_people(Generator(threads=threads), PEOPLE, seed), seed)
    studio = Studio(crowd.scene, threads)

    def prepare(number: int) -> OneFace:
        return studio.one_face(number, FACE_PX)

    def put_on(one: OneFace) -> None:
        crop, mesh, window = cut_crop(one.image, one.subject.mesh)
        paste(one.image, one.replacer.swapper(crop, mesh, one.identity), window)

    return spread(measure({"swap": put_on}, prepare, repeats=repeats)["swap"], "ms")
