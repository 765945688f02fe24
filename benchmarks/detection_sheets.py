"""Sheets of what detectors miss and what they find in vain; they stay out of the repository."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from anonyface.types import Face, FloatArray, ImageArray
from benchmarks.contact_sheet import check_folder
from benchmarks.detection_score import Found, matches
from benchmarks.utility_sheets import PER_SHEET, Shown, cut_pair, digest, file_name, lay_out

MOST_SHOWN = 96
"""Pictures of a kind: the surest false positives, all misses up to so many."""


def box_face(box: FloatArray, score: float) -> Face:
    """Return a box as a face, for cutting."""
    return Face(box, np.zeros((5, 2), np.float32), score)


def drawn(image: ImageArray, boxes: FloatArray, box: FloatArray) -> ImageArray:
    """Return a copy with the annotated boxes in green, and one box in red."""
    out = image.copy()
    for edges, colour in [*((b, (0, 200, 0)) for b in boxes), (box, (230, 0, 0))]:
        x0, y0, x1, y1 = np.round(edges).astype(int).tolist()
        cv2.rectangle(out, (x0, y0), (x1, y1), colour, 1)
    return out


class DetectionSheets:
    """Collects pictures of a detector: the photo, and the same with boxes, side by side."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Shown]] = {}

    def add(
        self, name: str, image: ImageArray, found: Found, truth: FloatArray, level: float
    ) -> None:
        """Take the misses and the false positives of a photo.

        Args:
            name: Of the detector.
            image: The photo.
            found: What it says.
            truth: (m, 4) annotated boxes.
            level: Score from which on a detection counts.
        """
        used = found.scores >= level
        boxes, scores = found.boxes[used], found.scores[used]
        number = matches(Found(boxes, scores), truth, 0.4)
        for i in np.flatnonzero(number < 0):
            self._offer(f"{name} false", float(scores[i]), image, truth, boxes[i])
        for i in sorted(set(range(len(truth))) - set(number.tolist())):
            self._offer(f"{name} missed", 0.0, image, boxes, truth[i])

    def _offer(
        self, name: str, score: float, image: ImageArray, others: FloatArray, box: FloatArray
    ) -> None:
        shown = self.kept.setdefault(name, [])
        if len(shown) == MOST_SHOWN and score <= shown[-1].badness:
            return
        make: Callable[[], ImageArray] = partial(
            cut_pair, image, drawn(image, others, box), box_face(box, score)
        )
        caption = f"{score:.2f}  {box[3] - box[1]:.0f} px" if score else f"{box[3] - box[1]:.0f} px"
        shown.append(Shown(score, make(), caption))
        shown.sort(key=lambda one: -one.badness)
        del shown[MOST_SHOWN:]

    def write(self, folder: Path) -> dict[str, str]:
        """Write all sheets as PNG files.

        Returns:
            Name -> hash of the pictures: which ones somebody has looked at.

        Raises:
            ValueError: If the folder is inside the repository: real faces stay out of it.
        """
        check_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, shown in self.kept.items():
            for number, start in enumerate(range(0, len(shown), PER_SHEET), start=1):
                page = shown[start : start + PER_SHEET]
                captions = [f"{start + i}  {one.caption}" for i, one in enumerate(page, start=1)]
                sheet = lay_out([one.pair for one in page], captions)
                Image.fromarray(sheet).save(folder / f"{file_name(name)}-{number:02d}.png")
        return {name: digest(one.pair for one in shown) for name, shown in self.kept.items()}
