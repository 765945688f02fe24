"""Weights from files: the shipped ONNX and state dicts in the format of biubug6's RetinaFace.

That format names a convolution and its batch norm by their place in the network, such as
``body.stage1.0.0.weight`` and ``body.stage1.0.1.running_mean``, perhaps behind ``module.``; where
norms were folded in, their names are missing and the convolution has a bias. Files are read with
torch's restricted unpickler: a file that holds more than tensors is refused.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from anonyface.errors import InputError
from training.retinaface.layers import Bottleneck, ConvUnit
from training.retinaface.network import Backbone, Context, MobileNetQuarter, ResNet50, RetinaFace

PREFIX = "module."
NORM_PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
HEADS = (("ClassHead", "classes"), ("BboxHead", "boxes"), ("LandmarkHead", "landmarks"))
CONTEXT_NAMES = (
    ("near", "conv3X3"),
    ("shared", "conv5X5_1"),
    ("wide", "conv5X5_2"),
    ("wider_first", "conv7X7_2"),
    ("wider", "conv7x7_3"),
)

Named = Iterator[tuple[ConvUnit, str, str]]


def units(network: RetinaFace) -> Named:
    """Yield each unit with the file format's names of its convolution and of its norm.

    They come in the order in which the network runs them.
    """
    backbone = network.backbone
    named = _mobilenet if isinstance(backbone, MobileNetQuarter) else _resnet
    yield from named(backbone)  # type: ignore[arg-type]
    for i, unit in enumerate(network.pyramid.lateral):
        yield unit, f"fpn.output{i + 1}.0", f"fpn.output{i + 1}.1"  # type: ignore[misc]
    for i in (1, 0):
        yield network.pyramid.merge[i], f"fpn.merge{i + 1}.0", f"fpn.merge{i + 1}.1"  # type: ignore[misc]
    for i, context in enumerate(network.contexts):
        yield from _context(context, f"ssh{i + 1}")  # type: ignore[arg-type]


def _mobilenet(backbone: MobileNetQuarter) -> Named:
    yield backbone.stem, "body.stage1.0.0", "body.stage1.0.1"
    for s, stage in enumerate(backbone.stages):
        first = 1 if s == 0 else 0  # the stem is the first block of the first stage
        for i, block in enumerate(stage, start=first):  # type: ignore[arg-type]
            at = f"body.stage{s + 1}.{i}"
            yield block.depthwise, f"{at}.0", f"{at}.1"
            yield block.pointwise, f"{at}.3", f"{at}.4"


def _resnet(backbone: ResNet50) -> Named:
    yield backbone.stem, "body.conv1", "body.bn1"
    for s, stage in enumerate(backbone.stages):
        for i, block in enumerate(stage):  # type: ignore[arg-type]
            assert isinstance(block, Bottleneck)  # noqa: S101
            at = f"body.layer{s + 1}.{i}"
            for k, unit in enumerate((block.reduce, block.middle, block.expand), start=1):
                yield unit, f"{at}.conv{k}", f"{at}.bn{k}"
            if block.shortcut is not None:
                yield block.shortcut, f"{at}.downsample.0", f"{at}.downsample.1"


def _context(context: Context, at: str) -> Named:
    for ours, theirs in CONTEXT_NAMES:
        yield getattr(context, ours), f"{at}.{theirs}.0", f"{at}.{theirs}.1"


def _places(network: RetinaFace) -> Iterator[tuple[str, Tensor]]:
    """Yield the file format's names and the tensors they stand for."""
    for unit, conv, norm in units(network):
        yield f"{conv}.weight", unit.conv.weight
        if unit.conv.bias is not None:
            yield f"{conv}.bias", unit.conv.bias
        if unit.norm is not None:
            for part in NORM_PARTS:
                yield f"{norm}.{part}", getattr(unit.norm, part)
    for theirs, ours in HEADS:
        for i, head in enumerate(getattr(network, ours).convs):
            yield f"{theirs}.{i}.conv1x1.weight", head.weight
            yield f"{theirs}.{i}.conv1x1.bias", head.bias


def to_state_dict(network: RetinaFace) -> dict[str, Tensor]:
    """Return the detector's weights under the names of biubug6's format."""
    return {name: tensor.detach().clone() for name, tensor in _places(network)}


