"""Fit what tells hair in the face and mixed light: ``python -m training.fit_flaws TRAIN.zip``.

Faces of FairFace ask for somebody to stand in; the portraits of those who are offered are looked at
as `anonyface.identities.showing` does before one is put on. Most of them were led away from their
parents, so what is known of these says little. Run it whenever the pool or the axes
have changed, or what `anonyface.identities.clearness` lets pass.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from tqdm import tqdm

from anonyface.errors import FaceError
from anonyface.identities.clearness import hair_in_face
from anonyface.identities.flaws import Flaw
from anonyface.identities.showing import MIXED_LIGHT
from anonyface.identities.source import LatentIdentities
from anonyface.landmarks.skin import colour_spread
from anonyface.subjects import SubjectReader
from anonyface.types import Face, FloatArray, Identity, IdentityRequest
from anonyface.verification.encoder import DlibEncoder
from anonyface.verification.thresholds import match_threshold
from training.fairface import count, samples
from training.manifest import WEIGHTS, record

FACES, OFFERS, PART = 1000, 7, 20
"""Faces that ask, how many are offered to each, and how many faces a process takes at once."""
FACE_PX = 100.0
"""Said size of the faces that ask: small enough for portraits of 256 px."""
REGULARISATION = 0.003
FLAWS: tuple[Flaw, ...] = ("hair", "light")


def flaws_of(identity: Identity) -> tuple[bool, bool]:
    """Whether a portrait has each of `FLAWS`."""
    pixels, mesh = identity.pixels, identity.mesh
    hair = hair_in_face(pixels, mesh, female=identity.gender == "female", age=identity.age)
    return hair, colour_spread(pixels, mesh) > MIXED_LIGHT


def look_at_part(
    path: Path, rows: Sequence[int]
) -> tuple[FloatArray, NDArray[np.bool_], NDArray[np.int64]]:
    """(n, 512) latents, (n, len(FLAWS)) flaws and (n,) row of the face of those offered to some."""
    reader = SubjectReader(encoder=DlibEncoder(threads=1), threads=1)
    people = LatentIdentities(
        max_resemblance=match_threshold("1e-2"),
        max_sibling_similarity=match_threshold("1e-3"),
        threads=1,
    )
    latents, flaws, faces = [], [], []
    for sample in samples(path, rows):
        low, high = sample.landmarks.min(axis=0), sample.landmarks.max(axis=0)
        middle, reach = (low + high) / 2, (high - low).max()
        box = np.concatenate([middle - reach, middle + reach])
        try:
            subject = reader(sample.image, Face(box, sample.landmarks, 1.0))
        except FaceError:
            continue
        avoid = subject.embedding[None]
        request = IdentityRequest(
            look=subject.look,
            face_px=FACE_PX,
            avoid=avoid,
            taken=avoid[:0],
            seed=sample.index,
            seen=subject.seen,
        )
        for offer in islice(people(request), OFFERS):
            identity = offer.render()
            latents.append(identity.latent)
            flaws.append(flaws_of(identity))
            faces.append(sample.index)
    return (
        np.reshape(np.asarray(latents, np.float32), (-1, 512)),
        np.reshape(np.asarray(flaws, bool), (-1, len(FLAWS))),
        np.array(faces, np.int64),
    )


def look_at(path: Path, workers: int) -> tuple[FloatArray, NDArray[np.bool_], NDArray[np.int64]]:
    """What `look_at_part` says of faces drawn from a FairFace zip file."""
    rows = np.random.default_rng(15).permutation(count(path))[:FACES].tolist()
    parts = [rows[start : start + PART] for start in range(0, len(rows), PART)]
    with ProcessPoolExecutor(workers) as pool:
        looked = pool.map(partial(look_at_part, path), parts)
        found = list(tqdm(looked, total=len(parts), desc="looking", mininterval=10))
    latents, flaws, faces = zip(*found, strict=True)
    return np.concatenate(latents), np.concatenate(flaws), np.concatenate(faces)


def main() -> None:
    """Look, fit, report cross-validated figures, write the models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    latents, flaws, faces = look_at(args.train, args.workers)
    scale = latents.std(axis=0).mean()
    for flaw, truth in zip(FLAWS, flaws.T, strict=True):
        model = LogisticRegression(C=REGULARISATION, max_iter=1000)
        scores = cross_val_predict(
            model,
            latents / scale,
            truth,
            groups=faces,
            cv=GroupKFold(8),
            method="decision_function",
        )
        model.fit(latents / scale, truth)
        path = WEIGHTS / f"{flaw}.npz"
        weight = (model.coef_[0] / scale).astype(np.float32)
        np.savez(path, weight=weight, bias=np.float32(model.intercept_[0]))
        likely = np.argsort(scores)[: len(scores) // 2]
        figures = {
            "portraits looked at": len(truth),
            "of them with the flaw": round(float(truth.mean()), 3),
            "area under the ROC curve, 8-fold": round(float(roc_auc_score(truth, scores)), 3),
            "of the half least likely to have it": round(float(truth[likely].mean()), 3),
        }
        record(flaw, path, figures)
        print(flaw, figures)


if __name__ == "__main__":
    main()
