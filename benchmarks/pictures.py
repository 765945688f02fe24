"""Make the pictures of the docs from generated people: ``python -m benchmarks.pictures``.

before-after.jpg is the README's picture; contact-sheet.jpg shows 24 random people, each before and
after, in the order in which they were drawn: none is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from anonyface.api import Anonymizer
from anonyface.demo import make_people, make_scene
from anonyface.identities.generator import Generator
from anonyface.media.images import load_image, save_image
from anonyface.types import ImageArray

IMAGES = Path(__file__).parent.parent / "docs" / "images"
GAP = 12


def side_by_side(before: ImageArray, after: ImageArray) -> ImageArray:
    """Two pictures of one size with a white gap between them."""
    gap = np.full((before.shape[0], GAP, 3), 255, dtype=np.uint8)
    return np.ascontiguousarray(np.hstack([before, gap, after]))


def contact_sheet(
    people: list[ImageArray], anonymizer: Anonymizer, *, tile: int, columns: int
) -> ImageArray:
    """Rows of portraits, under each row what became of it."""
    small = [cv2.resize(p, (tile, tile), interpolation=cv2.INTER_AREA) for p in people]
    pairs = [np.vstack([s, anonymizer(np.asarray(s, dtype=np.uint8)).image]) for s in small]
    rows = [np.hstack(pairs[i : i + columns]) for i in range(0, len(pairs), columns)]
    return np.ascontiguousarray(np.vstack(rows), dtype=np.uint8)


def main() -> None:
    """Write both pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument("--seed", type=int, default=2026)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    generator, anonymizer = Generator(), Anonymizer(seed=args.seed)
    scene = make_scene(make_people(generator, 6, args.seed), side=240, columns=3)
    pictures = {
        "before-after.jpg": side_by_side(scene, anonymizer(scene).image),
        "contact-sheet.jpg": contact_sheet(
            make_people(generator, 24, args.seed + 1), anonymizer, tile=200, columns=8
        ),
    }
    for name, pixels in pictures.items():
        print(save_image(pixels, args.out / name, source=load_image(pixels)))


if __name__ == "__main__":
    main()
