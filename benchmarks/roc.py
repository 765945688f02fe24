"""Accepting the right against accepting the wrong, before and after: a panel for each judge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

Curve: TypeAlias = Sequence[tuple[float, float]]

FARS = tuple(float(f"{10 ** (-k / 8):.4g}") for k in range(1, 33))
"""Eight a decade, from 0.75 down to 1e-4."""
COLOURS = ("#1b6ca8", "#d1495b", "#e9a23b")
"""Of the curves, in their order: before, after against another photo, after against itself."""
COLUMNS = 4


def have_matplotlib() -> bool:
    """Whether the pictures can be drawn: matplotlib comes with the extra "bench"."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def draw(curves: Mapping[str, Mapping[str, Curve]], path: Path, *, title: str) -> None:
    """Draw one panel for each judge and write a PNG.

    Args:
        curves: Judge -> name of the curve -> (FAR, TAR) points; the same names for every judge.
        path: The file.
        title: What is above all panels.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(curves))
    rows = math.ceil(len(curves) / columns)
    figure = Figure(figsize=(3.3 * columns, 3.1 * rows + 0.9), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
    figure.suptitle(title, fontsize=11)
    for panel, (judge, lines) in zip(axes, curves.items(), strict=False):
        fars = np.array(sorted(FARS))
        panel.plot(fars, fars, ":", color="0.5", lw=1.2, label="chance: TAR = FAR")
        for colour, (name, points) in zip(COLOURS, lines.items(), strict=False):
            panel.plot(*zip(*points, strict=True), color=colour, lw=1.8, label=name)
        panel.axvline(1e-3, color="0.8", lw=0.8, zorder=0)
        panel.set(xscale="log", xlim=(min(FARS), 1), ylim=(-0.02, 1.02))
        panel.set_title(judge, fontsize=10)
        panel.grid(alpha=0.25)
    for panel in axes[len(curves) :]:
        panel.set_visible(False)
    for number, panel in enumerate(axes[: len(curves)]):
        if number % columns == 0:
            panel.set_ylabel("true accept rate")
        if number + columns >= len(curves):
            panel.set_xlabel("false accept rate")
            panel.tick_params(labelbottom=True)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
