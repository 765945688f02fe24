"""Offered portraits are looked at as the runtime looks at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="training/ needs the extra 'train' (scikit-learn)")

from anonyface.identities.clearness import hair_in_face
from anonyface.identities.generator import Generator
from anonyface.identities.people import load_pool, portrait_face
from anonyface.landmarks.mesh import FaceMesh
from training import fit_flaws


def test_each_face_is_offered_others_who_are_looked_at(
    labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_flaws, "OFFERS", 2)
    latents, flaws, faces = fit_flaws.look_at_part(labelled, range(4))
    assert faces.tolist() == [0, 0, 1, 1, 2, 2]  # in the last file nobody is found
    assert flaws.shape == (6, len(fit_flaws.FLAWS))
    assert len(np.unique(latents, axis=0)) == 6
    far = np.linalg.norm(latents[:, None] - load_pool().latents[:3], axis=2)
    assert far.min() > 1  # nobody is offered who is the one who asks
    pixels = Generator().render(latents[0], size=256)
    (mesh,) = FaceMesh()(pixels, [portrait_face(256)])
    # Whether mirrored or not, and whichever sex is told: who is clear is so for a man, too.
    if not flaws[0, 0]:
        assert not hair_in_face(pixels, mesh, female=False, age=30)


def test_what_nobody_asks_for_has_the_shape_of_nothing(labelled: Path) -> None:
    latents, flaws, faces = fit_flaws.look_at_part(labelled, [3])
    assert latents.shape == (0, 512)
    assert flaws.shape == (0, len(fit_flaws.FLAWS))
    assert faces.shape == (0,)
