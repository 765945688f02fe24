"""Fit the eyewear classifier on portraits labelled by eye: ``python -m training.fit_eyewear``.

The portraits are the first 1,200 of `sample_latents`; ``eyewear_labels.json`` holds the indices of
those with glasses and of those too unclear to say. Rows up to "labelled_upto" were all looked at;
of the others only those listed under "with" and "without".
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from anonyface.identities.eyewear import eyewear_features
from anonyface.identities.generator import Generator
from anonyface.types import FloatArray
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


def main() -> None:
    """Fit on the labelled rows, report cross-validated figures, write the model."""
    labels = json.loads(LABELS.read_text())
    unclear = set(labels["unclear"])
    rows = [i for i in range(labels["labelled_upto"]) if i not in unclear]
    rows += labels["with_beyond"] + labels["without_beyond"]
    positive = set(labels["with"]) | set(labels["with_beyond"])
    generator = Generator()
    latents = sample_latents(generator, 1200)
    features = np.stack([eyewear_features(chip_of(generator, latents[i])) for i in rows])
    truth = np.array([i in positive for i in rows])
    mean = features.mean(axis=0)
    model = LogisticRegression(C=0.03, max_iter=3000, class_weight="balanced")
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
        "area under the ROC curve, 8-fold": round(float(roc_auc_score(truth, scores)), 4),
        "with glasses found at score 0, 8-fold": round(float((scores[truth] > 0).mean()), 3),
        "without glasses wrongly found, 8-fold": round(float((scores[~truth] > 0).mean()), 3),
        "portraits labelled by eye": len(rows),
        "of them with glasses": int(truth.sum()),
    }
    record("eyewear", path, figures)
    print(figures)


if __name__ == "__main__":
    main()
