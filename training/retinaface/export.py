"""One ONNX file that finds faces and reads them: ``python -m training.retinaface.export``.

Inputs: ``input`` (N, 3, H, W) as the detector has it; ``faces`` (n, 5, 2), landmarks in pixels of
the input, and ``least``, a score: both may be left out, and then only faces are found. Outputs
``loc``, ``conf``, ``landmarks`` are the detector's. ``gender`` (n + k, 2), male and female, and
``age`` (n + k, 9), shares of the bins, are those of the n faces asked for, then of the k faces of
the picture that are found with a score of ``least`` or more; ``picked`` (k,) are their anchors. So
a picture is found and read in one pass, or faces chosen elsewhere are read in a second one.
"""

from __future__ import annotations

import argparse
import io
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, compose, helper, numpy_helper
from torch import Tensor, nn

from anonyface.errors import AnonyfaceError
from training.convert.onnx_tools import save, store_half
from training.manifest import WEIGHTS
from training.retinaface.anchors import SIZES, STRIDES, VARIANCES
from training.retinaface.checkpoints import load_onnx, load_pth
from training.retinaface.detect import NMS_IOU
from training.retinaface.layers import ConvUnit
from training.retinaface.network import RetinaFace
from training.retinaface.refinement import Look, Refinement
from training.retinaface.refiner import load_refinement
from training.retinaface.storage import store_bytes

OPSET = 17
MOST_PICKED = 256
"""Faces read in one pass at most: bounds time and memory."""
NEVER = 2.0
"""A score no face has: the default of ``least``."""
MAPS = ("early", "fine", "middle")


class Finder(nn.Module):
    """The detector with what the refinement needs beside its outputs."""

    def __init__(self, network: RetinaFace) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("sizes", torch.tensor(SIZES, dtype=torch.float32))
        self.register_buffer("strides", torch.tensor(STRIDES))

    def forward(self, x: Tensor, least: Tensor) -> tuple[Tensor, ...]:
        """Find faces in (N, 3, H, W) and decode the first picture's, as far as they are wanted.

        Returns:
            loc, conf, landmarks; the backbone's maps of stride 4, 8 and 16; and of the k anchors
            with a score of ``least`` or more: index, score, box y0 x0 y1 x1, points (k, 5, 2).
        """
        maps, contexts = self.network.features(x)
        found = self.network.heads(contexts)
        shares = found.logits.softmax(-1)
        scores = shares[0, :, 1]
        index = (scores >= least).nonzero()[:, 0]
        middle, sides = self._anchors(index, [c.shape[2:] for c in contexts])
        offsets = found.boxes[0][index]
        middles = middle + offsets[:, :2] * VARIANCES[0] * sides
        half = sides * (offsets[:, 2:] * VARIANCES[1]).exp() / 2
        boxes = torch.cat([(middles - half).flip(-1), (middles + half).flip(-1)], dim=-1)
        shifts = found.landmarks[0][index].reshape(-1, 5, 2)
        points = middle[:, None] + shifts * VARIANCES[0] * sides[:, None]
        chosen = (index, scores[index], boxes, points)
        return found.boxes, shares, found.landmarks, *maps[:3], *chosen

    def _anchors(self, index: Tensor, shapes: list[torch.Size]) -> tuple[Tensor, Tensor]:
        """Middles (k, 2) and sizes (k, 1) of anchors, worked out for those alone."""
        count = [2 * rows * columns for rows, columns in shapes]
        second, third = count[0], count[0] + count[1]
        level = (index >= second).long() + (index >= third).long()
        starts = torch.stack([torch.as_tensor(v) for v in (0 * second, second, third)])
        columns = torch.stack([torch.as_tensor(s[1]) for s in shapes])[level]
        inside = index - starts[level]
        cell = torch.div(inside, 2, rounding_mode="floor")
        row = torch.div(cell, columns, rounding_mode="floor")
        xy = torch.stack([cell - row * columns, row], dim=1).float()
        middle = (xy + 0.5) * self.strides[level][:, None].float()
        return middle, self.sizes[level, inside % 2][:, None]


