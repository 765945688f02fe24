"""Gender and age as the product says them, faces given as whole photos, by sex and race."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from anonyface.api import Anonymizer
from anonyface.types import ImageArray
from benchmarks.contract import Asked, data_path, print_table, read_photos
from benchmarks.fairface import AGE_CLASSES
from benchmarks.identification import share
from benchmarks.readers import AGES_FROM, FEMALE_FROM

UTKFACE_RACES = ("White", "Black", "Asian", "Indian", "Other")
"""By their number in UTKFace's file names."""


@dataclass(frozen=True)
class Person:
    """What is known of somebody, and what was read.

    Attributes:
        female: Whether labelled so.
        race: As labelled.
        age_class: 0 to 3: under 10, 10-29, 30-59, 60 and over.
        years: Age, None where only the class is known.
        read_female: None if there was no face or it could not be read.
        read_years: The same.
    """

    female: bool
    race: str
    age_class: int
    years: float | None = None
    read_female: bool | None = None
    read_years: float | None = None

    @property
    def group(self) -> str:
        """Race and sex."""
        return f"{self.race} {'female' if self.female else 'male'}"

    @property
    def gender_right(self) -> bool:
        """Whether the gender was read as labelled; not read is not right."""
        return self.read_female is self.female

    @property
    def age_right(self) -> bool:
        """Whether the age was read in the class labelled; not read is not right."""
        return self.read_years is not None and class_of(self.read_years) == self.age_class


def class_of(years: float) -> int:
    """Return the number of an age's class.

    >>> [class_of(years) for years in (9.9, 10, 30, 90)]
    [0, 1, 2, 3]
    """
    return int(np.searchsorted(AGES_FROM, years, side="right"))


def utkface_person(name: str) -> Person:
    """Read a file name of UTKFace.

    >>> utkface_person("26_1_2_20170104.jpg")
    Person(female=True, race='Asian', age_class=1, years=26.0, read_female=None, read_years=None)
    """
    age, sex, race = Path(name).name.split("_")[:3]
    years = float(age)
    return Person(sex == "1", UTKFACE_RACES[int(race)], class_of(years), years)


def labelled(path: Path) -> dict[str, Person]:
    """Return who is on each photo of a FairFace or UTKFace zip."""
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.endswith(".jpg")]
        tables = [n for n in archive.namelist() if n.endswith("labels.csv")]
        if not tables:
            return {name: utkface_person(name) for name in names}
        folder = tables[0].removesuffix("labels.csv")
        rows = csv.DictReader(io.StringIO(archive.read(tables[0]).decode("utf-8")))
        return {
            folder + row["file"]: Person(
                row["gender"] == "Female", row["race"], AGE_CLASSES[row["age"]]
            )
            for row in rows
        }


def read_person(anonymizer: Anonymizer, image: ImageArray, person: Person) -> Person:
    """Return a person with what the product says of the largest face in the photo."""
    faces = anonymizer.detect(image)
    if not faces:
        return person
    face = max(faces, key=lambda f: f.size)
    if face.p_female is None or face.age is None:
        return person
    return replace(person, read_female=face.p_female >= FEMALE_FROM, read_years=face.age)


def read_set(name: str, anonymizer: Anonymizer, limit: int | None, seed: int) -> Iterator[Person]:
    """Read a data set, or a random few of it."""
    path = data_path(f"{name}.zip")
    people = labelled(path)
    order = sorted(people)
    chosen = {order[i] for i in np.random.default_rng(seed).permutation(len(order))[:limit]}
    for photo, image in read_photos(path):
        if photo in chosen:
            yield read_person(anonymizer, image, people[photo])


def person_figures(people: Sequence[Person]) -> dict[str, Any]:
    """Return shares of right answers, over everybody and by race and sex."""
    groups = sorted({p.group for p in people})
    away = [abs(p.read_years - p.years) for p in people if p.years is not None and p.read_years]
    return {
        "not_read": sum(p.read_female is None for p in people),
        "gender": share([p.gender_right for p in people]),
        "gender_by_group": {
            g: share([p.gender_right for p in people if p.group == g]) for g in groups
        },
        "age_class": share([p.age_right for p in people]),
        "age_class_by_group": {
            g: share([p.age_right for p in people if p.group == g]) for g in groups
        },
        "age_error_years": {"mean": float(np.mean(away)) if away else None, "of": len(away)},
    }


def measure_people(limit: int | None, seed: int, threads: int) -> dict[str, Any]:
    """Read both sets."""
    anonymizer = Anonymizer(threads=threads)
    return {
        name: person_figures(list(read_set(name, anonymizer, limit, seed)))
        for name in ("fairface-dev", "utkface-dev")
    }


def asked_of_people(figures: dict[str, Any]) -> list[Asked]:
    """Return what was asked for beside what was measured."""
    fairface, utkface = figures["fairface-dev"], figures["utkface-dev"]
    least = min(s.value for entry in (fairface, utkface) for s in entry["gender_by_group"].values())
    return [
        Asked("gender, fairface-dev", fairface["gender"].value, ">=", 0.92),
        Asked("gender, utkface-dev", utkface["gender"].value, ">=", 0.94),
        Asked("gender, least group of race and sex", least, ">=", 0.86),
        Asked("age in four classes, fairface-dev", fairface["age_class"].value, ">=", 0.78),
        Asked("mean age error, utkface-dev, years", utkface["age_error_years"]["mean"], "<=", 6.5),
    ]


def show_people(figures: dict[str, Any]) -> None:
    """Print the figures as tables."""
    for name, entry in figures.items():
        rows = [("all", entry["gender"], entry["age_class"])]
        by_age = entry["age_class_by_group"]
        rows += [(g, s, by_age[g]) for g, s in entry["gender_by_group"].items()]
        print_table((name, "gender", "age class"), rows)
        error = entry["age_error_years"]
        if error["of"]:
            print(f"{name}: mean age error {error['mean']:.2f} years, of {error['of']}")
        print(f"{name}: not read {entry['not_read']}\n")
