"""Every kind of strange and broken file, by group."""

from __future__ import annotations

from benchmarks.corpus import (
    broken,
    described,
    formats,
    hidden_elsewhere,
    hidden_in_jpeg,
    places,
)
from benchmarks.corpus.kinds import Kind

GROUPS: dict[str, tuple[Kind, ...]] = {
    "hides a face": (*hidden_in_jpeg.KINDS, *hidden_elsewhere.KINDS),
    "says too much": described.KINDS,
    "pixel formats": formats.KINDS,
    "broken": broken.KINDS,
    "strange places": places.KINDS,
}
KINDS = tuple(kind for group in GROUPS.values() for kind in group)
