"""Does a trained network pay? ``python -m training.blend.measure MODEL``.

Takes photos of the sets of `benchmarks.utility` twice, with the engine as it is and with a last
look, and prints what that benchmark measures at the same faces.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.api import Anonymizer
from anonyface.protocols import Swapper
from anonyface.swapping.engine import MeshSwapper
from anonyface.types import ImageArray
from benchmarks.utility_faces import MEASURES, Compared, Examiner
from benchmarks.utility_photos import SETS, Print, Recording, photos
from training.blend.look import RefinedSwapper, Refiner

TOLD = (
    "seam visibility",
    "sharpness",
    "skin tone difference, ITA",
    "skin colour difference, CIE76",
)


def developed(image: ImageArray, seed: int, swapper: Swapper) -> Print:
    """Return a photo after anonymization with a swapper."""
    recording = Recording(swapper)
    result = Anonymizer(seed=seed, threads=1, swapper=recording)(image)
    masks = tuple(recording.mask(outcome) for outcome in result.faces)
    return Print(result.image, result.faces, masks)


def paired(both: list[tuple[Compared, Compared]], measure: str) -> NDArray[np.float64]:
    """(n, 2) values without and with of the faces of which it could be taken both times."""
    values = [(a.values[measure], b.values[measure]) for a, b in both]
    return np.array([v for v in values if not any(isinstance(x, str) for x in v)], float)


def off(measure: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how bad values are: by themselves, or their distance from 1, as a logarithm."""
    return np.abs(np.log(values)) if MEASURES[measure].worst == "furthest from 1" else values


def line(measure: str, values: NDArray[np.float64]) -> str:
    """Summarise (n, 2) values without and with."""
    if not len(values):
        return "of no face"
    median, p95 = np.percentile(values, [50, 95], axis=0).round(3)
    bad = off(measure, values)
    nearer, further = int((bad[:, 1] < bad[:, 0]).sum()), int((bad[:, 1] > bad[:, 0]).sum())
    return (
        f"median {median}, p95 {p95}, off by {bad.mean(axis=0).round(4)} on average, "
        f"nearer in {nearer}, further in {further} of {len(values)}"
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="file of training.blend.export")
    parser.add_argument("--limit", type=int, nargs=len(SETS), default=(120, 30), help="photos")
    parser.add_argument("--seed", type=int, default=2, help="of the draw and the identities")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    swappers = MeshSwapper(), RefinedSwapper(refine=Refiner.load(args.model, threads=1))
    examine = Examiner((), threads=1)
    for name, limit in zip(SETS, args.limit, strict=True):
        both: list[tuple[Compared, Compared]] = []
        actions: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        for image, seed in photos(name, limit=limit, seed=args.seed):
            prints = [developed(image, seed, swapper) for swapper in swappers]
            for counts, after in zip(actions, prints, strict=True):
                counts.update(outcome.action for outcome in after.outcomes)
            without, with_it = ({tuple(c.face.box): c for c in examine(image, p)} for p in prints)
            both += [(without[box], with_it[box]) for box in without if box in with_it]
        print(name, *(dict(counts) for counts in actions))
        for measure in TOLD:
            print(f"  {measure}: {line(measure, paired(both, measure))}")


if __name__ == "__main__":
    main()
