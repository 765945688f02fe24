"""What would spoil a portrait is told from its latent, and such people are not offered."""

from __future__ import annotations

import numpy as np
import pytest

from anonyface.identities.clearness import hair_in_face
from anonyface.identities.fit import misfit, wanted
from anonyface.identities.flaws import Flaw, load_flaw
from anonyface.identities.generator import Generator
from anonyface.identities.latents import as_they_are
from anonyface.identities.people import LABELS, VIEWS, load_pool, portrait_face
from anonyface.identities.screens import MIN_SOUND
from anonyface.identities.source import LatentIdentities
from anonyface.landmarks.mesh import FaceMesh
from anonyface.landmarks.skin import colour_spread
from anonyface.types import FloatArray, IdentityRequest, ImageArray, Mesh

PEOPLE = load_pool()
HANDS, NONE = [7246, 7503, 4962, 6675], [6819, 6989, 7128]
"""People of the pool whose portraits were looked at, see `training.fit_hands`."""
SHOWN = 10


@pytest.fixture(scope="module")
def source() -> LatentIdentities:
    return LatentIdentities(max_resemblance=0.58, max_sibling_similarity=0.62)


@pytest.fixture(scope="module")
def request_of_hands() -> IdentityRequest:
    """Ask for somebody who is not one who holds a hand to the face, as the judges see them."""
    row, nobody = HANDS[0], PEOPLE.embeddings[:0]
    assert PEOPLE.views is not None
    name = "second-encoder"
    seen = {name: PEOPLE.views[row, VIEWS.index(name)]}
    look = PEOPLE.look(row, mirrored=False)
    return IdentityRequest(look, 100, PEOPLE.embeddings[[row]], nobody, seed=5, seen=seen)


def shown(latents: FloatArray) -> list[tuple[ImageArray, Mesh]]:
    """Portraits and their meshes."""
    generator, mesh = Generator(), FaceMesh()
    portraits = [generator.render(w, size=256) for w in latents]
    return [(pixels, mesh(pixels, [portrait_face(256)])[0]) for pixels in portraits]


def likely_and_not(flaw: Flaw) -> tuple[FloatArray, FloatArray]:
    """Latents of young women: of those most likely to have a flaw every fifth, and the same of
    those least likely to."""
    age = PEOPLE.column("age")
    female = (PEOPLE.column("p_female") > 0.9) & (age > 20) & (age < 40)
    latents = PEOPLE.latents[female]
    order = np.argsort(load_flaw(flaw)(latents))
    return latents[order[::-5][:SHOWN]], latents[order[::5][:SHOWN]]


def test_hands_are_told_from_the_latent() -> None:
    told = load_flaw("hands")(PEOPLE.latents)
    assert told.shape == (len(PEOPLE),)
    assert (told[HANDS] > 0.5).all()
    assert (told[NONE] < 0.5).all()
    assert 0.02 < np.mean(told > 0.5) < 0.1


def test_who_would_hold_a_hand_to_the_face_is_not_offered(
    source: LatentIdentities, request_of_hands: IdentityRequest
) -> None:
    bred = source.model.breed(
        PEOPLE, as_they_are(np.array([*HANDS, *NONE]), mirrored=False), wanted()
    )
    sound = bred.column("sound")
    assert (sound[: len(HANDS)] < MIN_SOUND).all()
    assert (PEOPLE.labels[HANDS, LABELS.index("sound")] > MIN_SOUND).all()  # by all else they are
    hands = load_flaw("hands")
    told = hands(source.search(request_of_hands).people.latents)
    offers = list(source(request_of_hands))
    seen = [hands(offer.render().latent[None])[0] for offer in offers[:8]]
    assert (told > 0.5).any()
    assert max(seen) <= 0.5


def test_hair_in_the_face_is_told_from_the_latent() -> None:
    likely, unlikely = (
        [hair_in_face(pixels, mesh, female=True, age=30) for pixels, mesh in shown(latents)]
        for latents in likely_and_not("hair")
    )
    assert sum(likely) >= 0.8 * SHOWN
    assert sum(unlikely) <= 0.2 * SHOWN


def test_mixed_light_is_told_from_the_latent() -> None:
    likely, unlikely = (
        [colour_spread(pixels, mesh) for pixels, mesh in shown(latents)]
        for latents in likely_and_not("light")
    )
    assert np.median(likely) > 1.5 * np.median(unlikely)


def test_who_is_likely_to_be_passed_over_comes_later() -> None:
    far = misfit(PEOPLE, wanted(), mirrored=False)
    flaws: tuple[Flaw, ...] = ("hair", "light")
    for flaw in flaws:
        told = load_flaw(flaw)(PEOPLE.latents)
        assert far[told > 0.8].min() > 3
