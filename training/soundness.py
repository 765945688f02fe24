"""Tell portraits with artefacts, hands or objects on the face from sound ones, and hats from none.

Logistic regressions on features of a fixed image network (EfficientNet-lite0, see
``generators.features``), fitted to portraits that were looked at one by one: those farthest from
the rest, then, twice, those the fit so far called unsound, and a random sample. What was seen is
in ``seen_by_eye.npz``: latents, and for each whether the face is whole and free ("sound") and
whether it wears a hat or hood.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from tqdm import tqdm

from anonyface.identities.generator import Generator
from anonyface.types import FloatArray, ImageArray
from generators.features import FeatureNetwork
from training.samples import Samples

SEEN = Path(__file__).with_name("seen_by_eye.npz")
FACE = (slice(56, 232), slice(40, 216))
"""Forehead to chin and ear to ear of a 256-px portrait."""
INPUT_PX, BATCH = 160, 16
COMPONENTS, REGULARISATION = 128, 0.01
"""Few were seen: the regressions may use only the strongest components, and those cautiously."""


@dataclass(frozen=True)
class Soundness:
    """What the regressions say, one number a portrait, and how well they did on those seen.

    Attributes:
        sound: (n,) probability in [0, 1] that the face is whole and free.
        hat: (n,) probability of a hat or hood.
        figures: For the card.
    """

    sound: FloatArray
    hat: FloatArray
    figures: dict[str, float | int]


def face_features(net: FeatureNetwork, faces: list[ImageArray]) -> FloatArray:
    """(n, 1280) features of 256-px portraits."""
    small = [cv2.resize(f[FACE], (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA) for f in faces]
    batch = torch.from_numpy(np.stack(small).transpose(0, 3, 1, 2)).float() / 127.5 - 1
    with torch.inference_mode():
        return np.asarray(net(batch)[0].numpy(), dtype=np.float32)


def features_of(samples: Samples, net: FeatureNetwork) -> FloatArray:
    """(n, 1280) features of all samples."""
    rows = range(0, len(samples), BATCH)
    return np.concatenate(
        [
            face_features(net, [samples.pixels(i) for i in range(r, min(r + BATCH, len(samples)))])
            for r in tqdm(rows, desc="features")
        ]
    )


def judge(features: FloatArray, net: FeatureNetwork, generator: Generator) -> Soundness:
    """Fit the regressions to what was seen and apply them to all samples.

    Args:
        features: (n, 1280) of the samples.
        net: The network that gave them.
        generator: Renders again what was looked at.
    """
    with np.load(SEEN, allow_pickle=False) as data:
        truths = {name: data[name] for name in ("sound", "hat")}
        latents = data["latents"].astype(np.float32)
    portraits = (generator.render(w, size=256) for w in tqdm(latents, desc="looked at"))
    seen = np.concatenate([face_features(net, [p]) for p in portraits])
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-3
    reduce = PCA(COMPONENTS, whiten=True, random_state=0).fit((features - mean) / spread)
    known, scores = (reduce.transform((f - mean) / spread) for f in (seen, features))
    figures: dict[str, float | int] = {"portraits looked at": len(seen)}
    answers = {}
    for name, truth in truths.items():
        model = LogisticRegression(C=REGULARISATION, max_iter=2000, class_weight="balanced")
        held_out = cross_val_predict(model, known, truth, cv=8, method="decision_function")
        area = round(float(roc_auc_score(truth, held_out)), 3)
        figures[f"{name}: area under the ROC curve, 8-fold"] = area
        figures[f"{name}: seen with"] = int(truth.sum())
        answers[name] = model.fit(known, truth).predict_proba(scores)[:, 1].astype(np.float32)
    return Soundness(answers["sound"], answers["hat"], figures)
