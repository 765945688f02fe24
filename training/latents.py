"""Fit the network from latents to looks: ``python -m training.latents SAMPLES [--cache DIR]``.

    y = A x + C silu(B2 silu(B1 x)),   x = (w - mean) / spread

learns all labels and the identity embedding at once from the portraits of ``training.samples``; a
part of them is held out for the card.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.metrics import r2_score, roc_auc_score
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from anonyface.identities.generator import Generator
from anonyface.identities.people import LABELS
from anonyface.types import FloatArray
from generators.features import load_features
from training.convert.onnx_tools import save, store_half
from training.manifest import WEIGHTS, record
from training.samples import Samples, column, load, mean_latent
from training.soundness import Soundness, features_of, judge

WIDTH = 384
EPOCHS, BATCH, RATE, DECAY = 40, 128, 1e-3, 0.05
JITTER = 0.05
"""Noise added to x, in its spread: labels change smoothly with w."""
HELD_OUT = 0.1
IDENTITY_WEIGHT = 0.3
"""Weight of the 128 numbers of the embedding against the labels, which are as many as a quarter."""
CLASSES = {"p_female": 0.5, "eyewear": 0.5, "sound": 0.5, "hat": 0.5}
"""Labels whose accuracy on either side of a limit is reported as well."""
FITTED = (*LABELS, "hat")


@dataclass(frozen=True, eq=False)
class Table:
    """What is learnt from: latents, `FITTED` labels, unit embeddings."""

    latents: FloatArray
    labels: FloatArray
    embeddings: FloatArray


class LatentNetwork(nn.Module):
    """Style vectors to labels and embeddings; see the module's text.

    Args:
        mean: (512,) mean of the styles.
        spread: (512,) their standard deviation.
        outputs: (k,) mean and (k,) standard deviation of what is predicted.
        width: Units in both hidden layers.
    """

    def __init__(
        self,
        mean: FloatArray,
        spread: FloatArray,
        outputs: tuple[FloatArray, FloatArray],
        width: int,
    ) -> None:
        super().__init__()
        for name, value in zip(
            ("mean", "spread", "centre", "scale"), (mean, spread, *outputs), strict=True
        ):
            self.register_buffer(name, torch.from_numpy(value.astype(np.float32)))
        count = len(outputs[0])
        self.linear = nn.Linear(512, count)
        self.first, self.second = nn.Linear(512, width), nn.Linear(width, width)
        self.last = nn.Linear(width, count)

    def standard(self, w: torch.Tensor) -> torch.Tensor:
        """(n, 512) styles -> their standardised form."""
        return (w - self.mean) / self.spread

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 512) standardised styles -> (n, k) standardised answers."""
        return self.linear(x) + self.last(F.silu(self.second(F.silu(self.first(x)))))

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        """(n, 512) styles -> (n, k) answers."""
        return self.predict(self.standard(w)) * self.scale + self.centre


