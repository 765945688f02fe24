"""A scene of generated people, and what becomes of it: a first try without a photo of anybody."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from anonyface.api import Anonymizer
from anonyface.errors import InputError
from anonyface.identities.generator import Generator
from anonyface.media.images import load_image, save_image
from anonyface.seeds import fresh_seed
from anonyface.types import ImageArray

PSI = 0.75
"""Truncation of the people in the scene: varied, rarely broken."""
BACKGROUND = 232


def make_people(generator: Generator, count: int, seed: int) -> list[ImageArray]:
    """Render people who are not in the pool.

    Args:
        generator: The generator.
        count: How many.
        seed: Which ones.

    Returns:
        ``count`` portraits of (1024, 1024, 3) RGB uint8.
    """
    rng = np.random.default_rng(seed)
    mean = generator.map(
        np.random.default_rng(0).standard_normal((4096, 512)).astype(np.float32)
    ).mean(axis=0)
    w = generator.map(rng.standard_normal((count, 512)).astype(np.float32))
    return [generator.render(mean + PSI * (row - mean), size=1024) for row in w]


def make_scene(portraits: list[ImageArray], *, side: int = 300, columns: int = 3) -> ImageArray:
    """Lay portraits out like prints on a table.

    Args:
        portraits: Square RGB uint8 pictures.
        side: Side of a print in pixels.
        columns: Prints in a row.

    Returns:
        (H, W, 3) RGB uint8.
    """
    gap = side // 12
    rows = -(-len(portraits) // columns)
    shape = (rows * (side + gap) + gap, columns * (side + gap) + gap, 3)
    scene = np.full(shape, BACKGROUND, dtype=np.uint8)
    for i, portrait in enumerate(portraits):
        y, x = (gap + k * (side + gap) for k in divmod(i, columns))
        scene[y : y + side, x : x + side] = cv2.resize(
            portrait, (side, side), interpolation=cv2.INTER_AREA
        )
    return scene


def make_demo(out_dir: Path, *, seed: int | None, threads: int) -> tuple[Path, Path]:
    """Write ``demo.png`` and ``demo.anon.png`` into a folder.

    Args:
        out_dir: The folder; made if it is not there.
        seed: None for other people each time.
        threads: Threads for inference, 0 for all usable cores.

    Raises:
        InputError: The folder can't be written.
        WeightsError: A model file is missing or corrupt.
    """
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't write into {out_dir}: {error.strerror}") from error
    people = make_people(Generator(threads=threads), 6, fresh_seed() if seed is None else seed)
    scene = make_scene(people)
    before = save_image(scene, out_dir / "demo.png", source=load_image(scene))
    result = Anonymizer(seed=seed, threads=threads)(before)
    return before, result.save(out_dir / "demo.anon.png")
