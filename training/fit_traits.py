"""Fit the traits on FairFace: ``python -m training.fit_traits TRAIN.zip DEV.zip``.

A perceptron with one hidden layer reads gender and age off both encoders' embeddings and two small
networks' answers; a logistic regression on the first encoder's part reads the group. Reading the
faces takes most of the time: ``--cache DIR`` keeps what was read.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from tqdm import tqdm

from anonyface.identities.looks import LookReader
from anonyface.identities.traits import AGE_CENTRES, Traits, TraitsModel
from anonyface.types import FloatArray
from anonyface.verification.encoder import EMBEDDING_DIMS, DlibEncoder
from training.fairface import AGES, GROUPS, samples
from training.manifest import WEIGHTS, record
from training.retinaface.faces import label_bins
from training.retinaface.reading_loss import loss_of
from training.retinaface.refinement import Reading

FOUR_CLASSES = np.digitize(AGE_CENTRES, [10, 30, 60])
"""The classes <10, 10-29, 30-59, 60+ of the nine bins; 10-19 and 20-29 fall together."""
HIDDEN, EPOCHS, BATCH, RATE, DECAY = 256, 12, 256, 2e-3, 0.1
NOISE, FORGET_INPUT, FORGET_HIDDEN = 0.15, 0.1, 0.4
"""Against learning by heart: noise on the features, shares left out."""

Labels = dict[str, NDArray[np.int64]]


def read(path: Path, limit: int | None, cache: Path | None) -> tuple[FloatArray, Labels]:
    """(n, 259) features and the labels of each trait."""
    names = ("gender", "age", "group")
    kept = None if cache is None else cache / f"traits-{path.stem}.npz"
    if kept is not None and kept.exists():
        with np.load(kept, allow_pickle=False) as data:
            return data["features"][:limit], {n: data[n][:limit] for n in names}
    encoder, looks = DlibEncoder(), LookReader()
    rows, labels = [], []
    for s in tqdm(samples(path, None if limit is None else range(limit)), desc=path.stem):
        rows.append(looks.trait_features(s.image, s.landmarks, s.chip, encoder.views(s.chip)))
        labels.append((int(s.female), s.age, s.group))
    features, columns = np.stack(rows), dict(zip(names, np.array(labels).T, strict=True))
    if kept is not None and limit is None:
        np.savez(kept, features=features, **columns)
    return features, columns


def fit_perceptron(features: FloatArray, labels: Labels) -> dict[str, FloatArray]:
    """Train on (n, 259) features; the arrays of a `TraitsModel` but the group's."""
    torch.manual_seed(0)
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-3
    x = torch.from_numpy((features - mean) / spread)
    gender = nn.functional.one_hot(torch.from_numpy(labels["gender"]), 2).float()
    age = label_bins(torch.from_numpy(labels["age"]))
    hidden, out = nn.Linear(x.shape[1], HIDDEN), nn.Linear(HIDDEN, 2 + len(AGES))
    net = nn.Sequential(nn.Dropout(FORGET_INPUT), hidden, nn.ReLU(), nn.Dropout(FORGET_HIDDEN), out)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps + 1)
    for _ in tqdm(range(EPOCHS), desc="perceptron"):
        for rows in torch.randperm(len(x)).split(BATCH):
            if len(rows) < BATCH:
                continue
            said = net(x[rows] + NOISE * torch.randn(BATCH, x.shape[1]))
            batch = SimpleNamespace(gender=gender[rows], age=age[rows], weight=torch.ones(BATCH))
            loss = loss_of(Reading(said[:, :2], said[:, 2:]), batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return {
        "mean": mean,
        "spread": spread,
        "hidden_weight": _array(hidden.weight.T),
        "hidden_bias": _array(hidden.bias),
        "out_weight": _array(out.weight.T),
        "out_bias": _array(out.bias),
    }


def _array(values: Tensor) -> FloatArray:
    return np.ascontiguousarray(values.detach().numpy(), dtype=np.float32)


def fit_group(features: FloatArray, groups: NDArray[np.int64]) -> dict[str, FloatArray]:
    """The group's part of a `TraitsModel`, from the part of the features that it reads."""
    model = LogisticRegression(C=1.0, max_iter=2000).fit(features[:, :-EMBEDDING_DIMS], groups)
    weight, bias = model.coef_.T.astype(np.float32), model.intercept_.astype(np.float32)
    return {"group_weight": weight, "group_bias": bias}


def measure(model: TraitsModel, features: FloatArray, truth: Labels) -> dict[str, str]:
    """Accuracy on faces held out, by sex and group where it matters most."""
    said: list[Traits] = [model(row) for row in features]
    right = np.array([s.p_female >= 0.5 for s in said]) == truth["gender"]
    figures = {"gender, accuracy held out": f"{right.mean():.3f}"}
    for g, name in enumerate(GROUPS):
        for sex, word in ((0, "male"), (1, "female")):
            some = (truth["group"] == g) & (truth["gender"] == sex)
            figures[f"gender, {name} {word}"] = f"{right[some].mean():.3f} of {some.sum()}"
    years = np.array([s.age for s in said])
    classes = np.digitize(years, [10, 30, 60]) == FOUR_CLASSES[truth["age"]]
    figures["age in four classes"] = f"{classes.mean():.3f}"
    off = np.abs(years - AGE_CENTRES[truth["age"]]).mean()
    figures["age, mean distance to the middle of the bin, years"] = f"{off:.1f}"
    groups = np.array([int(np.argmax(s.groups)) for s in said]) == truth["group"]
    figures["group, accuracy held out"] = f"{groups.mean():.3f}"
    figures["age bins"] = ", ".join(AGES)
    return figures


def main() -> None:
    """Fit, measure on the development set by sex and group, write the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--cache", type=Path, help="folder that keeps what was read")
    args = parser.parse_args()
    features, labels = read(args.train, args.limit, args.cache)
    held, truth = read(args.dev, None, args.cache)
    arrays = fit_perceptron(features, labels) | fit_group(features, labels["group"])
    figures = {"faces fitted on": str(len(features)), "held out": str(len(held))}
    figures |= measure(TraitsModel(arrays), held, truth)
    path = WEIGHTS / "traits.npz"
    np.savez(path, **arrays)
    record("traits", path, figures)
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
