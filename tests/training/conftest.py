"""Labelled faces as FairFace comes: generated people only."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from anonyface.identities.generator import Generator
from anonyface.identities.people import load_pool

GROUPS = ("Black", "East Asian", "Indian", "Latino_Hispanic")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people of the pool as FairFace comes; the last file shows nobody."""
    path = tmp_path_factory.mktemp("fairface") / "small.zip"
    generator, people = Generator(), load_pool()
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["file", "age", "gender", "race"])
    with zipfile.ZipFile(path, "w") as archive:
        for row in range(4):
            pixels = generator.render(people.latents[row], size=256)[40:240, 28:228]
            pixels = np.full_like(pixels, 128) if row == 3 else pixels
            female = people.column("p_female")[row] >= 0.5
            file = f"{row}.jpg"
            rows.writerow([file, "30-39", "Female" if female else "Male", GROUPS[row]])
            data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1]
            archive.writestr(f"train/{file}", data.tobytes())
        archive.writestr("labels.csv", text.getvalue())
    return path
