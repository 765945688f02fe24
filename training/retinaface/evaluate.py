"""Gender and age on labelled photos: ``python -m training.retinaface.evaluate MODEL.onnx``.

Each picture is given to the detector as it is; where nothing is found, once more with its border
repeated outwards. A face that is not found counts as wrong. Readers are compared on the very same
faces: the refinement in MODEL.onnx, the plain heads of ``--heads``, and, with ``--built-in``, what
the package uses at run time.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from anonyface.identities.looks import LookReader
from anonyface.runtime import engine
from anonyface.types import FloatArray, ImageArray
from anonyface.verification.encoder import DlibEncoder
from training.fairface import GROUPS
from training.retinaface.ages import AGES, CLASS_OF_BIN, bin_of, class_probabilities, expected_years
from training.retinaface.anchor_heads import load_heads
from training.retinaface.anchors import decode_boxes, decode_landmarks, priors
from training.retinaface.degrade import shrink
from training.retinaface.network import RetinaFace
from training.retinaface.pictures import to_input

LEAST = 0.3
LARGEST = 110.0
"""Faces larger than this, pixels, are read from a picture that is shrunk so far: the backbone's
maps of larger ones are unlike those the refinement was shown."""
PAD = 0.25
UTK_GROUPS = ("White", "Black", "Asian", "Indian", "Others")
READERS = ("refinement", "anchors", "built-in")


@dataclass(frozen=True)
class Photo:
    """A picture of one person: RGB uint8, female or not, bin of age, years or -1, group."""

    pixels: ImageArray
    female: bool
    age: int
    years: float
    group: str


@dataclass
class Answers:
    """What one reader said: p_female and expected years, class of age; NaN where not found."""

    female: list[float] = field(default_factory=list)
    years: list[float] = field(default_factory=list)
    group: list[int] = field(default_factory=list)
    bins: list[int] = field(default_factory=list)

    def add(self, female: float, ages: FloatArray | None, years: float) -> None:
        """Note one answer; without shares of the bins they are taken from the years."""
        self.female.append(female)
        self.years.append(years)
        if ages is not None:
            self.group.append(int(class_probabilities(ages[None])[0].argmax()))
            self.bins.append(int(ages.argmax()))
        else:
            known = np.isfinite(years)
            self.bins.append(bin_of(years) if known else -1)
            self.group.append(CLASS_OF_BIN[bin_of(years)] if known else -1)


def fairface(path: Path) -> Iterator[Photo]:
    """Yield the photos of a FairFace folder or zip file with labels.csv."""
    read, _ = _opened(path)
    for row in csv.DictReader(io.StringIO(read("labels.csv").decode())):
        age = AGES.index(row["age"].replace("more than 70", "70+"))
        assert row["race"] in GROUPS  # noqa: S101
        yield Photo(_decode(read(row["file"])), row["gender"] == "Female", age, -1.0, row["race"])


def utkface(path: Path) -> Iterator[Photo]:
    """Yield the photos of a UTKFace folder or zip file: age_gender_race_date in each name."""
    read, names = _opened(path)
    for name in sorted(n for n in names if n.lower().endswith((".jpg", ".png"))):
        parts = name.split("_")
        if len(parts) < 4:
            continue  # some names lack the race
        years, gender, race = (int(p) for p in parts[:3])
        yield Photo(_decode(read(name)), gender == 1, bin_of(years), years, UTK_GROUPS[race])


def _opened(path: Path) -> tuple[Callable[[str], bytes], list[str]]:
    if path.is_dir():
        return lambda n: (path / n).read_bytes(), [p.name for p in path.iterdir()]
    archive = zipfile.ZipFile(path)
    members = {Path(n).name: n for n in archive.namelist()}
    return lambda n: archive.read(members[Path(n).name]), list(members)


def _decode(data: bytes) -> ImageArray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(image, dtype=np.uint8)


class Judge:
    """Finds the face of each photo and asks all readers about it.

    Args:
        model: The exported file.
        heads: Plain heads from `anchor_heads`, None to leave them out.
        built_in: Whether the package's own reader is asked.
        threads: For inference.
    """

    def __init__(self, model: Path, *, heads: Path | None, built_in: bool, threads: int) -> None:
        options = engine().SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = engine().InferenceSession(str(model), options)
        self.network: RetinaFace | None = None if heads is None else load_heads(heads)
        self.encoder = DlibEncoder(threads=threads) if built_in else None
        self.looks = LookReader(threads=threads) if built_in else None
        self.answers = {"refinement": Answers()}
        if heads is not None:
            self.answers["anchors"] = Answers()
        if built_in:
            self.answers["built-in"] = Answers()
        self.found = {"as it is": 0, "with a border": 0, "not": 0}

    def __call__(self, photo: Photo) -> None:
        """Ask all readers about a photo."""
        pixels = photo.pixels
        for how in ("as it is", "with a border"):
            found = self._find(pixels)
            if found is not None:
                self.found[how] += 1
                break
            pad = round(PAD * max(pixels.shape[:2]))
            pixels = np.asarray(
                cv2.copyMakeBorder(pixels, pad, pad, pad, pad, cv2.BORDER_REPLICATE), np.uint8
            )
        else:
            self.found["not"] += 1
            for answers in self.answers.values():
                answers.add(np.nan, None, np.nan)
            return
        blob, anchor, points, female, ages = found
        self.answers["refinement"].add(female, ages, float(expected_years(ages[None])[0]))
        if self.network is not None:
            self._ask_anchor(blob, anchor)
        if self.encoder is not None and self.looks is not None:
            chip = self.encoder.chip(pixels, points)
            traits = self.looks.traits(pixels, points, chip, self.encoder.views(chip))
            self.answers["built-in"].add(traits.p_female, None, traits.age)

    def _find(
        self, pixels: ImageArray
    ) -> tuple[FloatArray, int, FloatArray, float, FloatArray] | None:
        """The network's input, anchor, landmarks and reading of the face most in the middle."""
        height, width = pixels.shape[:2]
        blob = network_blob(pixels)
        outputs = ["loc", "landmarks", "gender", "age", "picked"]
        feeds = {"input": blob, "least": np.array([LEAST], np.float32)}
        loc, points, gender, age, picked = self.session.run(outputs, feeds)
        if not len(picked):
            return None
        anchors = priors((blob.shape[2], blob.shape[3]))[picked]
        boxes = decode_boxes(torch.from_numpy(loc[0, picked]), anchors).numpy()
        size = np.sqrt((boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1))
        off = (boxes[:, :2] + boxes[:, 2:]) / 2 - np.array([width, height]) / 2
        best = int((size - np.hypot(*off.T)).argmax())
        anchor = int(picked[best])
        offsets = torch.from_numpy(points[:1, anchor])
        where = decode_landmarks(offsets, anchors[best : best + 1])[0].numpy()
        if size[best] <= LARGEST:
            return blob, anchor, where, float(gender[best, 1]), age[best]
        less = shrink(pixels, LARGEST / float(size[best]))
        scale = np.array([less.shape[1] / width, less.shape[0] / height], np.float32)
        feeds = {"input": network_blob(less), "faces": (where * scale)[None]}
        gender, age = self.session.run(["gender", "age"], feeds)
        return blob, anchor, where, float(gender[0, 1]), age[0]

    @torch.no_grad()
    def _ask_anchor(self, blob: FloatArray, anchor: int) -> None:
        assert self.network is not None  # noqa: S101
        outputs = self.network(torch.from_numpy(blob))
        assert outputs.gender is not None  # noqa: S101
        assert outputs.age is not None  # noqa: S101
        female = float(outputs.gender[0, anchor].softmax(0)[1])
        ages = outputs.age[0, anchor].softmax(0).numpy()
        self.answers["anchors"].add(female, ages, float(expected_years(ages[None])[0]))


