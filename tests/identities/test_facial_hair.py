"""Beards: told on portraits that were looked at; the same answer for a mirrored face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anonyface.identities.facial_hair import facial_hair_features, load_facial_hair
from anonyface.identities.generator import Generator
from anonyface.identities.looks import LookReader
from anonyface.identities.people import portrait_face
from anonyface.landmarks.mesh import FaceMesh, five_points
from anonyface.types import Mesh
from anonyface.verification.encoder import DlibEncoder

SEEN = Path(__file__).parents[2] / "training" / "facial_hair_by_eye.npz"


def test_beards_and_bare_chins_are_told_apart() -> None:
    """Cross-validated it is right in about seven of eight; these were in the fit, too."""
    with np.load(SEEN, allow_pickle=False) as data:
        latents, kinds = data["latents"].astype(np.float32), data["facial_hair"]
    generator, mesh, encoder, reader = Generator(), FaceMesh(), DlibEncoder(), LookReader()
    answers = []
    for kind in (0, 2):
        for w in latents[kinds == kind][:12]:
            pixels = generator.render(w, size=256)
            found = mesh(pixels, [portrait_face(256)])[0]
            landmarks = five_points(found.points)
            chip = encoder.chip(pixels, landmarks)
            look = reader(pixels, found, landmarks, chip, encoder.views(chip))
            answers.append(look.facial_hair)
    shaven, bearded = answers[:12], answers[12:]
    assert np.median(shaven) < 0.25
    assert np.median(bearded) > 0.5
    assert np.mean(np.array(bearded) > 0.4) > 0.8


def test_mirroring_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    points = np.zeros((468, 3), np.float32)
    # In the middle of the picture, so that mirroring the pixels mirrors the face.
    for index, xy in ((2, (31.5, 15)), (152, (31.5, 55)), (61, (20.5, 40)), (291, (42.5, 40))):
        points[index, :2] = xy
    cheeks, embedding = np.array([60, 10, 15], np.float32), np.ones(128, np.float32) / 11.3
    plain = facial_hair_features(image, Mesh(points, 1.0), cheeks, embedding)
    flipped = np.ascontiguousarray(image[:, ::-1])
    mirrored = facial_hair_features(flipped, Mesh(points, 1.0), cheeks, embedding)
    assert plain.shape == load_facial_hair().mean.shape == (632,)
    assert mirrored == pytest.approx(plain, abs=2e-2)  # warping rounds pixels to whole numbers
