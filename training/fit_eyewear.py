"""Fit the eyewear classifier on portraits labelled by eye: ``python -m training.fit_eyewear ZIP``.

The labels are indices in ``eyewear_labels.json``. Generated: rows of `sample_latents`; all of the
first 512 were looked at ("with", "unclear"), of the others those under "with_beyond" and
"without_beyond". Photographed: rows of FairFace's training set, above all those that an earlier fit
was unsure of. Each is learnt from as it is and once more as in some photo: small, blurred, spoilt;
photographed ones a third time, in a mask that is painted on: its edge is no rim of glasses.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from anonyface.errors import FaceError
from anonyface.identities.eyewear import eyewear_features
from anonyface.identities.generator import Generator
from anonyface.landmarks.mesh import FaceMesh
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.alignment import align_chip
from anonyface.verification.encoder import DlibEncoder, unit
from training.fairface import samples
from training.label import chip_of
from training.manifest import WEIGHTS, record
from training.occlusion.canvas import canvas
from training.occlusion.cloth import WHOLE_CUTS, wear
from training.occlusion.faces import face_around
from training.retinaface.degrade import add_noise, blur, compress, relight, shrink

SMALLEST = 0.22
"""Chips are shrunk by up to this factor: faces of some 40 px."""
LABELS = Path(__file__).with_name("eyewear_labels.json")


def sample_latents(generator: Generator, count: int) -> FloatArray:
    """(count, 512) latents, psi uniform in [0.6, 0.95], always the same ones."""
    z = np.random.default_rng(11).standard_normal((6000, 512)).astype(np.float32)
    w = generator.map(z)
    psi = np.random.default_rng(1).uniform(0.6, 0.95, (1200, 1)).astype(np.float32)
    mean = w.mean(axis=0)
    return np.asarray((mean + psi * (w[:1200] - mean))[:count])


def read(chip: ImageArray, encoder: DlibEncoder) -> FloatArray:
    """Features of one chip."""
    return eyewear_features(chip, unit(encoder.views(chip).sum(axis=0)))


def as_in_a_photo(chip: ImageArray, rng: np.random.Generator) -> ImageArray:
    """The chip as it would be cut out of some photo: few pixels, blurred, grainy, compressed."""
    out = shrink(chip, float(rng.uniform(SMALLEST, 0.9)))
    if rng.random() < 0.5:
        out = blur(out, rng)
    out = add_noise(relight(out, rng), rng)
    if rng.random() < 0.6:
        out = compress(out, int(rng.integers(35, 90)))
    side = chip.shape[0]
    return np.asarray(cv2.resize(out, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def generated(labels: dict[str, list[int]]) -> tuple[list[ImageArray], NDArray[np.bool_]]:
    """Chips and truth of the labelled generated portraits."""
    unclear = set(labels["unclear"])
    rows = [i for i in range(512) if i not in unclear]
    rows += labels["with_beyond"] + labels["without_beyond"]
    positive = set(labels["with"]) | set(labels["with_beyond"])
    generator = Generator()
    latents = sample_latents(generator, 1200)
    return [chip_of(generator, latents[i]) for i in rows], np.array([i in positive for i in rows])


@dataclass(frozen=True, eq=False)
class Photographed:
    """Labelled faces of FairFace.

    Attributes:
        chips: As they are.
        masked: The same people with masks painted on.
        truth: (n,) who wears glasses.
    """

    chips: list[ImageArray]
    masked: list[ImageArray]
    truth: NDArray[np.bool_]


def photographed(
    labels: dict[str, list[int]], path: Path, rng: np.random.Generator
) -> Photographed:
    """Read the labelled FairFace faces; those on whom no mesh fits are left out."""
    positive = set(labels["fairface_train_with"])
    rows = sorted(positive | set(labels["fairface_train_without"]))
    fit, chips, masked, truth = FaceMesh(), list[ImageArray](), list[ImageArray](), list[bool]()
    before: tuple[ImageArray, FloatArray] | None = None
    for s in samples(path, rows):
        try:
            points = fit(s.image, [face_around(s.landmarks)])[0].points
        except FaceError:
            continue
        drawn = canvas(s.image, points, rng)
        wear(drawn, rng, lambda other=before or (s.image, points): other, WHOLE_CUTS)
        before = s.image, points
        chips.append(s.chip)
        masked.append(
            align_chip(np.clip(drawn.pixels, 0, 255).astype(np.uint8), s.landmarks).pixels
        )
        truth.append(s.index in positive)
    return Photographed(chips, masked, np.array(truth))


def main() -> None:
    """Fit on the labelled rows, report cross-validated figures, write the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fairface", type=Path, help="FairFace training zip")
    args = parser.parse_args()
    labels = json.loads(LABELS.read_text())
    rng = np.random.default_rng(0)
    made, made_truth = generated(labels)
    photos = photographed(labels, args.fairface, rng)
    plain = [*made, *photos.chips]
    spoilt = [as_in_a_photo(chip, rng) for chip in plain]
    masked = [as_in_a_photo(c, rng) if rng.random() < 0.5 else c for c in photos.masked]
    encoder = DlibEncoder()
    features = np.stack([read(chip, encoder) for chip in (*plain, *spoilt, *masked)])
    who = np.arange(len(plain))
    who = np.concatenate([who, who, who[len(made) :]])
    truth = np.concatenate([made_truth, photos.truth])[who]
    real = who >= len(made)
    kind = np.repeat([0, 1, 2], [len(plain), len(spoilt), len(masked)])
    mean = features.mean(axis=0)
    model = LogisticRegression(C=0.1, max_iter=3000)
    # All chips of a face are learnt from, or none.
    folds = GroupKFold(n_splits=8).split(features, groups=who)
    scores = cross_val_predict(
        model, features - mean, truth, cv=list(folds), method="decision_function"
    )
    model.fit(features - mean, truth)
    path = WEIGHTS / "eyewear.npz"
    np.savez(
        path,
        mean=mean.astype(np.float32),
        weight=model.coef_[0].astype(np.float32),
        bias=np.float32(model.intercept_[0]),
    )
    figures: dict[str, object] = {
        f"area under the ROC curve, 8-fold, {name}": round(
            float(roc_auc_score(truth[part], scores[part])), 3
        )
        for name, part in {
            "generated": ~real & (kind == 0),
            "FairFace, mostly hard cases": real & (kind == 0),
            "the same, small and spoilt": real & (kind == 1),
            "the same in masks": kind == 2,
        }.items()
    }
    figures |= {
        "generated portraits labelled by eye": len(made),
        "of them with glasses": int(made_truth.sum()),
        "FairFace faces labelled by eye": len(photos.chips),
        "of those with glasses": int(photos.truth.sum()),
    }
    record("eyewear", path, figures)
    print(figures)


if __name__ == "__main__":
    main()