def network_blob(pixels: ImageArray) -> FloatArray:
    """RGB uint8 -> (1, 3, H, W) as the network takes it, sides filled up to multiples of 32."""
    height, width = pixels.shape[:2]
    blob = np.zeros((1, 3, -(-height // 32) * 32, -(-width // 32) * 32), np.float32)
    blob[:, :, :height, :width] = to_input(pixels[None]).numpy()
    return blob


def figures(answers: Answers, photos: list[tuple[bool, int, float, str]]) -> dict[str, object]:
    """Return what a reader got right, in all and by group and sex; not found counts as wrong."""
    female, age, years, group = (np.array(c) for c in zip(*photos, strict=True))
    said = np.array(answers.female)
    right = np.isfinite(said) & ((said > 0.5) == female)
    classes = np.array(CLASS_OF_BIN)[age]
    out: dict[str, object] = {
        "gender": round(float(right.mean()), 4),
        "age in four classes": round(float((np.array(answers.group) == classes).mean()), 4),
        "age in nine bins": round(float((np.array(answers.bins) == age).mean()), 4),
    }
    if (years >= 0).all():
        error = np.abs(np.array(answers.years) - years)
        out["mean error, years"] = round(float(np.nanmean(error)), 2)
    cells: dict[str, tuple[float, int]] = {}
    for name in sorted(set(group)):
        for sex in (False, True):
            some = (group == name) & (female == sex)
            if some.any():
                cells[f"{name} {'female' if sex else 'male'}"] = (
                    round(float(right[some].mean()), 4),
                    int(some.sum()),
                )
    out["gender, smallest group"] = min(v for v, n in cells.values() if n >= 30)
    out["gender by group"] = {n: f"{v:.3f} of {c}" for n, (v, c) in cells.items()}
    out["age class by group"] = _by_group(np.array(answers.group) == classes, group, female)
    return out


def _by_group(
    right: NDArray[np.bool_], group: NDArray[np.str_], female: NDArray[np.bool_]
) -> dict[str, str]:
    return {
        f"{name} {'female' if sex else 'male'}": f"{right[some].mean():.3f} of {some.sum()}"
        for name in sorted(set(group))
        for sex in (False, True)
        if (some := (group == name) & (female == sex)).any()
    }


def main() -> None:
    """Measure and print; ``--out`` also writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--fairface", type=Path, default=None)
    parser.add_argument("--utkface", type=Path, default=None)
    parser.add_argument("--heads", type=Path, default=None)
    parser.add_argument("--built-in", action="store_true")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results: dict[str, object] = {}
    for name, read in (("fairface", fairface), ("utkface", utkface)):
        path = getattr(args, name)
        if path is None:
            continue
        judge = Judge(args.model, heads=args.heads, built_in=args.built_in, threads=args.threads)
        truth = []
        for photo in tqdm(read(path), unit="photo", disable=None):
            judge(photo)
            truth.append((photo.female, photo.age, photo.years, photo.group))
        readers = {n: figures(a, truth) for n, a in judge.answers.items()}
        results[name] = {"photos": len(truth), "found": judge.found, **readers}
    text = json.dumps(results, indent=1)
    print(text)
    if args.out is not None:
        args.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
