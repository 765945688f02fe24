"""Who says what a portrait shows: readers that the search never asks.

FaceRes has outputs of its own for gender and age. The others are regressions on what a network says
of aligned faces, fitted here to FairFace's training photos: on EfficientNet-lite0, which has never
learned faces (needs torch, extra "train"; the product's own reader started from the same ImageNet
weights), on each encoder from outside, FaceRes among them, whose own ages are low for the old, and
on all of these encoders together: the teacher that errs least on real photos. The product's readers
stand beside them, as used inside: they learned from the same labels, from features of other
networks.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from anonyface.types import FloatArray, ImageArray
from anonyface.verification.alignment import CHIP_PX, CHIP_TEMPLATE
from anonyface.verification.encoder import unit
from benchmarks.contract import data_path
from benchmarks.fairface import load_labelled
from benchmarks.generator_lab import Lab
from benchmarks.judges import Judge, outside_judges
from benchmarks.outside import Feed, cut, place
from benchmarks.readers import AttributeReader, attribute_readers
from benchmarks.regression import apply_map

PHOTOS, FEW_PHOTOS = 6000, 200
"""Of fairface-train, to fit on."""
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Values of C of the logistic regressions, of which a held-out fifth chooses."""
STEPS = 500
FEATURE_PX = 128
MAPS, GRID = (2, 3), 4
"""Which feature maps are read, each averaged on a 4x4 grid: those in the middle of the network tell
gender and age of aligned faces better than the pooled features, which say what is there
and not where."""
DIMS = (40 + 112) * GRID**2
"""Features of those two maps, 40 and 112 wide."""
FIT_VERSION = "1"
"""Of what a fit depends on besides features and photos; part of the name it is kept by."""

Fit: TypeAlias = dict[str, FloatArray]
"""Trait -> (d + 1, k) map from features to scores of its classes, with a bias in the last row."""


@dataclass(frozen=True)
class Said:
    """What a teacher says of a face.

    Attributes:
        female: Whether it reads as a woman or girl.
        age_class: 0 to 3: under 10, 10-29, 30-59, 60 and over.
    """

    female: bool
    age_class: int


@dataclass(frozen=True, eq=False)
class Teacher:
    """Reads gender and age class.

    Attributes:
        name: What the result calls it.
        read: Image and (5, 2) landmarks or None -> what it says, None if it can't.
        used_inside: Whether the search picks people by this model.
    """

    name: str
    read: Callable[[ImageArray, FloatArray | None], Said | None]
    used_inside: bool

    def __call__(self, image: ImageArray, landmarks: FloatArray | None) -> Said | None:
        """Return what the teacher says, None if there is no face or it can't be read."""
        return self.read(image, landmarks)


def teachers(lab: Lab) -> tuple[list[Teacher], dict[str, str]]:
    """Return the teachers there are, and why others are not."""
    ready = [_from_reader(r) for r in attribute_readers(lab.jury.encoders, lab.threads)]
    sources = [outside_judges(encoder)[0] for encoder in lab.jury.encoders]
    if len(sources) > 1:
        sources.append(Together.of(sources))
    skipped = dict(lab.jury.skipped)
    try:
        import sklearn  # noqa: F401

        sources.insert(0, lite0(lab))
    except ImportError as error:
        skipped["EfficientNet-lite0"] = f"{error.name} is not installed (extra train)"
    return [*ready, *(fitted(judge, lab) for judge in sources)], skipped


@dataclass(frozen=True, eq=False)
class Together(Judge):
    """Several networks as one: their embeddings side by side, each of length 1.

    Attributes:
        parts: The networks.
    """

    parts: tuple[Judge, ...] = ()

    @classmethod
    def of(cls, parts: Sequence[Judge]) -> Together:
        """Join networks; what the sequence gets later takes no part."""
        parts = tuple(parts)

        def embed(image: ImageArray, landmarks: FloatArray) -> FloatArray:
            return np.concatenate([unit(p(image, landmarks)) for p in parts])

        return cls(
            "all encoders from outside",
            embed,
            sum(p.dims for p in parts),
            "cosine",
            any(p.used_inside for p in parts),
            "side by side",
            " ".join(f"{p.name} {p.version}" for p in parts),
            parts=parts,
        )

    def all(
        self,
        images: Sequence[ImageArray],
        landmarks: Sequence[FloatArray | None],
        cache: Path | None = None,
    ) -> FloatArray:
        """(n, d) embeddings, NaN where there is no face; from each network's cache."""
        tables = [unit(p.all(images, landmarks, cache)) for p in self.parts]
        return np.concatenate(tables, axis=1)


