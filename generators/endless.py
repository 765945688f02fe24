"""The shipped generator as a source of labelled pictures that never ends, and needs no real person.

``python -m generators.endless --count 2000 --resolution 64 --out portraits.zip`` stores a part of
it, for training on a machine where rendering would take longer than learning.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from anonyface.errors import AnonyfaceError, InputError
from generators.labellers import LABEL_NAMES, UNKNOWN, Forecast, Labeller, Teachers, to_pixels
from generators.reference import ReferenceGenerator

CANDIDATES = 64
"""Styles drawn for each picture wanted where classes are balanced; the mapping costs next to
nothing beside a picture."""
SHARPNESS = 2.0
"""How much those are preferred whose class is sure. Forecast for 128 pictures, the rarest and the
most frequent class have 2 % and 23 % with 1, and 5 % and 22 % with 2."""
CHUNK = 16
"""Pictures rendered at a time: keeps the features of 128x128 under 1 GB."""
MAX_BARREN = 20
"""Times in a row that nobody's class is known; then it is an error, not an endless loop."""


class EndlessSource:
    """Portraits of people who do not exist, with labels from teachers made on the fly.

    Args:
        resolution: Side of the pictures; a power of 2 from 8 to 256, reduced by averaging.
        seed: Seed of the source's own random numbers, used where `batch` gets none.
        device: Where portraits are rendered; batches come from there.
        psi: Range of the truncation, drawn evenly for every portrait. Below 1 throughout: what the
            generator makes without truncation is often broken.
        balanced: Whether rare classes are sought out, so that all are about equally frequent;
            otherwise classes are as frequent as the generator makes them.
        labeller: Tells classes; default the runtime's teachers, with as many threads as torch
            has.

    Raises:
        InputError: If resolution or range can't be.
        WeightsError: If a model file is missing or corrupt.
    """

    label_names: tuple[str, ...] = LABEL_NAMES

    def __init__(
        self,
        resolution: int,
        seed: int,
        device: str = "cpu",
        psi: tuple[float, float] = (0.6, 0.95),
        *,
        balanced: bool = True,
        labeller: Labeller | None = None,
    ) -> None:
        largest = ReferenceGenerator.resolution
        if resolution not in {2**i for i in range(3, largest.bit_length())}:
            raise InputError(f"resolution must be a power of 2 from 8 to {largest}: {resolution}")
        if not 0 < psi[0] <= psi[1] <= 1:
            raise InputError(f"psi must be a range within 0 and 1, got {psi[0]} to {psi[1]}")
        self.resolution = resolution
        self.psi = psi
        self.device = torch.device(device)
        self.generator = ReferenceGenerator().requires_grad_(False).to(self.device)
        self.labeller = Teachers(threads=torch.get_num_threads()) if labeller is None else labeller
        self.forecast = Forecast(self.generator.w_avg) if balanced else None
        self.rng = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def batch(self, count: int, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Make a batch.

        Args:
            count: Number of pictures.
            rng: Random numbers, on any device; None for the source's own. The same state gives the
                same pictures.

        Returns:
            (count, 3, resolution, resolution) float32 RGB in [-1, 1] and (count, 8) float32
            one-hot labels in the order of ``label_names``, both on the source's device.

        Raises:
            RuntimeError: If the labeller knows the class of next to nobody.
        """
        rng = self.rng if rng is None else rng
        images, classes, missing, barren = [], [], count, 0
        while missing > 0:
            image, found = self._some(min(missing, CHUNK), rng)
            images.append(image)
            classes.append(found)
            missing -= len(found)
            barren = 0 if len(found) else barren + 1
            if barren == MAX_BARREN:
                raise RuntimeError(f"the labeller knew {count - missing} of {count} portraits")
        return torch.cat(images), F.one_hot(torch.cat(classes), len(LABEL_NAMES)).float()

    def _some(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return up to so many pictures, those with a known class, and their classes."""
        w = self.styles(count, rng)
        portraits = self.generator.render(w)
        classes = self.labeller(w, portraits).to(self.device)
        known = classes != UNKNOWN
        small = F.avg_pool2d(portraits, portraits.shape[-1] // self.resolution)
        return small[known].clamp(-1, 1), classes[known]

    def styles(self, count: int, rng: torch.Generator) -> Tensor:
        """Draw (count, 512) truncated styles; of classes about equally frequent if asked for."""
        many = count * CANDIDATES if self.forecast else count
        z = torch.randn(many, self.generator.z_dim, generator=rng, device=rng.device)
        low, high = self.psi
        psi = low + (high - low) * torch.rand(many, 1, generator=rng, device=rng.device)
        w = self.generator.map(z.to(self.device))
        w = self.generator.truncate(w, psi.to(self.device))
        if self.forecast is None:
            return w
        wanted = torch.randint(len(LABEL_NAMES), (count,), generator=rng, device=rng.device)
        return w[choose(self.forecast(w), wanted.cpu(), rng).to(self.device)]


def choose(probabilities: Tensor, wanted: Tensor, rng: torch.Generator) -> Tensor:
    """Pick a candidate for each class wanted, where there are any that may be of it.

    The chance of each is its probability to the power of `SHARPNESS`. With 1, those picked for a
    class would be spread as that class is, but many of them would turn out to be of another.

    Args:
        probabilities: (m, c) of each candidate.
        wanted: (n,) int64 classes, n <= m.
        rng: Random numbers, on any device.

    Returns:
        (n,) int64 indices of different candidates.
    """
    left = probabilities.clamp_min(1e-12) ** SHARPNESS
    picked = []
    for value in wanted.tolist():
        chances = left[:, value].to(rng.device)
        picked.append(int(torch.multinomial(chances, 1, generator=rng)))
        left[picked[-1]] = 0
    return torch.tensor(picked)


def store(source: EndlessSource, count: int, path: Path) -> None:
    """Write a zip of PNG pictures and a ``labels.csv`` with the columns file and label.

    Raises:
        OSError: If it exists already or can't be written.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["file", "label"])
    part = path.with_name(path.name + ".part")
    with (
        zipfile.ZipFile(part, "w") as archive,
        tqdm(total=count, unit="portrait", disable=None) as bar,
    ):
        for start in range(0, count, CHUNK):
            images, labels = source.batch(min(CHUNK, count - start))
            named = [source.label_names[i] for i in labels.argmax(dim=1).tolist()]
            for offset, (pixels, label) in enumerate(zip(to_pixels(images), named, strict=True)):
                stream = io.BytesIO()
                Image.fromarray(pixels).save(stream, "PNG")
                name = f"{start + offset:06d}.png"
                archive.writestr(name, stream.getvalue())
                rows.writerow([name, label])
            bar.update(len(images))
        archive.writestr("labels.csv", table.getvalue())
    part.replace(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Store pictures; 0 when it went well, 2 for an option or a file that can't be used."""
    parser = argparse.ArgumentParser(prog="python -m generators.endless", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="(%(default)s)")
    parser.add_argument("--resolution", type=int, default=64, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--device", default="cpu", help="(%(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="zip to write; must not exist")
    args = parser.parse_args(argv)
    try:
        store(EndlessSource(args.resolution, args.seed, args.device), args.count, args.out)
    except (AnonyfaceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
