"""Recognise the inverse Haar transforms of MobileStyleGAN in an OpenVINO graph (arXiv 2104.04767).

Exporters write each as six grouped transposed convolutions, splits and squeezes; what they compute
is a 4x4 mixing of the sub-bands of every pixel. The matrix is read from the filters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class HaarMatch:
    """An inverse Haar transform found in the graph.

    Attributes:
        source: Key of the (N, 4C, H, W) tensor of coefficients.
        channels: C.
        matrix: (4, 2, 2) weight of sub-band k in output pixel (a, b) of each 2x2 block.
        inner: Names of the OpenVINO nodes it replaces.
    """

    def __init__(
        self, source: tuple[str, int], channels: int, matrix: NDArray[Any], inner: set[str]
    ) -> None:
        self.source, self.channels, self.matrix, self.inner = source, channels, matrix, inner


def _producer(node: Any, index: int) -> tuple[Any, int]:
    out = node.input(index).get_source_output()
    return out.get_node(), out.get_index()


def _filter(node: Any) -> NDArray[Any] | None:
    """The (2,) taps shared by all channels of a depthwise transposed convolution, or None."""
    if node.get_type_name() != "GroupConvolutionBackpropData":
        return None
    weight = np.array(_producer(node, 1)[0].data)
    taps = weight.reshape(weight.shape[0], -1)
    return taps[0] if taps.shape[1] == 2 and np.ptp(taps, axis=0).max() == 0 else None


def match_inverse_haar(node: Any) -> HaarMatch | None:
    """Recognise ``node`` as the last addition of an inverse Haar transform.

    Returns:
        The match, or None where the structure is another one.
    """
    if node.get_type_name() != "Add":
        return None
    inner: set[str] = set()
    matrix = np.zeros((4, 2, 2), dtype=np.float32)
    source: tuple[str, int] | None = None
    channels = 0
    for column in (_producer(node, 0)[0], _producer(node, 1)[0]):
        col_taps = _filter(column)
        if col_taps is None or list(column.get_attributes()["strides"]) != [1, 2]:
            return None
        mid = _producer(column, 0)[0]
        inner |= {column.get_friendly_name(), mid.get_friendly_name()}
        for row in (_producer(mid, 0)[0], _producer(mid, 1)[0]):
            row_taps = _filter(row)
            if row_taps is None or list(row.get_attributes()["strides"]) != [2, 1]:
                return None
            inner.add(row.get_friendly_name())
            band, split, passed = _trace_band(row)
            if split is None:
                return None
            inner |= passed
            matrix[band] = np.outer(row_taps, col_taps)
            origin, index = _producer(split, 0)
            source = (origin.get_friendly_name(), index)
            channels = int(split.get_output_shape(0)[1])
    return None if source is None else HaarMatch(source, channels, matrix, inner)


def _trace_band(row: Any) -> tuple[int, Any, set[str]]:
    """Follow a row filter up to the [C, 3C] split: band 0..3, split node or None, nodes passed."""
    node, index = _producer(row, 0)
    if node.get_type_name() == "VariadicSplit":
        return 0, node, {node.get_friendly_name()}
    if node.get_type_name() != "Squeeze":
        return 0, None, set()
    passed = {node.get_friendly_name()}
    parts, index = _producer(node, 0)
    reshape, _ = _producer(parts, 0)
    split, _ = _producer(reshape, 0)
    if split.get_type_name() != "VariadicSplit":
        return 0, None, set()
    passed |= {n.get_friendly_name() for n in (parts, reshape, split)}
    return index + 1, split, passed
