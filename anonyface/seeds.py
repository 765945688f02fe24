"""Seeds: from the operating system, or reproducible and one for each place in a photo."""

from __future__ import annotations

import secrets

import numpy as np

from anonyface.types import Face


def fresh_seed() -> int:
    """Return 63 random bits from the operating system."""
    return secrets.randbits(63)


def face_seed(base: int, face: Face) -> int:
    """Derive the seed of one face from the job's seed and where the face is.

    The place (rounded to 4 px) rather than a running number makes it independent of which other
    faces there are and in which order they come.
    """
    centre = (face.box[:2] + face.box[2:]) / 8 + 2**20  # never negative
    place = [int(v) for v in centre.round()]
    return int(np.random.SeedSequence([base, *place]).generate_state(1, np.uint64)[0] >> 1)
