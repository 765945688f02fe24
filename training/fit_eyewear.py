"""Fit the eyewear classifier on portraits labelled by eye: ``python -m training.fit_eyewear ZIP``.

The labels are indices in ``eyewear_labels.json``. Generated: rows of `sample_latents`; all of the
first 512 were looked at ("with", "unclear"), of the others those under "with_beyond" and
"without_beyond". Photographed: rows of FairFace's training set that an earlier fit was unsure of.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from anonyface.identities.eyewear import eyewear_features
from anonyface.identities.generator import Generator
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.encoder import DlibEncoder, unit
from training.fairface import samples
from training.label import chip_of
from training.manifest import WEIGHTS, record

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


def generated(labels: dict[str, list[int]]) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Features and truth of the labelled generated portraits."""
    unclear = set(labels["unclear"])
    rows = [i for i in range(512) if i not in unclear]
    rows += labels["with_beyond"] + labels["without_beyond"]
    positive = set(labels["with"]) | set(labels["with_beyond"])
    generator, encoder = Generator(), DlibEncoder()
    latents = sample_latents(generator, 1200)
    features = np.stack([read(chip_of(generator, latents[i]), encoder) for i in rows])
    return features, np.array([i in positive for i in rows])


def photographed(labels: dict[str, list[int]], path: Path) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Features and truth of the labelled FairFace faces: those an earlier fit was unsure of."""
    positive = set(labels["fairface_train_with"])
    rows = sorted(positive | set(labels["fairface_train_without"]))
    found = list(samples(path, rows))
    encoder = DlibEncoder()
    features = np.stack([read(s.chip, encoder) for s in found])
    return features, np.array([s.index in positive for s in found])


def main() -> None:
    """Fit on the labelled rows, report cross-validated figures, write the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fairface", type=Path, help="FairFace training zip")
    args = parser.parse_args()
    labels = json.loads(LABELS.read_text())
    made, photos = generated(labels), photographed(labels, args.fairface)
    features, truth = (np.concatenate(pair) for pair in zip(made, photos, strict=True))
    real = np.arange(len(truth)) >= len(made[1])
    mean = features.mean(axis=0)
    model = LogisticRegression(C=0.1, max_iter=3000)
    scores = cross_val_predict(model, features - mean, truth, cv=8, method="decision_function")
    model.fit(features - mean, truth)
    path = WEIGHTS / "eyewear.npz"
    np.savez(
        path,
        mean=mean.astype(np.float32),
        weight=model.coef_[0].astype(np.float32),
        bias=np.float32(model.intercept_[0]),
    )
    figures = {
        "area under the ROC curve, 8-fold, generated": round(
            float(roc_auc_score(truth[~real], scores[~real])), 3
        ),
        "the same, hard cases of FairFace": round(
            float(roc_auc_score(truth[real], scores[real])), 3
        ),
        "generated portraits labelled by eye": int((~real).sum()),
        "of them with glasses": int(truth[~real].sum()),
        "FairFace faces labelled by eye": int(real.sum()),
        "of those with glasses": int(truth[real].sum()),
    }
    record("eyewear", path, figures)
    print(figures)


if __name__ == "__main__":
    main()