def from_state_dict(state: Mapping[str, Tensor], *, traits: bool = False) -> RetinaFace:
    """Build the network that a state dict in biubug6's format is of.

    Args:
        state: Tensors by name, with or without ``module.`` before all of them.
        traits: Whether to add new gender and age heads.

    Raises:
        InputError: A name or shape is missing or not of this format.
    """
    state = {n.removeprefix(PREFIX): t for n, t in state.items()}
    if "body.stage1.0.0.weight" in state:
        backbone: Backbone = "mobilenet-0.25"
    elif "body.conv1.weight" in state:
        backbone = "resnet-50"
    else:
        raise InputError("no RetinaFace with a MobileNet-0.25 or a ResNet-50: no body.* weights")
    norm = any(name.endswith("running_mean") for name in state)
    network = RetinaFace(backbone, norm=norm, traits=traits)
    places = dict(_places(network))
    # Some files hold the classifier of the backbone, or count no batches: neither is needed.
    counts = {n for n in places if n.endswith("num_batches_tracked")}
    if missing := sorted(set(places) - set(state) - counts):
        raise InputError(f"{len(missing)} weights are missing, the first is {missing[0]}")
    extra = {n for n in set(state) - set(places) if not n.startswith("body.fc.")}
    if extra:
        raise InputError(f"{len(extra)} weights have no place, the first is {min(extra)}")
    with torch.no_grad():
        for name, place in places.items():
            if name not in state:
                continue
            if state[name].shape != place.shape:
                raise InputError(
                    f"{name} has shape {tuple(state[name].shape)}, expected {tuple(place.shape)}"
                )
            place.copy_(state[name])
    return network.eval()


def load_pth(path: Path, *, traits: bool = False) -> RetinaFace:
    """Read a ``.pth`` file in biubug6's format; nothing in it is executed.

    Raises:
        InputError: The file is missing, holds more than tensors, or is not of this format.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"no checkpoint at {path}") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is damaged or holds more than tensors") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise InputError(f"{path} holds no state dict")
    return from_state_dict(state, traits=traits)


def load_onnx(path: Path, *, traits: bool = False) -> RetinaFace:
    """Read the shipped detector, or one exported alike: MobileNet-0.25 with folded norms.

    The convolutions come in the order of the graph; one that shares its weights with an earlier
    one is a copy that the exporter made.

    Raises:
        InputError: The file is missing or its convolutions are others.
    """
    try:
        graph = onnx.load(path).graph
    except (FileNotFoundError, ValueError, OSError) as error:
        raise InputError(f"no ONNX model at {path}") from error
    except Exception as error:  # onnx has no error of its own for damaged files
        raise InputError(f"{path} is no ONNX model") from error
    network = RetinaFace("mobilenet-0.25", norm=False, traits=traits)
    ours: list[nn.Conv2d] = [unit.conv for unit, _, _ in units(network)]
    for _, name in HEADS:
        ours += list(getattr(network, name).convs)
    found = list(_convolutions(graph))
    if len(found) < len(ours):
        raise InputError(f"{path} has {len(found)} convolutions, a RetinaFace has {len(ours)}")
    with torch.no_grad():
        for number, (conv, (weight, bias)) in enumerate(zip(ours, found, strict=False)):
            if conv.weight.shape != weight.shape or conv.bias is None:
                raise InputError(
                    f"{path}: convolution {number} has shape {weight.shape}, "
                    f"expected {tuple(conv.weight.shape)}"
                )
            conv.weight.copy_(torch.from_numpy(weight))
            conv.bias.copy_(torch.from_numpy(bias))
    return network.eval()


def _convolutions(graph: onnx.GraphProto) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    values = {i.name: numpy_helper.to_array(i).copy() for i in graph.initializer}
    same = {n.output[0]: n.input[0] for n in graph.node if n.op_type in ("Identity", "Cast")}
    seen = set()
    for node in graph.node:
        if node.op_type == "Conv":
            weight, bias = (same.get(name, name) for name in node.input[1:3])
            if weight not in seen:
                seen.add(weight)
                yield values[weight].astype(np.float32), values[bias].astype(np.float32)
