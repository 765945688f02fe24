"""Fit whether a face alone is a woman's: ``python -m training.fit_face_gender TRAIN.zip DEV.zip``.

On FairFace, seen as the judges of a replacement see it: everything outside of an ellipse from brows
to chin is grey, or the face is seen from the brows to the bridge of the nose. What hair tells is
left out as far as that goes; it is the original's that stays.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from anonyface.identities.face_gender import UPPER, FaceGender
from anonyface.identities.people import VIEWS, load_pool
from anonyface.types import FloatArray
from anonyface.verification.check import encoders_by_name
from training.fairface import AGES, GROUPS, count, samples
from training.manifest import WEIGHTS, record

REGULARISATION = 10.0
PART = 256
ADULT_FROM = AGES.index("20-29")
OLD = 60.0
"""Years from which on people of the pool are told of apart: few women among them read as such."""


def read_part(path: Path, rows: Sequence[int]) -> tuple[FloatArray, NDArray[np.int64]]:
    """(n, len(VIEWS), 128) embeddings and (n, 3) labels, female, age bin, group, of some rows."""
    judges = encoders_by_name(VIEWS, threads=1)
    views, labels = [], []
    for s in samples(path, rows):
        views.append(np.stack([judge(s.image, s.landmarks) for judge in judges.values()]))
        labels.append((int(s.female), s.age, s.group))
    return np.reshape(views, (-1, len(VIEWS), 128)), np.reshape(labels, (-1, 3))


def read(path: Path, workers: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """What `read_part` says of all faces of a FairFace zip file."""
    total = count(path)
    parts = [range(start, min(start + PART, total)) for start in range(0, total, PART)]
    with ProcessPoolExecutor(workers) as pool:
        found = list(
            tqdm(pool.map(partial(read_part, path), parts), total=len(parts), desc=path.stem)
        )
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])


def measure(said: FloatArray, truth: NDArray[np.int64]) -> dict[str, str]:
    """Accuracy on faces held out, by sex and group where it matters most."""
    right = (said > 0) == (truth[:, 0] == 1)
    adult = truth[:, 1] >= ADULT_FROM
    figures = {
        "held out": str(len(truth)),
        "accuracy": f"{right.mean():.3f}",
        f"accuracy from {AGES[ADULT_FROM].split('-')[0]} years on": f"{right[adult].mean():.3f}",
    }
    for number, name in enumerate(GROUPS):
        for sex, word in ((0, "male"), (1, "female")):
            some = (truth[:, 2] == number) & (truth[:, 0] == sex)
            figures[f"{name} {word}"] = f"{right[some].mean():.3f} of {some.sum()}"
    return figures


def eyes_alone(model: FaceGender, views: FloatArray, truth: NDArray[np.int64]) -> dict[str, str]:
    """Accuracy of what eyes and brows tell of grown-ups held out."""
    adult = truth[:, 1] >= ADULT_FROM
    right = (model.of_eyes(views[:, UPPER]) > 0) == (truth[:, 0] == 1)
    return {"accuracy of eyes and brows, grown-ups": f"{right[adult].mean():.3f}"}


def of_the_pool(model: FaceGender) -> dict[str, str]:
    """Log odds of the grown-ups of the pool who read as women or men, hair in view."""
    people = load_pool()
    views = people.views if people.views is not None else np.zeros((len(people), len(VIEWS), 128))
    female, age = people.column("p_female"), people.column("age")
    figures = {}
    for what, said in (("", model(views)), (", by eyes and brows", model.of_eyes(views[:, UPPER]))):
        for word, those in (("women", female > 0.9), ("men", female < 0.1)):
            for when, these in (("20-60", (age > 20) & (age <= OLD)), ("over 60", age > OLD)):
                low, middle, high = np.percentile(said[those & these], (5, 50, 95))
                name = f"{word} of the pool, {when}, log odds of female{what}"
                figures[f"{name}, 5th, 50th, 95th percentile"] = (
                    f"{low:.1f}, {middle:.1f}, {high:.1f}"
                )
    return figures


def fit(views: FloatArray, labels: NDArray[np.int64]) -> FaceGender:
    """Fit both models to what `read` returns."""
    whole = LogisticRegression(C=REGULARISATION, max_iter=2000)
    whole.fit(views.reshape(len(views), -1), labels[:, 0])
    adult = labels[:, 1] >= ADULT_FROM
    eyes = LogisticRegression(C=REGULARISATION, max_iter=2000)
    eyes.fit(views[adult, UPPER], labels[adult, 0])
    return FaceGender(
        whole.coef_[0].reshape(len(VIEWS), -1).astype(np.float32),
        float(whole.intercept_[0]),
        eyes.coef_[0].astype(np.float32),
        float(eyes.intercept_[0]),
    )


def write(path: Path, model: FaceGender) -> None:
    """Write what `anonyface.identities.face_gender.load_face_gender` reads."""
    np.savez(
        path,
        weight=model.weight,
        bias=np.float32(model.bias),
        upper_weight=model.upper_weight,
        upper_bias=np.float32(model.upper_bias),
    )


def main() -> None:
    """Fit, measure on the development set, write the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    (views, labels), dev = read(args.train, args.workers), read(args.dev, args.workers)
    model = fit(views, labels)
    path = WEIGHTS / "face-gender.npz"
    write(path, model)
    figures = {"faces fitted on": str(len(views))} | measure(model(dev[0]), dev[1])
    figures |= eyes_alone(model, *dev) | of_the_pool(model)
    record("face-gender", path, figures)
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
