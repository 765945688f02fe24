"""The whole flow: detect every face, keep the protected, replace the others, prove it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from anonyface.config import Config
from anonyface.detection.faces import FaceFinder
from anonyface.errors import FaceError
from anonyface.media.images import load_image
from anonyface.protection.references import load_references
from anonyface.protection.selection import Decision, Selection, select
from anonyface.redaction import cover_face
from anonyface.replacement import Plan, Replacer
from anonyface.seeds import face_seed, fresh_seed
from anonyface.types import (
    AnonymizeResult,
    Detail,
    Detector,
    Encoder,
    Face,
    FaceOutcome,
    FloatArray,
    IdentitySource,
    ImageArray,
    Method,
    OnFailure,
    Swapper,
)
from anonyface.verification.check import match_threshold
from anonyface.verification.encoder import DlibEncoder, similarity


class Anonymizer:
    """Anonymizes photos; models load once, keep the object. Calls from several threads are safe.

    Args:
        protect: People who stay: photos with one face each, or (n, 128) embeddings.
        method: See `anonyface.config.Config`, as for the following four.
        detail: How hard to look for faces.
        on_failure: What happens to a face that can't be replaced or verified.
        seed: None for fresh randomness.
        threads: Threads for inference, 0 for all usable cores.
        detector: Replaces the built-in face detector.
        identities: Replaces the built-in source of nobodies.
        swapper: Replaces the built-in swap engine.
        encoder: Replaces the built-in identity encoder; must use its scale of similarity.

    Raises:
        InputError: An option or a reference photo is not usable.
        WeightsError: A model file is missing or corrupt.
    """

    def __init__(
        self,
        *,
        protect: Sequence[Any] | Any = (),
        method: Method = Config.method,
        detail: Detail = Config.detail,
        on_failure: OnFailure = Config.on_failure,
        seed: int | None = Config.seed,
        threads: int = Config.threads,
        detector: Detector | None = None,
        identities: IdentitySource | None = None,
        swapper: Swapper | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        self.config = Config(
            method=method, detail=detail, on_failure=on_failure, seed=seed, threads=threads
        )
        self._detector = detector or FaceFinder(detail=detail, threads=threads)
        self._encoder = encoder or DlibEncoder(threads=threads)
        self._protected = load_references(protect, detector=self._detector, encoder=self._encoder)
        self._identities, self._swapper = identities, swapper
        if method == "synthetic":
            self._replace  # noqa: B018 - load its models now: a broken one is an error here

    @cached_property
    def _replace(self) -> Replacer:
        """The models of the synthetic method; covering a face needs none of them."""
        return Replacer(
            encoder=self._encoder,
            protected=self._protected,
            identities=self._identities,
            swapper=self._swapper,
            threads=self.config.threads,
        )

    def __call__(
        self, image: Any, *, keep: Selection = (), only: Selection = ()
    ) -> AnonymizeResult:
        """Anonymize one photo.

        Args:
            image: Path, bytes, binary file object, PIL image or (H, W, 3) RGB uint8 array.
            keep: Faces that stay: indices, boxes (x0 y0 x1 y1) or a callable ``Face -> bool``.
            only: The opposite: if given, every other face stays.

        Returns:
            The new image and one outcome per face found.

        Raises:
            InputError: The image or an option is not usable.
            FaceError: A face failed and ``on_failure`` is "raise".
            BackendError: The inference engine failed.
        """
        started = time.perf_counter()
        source = load_image(image)
        faces = self._detector(source.pixels)
        decisions = self._decide(source.pixels, faces, keep, only)
        pixels, outcomes = self._treat(source.pixels, faces, decisions)
        return AnonymizeResult(
            image=pixels,
            faces=outcomes,
            settings=self.config.as_dict(),
            seconds=time.perf_counter() - started,
            source=replace(
                source.without_pixels(), synthetic=any(o.action == "replaced" for o in outcomes)
            ),
        )

    def detect(self, image: Any) -> tuple[Face, ...]:
        """Find faces without changing anything.

        Raises:
            InputError: The image is not usable.
        """
        source = load_image(image)
        faces = self._detector(source.pixels)
        return self._replace.describe(source.pixels, faces)

    def batch(self, images: Iterable[Any]) -> Iterator[AnonymizeResult]:
        """Anonymize one photo after the other, lazily; an error ends the iteration.

        For folders with progress, skipping and error collection see `anonyface.batch.process`.
        """
        for image in images:
            yield self(image)

    def _decide(
        self, pixels: ImageArray, faces: Sequence[Face], keep: Selection, only: Selection
    ) -> list[Decision]:
        named = select(faces, keep, option="keep")
        asked = callable(only) or len(only) > 0
        target = select(faces, only, option="only") if asked else [True] * len(faces)
        decisions = []
        for face, is_named, is_target in zip(faces, named, target, strict=True):
            if is_named:
                decisions.append(Decision(True, "kept as asked"))
            elif not is_target:
                decisions.append(Decision(True, "not among the faces to replace"))
            else:
                decisions.append(self._match_protected(pixels, face))
        return decisions

    def _match_protected(self, pixels: ImageArray, face: Face) -> Decision:
        if len(self._protected):
            try:
                score = similarity(self._protected, self._encoder(pixels, face.landmarks)).max()
            except FaceError:
                return Decision(False, "could not be compared with the protected people")
            if score >= match_threshold("1e-3"):
                return Decision(True, f"protected person (similarity {score:.2f})")
        return Decision(False, "")

    def _treat(
        self, original: ImageArray, faces: Sequence[Face], decisions: Sequence[Decision]
    ) -> tuple[ImageArray, tuple[FaceOutcome, ...]]:
        """Work from far to near on a running copy, so that overlapping neighbours stay replaced."""
        out = original.copy()
        order = sorted(range(len(faces)), key=lambda k: faces[k].size)
        base = fresh_seed() if self.config.seed is None else self.config.seed
        seeds = [face_seed(base, faces[i]) for i in order]
        plans = self._plan(original, [faces[i] for i in order], seeds)
        outcomes: dict[int, FaceOutcome] = {}
        given: list[FloatArray] = []
        for i, seed, plan in zip(order, seeds, plans, strict=True):
            if decisions[i].keep:
                outcomes[i] = FaceOutcome(faces[i], "kept", decisions[i].reason)
            else:
                outcomes[i] = self._treat_face(out, original, faces[i], plan, seed, given)
        out.setflags(write=False)
        return out, tuple(outcomes[i] for i in range(len(faces)))

    def _plan(
        self, original: ImageArray, faces: Sequence[Face], seeds: Sequence[int]
    ) -> list[Plan]:
        if self.config.method != "synthetic":
            return [Plan()] * len(faces)
        return self._replace.plan(original, faces, seeds)

    def _treat_face(
        self,
        out: ImageArray,
        original: ImageArray,
        face: Face,
        plan: Plan,
        seed: int,
        given: list[FloatArray],
    ) -> FaceOutcome:
        """Replace or cover one face in ``out``, in place; compare it with the original."""
        rng = np.random.default_rng(seed)
        method = self.config.method
        if method != "synthetic":
            cover_face(out, face, method, rng=rng)
            return FaceOutcome(face, "redacted", f"covered as asked ({method})")
        try:
            return self._replace(out, original, plan, given)
        except FaceError as error:
            if self.config.on_failure == "raise":
                raise
            cover_face(out, face, "blur", rng=rng)
            return FaceOutcome(face, "redacted", str(error))


def anonymize(
    image: Any,
    *,
    protect: Sequence[Any] | Any = (),
    keep: Selection = (),
    only: Selection = (),
    method: Method = Config.method,
    detail: Detail = Config.detail,
    on_failure: OnFailure = Config.on_failure,
    seed: int | None = Config.seed,
    threads: int = Config.threads,
) -> AnonymizeResult:
    """Anonymize one photo; for several keep an `Anonymizer`, whose options these are.

    >>> result = anonymize("street.jpg", protect=["me.jpg"], seed=7)  # doctest: +SKIP
    >>> result.save("street.anon.jpg")                                # doctest: +SKIP

    Raises:
        InputError: The image, a reference or an option is not usable.
        FaceError: A face failed and ``on_failure`` is "raise".
        WeightsError: A model file is missing or corrupt.
        BackendError: The inference engine failed.
    """
    anonymizer = Anonymizer(
        protect=protect,
        method=method,
        detail=detail,
        on_failure=on_failure,
        seed=seed,
        threads=threads,
    )
    return anonymizer(image, keep=keep, only=only)
