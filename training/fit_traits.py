"""Fit the traits on FairFace: ``python -m training.fit_traits TRAIN.zip DEV.zip``.

A perceptron with one hidden layer reads gender and age off both encoders' embeddings, a logistic
regression reads the group off the first one's. What they say and what the shipped network of
`training.attributes` says are added with weights fitted to the faces held out of the training set,
which neither has learnt from. Run ``training.attributes.export`` first. Reading the faces takes
most of the time: ``--cache DIR`` keeps what was read.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from tqdm import tqdm

from anonyface.identities.looks import LookReader
from anonyface.identities.traits import AGE_CENTRES, ENDS, Traits, TraitsModel, trait_features
from anonyface.types import FloatArray
from anonyface.verification.encoder import EMBEDDING_DIMS, DlibEncoder
from training.attributes.chips import split
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
CHIPS = 64
MIXING_STEPS = 300

NAMES = ("gender", "age", "group")


@dataclass(frozen=True, eq=False)
class Faces:
    """What was read off labelled faces.

    Attributes:
        features: (n, 257) as `trait_features` has them.
        said: (n, 18) logits of the network.
        labels: (n, 3) female, bin of age, group.
    """

    features: FloatArray
    said: FloatArray
    labels: NDArray[np.int64]

    def __getitem__(self, rows: NDArray[np.int64]) -> Faces:
        """Return some of them."""
        return Faces(self.features[rows], self.said[rows], self.labels[rows])

    def __len__(self) -> int:
        return len(self.labels)

    def read_by(self, model: TraitsModel) -> list[Traits]:
        """What a model makes of each."""
        return [model(*row) for row in zip(self.features, self.said, strict=True)]


def read(path: Path, limit: int | None, cache: Path | None) -> Faces:
    """Read the faces of a FairFace zip file, or take them from the cache."""
    kept = None if cache is None or limit is not None else cache / f"traits-{path.stem}.npz"
    if kept is not None and kept.exists():
        with np.load(kept, allow_pickle=False) as data:
            return Faces(data["features"], data["said"], data["labels"])
    encoder, looks = DlibEncoder(), LookReader()
    features, said, labels = [], [], []
    for s in tqdm(samples(path, None if limit is None else range(limit)), desc=path.stem):
        views = encoder.views(s.chip)
        features.append(trait_features(views, looks.second(s.image, s.landmarks)))
        said.append(looks.read_chips([s.chip])[0].copy())
        labels.append((int(s.female), s.age, s.group))
    found = Faces(np.stack(features), np.stack(said), np.array(labels, dtype=np.int64))
    if kept is not None:
        np.savez(kept, features=found.features, said=found.said, labels=found.labels)
    return found


def fit_perceptron(faces: Faces) -> dict[str, FloatArray]:
    """The arrays of a `TraitsModel` that read gender and age."""
    features, labels = faces.features, torch.from_numpy(faces.labels)
    torch.manual_seed(0)
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-3
    x = torch.from_numpy((features - mean) / spread)
    gender = nn.functional.one_hot(labels[:, 0], 2).float()
    age = label_bins(labels[:, 1])
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


def fit_group(faces: Faces) -> dict[str, FloatArray]:
    """The group's part of a `TraitsModel`, from the part of the features that it reads."""
    first = faces.features[:, :-EMBEDDING_DIMS]
    model = LogisticRegression(C=1.0, max_iter=2000).fit(first, faces.labels[:, 2])
    weight, bias = model.coef_.T.astype(np.float32), model.intercept_.astype(np.float32)
    return {"group_weight": weight, "group_bias": bias}


def fit_shares(model: TraitsModel, held: Faces) -> FloatArray:
    """(2, 18) weight of the embeddings' and of the network's logits, one pair a trait.

    The likeliest for faces that neither has learnt from (logarithmic opinion pool, Heskes 1998).
    """
    ours = torch.from_numpy(np.stack([model.embedded(f) for f in held.features]))
    theirs, labels = torch.from_numpy(held.said), torch.from_numpy(held.labels)
    weights = torch.full((2, len(NAMES)), 0.5, requires_grad=True)
    optimiser = torch.optim.Adam([weights], lr=0.02)
    parts = list(zip(ours.tensor_split(ENDS, 1), theirs.tensor_split(ENDS, 1), strict=True))
    for _ in range(MIXING_STEPS):
        losses = [
            nn.functional.cross_entropy(weights[0, i] * a + weights[1, i] * b, labels[:, i])
            for i, (a, b) in enumerate(parts)
        ]
        optimiser.zero_grad()
        torch.stack(losses).sum().backward()
        optimiser.step()
    lengths = torch.tensor([a.shape[1] for a, _ in parts])
    return _array(weights.detach().repeat_interleave(lengths, dim=1))


def measure(said: list[Traits], truth: NDArray[np.int64]) -> dict[str, str]:
    """Accuracy on faces held out, by sex and group where it matters most."""
    right = np.array([s.p_female >= 0.5 for s in said]) == truth[:, 0]
    figures = {"gender, accuracy held out": f"{right.mean():.3f}"}
    for g, name in enumerate(GROUPS):
        for sex, word in ((0, "male"), (1, "female")):
            some = (truth[:, 2] == g) & (truth[:, 0] == sex)
            figures[f"gender, {name} {word}"] = f"{right[some].mean():.3f} of {some.sum()}"
    years = np.array([s.age for s in said])
    classes = np.digitize(years, [10, 30, 60]) == FOUR_CLASSES[truth[:, 1]]
    figures["age in four classes"] = f"{classes.mean():.3f}"
    off = np.abs(years - AGE_CENTRES[truth[:, 1]]).mean()
    figures["age, mean distance to the middle of the bin, years"] = f"{off:.1f}"
    groups = np.array([int(np.argmax(s.groups)) for s in said]) == truth[:, 2]
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
    faces, dev = read(args.train, args.limit, args.cache), read(args.dev, None, args.cache)
    learnt, held = split(len(faces))
    arrays = fit_perceptron(faces[learnt]) | fit_group(faces[learnt])
    arrays["shares"] = fit_shares(TraitsModel(arrays), faces[held])
    figures = {"faces fitted on": str(len(learnt)), "shares fitted on": str(len(held))}
    both, ends = TraitsModel(arrays), [end - 1 for end in (*ENDS, arrays["shares"].shape[1])]
    for name, share in zip(NAMES, arrays["shares"][:, ends].T, strict=True):
        figures[f"weight of embeddings and network, {name}"] = f"{share[0]:.2f}, {share[1]:.2f}"
    for name, (ours, theirs) in {"embeddings alone": (1, 0), "network alone": (0, 1)}.items():
        lone = np.repeat(np.float32([[ours], [theirs]]), arrays["shares"].shape[1], axis=1)
        model = TraitsModel(arrays | {"shares": lone})
        alone = measure(dev.read_by(model), dev.labels)
        for key in ("gender, accuracy held out", "age in four classes"):
            figures[f"{name}: {key}"] = alone[key]
    figures["held out"] = str(len(dev))
    figures |= measure(dev.read_by(both), dev.labels)
    path = WEIGHTS / "traits.npz"
    np.savez(path, **arrays)
    record("traits", path, figures)
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
