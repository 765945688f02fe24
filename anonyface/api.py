"""The whole flow: detect every face, keep the protected, replace the others, prove it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from os import PathLike
from typing import Any

from anonyface.config import Config
from anonyface.detection.faces import FaceFinder
from anonyface.errors import FaceError
from anonyface.media.images import load_image
from anonyface.protection.portrayal import Portrayal, Portrayer
from anonyface.protection.references import load_references
from anonyface.protection.selection import Decision, Selection, who_stays
from anonyface.protocols import Detector, Encoder, IdentitySource, Swapper
from anonyface.replacement import Replacer
from anonyface.result import AnonymizeResult
from anonyface.subjects import SubjectReader
from anonyface.treatment import Readings, Treatment
from anonyface.types import (
    Detail,
    Face,
    ImageArray,
    MetadataPolicy,
    Method,
    OnFailure,
    Region,
    Unsure,
    Verify,
)
from anonyface.verification.check import Verifier, built_in_judges, masked_judges
from anonyface.verification.encoder import DlibEncoder, UpperFace
from anonyface.verification.final_look import FinalLook, mirrored_faces


@dataclass(frozen=True, eq=False)
class Wish:
    """Which faces of one photo the caller wants to stay, whoever they are."""

    keep: Selection = ()
    only: Selection = ()
    keep_largest: int = 0
    keep_central: bool = False


class Anonymizer:
    """Anonymizes photos; models load once, keep the object. Calls from several threads are safe.

    Args:
        protect: People who stay: photos with one face each, a `Gallery`, or embeddings: (n, 128) of
            the first encoder or (n, 256) of both side by side.
        denylist: People whom no synthetic person may resemble, though they are in none of the
            photos; given like ``protect``.
        method: See `anonyface.config.Config`, as for the following nine.
        region: What of a face is replaced.
        detail: How hard to look for faces.
        on_failure: What happens to a face that can't be replaced or verified.
        unsure: What happens to a face that might be a protected person.
        allow_repeats: Whether a protected person may stay more than once in a photo.
        verify: How far the old identity must be gone.
        metadata: What a written file may say of the photo.
        mark: Whether a written file says that parts of it are synthetic.
        seed: None for fresh randomness.
        threads: Threads for inference, 0 for all usable cores.
        detector: Replaces the built-in face detector.
        identities: Replaces the built-in source of nobodies.
        swapper: Replaces the built-in swap engine; a path is an ONNX file of the inswapper type
            with its ArcFace encoder beside it, see `anonyface.swapping.inswapper`.
        encoder: Replaces the first identity encoder; must use its scale of similarity.

    Raises:
        InputError: An option or a reference photo is not usable.
        WeightsError: A model file is missing or corrupt.
    """

    def __init__(
        self,
        *,
        protect: Sequence[Any] | Any = (),
        denylist: Sequence[Any] | Any = (),
        method: Method = Config.method,
        region: Region = Config.region,
        detail: Detail = Config.detail,
        on_failure: OnFailure = Config.on_failure,
        unsure: Unsure = Config.unsure,
        allow_repeats: bool = Config.allow_repeats,
        verify: Verify = Config.verify,
        metadata: MetadataPolicy = Config.metadata,
        mark: bool = Config.mark,
        seed: int | None = Config.seed,
        threads: int = Config.threads,
        detector: Detector | None = None,
        identities: IdentitySource | None = None,
        swapper: Swapper | str | PathLike[str] | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        self.config = Config(
            method=method,
            region=region,
            detail=detail,
            on_failure=on_failure,
            unsure=unsure,
            allow_repeats=allow_repeats,
            verify=verify,
            metadata=metadata,
            mark=mark,
            seed=seed,
            threads=threads,
        )
        self._detector = detector or FaceFinder(detail=detail, threads=threads)
        self._encoder = encoder or DlibEncoder(threads=threads)
        self._portray = Portrayer(self._encoder, threads=threads)
        load = partial(load_references, detector=self._detector, portray=self._portray)
        self._protected, self._denied = load(protect), load(denylist)
        # Another's detector may know places, not pictures: it is asked again as it is.
        find = detector or partial(mirrored_faces, FaceFinder(detail="fast", threads=threads))
        self._upper = UpperFace(self._encoder) if isinstance(self._encoder, DlibEncoder) else None
        self._final_look = FinalLook(
            find=find, encoder=self._encoder, upper=self._upper, threads=threads
        )
        if isinstance(swapper, str | PathLike):
            from anonyface.swapping.inswapper import InswapperSwapper

            swapper = InswapperSwapper(swapper, threads=threads)
        self._identities, self._swapper = identities, swapper
        if method == "synthetic":
            self._replace  # noqa: B018 - load its models now: a broken one is an error here

    @cached_property
    def _read(self) -> SubjectReader:
        """The models that read faces; covering a face needs none of them."""
        return SubjectReader(encoder=self._encoder, threads=self.config.threads)

    @cached_property
    def _replace(self) -> Replacer:
        """The models of the synthetic method, loaded when it is used."""
        self._read  # noqa: B018 - it is needed together with these
        threads = self.config.threads
        judges = built_in_judges(self._encoder, verify=self.config.verify, threads=threads)
        masked = masked_judges(self._upper, threads=threads)
        return Replacer(
            verifier=Verifier(judges, masked=masked),
            protected=self._protected.embeddings,
            denied=self._denied.embeddings,
            identities=self._identities,
            swapper=self._swapper,
            region=self.config.region,
            threads=threads,
        )

    def __call__(
        self,
        image: Any,
        *,
        keep: Selection = (),
        only: Selection = (),
        keep_largest: int = 0,
        keep_central: bool = False,
    ) -> AnonymizeResult:
        """Anonymize one photo.

        Args:
            image: Path, bytes, binary file object, PIL image or (H, W, 3) RGB uint8 array.
            keep: Faces that stay: indices, boxes (x0 y0 x1 y1) or a callable ``Face -> bool``.
            only: The opposite: if given, every other face stays.
            keep_largest: So many of the largest faces stay.
            keep_central: Whether the face nearest the centre of the photo stays.

        Returns:
            The new image and one outcome per face found.

        Raises:
            InputError: The image or an option is not usable.
            FaceError: A face failed and ``on_failure`` is "raise", or might be a protected person
                and ``unsure`` is "raise".
            BackendError: The inference engine failed.
        """
        started = time.perf_counter()
        source = load_image(image)
        wish = Wish(keep, only, keep_largest, keep_central)
        faces = tuple(self._detector(source.pixels))
        synthetic = self.config.method == "synthetic"
        subjects = self._read.read_all(source.pixels, faces) if synthetic else []
        decide = partial(self._decide, source.pixels, subjects=subjects, wish=wish)
        treat = Treatment(
            self.config,
            replacer=self._replace if synthetic else None,
            final_look=self._final_look,
        )
        pixels, outcomes = treat(source.pixels, faces, subjects, decide(faces))
        outcomes = treat.look_again(pixels, source.pixels, outcomes, subjects, decide)
        pixels.setflags(write=False)
        replaced = any(o.action == "replaced" for o in outcomes)
        return AnonymizeResult(
            image=pixels,
            faces=tuple(outcomes),
            settings=self.config.as_dict(),
            seconds=time.perf_counter() - started,
            source=replace(source.with_result(pixels), synthetic=replaced),
        )

    def detect(self, image: Any) -> tuple[Face, ...]:
        """Find faces without changing anything.

        Raises:
            InputError: The image is not usable.
        """
        source = load_image(image)
        return self._read.describe(source.pixels, self._detector(source.pixels))

    def review(
        self,
        image: Any,
        *,
        keep: Selection = (),
        only: Selection = (),
        keep_largest: int = 0,
        keep_central: bool = False,
    ) -> tuple[tuple[Face, ...], tuple[Decision, ...]]:
        """Say who would stay, without changing anything.

        Args:
            image: As for a call, as are the options.
            keep: Faces that stay.
            only: Faces that go.
            keep_largest: So many of the largest faces stay.
            keep_central: Whether the face nearest the centre stays.

        Returns:
            The faces found, and the decision about each.

        Raises:
            InputError: The image or an option is not usable.
        """
        pixels = load_image(image).pixels
        faces = self._read.describe(pixels, self._detector(pixels))
        wish = Wish(keep, only, keep_largest, keep_central)
        # Looking must show the doubtful faces, not stop at the first.
        unsure = "replace" if self.config.unsure == "raise" else self.config.unsure
        decisions = self._decide(pixels, faces, subjects=[], wish=wish, unsure=unsure)
        return faces, tuple(decisions)

    def batch(self, images: Iterable[Any]) -> Iterator[AnonymizeResult]:
        """Anonymize one photo after the other, lazily; an error ends the iteration.

        For folders with progress, skipping and error collection see `anonyface.batch.process`.
        """
        for image in images:
            yield self(image)

    def _decide(
        self,
        pixels: ImageArray,
        faces: Sequence[Face],
        *,
        subjects: Readings,
        wish: Wish,
        unsure: Unsure | None = None,
    ) -> list[Decision]:
        """Decide who stays; faces beyond those studied are encoded if somebody is protected."""

        def portray(number: int) -> Portrayal | None:
            subject = subjects[number] if number < len(subjects) else None
            if isinstance(subject, FaceError):
                return None
            known = (
                {} if subject is None else {"first": subject.embedding, "second": subject.second}
            )
            try:
                return self._portray(pixels, faces[number].landmarks, **known)
            except FaceError:
                return None

        return who_stays(
            faces,
            (pixels.shape[0], pixels.shape[1]),
            portray,
            self._protected,
            keep=wish.keep,
            only=wish.only,
            keep_largest=wish.keep_largest,
            keep_central=wish.keep_central,
            allow_repeats=self.config.allow_repeats,
            unsure=unsure or self.config.unsure,
        )


def anonymize(
    image: Any,
    *,
    protect: Sequence[Any] | Any = (),
    denylist: Sequence[Any] | Any = (),
    keep: Selection = (),
    only: Selection = (),
    keep_largest: int = 0,
    keep_central: bool = False,
    method: Method = Config.method,
    region: Region = Config.region,
    detail: Detail = Config.detail,
    on_failure: OnFailure = Config.on_failure,
    unsure: Unsure = Config.unsure,
    allow_repeats: bool = Config.allow_repeats,
    verify: Verify = Config.verify,
    metadata: MetadataPolicy = Config.metadata,
    mark: bool = Config.mark,
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
        denylist=denylist,
        method=method,
        region=region,
        detail=detail,
        on_failure=on_failure,
        unsure=unsure,
        allow_repeats=allow_repeats,
        verify=verify,
        metadata=metadata,
        mark=mark,
        seed=seed,
        threads=threads,
    )
    return anonymizer(
        image, keep=keep, only=only, keep_largest=keep_largest, keep_central=keep_central
    )