class Answers(nn.Module):
    """The network with its answers apart: labels that ship, and embeddings."""

    def __init__(self, net: LatentNetwork) -> None:
        super().__init__()
        self.net = net

    def forward(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, 512) -> (n, len(LABELS)), (n, 128)."""
        answers = self.net(w)
        return answers[:, : len(LABELS)], answers[:, len(FITTED) :]


def table(samples: Samples, judged: Soundness) -> Table:
    """Put labels together: those of the shards, and those of the soundness regressions."""
    extra = {"sound": judged.sound, "hat": judged.hat}
    columns = [extra[n] if n in extra else column(samples.rows, n) for n in FITTED]
    return Table(samples.latents, np.stack(columns, axis=1), samples.embeddings)


def fit(data: Table, *, seed: int = 0, width: int = WIDTH, epochs: int = EPOCHS) -> LatentNetwork:
    """Train on all rows of a table."""
    torch.manual_seed(seed)
    answers = np.concatenate([data.labels, data.embeddings], axis=1)
    scale = answers.std(axis=0) + 1e-6
    net = LatentNetwork(
        data.latents.mean(axis=0),
        data.latents.std(axis=0),
        (answers.mean(axis=0), scale),
        width,
    )
    x = net.standard(torch.from_numpy(data.latents))
    y = (torch.from_numpy(answers) - net.centre) / net.scale
    weight = torch.ones(answers.shape[1])
    weight[data.labels.shape[1] :] = IDENTITY_WEIGHT
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    for epoch in tqdm(range(epochs), desc="epochs"):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (0.5 + 0.5 * math.cos(math.pi * epoch / epochs)) + 1e-5
        for rows in torch.randperm(len(x)).split(BATCH):
            noisy = x[rows] + JITTER * torch.randn_like(x[rows])
            loss = (weight * (net.predict(noisy) - y[rows]).square()).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return net.eval()


def measure(net: LatentNetwork, data: Table, rows: NDArray[np.intp]) -> dict[str, str]:
    """Figures of a network on rows it has not seen."""
    with torch.inference_mode():
        answers = net(torch.from_numpy(data.latents[rows])).numpy()
    labels, found = data.labels[rows], answers[:, : len(FITTED)]
    fits = {n: round(float(r2_score(labels[:, i], found[:, i])), 2) for i, n in enumerate(FITTED)}
    errors = {
        n: round(float(np.median(np.abs(labels[:, i] - found[:, i]))), 3)
        for n in ("age", "skin_tone", "yaw", "pitch", "smile", "mouth_open", "gaze_across")
        for i in (FITTED.index(n),)
    }
    areas = {
        n: round(float(roc_auc_score(labels[:, i] > limit, found[:, i])), 3)
        for n, limit in CLASSES.items()
        for i in (FITTED.index(n),)
    }
    said = answers[:, len(FITTED) :]
    said = said / np.linalg.norm(said, axis=1, keepdims=True)
    cosines = (said * data.embeddings[rows]).sum(axis=1)
    female = FITTED.index("p_female")
    agree = (labels[:, female] > 0.5) == (found[:, female] > 0.5)
    return {
        "portraits held out": str(len(rows)),
        "R2": str(fits),
        "median error, in the label's unit": str(errors),
        "area under the ROC curve": str(areas),
        "gender agrees with the label": f"{agree.mean():.3f}",
        "identity embedding, median cosine": f"{np.median(cosines):.3f}",
    }


def export(net: LatentNetwork, constants: dict[str, FloatArray], path: Path) -> None:
    """Write the ONNX file, weights in half precision.

    Args:
        net: The network.
        constants: Outputs that do not depend on the input.
        path: Where to.
    """
    full = path.with_suffix(".full.onnx")
    torch.onnx.export(
        Answers(net).eval(),
        (torch.zeros(2, 512),),
        full,
        input_names=["w"],
        output_names=["labels", "embeddings"],
        dynamic_axes={n: {0: "N"} for n in ("w", "labels", "embeddings")},
        opset_version=17,
        dynamo=False,
    )
    model = store_half(onnx.load(full))
    full.unlink()
    for name, value in constants.items():
        stored = numpy_helper.from_array(value, f"{name}_constant")
        model.graph.initializer.append(stored)
        model.graph.node.append(helper.make_node("Identity", [stored.name], [name]))
        model.graph.output.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
        )
    save(model, path)


def main() -> None:
    """Label, fit, measure, ship."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("samples", type=Path)
    parser.add_argument("--cache", type=Path, default=Path(".cache/convert"))
    args = parser.parse_args()
    samples, generator = load(args.samples), Generator()
    net = load_features(args.cache)
    judged = judge(_cached_features(samples, net, args.samples), net, generator)
    np.savez(args.samples / "judged.npz", sound=judged.sound, hat=judged.hat)
    data = table(samples, judged)
    order = np.random.default_rng(1).permutation(len(samples))
    held, kept = np.split(order, [round(HELD_OUT * len(order))])
    model = fit(Table(data.latents[kept], data.labels[kept], data.embeddings[kept]))
    figures = {
        "portraits labelled": str(len(samples)),
        **measure(model, data, held),
        **{k: str(v) for k, v in judged.figures.items()},
    }
    mean = mean_latent(generator)
    styles = generator.map(np.random.default_rng(21).standard_normal((4096, 512), np.float32))
    reach = float(np.linalg.norm(styles - mean, axis=1).mean())
    path = WEIGHTS / "latents.onnx"
    constants = {
        "mean": mean,
        "reach": np.array([reach], dtype=np.float32),
    }
    export(model, constants, path)
    record("latents", path, figures)
    for name, value in figures.items():
        print(f"{name}: {value}")


def _cached_features(samples: Samples, net: nn.Module, folder: Path) -> FloatArray:
    path = folder / "features.npy"
    if path.exists() and len(cached := np.load(path)) == len(samples):
        return np.asarray(cached)
    found = features_of(samples, net)
    np.save(path, found)
    return found


if __name__ == "__main__":
    main()