def fitted(judge: Judge, lab: Lab) -> Teacher:
    """Return a regression on what a network says of faces, fitted or taken from the folder.

    Args:
        judge: The network.
        lab: Says how many photos, and where fits are kept.
    """
    count = lab.size(PHOTOS, FEW_PHOTOS)
    text = f"{FIT_VERSION} {judge.name} {judge.version} {count} {lab.seed}"
    name = hashlib.sha256(text.encode()).hexdigest()[:24]
    kept = None if lab.cache is None else lab.cache / "teachers" / f"{name}.npz"
    if kept is not None and kept.is_file():
        with np.load(kept, allow_pickle=False) as data:
            fit = {"gender": data["gender"], "age class": data["age_class"]}
    else:
        fit = _learned(judge, lab, count)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.savez(kept, gender=fit["gender"], age_class=fit["age class"])

    def read(image: ImageArray, landmarks: FloatArray | None) -> Said | None:
        return said_by(fit, judge(image, landmarks))

    return Teacher(f"regression on {judge.name}", read, judge.used_inside)


def said_by(fit: Fit, features: FloatArray) -> Said | None:
    """Return what a fit makes of (d,) features, None of such that are missing."""
    if not np.isfinite(features).all():
        return None
    gender, age = (
        int(np.argmax(apply_map(fit[trait], features[None]))) for trait in ("gender", "age class")
    )
    return Said(female=bool(gender), age_class=age)


def fit_classes(x: FloatArray, labels: NDArray[np.int64], *, seed: int) -> FloatArray:
    """(d + 1, k) scores of classes: softmax regression, every class with the same weight.

    The penalty is the one that scores best on a held-out fifth, by the mean accuracy of a class.

    Args:
        x: (n, d) features.
        labels: (n,) classes 0 to k - 1, each of them there.
        seed: Of the choice of the fifth.
    """
    held = np.random.default_rng(seed).permutation(len(x)) % 5 == 0

    def score(penalty: float) -> float:
        matrix = _softmax(x[~held], labels[~held], penalty)
        right = np.argmax(apply_map(matrix, x[held]), axis=1) == labels[held]
        return float(np.mean([right[labels[held] == k].mean() for k in np.unique(labels[held])]))

    return _softmax(x, labels, max(PENALTIES, key=score))


def _softmax(x: FloatArray, labels: NDArray[np.int64], penalty: float) -> FloatArray:
    from sklearn.linear_model import LogisticRegression

    mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    model = LogisticRegression(C=penalty, max_iter=STEPS, class_weight="balanced")
    model.fit((x - mean) / scale, labels)
    weights, bias = model.coef_, model.intercept_
    if len(weights) == 1:  # of two classes only the second has weights
        weights, bias = np.concatenate([0 * weights, weights]), np.array([0.0, bias[0]])
    slopes = (weights / scale).T
    return np.concatenate([slopes, (bias - mean @ slopes)[None]]).astype(np.float32)


def _learned(judge: Judge, lab: Lab, count: int) -> Fit:
    """Fit gender and age class to photos; those without a face are left out."""
    print(f"fitting a teacher on {judge.name}", flush=True)
    labelled = load_labelled(data_path("fairface-train.zip"), count=count, seed=lab.seed)
    faces = [lab.eye.find(image) for image in labelled.images]
    x = judge.all(labelled.images, [None if f is None else f.landmarks for f in faces], lab.cache)
    there = np.isfinite(x).all(axis=1)
    traits = {"gender": labelled.female.astype(int), "age class": labelled.age_class}
    return {k: fit_classes(x[there], y[there], seed=lab.seed) for k, y in traits.items()}


def lite0(lab: Lab) -> Judge:
    """Return EfficientNet-lite0 on aligned faces.

    Raises:
        ImportError: If torch is not installed.
    """
    import torch

    from generators.features import SHA256, load_features

    torch.set_num_threads(lab.threads)
    template = place(CHIP_TEMPLATE, CHIP_PX, FEATURE_PX, scale=0.85)
    feed = Feed("EfficientNet-lite0", FEATURE_PX, template, _as_it_is, "never learned faces")
    with tempfile.TemporaryDirectory() as folder:
        network = load_features(lab.cache or Path(folder))

    @torch.no_grad()
    def embed(image: ImageArray, landmarks: FloatArray) -> FloatArray:
        chip = cut(image, landmarks, feed).astype(np.float32) / 127.5 - 1
        # HWC => NCHW, as it is and mirrored
        both = torch.from_numpy(np.stack([chip, chip[:, ::-1]]).transpose(0, 3, 1, 2).copy())
        maps = network(both)[1]
        parts = [torch.nn.functional.adaptive_avg_pool2d(maps[k], GRID).flatten(1) for k in MAPS]
        return np.asarray(torch.cat(parts, dim=1).mean(dim=0), np.float32)

    return Judge(
        feed.name,
        embed,
        DIMS,
        "cosine",
        False,
        feed.note,
        version=f"{SHA256} {MAPS} {GRID} {feed.px} {template.round(4).tolist()}",
    )


def _as_it_is(rgb: FloatArray) -> FloatArray:
    return rgb


def _from_reader(reader: AttributeReader) -> Teacher:
    def read(image: ImageArray, landmarks: FloatArray | None) -> Said | None:
        reading = reader(image, landmarks)
        return None if reading is None else Said(reading.female, reading.age_class)

    return Teacher(reader.name, read, reader.used_inside)
