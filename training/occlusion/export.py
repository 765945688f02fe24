"""Measure and ship what was trained: ``python -m training.occlusion.export RUN TRAIN.zip``.

All figures are of faces held out of training, with things painted before them, and go on the card.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from anonyface.landmarks.occlusion import is_masked, to_grid
from anonyface.types import Mesh, Occlusion
from generators.features import load_features
from training.averaged import average_of
from training.convert.onnx_tools import save, shortened, store_half
from training.manifest import WEIGHTS, record
from training.occlusion.faces import Faces, load
from training.occlusion.network import Exported, OcclusionNetwork
from training.occlusion.scenes import Painter, seen
from training.occlusion.train import CLASSES, Scenes
from training.traced import traced

SCENES, PAIRS = 600, 500
"""Scenes for the overlaps; faces that are seen bare and with a mask."""


def to_onnx(network: OcclusionNetwork) -> onnx.ModelProto:
    """Return the network from grey levels to shares, weights in half precision."""
    example = torch.zeros(1, 3, 128, 128)
    return shortened(store_half(traced(Exported(network), example, "image", "shares")))


@dataclass(frozen=True)
class Seer:
    """Runs an exported model.

    Args:
        session: Of it.
    """

    session: onnxruntime.InferenceSession

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(128, 128, 3) -> (3, 64, 64) shares of bare, in front, worn."""
        feed = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)
        return np.asarray(self.session.run(["shares"], {"image": feed})[0][0])


def overlaps(see: Seer, scenes: Scenes) -> dict[str, float]:
    """Intersection over union of each class over all known points, and of both that hide."""
    both, either = np.zeros(4), np.zeros(4)
    for i in range(len(scenes)):
        pixels, (front, worn, known) = scenes[i]
        said, right = see(pixels).argmax(0), np.stack([1 - front - worn, front, worn]).argmax(0)
        pairs = [(said == k, right == k) for k in range(3)] + [(said > 0, right > 0)]
        for k, (a, b) in enumerate(pairs):
            both[k] += (a & b)[known > 0.5].sum()
            either[k] += (a | b)[known > 0.5].sum()
    names = [f"IoU {name}" for name in (*CLASSES, "hidden by either")]
    return {n: round(float(v), 3) for n, v in zip(names, both / np.maximum(either, 1), strict=True)}


def called_masked(see: Seer, faces: Faces, count: int) -> dict[str, float]:
    """Shares of masked and of bare faces that are called masked."""
    rows = np.flatnonzero(faces.held)
    plans = {"masked": ("mask",), "masked, a thing before it": ("mask", "thing"), "bare": ()}
    painter, called = Painter(faces, rows), {name: [] for name in plans}
    for number, row in enumerate(rows[:count]):
        for name, plan in plans.items():
            rng = np.random.default_rng([3, number])
            scene, points = seen(painter.painted(int(row), rng, plan), faces.bare_of(int(row)), rng)
            shares = see(scene.pixels)
            occlusion = Occlusion(shares[1], shares[2], to_grid(np.eye(2, 3)))
            called[name].append(is_masked(Mesh(points, 1.0, occlusion=occlusion)))
    return {f"{name}, called masked": round(float(np.mean(v)), 4) for name, v in called.items()}


def milliseconds(see: Seer) -> float:
    """Median time for one face."""
    pixels = np.zeros((128, 128, 3), np.uint8)
    times = []
    for _ in range(60):
        start = time.perf_counter()
        see(pixels)
        times.append(time.perf_counter() - start)
    return round(1000 * float(np.median(times)), 1)


def main() -> None:
    """Export."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a training.occlusion.train run")
    parser.add_argument("train", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="keeps faces and start weights")
    args = parser.parse_args()
    network = OcclusionNetwork(load_features(args.cache))
    tensors, facts = average_of(args.run)
    network.load_state_dict(tensors)
    model, path = to_onnx(network), WEIGHTS / "occlusion.onnx"
    faces = load(args.train, args.cache)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    see = Seer(session)
    held = Scenes(Painter(faces, np.flatnonzero(faces.held)), 0, SCENES, seed=4)
    example = held[0][0]
    with torch.no_grad():
        feed = torch.from_numpy(np.ascontiguousarray(example.transpose(2, 0, 1)[None])).float()
        exact = Exported(network).eval()(feed)[0].numpy()
    check: dict[str, object] = {
        "largest deviation from torch": f"{np.abs(exact - see(example)).max():.1e}",
        "steps trained": facts["done"],
        "ms a face": milliseconds(see),
    }
    check |= overlaps(see, held) | called_masked(see, faces, PAIRS)
    for name, value in check.items():
        print(f"{name}: {value}")
    save(model, path)
    record("occlusion", path, check)


if __name__ == "__main__":
    main()
