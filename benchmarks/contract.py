"""What every benchmark shares: where the data is, how time is taken, how figures are shown.

The rules behind it are in ``benchmarks/README.md``.
"""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import cv2
import numpy as np

from anonyface.types import ImageArray

ROOT = Path(__file__).resolve().parent.parent

Sense: TypeAlias = Literal["<=", ">="]
Prepared = TypeVar("Prepared")


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of ``n`` measurements, in ``unit``."""

    median: float
    p25: float
    p75: float
    n: int
    unit: str

    def __str__(self) -> str:
        return f"{self.median:.4g} {self.unit} ({self.p25:.4g}-{self.p75:.4g}, n={self.n})"


@dataclass(frozen=True)
class Asked:
    """One value the project was asked for, beside what was measured.

    Attributes:
        what: What is measured, with its denominator.
        value: The measurement, None if it could not be made.
        sense: Whether the value has to be at most or at least the limit.
        limit: The value asked for.
    """

    what: str
    value: float | None
    sense: Sense
    limit: float

    @property
    def met(self) -> bool:
        """Whether the value was measured and is good enough."""
        if self.value is None:
            return False
        return self.value <= self.limit if self.sense == "<=" else self.value >= self.limit


def data_path(name: str) -> Path:
    """Return where a data set is: in the folder ANONYFACE_DATA, else ``../shared/data``.

    Raises:
        FileNotFoundError: If it is not there.
    """
    folder = Path(os.environ.get("ANONYFACE_DATA", ROOT.parent / "shared" / "data"))
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"{name} is not in {folder}; set ANONYFACE_DATA to its folder")
    return path


def read_photos(path: Path) -> Iterator[tuple[str, ImageArray]]:
    """Yield name and RGB uint8 pixels of every .jpg in a zip file, ordered by name.

    Raises:
        ValueError: If a file is not a readable image.
    """
    with zipfile.ZipFile(path) as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".jpg")):
            image = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR_RGB)
            if image is None:
                raise ValueError(f"{name} in {path} is not a readable image")
            yield name, image.astype(np.uint8, copy=False)


def spread(samples: Sequence[float], unit: str) -> Spread:
    """Summarise measurements.

    Raises:
        ValueError: If there are none.

    >>> spread([1.0, 2.0, 3.0, 4.0, 100.0], "ms")
    Spread(median=3.0, p25=2.0, p75=4.0, n=5, unit='ms')
    """
    if not len(samples):
        raise ValueError("no measurements")
    p25, median, p75 = (float(v) for v in np.percentile(samples, [25, 50, 75]))
    return Spread(median, p25, p75, len(samples), unit)


def measure(
    actions: Mapping[str, Callable[[Prepared], object]],
    prepare: Callable[[int], Prepared],
    *,
    repeats: int,
    warmup: int = 1,
) -> dict[str, list[float]]:
    """Time actions, taking turns so that whatever slows the machine down hits all of them.

    Args:
        actions: Name -> what is timed; each gets what was prepared for the repeat.
        prepare: Makes the input of a repeat, outside the clock; gets the number of the repeat,
            negative in the warm-up.
        repeats: Measurements an action.
        warmup: Rounds before, not measured.

    Returns:
        Name -> milliseconds, one a repeat.
    """
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(-warmup, repeats):
        prepared = prepare(number)
        for name, action in actions.items():
            started = time.perf_counter()
            action(prepared)
            elapsed = 1000 * (time.perf_counter() - started)
            if number >= 0:
                taken[name].append(elapsed)
    return taken


def rounded(value: Any, digits: int = 4) -> Any:
    """Return plain JSON for dataclasses, numpy numbers and what holds them; floats rounded."""
    if isinstance(value, Spread):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(k): rounded(v, digits) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v, digits) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return round(value, digits) if isinstance(value, float) else value


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a header, columns aligned."""
    cells = [[str(c) for c in header], *([str(c) for c in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for number, row in enumerate(cells):
        print("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * w for w in widths))
    print()


def print_asked(asked: Sequence[Asked]) -> None:
    """Print what was asked for beside what was measured."""
    rows = [
        (
            row.what,
            "not measured" if row.value is None else f"{row.value:.4g}",
            f"{row.sense} {row.limit:g}",
            "yes" if row.met else "NO",
        )
        for row in asked
    ]
    print_table(("asked for", "measured", "limit", "met"), rows)
