"""A torch module as an ONNX graph with one input and one output."""

from __future__ import annotations

import io
import warnings

import onnx
import torch
from torch import Tensor, nn

OPSET = 17


def traced(module: nn.Module, example: Tensor, name: str, answer: str) -> onnx.ModelProto:
    """Return what a module computes, traced with an example, for any length of its first axis.

    Args:
        module: One tensor in, one tensor out; put into evaluation mode.
        example: (n, ...) an input; all axes but the first are fixed to its.
        name: Of the graph's input.
        answer: Of its output.
    """
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the tracer, about shapes that are constants
        torch.onnx.export(
            module.eval().to(memory_format=torch.contiguous_format),  # type: ignore[call-overload]
            (example,),
            file,
            input_names=[name],
            output_names=[answer],
            dynamic_axes={name: {0: "N"}, answer: {0: "N"}},
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_from_string(file.getvalue())
