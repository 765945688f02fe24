"""Fit what tells hands at the face: ``python -m training.fit_hands``.

What was seen is in ``hands_by_eye.npz``: latents of the pool, and whether the portrait shows a hand
at chin, cheek or mouth. The old people and small children among them were looked at one by one; the
others are those whom a first fit was sure of, far beyond the people it had seen. A hand shows in
the style almost linearly, so nothing has to be rendered.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from training.manifest import WEIGHTS, record

SEEN = Path(__file__).with_name("hands_by_eye.npz")
REGULARISATION = 0.003
WEIGHT = 4.0
"""What a portrait with a hand counts more: one that is given away is worse than four left out."""


def main() -> None:
    """Fit on what was seen, report cross-validated figures, write the model."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with np.load(SEEN, allow_pickle=False) as data:
        latents, truth = data["latents"].astype(np.float32), data["hand"]
    scale = latents.std()
    model = LogisticRegression(
        C=REGULARISATION, class_weight={False: 1, True: WEIGHT}, max_iter=1000
    )
    scores = cross_val_predict(model, latents / scale, truth, cv=8, method="decision_function")
    model.fit(latents / scale, truth)
    path = WEIGHTS / "hands.npz"
    np.savez(
        path,
        weight=(model.coef_[0] / scale).astype(np.float32),
        bias=np.float32(model.intercept_[0]),
    )
    figures = {
        "portraits looked at": len(truth),
        "of them with a hand at the face": int(truth.sum()),
        "area under the ROC curve, 8-fold": round(float(roc_auc_score(truth, scores)), 3),
        "of those with a hand found, 8-fold": round(float((scores > 0)[truth].mean()), 2),
        "of the others taken for one, 8-fold": round(float((scores > 0)[~truth].mean()), 3),
    }
    record("hands", path, figures)
    print(figures)


if __name__ == "__main__":
    main()
