"""Fit the facial hair classifier: ``python -m training.fit_facial_hair``.

What was seen is in ``facial_hair_by_eye.npz``: latents, and for each portrait 0 (shaven), 1
(stubble, or hard to tell: left out) or 2 (beard or moustache). The first 140 were drawn at random
among men, the others by what earlier fits said of them: the last 252 are men over 52, most of whom
the fit before was unsure of, for their moustaches are grey or white. Then
``python -m training.refill --only facial_hair`` reads the pool with it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from tqdm import tqdm

from anonyface.identities.facial_hair import facial_hair_features
from anonyface.identities.generator import Generator
from anonyface.identities.looks import cheek_colours
from anonyface.identities.people import portrait_face
from anonyface.landmarks.mesh import FaceMesh, five_points
from anonyface.types import FloatArray
from anonyface.verification.encoder import DlibEncoder
from training.manifest import WEIGHTS, record

SEEN = Path(__file__).with_name("facial_hair_by_eye.npz")
REGULARISATION = 0.1


def read(generator: Generator, w: FloatArray, mesh: FaceMesh, encoder: DlibEncoder) -> FloatArray:
    """Features of the portrait of one latent."""
    pixels = generator.render(w, size=256)
    (found,) = mesh(pixels, [portrait_face(256)])
    embedding = encoder(pixels, five_points(found.points))
    cheeks = np.mean(cheek_colours(pixels, found), axis=0)
    return facial_hair_features(pixels, found, cheeks, embedding)


def main() -> None:
    """Fit on what was seen, report cross-validated figures, write the model."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with np.load(SEEN, allow_pickle=False) as data:
        latents, kinds = data["latents"].astype(np.float32), data["facial_hair"]
    generator, mesh, encoder = Generator(), FaceMesh(), DlibEncoder()
    clear = kinds != 1
    features = np.stack([read(generator, w, mesh, encoder) for w in tqdm(latents[clear])])
    truth = kinds[clear] == 2
    mean = features.mean(axis=0)
    model = LogisticRegression(C=REGULARISATION, max_iter=3000)
    scores = cross_val_predict(model, features - mean, truth, cv=8, method="decision_function")
    model.fit(features - mean, truth)
    path = WEIGHTS / "facial-hair.npz"
    np.savez(
        path,
        mean=mean.astype(np.float32),
        weight=model.coef_[0].astype(np.float32),
        bias=np.float32(model.intercept_[0]),
    )
    figures = {
        "portraits looked at": len(kinds),
        "of them with beard or moustache": int(truth.sum()),
        "stubble or hard to tell, left out": int((~clear).sum()),
        "area under the ROC curve, 8-fold": round(float(roc_auc_score(truth, scores)), 3),
        "right, 8-fold": round(float(((scores > 0) == truth).mean()), 3),
    }
    record("facial-hair", path, figures)
    print(figures)


if __name__ == "__main__":
    main()