class Reader(nn.Module):
    """The refinement with the grids it reads."""

    def __init__(self, refinement: Refinement) -> None:
        super().__init__()
        self.refinement = refinement
        self.look = Look(
            picture=refinement.picture is not None, pooled=refinement.pooled is not None
        )

    def forward(
        self, image: Tensor, early: Tensor, fine: Tensor, middle: Tensor, faces: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return shares of gender (n, 2) and age (n, 9)."""
        read = self.refinement(*self.look(image, [early, fine, middle], faces))
        return read.gender.softmax(1), read.age.softmax(1)


def assemble(network: RetinaFace, refinement: Refinement) -> onnx.ModelProto:
    """Put detector and refinement into one graph; weights of the refinement in 8 and 16 bits."""
    for module in network.modules():
        if isinstance(module, ConvUnit):
            module.fold()
    finder = _trace(
        Finder(network.eval()),
        (torch.zeros(1, 3, 96, 160), torch.zeros(1)),
        inputs={"input": {0: "N", 2: "H", 3: "W"}, "least": {}},
        outputs=["loc", "conf", "landmarks", *MAPS, "index", "score", "boxes_yxyx", "points_xy"],
    )
    shapes = _map_shapes(network)
    reader = _trace(
        Reader(refinement.eval()),
        (torch.zeros(1, 3, 96, 160), *shapes, torch.rand(2, 5, 2) * 90),
        inputs={
            "image": {2: "H", 3: "W"},
            **{n: {2: f"{n}_h", 3: f"{n}_w"} for n in MAPS},
            "all_faces": {0: "n"},
        },
        outputs=["gender", "age"],
    )
    reader = compose.add_prefix(store_half(store_bytes(reader)), "read/")
    return _join(finder, reader)


def _map_shapes(network: RetinaFace) -> list[Tensor]:
    with torch.no_grad():
        return [torch.zeros_like(m) for m in network.features(torch.zeros(1, 3, 96, 160))[0][:3]]


def _trace(
    module: nn.Module,
    arguments: tuple[Tensor, ...],
    *,
    inputs: dict[str, dict[int, str]],
    outputs: list[str],
) -> onnx.ModelProto:
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the tracer, about shapes that are constants
        torch.onnx.export(
            module,
            arguments,
            file,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes=inputs,
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_from_string(file.getvalue())


def _join(finder: onnx.ModelProto, reader: onnx.ModelProto) -> onnx.ModelProto:
    """Connect both with the choice of faces, give defaults to the inputs that may be left out."""
    nodes, constants = _choice()
    wires = {"read/image": "input", "read/all_faces": "all_faces"}
    wires |= {f"read/{n}": n for n in MAPS}
    for node in reader.graph.node:
        for values in (node.input, node.output):
            for i, value in enumerate(values):
                values[i] = wires.get(value, value)
    float32, int64 = TensorProto.FLOAT, TensorProto.INT64
    graph = helper.make_graph(
        [*finder.graph.node, *nodes, _if_any(reader.graph)],
        "retinaface",
        [
            *finder.graph.input,
            helper.make_tensor_value_info("faces", float32, ["n", 5, 2]),
        ],
        [
            *[o for o in finder.graph.output if o.name in ("loc", "conf", "landmarks")],
            helper.make_tensor_value_info("gender", float32, ["m", 2]),
            helper.make_tensor_value_info("age", float32, ["m", 9]),
            helper.make_tensor_value_info("picked", int64, ["k"]),
        ],
        [
            *finder.graph.initializer,
            *[numpy_helper.from_array(v, n) for n, v in constants.items()],
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _if_any(reader: onnx.GraphProto) -> onnx.NodeProto:
    """Read where there is a face: two hundred small steps cost time for nobody, too."""
    info = helper.make_tensor_value_info
    outputs = ["read/gender", "read/age"]
    some = helper.make_graph(
        reader.node, "read", [], [o for o in reader.output if o.name in outputs], reader.initializer
    )
    empty = [np.zeros((0, 2), np.float32), np.zeros((0, 9), np.float32)]
    none = helper.make_graph(
        [
            helper.make_node("Constant", [], [f"no_{i}"], value=numpy_helper.from_array(v))
            for i, v in enumerate(empty)
        ],
        "nobody",
        [],
        [info(f"no_{i}", TensorProto.FLOAT, v.shape) for i, v in enumerate(empty)],
    )
    return helper.make_node(
        "If", ["any_face"], ["gender", "age"], then_branch=some, else_branch=none
    )


def _choice() -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """Nodes that choose whom to read, and their constants; two of those are defaults of inputs.

    One picture at a time is read, the first one; the detector alone takes any number.
    """
    nodes = [
        helper.make_node("Unsqueeze", ["boxes_yxyx", "first_axis"], ["boxes_of_one"]),
        helper.make_node("Unsqueeze", ["score", "first_axes"], ["scores_of_one"]),
        helper.make_node(
            "NonMaxSuppression", ["boxes_of_one", "scores_of_one", "most", "nms_iou"], ["selected"]
        ),
        helper.make_node("Gather", ["selected", "box_column"], ["kept"], axis=1),
        helper.make_node("Gather", ["index", "kept"], ["picked"], axis=0),
        helper.make_node("Gather", ["points_xy", "kept"], ["picked_points"], axis=0),
        helper.make_node("Concat", ["faces", "picked_points"], ["all_faces"], axis=0),
        helper.make_node("Size", ["all_faces"], ["numbers"]),
        helper.make_node("Cast", ["numbers"], ["any_face"], to=TensorProto.BOOL),
    ]
    constants = {
        "most": np.array([MOST_PICKED], np.int64),
        "nms_iou": np.array([NMS_IOU], np.float32),
        "box_column": np.array(2, np.int64),
        "first_axis": np.array([0], np.int64),
        "first_axes": np.array([0, 1], np.int64),
        "faces": np.zeros((0, 5, 2), np.float32),
        "least": np.array([NEVER], np.float32),
    }
    return nodes, constants


def main() -> None:
    """Export."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("refinement", type=Path, help="state of a training.retinaface.refine run")
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--detector", type=Path, default=WEIGHTS / "detector.onnx", help="or a .pth"
    )
    args = parser.parse_args()
    try:
        load = load_pth if args.detector.suffix == ".pth" else load_onnx
        model = assemble(load(args.detector), load_refinement(args.refinement))
    except AnonyfaceError as error:
        raise SystemExit(f"error: {error}") from error
    save(model, args.out)
    print(f"{args.out.name}: {args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
