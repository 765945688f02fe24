"""Fit the traits on FairFace: ``python -m training.fit_traits TRAIN.zip DEV.zip [--limit N]``."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from anonyface.identities.looks import LookReader
from anonyface.identities.traits import AGE_CENTRES, trait_features
from anonyface.types import FloatArray
from anonyface.verification.encoder import DlibEncoder
from training.fairface import AGES, GROUPS, samples
from training.manifest import WEIGHTS, record

FOUR_CLASSES = np.digitize(AGE_CENTRES, [10, 30, 60])
"""The classes <10, 10-29, 30-59, 60+ of the nine bins; 10-19 and 20-29 fall together."""


def read(path: Path, limit: int | None) -> tuple[FloatArray, dict[str, NDArray[np.int64]]]:
    """(n, 131) features and the labels of each trait."""
    encoder, looks = DlibEncoder(), LookReader()
    rows, labels = [], []
    for sample in samples(path, None if limit is None else range(limit)):
        female, years = looks.networks([sample.chip])
        rows.append(trait_features(encoder.views(sample.chip), float(female[0]), float(years[0])))
        labels.append((int(sample.female), sample.age, sample.group))
    columns = np.array(labels).T
    return np.stack(rows), dict(zip(("gender", "age", "group"), columns, strict=True))


def main() -> None:
    """Fit, measure on the development set by sex and group, write the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("--limit", type=int, default=None)
    args = parser.parse_args()
    (features, labels), (held, truth) = read(args.train, args.limit), read(args.dev, None)
    arrays: dict[str, FloatArray] = {}
    figures: dict[str, str] = {"faces fitted on": str(len(features)), "held out": str(len(held))}
    for trait in ("gender", "age", "group"):
        model = LogisticRegression(C=1.0, max_iter=2000).fit(features, labels[trait])
        weight, bias = model.coef_.T, model.intercept_
        if weight.shape[1] == 1:  # binary: one logit; write it as two classes
            weight, bias = np.hstack([-weight / 2, weight / 2]), np.array([-bias[0], bias[0]]) / 2
        arrays[f"{trait}_weight"] = weight.astype(np.float32)
        arrays[f"{trait}_bias"] = bias.astype(np.float32)
        right = model.predict(held) == truth[trait]
        figures[f"{trait}, accuracy held out"] = f"{right.mean():.3f}"
        if trait == "gender":
            for g, name in enumerate(GROUPS):
                for sex, word in ((0, "male"), (1, "female")):
                    some = (truth["group"] == g) & (truth["gender"] == sex)
                    figures[f"gender, {name} {word}"] = f"{right[some].mean():.3f} of {some.sum()}"
        if trait == "age":
            guess = FOUR_CLASSES[model.predict(held)]
            figures["age in four classes"] = f"{(guess == FOUR_CLASSES[truth['age']]).mean():.3f}"
            figures["age bins"] = ", ".join(AGES)
    path = WEIGHTS / "traits.npz"
    np.savez(path, **arrays)
    record("traits", path, figures)
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
