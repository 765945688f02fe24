"""What one looks at during training: sheets of samples and curves, as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor


def save_grid(images: Tensor, path: Path, *, columns: int) -> None:
    """Write images as one sheet.

    Args:
        images: (N, 3, H, W) RGB, nominally in [-1, 1]; row by row from the top left.
        path: The PNG.
        columns: Images in a row; N must be a multiple.
    """
    n, c, h, w = images.shape
    pixels = images.detach().float().cpu().clamp(-1, 1).add(1).mul(127.5).round()
    rows = pixels.reshape(n // columns, columns, c, h, w).permute(0, 3, 1, 4, 2)
    sheet = rows.reshape(n // columns * h, columns * w, c).numpy().astype(np.uint8)
    Image.fromarray(sheet).save(path)


def save_curves(
    history: Sequence[Mapping[str, float]], path: Path, *, groups: Sequence[Sequence[str]]
) -> None:
    """Plot what was recorded over the images shown.

    Args:
        history: One record a snapshot with "images" and the values to plot; values may be missing.
        path: The PNG.
        groups: Names of values, one group a panel.
    """
    import matplotlib.backends.backend_agg as agg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.6 * len(groups)), layout="constrained")
    agg.FigureCanvasAgg(figure)
    panels = figure.subplots(len(groups), squeeze=False)[:, 0]
    for panel, names in zip(panels, groups, strict=True):
        for name in names:
            points = [(r["images"] / 1000, r[name]) for r in history if name in r]
            if points:
                panel.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
        panel.set_xlabel("thousand images")
        panel.grid(visible=True, alpha=0.3)
        if panel.lines:
            panel.legend()
    figure.savefig(path, dpi=100)
