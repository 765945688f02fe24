"""Whom no synthetic person may resemble: from the caller's photo down to who is put on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.api import Anonymizer
from anonyface.types import FloatArray, IdentityRequest, Offer
from anonyface.verification.encoder import DlibEncoder, similarity
from anonyface.verification.thresholds import match_threshold

from .fakes import PutOn

Image = NDArray[np.uint8]


class Asked:
    """A source that notes what it is asked for and has nobody."""

    def __init__(self) -> None:
        self.requests: list[IdentityRequest] = []

    def __call__(self, request: IdentityRequest, /) -> Iterator[Offer]:
        self.requests.append(request)
        return iter(())


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def strangers() -> FloatArray:
    """(3, 128) of length 1."""
    rows = np.random.default_rng(4).standard_normal((3, 128)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_every_request_names_the_denied(asked: Asked, strangers: FloatArray, scene: Image) -> None:
    Anonymizer(denylist=strangers, protect=strangers[:1], identities=asked, seed=1)(scene)
    assert len(asked.requests) == 4
    for request in asked.requests:
        assert request.denied is not None
        np.testing.assert_allclose(request.denied, strangers, atol=1e-6)
        assert len(request.avoid) == 2  # the original and the protected: the denied are apart


def test_without_a_list_nobody_is_denied(asked: Asked, scene: Image) -> None:
    Anonymizer(identities=asked, seed=1)(scene)
    assert len(asked.requests) == 4
    assert all(request.denied is None or not len(request.denied) for request in asked.requests)


def test_a_photo_stands_for_who_is_in_it(
    asked: Asked, people: list[Image], scene: Image, anonymizer: Anonymizer
) -> None:
    Anonymizer(denylist=[people[2]], identities=asked, seed=1)(scene)
    (face,) = anonymizer.detect(people[2])
    denied = asked.requests[0].denied
    assert denied is not None
    assert denied.shape == (1, 128)
    own = DlibEncoder()(people[2], face.landmarks)
    assert float(similarity(denied, own).max()) > match_threshold("1e-4")


def test_who_resembles_a_denied_person_is_not_put_on(anonymizer: Anonymizer, pair: Image) -> None:
    before = [o.identity for o in anonymizer(pair).faces if o.identity is not None]
    assert len(before) == 2
    denied = np.stack([identity.embedding for identity in before])
    after = Anonymizer(denylist=denied, seed=5)(pair)  # the same seed would give the same people
    assert [o.action for o in after.faces] == ["replaced"] * 2
    for outcome, old in zip(after.faces, before, strict=True):
        identity = outcome.identity
        assert identity is not None
        assert identity.source != old.source
        closest = float(similarity(denied, identity.embedding).max())
        assert closest < match_threshold("1e-2")
        assert identity.screens is not None
        assert identity.screens.denied == pytest.approx(closest, abs=1e-4)


def test_whoever_makes_the_people_a_denied_one_is_refused(
    scene: Image, people: list[Image]
) -> None:
    worn, one = PutOn(people[2]), scene[:300, 300:]
    (face,) = Anonymizer(swapper=worn, seed=1)(one).faces
    assert "deny list" not in face.reason
    (face,) = Anonymizer(denylist=[people[2]], swapper=worn, seed=1)(one).faces
    assert face.action == "redacted"
    assert "resembles a person on the deny list" in face.reason
