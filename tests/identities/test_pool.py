"""The pool: labels fit, screens hold, choices are seeded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anonyface.identities.pool import LOOK_FIELDS, SCALARS, Pool, PoolIdentities, load_pool
from anonyface.types import IdentityRequest, Look
from anonyface.verification.encoder import similarity

WHITE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
ASIAN = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def identities() -> PoolIdentities:
    return PoolIdentities(max_resemblance=0.58, max_sibling_similarity=0.62)


def look(**changes: object) -> Look:
    base = Look(1.0, 30.0, 45.0, 0.0, 0.0, 0.0, 0.05, 0.65, 0.3, 0.0, 0.05, 12.0, 0.0, WHITE)
    return replace(base, **changes)  # type: ignore[arg-type]


def request(seed: int = 1, taken: object = None, **changes: object) -> IdentityRequest:
    none = np.zeros((0, 128), np.float32)
    return IdentityRequest(
        look=look(**changes),
        face_px=100,
        avoid=np.ones((1, 128), np.float32) / np.sqrt(128),
        taken=none if taken is None else taken,
        seed=seed,
    )


def labels(identities: PoolIdentities, req: IdentityRequest, name: str) -> np.ndarray:
    rows = [row for row, _ in identities.rank(req)][:10]
    return identities.pool.labels[rows, LOOK_FIELDS.index(name)]


def test_the_pool_is_large_finite_and_of_unit_embeddings() -> None:
    pool = load_pool()
    assert len(pool.latents) >= 2000
    for array in (pool.latents, pool.embeddings, pool.labels, pool.clear):
        assert np.isfinite(array).all()
    assert np.abs(np.linalg.norm(pool.embeddings, axis=1) - 1).max() < 2e-3  # stored as float16


@pytest.mark.parametrize("age", [6.0, 16.0, 30.0, 50.0, 68.0])
@pytest.mark.parametrize("p_female", [0.0, 1.0])
def test_gender_and_age_are_followed(
    identities: PoolIdentities, p_female: float, age: float
) -> None:
    req = request(p_female=p_female, age=age)
    assert ((labels(identities, req, "p_female") >= 0.5) == (p_female >= 0.5)).all()
    # Teenage boys are the thinnest corner of the generator: they get men in their early twenties.
    limit = 13 if age == 16 else 9
    assert np.median(np.abs(labels(identities, req, "age") - age)) < limit


def test_children_get_children(identities: PoolIdentities) -> None:
    assert labels(identities, request(age=7.0), "age").max() < 20


@pytest.mark.parametrize("yaw", [-28.0, 0.0, 28.0])
def test_turned_heads_get_turned_heads_by_mirroring_too(
    identities: PoolIdentities, yaw: float
) -> None:
    column = LOOK_FIELDS.index("yaw")
    have = [
        identities.pool.labels[row, column] * (-1 if mirrored else 1)
        for row, mirrored in identities.rank(request(yaw=yaw))
    ]
    assert abs(float(np.median(have)) - yaw) < 8


def test_nobody_with_glasses_for_people_without(identities: PoolIdentities) -> None:
    assert labels(identities, request(eyewear=0.3), "eyewear").max() <= 0.12
    assert labels(identities, request(eyewear=0.95), "eyewear").min() >= 0.8


def test_the_group_is_followed(identities: PoolIdentities) -> None:
    fits = labels(identities, request(groups=ASIAN), "group_1")
    others = labels(identities, request(groups=WHITE), "group_1")
    assert fits.mean() > others.mean() + 0.3


def test_offers_are_far_from_those_to_avoid_and_those_taken(identities: PoolIdentities) -> None:
    free = [offer.embedding for offer in identities(request())]
    avoid = np.stack(free[:3])
    req = replace(request(taken=avoid), avoid=avoid)
    offers = [offer.embedding for offer in identities(req)]
    for embedding in offers:
        assert float(similarity(embedding, avoid).max()) < 0.58
    assert len(offers) < len(free)


def test_the_choice_depends_on_the_seed_alone(identities: PoolIdentities) -> None:
    assert identities.rank(request(seed=1)) == identities.rank(request(seed=1))
    orders = {tuple(identities.rank(request(seed=s))[:3]) for s in range(8)}
    assert len(orders) > 4


def test_a_rendered_offer_shows_the_person_it_promised(identities: PoolIdentities) -> None:
    from anonyface.detection.faces import FaceFinder
    from anonyface.verification.encoder import DlibEncoder

    for size, face_px in ((256, 100), (1024, 400)):
        offer = next(iter(identities(replace(request(), face_px=face_px))))
        identity = offer.render()
        assert identity.pixels.shape == (size, size, 3)
        face = FaceFinder()(identity.pixels)[0]
        found = DlibEncoder()(identity.pixels, face.landmarks)
        assert float(similarity(found, offer.embedding)) > 0.7
        inside = identity.mesh.points[:, :2]
        assert inside.min() > 0
        assert inside.max() < size


def test_an_empty_pool_offers_nobody() -> None:
    none = Pool(
        np.zeros((0, 512), np.float32),
        np.zeros((0, 128), np.float32),
        np.zeros((0, len(LOOK_FIELDS)), np.float32),
        np.zeros(0, np.float32),
    )
    source = PoolIdentities(max_resemblance=0.58, max_sibling_similarity=0.62, pool=none)
    assert list(source(request())) == []


def test_the_fields_are_the_looks() -> None:
    assert set(SCALARS) | {"groups"} == set(Look.__dataclass_fields__)
