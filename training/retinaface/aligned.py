"""Landmark-aligned grids: where in an image the refinement looks, as plain tensor arithmetic.

The similarity that carries the template's five points onto a face's, in the least-squares sense, is
linear in the face's points. So it is a matrix product, and lives inside the exported graph.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from anonyface.verification.alignment import ARCFACE_TEMPLATE

CENTRE = (56.0, 58.0)
"""Middle of the canvas in the template's 112 pixels: beside the tip of the nose."""
SPAN = 122.0
"""Side of the canvas in the same pixels: from the forehead to under the chin. FairFace's pictures
end there; hair, which they do not show, must not mislead what was learnt from them."""


def similarity_solver() -> Tensor:
    """(10, 4) matrix from x y of five points, flat, to (a, b, x, y) of the similarity.

    A point p of the template, relative to `CENTRE`, goes to
    ``(a * px - b * py + x, b * px + a * py + y)``.
    """
    template = torch.from_numpy(ARCFACE_TEMPLATE.astype("float64")) - torch.tensor(CENTRE)
    rows = torch.zeros(10, 4, dtype=torch.float64)
    rows[0::2] = torch.stack(
        [template[:, 0], -template[:, 1], torch.ones(5), torch.zeros(5)], dim=1
    )
    rows[1::2] = torch.stack([template[:, 1], template[:, 0], torch.zeros(5), torch.ones(5)], dim=1)
    return torch.linalg.pinv(rows).T.float()


def canvas_points(side: int) -> Tensor:
    """(side * side, 2) centres of the canvas' pixels, in template pixels relative to `CENTRE`."""
    steps = (torch.arange(side, dtype=torch.float32) + 0.5) / side * SPAN - SPAN / 2
    ys, xs = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([xs, ys], dim=-1).reshape(-1, 2)


def place(faces: Tensor, solver: Tensor, points: Tensor) -> Tensor:
    """Carry points of the canvas into the image.

    Args:
        faces: (n, 5, 2) landmarks x y, pixels.
        solver: From `similarity_solver`.
        points: (k, 2) from `canvas_points`.

    Returns:
        (n, k, 2) x y, pixels.
    """
    a, b, x, y = (faces.reshape(-1, 10) @ solver).split(1, dim=1)
    across = a * points[:, 0] - b * points[:, 1] + x
    down = b * points[:, 0] + a * points[:, 1] + y
    return torch.stack([across, down], dim=-1)


def sample(maps: Tensor, where: Tensor, *, stride: int, side: int) -> Tensor:
    """Read a map of one image at points of many faces, bilinear; the border is repeated outwards.

    Cell i of a map of stride s is centred on pixel s * i: that is what 3x3 convolutions with a
    step of 2 and a border of 1 do.

    Args:
        maps: (1, C, h, w).
        where: (n, side * side, 2) x y in pixels of the network's input.
        stride: Of the map, 1 for the input itself.
        side: Of the grid.

    Returns:
        (n, C, side, side).
    """
    channels, height, width = maps.shape[1], maps.shape[2], maps.shape[3]
    size = torch.stack([torch.as_tensor(width), torch.as_tensor(height)]).to(where.dtype)
    unit = where / stride * 2 / (size - 1) - 1
    grid = unit.reshape(1, -1, side, 2)
    read = F.grid_sample(maps, grid, padding_mode="border", align_corners=True)
    return read.reshape(channels, -1, side, side).transpose(0, 1)
