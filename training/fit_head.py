"""Fit the 256-px output head of the generator: ``python -m training.fit_head --cache DIR``.

The generator renders 1024 px; most faces in photos need 256. The features of its first 128x128
layer already hold the picture, so a small head reads them out and the two most expensive blocks are
skipped.
The head is fitted by regression on the area-downsampled 1024-px output, on generated people only.

Head, F = features (256, 128, 128), A_i affine in w:

    x = lrelu(conv1x1(F * (1 + A_1 w)))                      256 -> 96
    x = x + lrelu(conv1x1(depthwise3x3(x)))     two times
    y = conv1x1(x * (1 + A_2 w)) + c                          c: (12, 128, 128), the constant noise
    image = depth_to_space(y)                                 (3, 256, 256)
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from onnx import compose
from torch import nn
from torch.nn import functional as F

from anonyface.runtime import engine
from training.convert.__main__ import FEATURES, synthesis_parts
from training.convert.onnx_tools import rename, save, store_half
from training.convert.sources import fetch
from training.manifest import WEIGHTS, record

ort = engine()

WIDTH = 96
_Y, _X = np.mgrid[0:256, 0:256].astype(np.float32)
FACE_WEIGHT = 0.5 + 1.5 * np.exp(-((_X - 128) ** 2 + (_Y - 148) ** 2) / (2 * 50.0**2))
"""Errors in the face count four times those in the background, which is never pasted."""
CROP = 48  # feature pixels a side of a training crop: more people in a batch for the same work


class Head(nn.Module):
    """Features and w -> 256-px image; see the module's text."""

    def __init__(self, channels: int = 256, width: int = WIDTH, w_dim: int = 512) -> None:
        super().__init__()
        self.style_in = nn.Linear(w_dim, channels)
        self.style_out = nn.Linear(w_dim, width)
        self.reduce = nn.Conv2d(channels, width, 1)
        self.depthwise = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, groups=width) for _ in range(2)
        )
        self.pointwise = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(2))
        self.to_image = nn.Conv2d(width, 12, 1)
        self.noise = nn.Parameter(torch.zeros(1, 12, 128, 128))
        for layer in (self.style_in, self.style_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, features: torch.Tensor, w: torch.Tensor, noise: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(N,256,h,w), (N,512) and optionally the noise of the crops -> (N,3,2h,2w)."""
        x = features * (1 + self.style_in(w))[:, :, None, None]
        x = F.leaky_relu(self.reduce(x), 0.2)
        for depthwise, pointwise in zip(self.depthwise, self.pointwise, strict=True):
            x = x + F.leaky_relu(pointwise(depthwise(x)), 0.2)
        y = self.to_image(x * (1 + self.style_out(w))[:, :, None, None])
        return F.pixel_shuffle(y + (self.noise if noise is None else noise), 2)


def make_samples(cache: Path, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W (n,512) f32, features (n,256,128,128) f16, targets (n,256,256,3) u8 of generated people."""
    _, trunk, tail = synthesis_parts(cache)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    first, last = (
        ort.InferenceSession(store_half(m).SerializeToString(), options) for m in (trunk, tail)
    )
    mapping = ort.InferenceSession(WEIGHTS / "mapping.onnx", options)
    rng = np.random.default_rng(seed)
    styles = mapping.run(None, {"z": rng.standard_normal((4096, 512)).astype(np.float32)})[0]
    mean = styles.mean(axis=0)
    psi = rng.uniform(0.5, 0.95, (count, 1)).astype(np.float32)
    w = mean + psi * (styles[:count] - mean)
    features = np.empty((count, 256, 128, 128), dtype=np.float16)
    targets = np.empty((count, 256, 256, 3), dtype=np.uint8)
    for i in range(count):
        f = first.run(None, {"w": w[i : i + 1]})[0]
        image = last.run(None, {"w": w[i : i + 1], FEATURES: f})[0][0].transpose(1, 2, 0)
        features[i] = f[0]
        pixels = np.clip((image + 1) * 127.5, 0, 255)
        targets[i] = cv2.resize(pixels, (256, 256), interpolation=cv2.INTER_AREA).round()
    return w, features, targets


def fit(
    head: Head, data: tuple[np.ndarray, ...], *, steps: int, batch: int, rate: float, seed: int
) -> None:
    """Train on random crops with L1 on pixels and on their differences."""
    w, features, targets = data
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.Adam(head.parameters(), lr=rate, betas=(0.9, 0.98))
    started = time.monotonic()
    for step in range(steps):
        ramp = min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = rate * ramp + 1e-5
        rows = rng.integers(0, len(w), batch)
        ys, xs = rng.integers(0, 128 - CROP + 1, (2, batch))
        windows = [
            (r, slice(y, y + CROP), slice(x, x + CROP))
            for r, y, x in zip(rows, ys, xs, strict=True)
        ]
        f = torch.from_numpy(np.stack([features[r][:, a, b] for r, a, b in windows])).float()
        noise = torch.cat([head.noise[:, :, a, b] for _, a, b in windows])
        wide = [
            (r, slice(2 * a.start, 2 * a.stop), slice(2 * b.start, 2 * b.stop))
            for r, a, b in windows
        ]
        want = torch.from_numpy(np.stack([targets[r][a, b] for r, a, b in wide])).permute(
            0, 3, 1, 2
        )
        error = head(f, torch.from_numpy(w[rows]), noise) - (want.float() / 127.5 - 1)
        weight = torch.from_numpy(np.stack([FACE_WEIGHT[a, b] for _, a, b in wide]))[:, None]
        loss = (weight * (error.abs() + 4 * error.square())).mean()
        loss = loss + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 100 == 0:
            rms = float(error.detach().square().mean().sqrt())
            print(
                f"step {step} loss {loss.item():.4f} psnr {20 * math.log10(2 / rms):.2f} dB "
                f"{time.monotonic() - started:.0f} s",
                flush=True,
            )


def assemble(head: Head, cache: Path) -> onnx.ModelProto:
    """One ONNX model: w -> image (N,3,256,256) and features."""
    _, trunk, _ = synthesis_parts(cache)
    path = cache / "head.onnx"
    torch.onnx.export(
        head,
        (torch.zeros(1, 256, 128, 128), torch.zeros(1, 512)),
        path,
        input_names=["features", "w"],
        output_names=["image"],
        dynamic_axes={"features": {0: "N"}, "w": {0: "N"}, "image": {0: "N"}},
        opset_version=17,
        dynamo=False,
    )
    part = compose.add_prefix(onnx.load(path), "head/")
    part = rename(part, {"head/features": FEATURES, "head/w": "w", "head/image": "image"})
    model = onnx.ModelProto()
    model.CopyFrom(trunk)
    model.graph.node.extend(part.graph.node)
    model.graph.initializer.extend(part.graph.initializer)
    model.graph.output.extend(part.graph.output)
    onnx.checker.check_model(model, full_check=True)
    return rename(model, {FEATURES: "features"})


def evaluate(session: ort.InferenceSession, data: tuple[np.ndarray, ...]) -> dict[str, float]:
    """PSNR in dB of held-out pictures against the downsampled 1024-px output."""
    w, _, targets = data
    psnr, face = [], []
    for row, want in zip(w, targets, strict=True):
        image = session.run(["image"], {"w": row[None]})[0][0].transpose(1, 2, 0)
        got = np.clip((image + 1) * 127.5, 0, 255)
        psnr.append(20 * math.log10(255 / math.sqrt(float(np.square(got - want).mean()))))
        inner = np.square(got - want)[88:216, 72:184]
        face.append(20 * math.log10(255 / math.sqrt(float(inner.mean()))))
    return {
        "PSNR against the downsampled 1024-px output, median, dB": round(float(np.median(psnr)), 2),
        "PSNR inside the face, median, dB": round(float(np.median(face)), 2),
        "PSNR, worst of the held-out pictures, dB": round(min(psnr), 2),
        "held-out pictures": len(psnr),
    }


def main() -> None:
    """Fit, export and record the head."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path(".cache/convert"))
    parser.add_argument("--samples", type=int, default=800)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--rate", type=float, default=3e-3, help="learning rate at its highest")
    parser.add_argument("--resume", action="store_true", help="start from the cached head")
    args = parser.parse_args()
    for name in ("synthesis-xml", "synthesis"):
        fetch(name, args.cache)
    torch.manual_seed(0)
    head, checkpoint = Head(), args.cache / "head.pt"
    if args.resume:
        head.load_state_dict(torch.load(checkpoint, weights_only=True))
    data = make_samples(args.cache, args.samples, seed=1)
    fit(head, data, steps=args.steps, batch=args.batch, rate=args.rate, seed=2)
    torch.save(head.state_dict(), checkpoint)
    model = store_half(assemble(head.eval(), args.cache))
    path = WEIGHTS / "synthesis-256.onnx"
    save(model, path)
    figures = evaluate(ort.InferenceSession(path), make_samples(args.cache, 64, seed=3))
    record("synthesis-256", path, {**figures, "fitted on": args.samples, "steps": args.steps})
    print(figures)


if __name__ == "__main__":
    main()
