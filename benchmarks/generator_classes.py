"""Section "classes": does one get the gender, the age class and the skin tone one asked for?

A balanced grid, every person of a cell somebody else. Two teachers that the search never asks say
what the portraits show. A teacher errs, too: if one request in ten is misread, nine tenths is the
most that can be measured. So each teacher is asked about real photos as well, and its accuracy on
them, each of the eight cells of gender and age counting the same as in the grid, stands beside the
figure. Generated portraits are large, sharp and never borderline on purpose (the ages asked for lie
well inside of their classes), so a teacher may do better on them than on photos; where it does
worse, the difference is the generator's. The skin tone is measured on the cheeks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anonyface.errors import FaceError
from anonyface.types import Face
from benchmarks.contract import Asked, data_path, print_table
from benchmarks.fairface import Labelled, load_labelled
from benchmarks.generator_grid import (
    CELLS,
    CLASSES,
    Cell,
    accuracy_on_photos,
    agreement,
    by_age_class,
    by_cell,
    cell_wishes,
    tone_errors,
)
from benchmarks.generator_lab import (
    GENDERS,
    Lab,
    Section,
    Shot,
    interval,
    misses,
    take_job,
    written,
)
from benchmarks.generator_sheets import write_grid
from benchmarks.generator_teachers import Said, Teacher, teachers

PER_CELL, FEW_PER_CELL = 10, 1
PHOTOS, FEW_PHOTOS = 1500, 60
"""Of fairface-dev, which has 1,500."""
GENDER_ASKED, AGE_ASKED = 0.98, 0.90


def read_tone(lab: Lab, shot: Shot) -> float | None:
    """Return the ITA of a portrait in degrees, None if it can't be measured."""
    if shot.face is None:
        return None
    try:
        return lab.eye.skin_tone(shot.pixels, shot.face)
    except FaceError:
        return None


def ask_teacher(
    teacher: Teacher, shots: Sequence[Shot], labelled: Labelled, faces: Sequence[Face | None]
) -> tuple[list[Said | None], dict[str, Any]]:
    """Return what a teacher says of the portraits, and how good it is on photos."""
    said = [teacher(shot.pixels, shot.landmarks) for shot in shots]
    photos = zip(labelled.images, faces, strict=True)
    real = [teacher(image, None if face is None else face.landmarks) for image, face in photos]
    return said, accuracy_on_photos(labelled, real)


def measure(lab: Lab) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return counts and figures."""
    count = lab.size(PER_CELL, FEW_PER_CELL)
    shots: list[Shot] = []
    for number, cell in enumerate(CELLS, start=1):
        shots += take_job(lab, cell_wishes(cell, count=count, seed=lab.seed))
        if number % 6 == 0:
            print(f"{len(shots)} of {len(CELLS) * count} portraits", flush=True)
    asked = [cell for cell in CELLS for _ in range(count)]
    if lab.sheets is not None:
        for gender in GENDERS:
            for number, name in enumerate(CLASSES):
                rows = [c for c in CELLS if c.gender == gender and c.age_class == number]
                write_grid(
                    {f"ITA {c.tone}": [s.pixels for s, a in _of(shots, asked, c)] for c in rows},
                    lab.sheets / f"{gender}-{name.replace('<', 'under-')}.png",
                )
    labelled = load_labelled(
        data_path("fairface-dev.zip"), count=lab.size(PHOTOS, FEW_PHOTOS), seed=lab.seed
    )
    faces = [lab.eye.find(image) for image in labelled.images]
    found: dict[str, Any] = {}
    school, skipped = teachers(lab)
    for teacher in school:
        said, real = ask_teacher(teacher, shots, labelled, faces)
        found[teacher.name] = {
            "used_inside": teacher.used_inside,
            **agreement(asked, said),
            "on_real_photos": real,
            "age classes": by_age_class(asked, said),
            "cells": by_cell(asked, said),
        }
    counts = misses(shots) | {
        "photos": len(faces),
        "photos_without_a_face": sum(face is None for face in faces),
        "teachers_skipped": skipped,
    }
    tones = tone_errors(asked, [read_tone(lab, shot) for shot in shots])
    return counts, {"teachers": found, "skin_tone_error_degrees": tones}


def _of(shots: Sequence[Shot], asked: Sequence[Cell], cell: Cell) -> list[tuple[Shot, Cell]]:
    """The portraits of one cell."""
    return [(s, a) for s, a in zip(shots, asked, strict=True) if a == cell]


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures as tables."""
    found = figures["teachers"]
    rows = [
        (
            name,
            "yes" if teacher["used_inside"] else "no",
            trait,
            written(teacher[trait]),
            interval(teacher[trait]),
            f"{teacher['on_real_photos'][trait]['mix of the grid']:.4f}",
            written(teacher["on_real_photos"][trait]["photos"]),
        )
        for name, teacher in found.items()
        for trait in ("gender", "age class")
    ]
    head = ("teacher", "inside", "sees what was asked", "value", "95 %")
    print_table((*head, "right on real photos, same mix", "as they come"), rows)
    head = ("teacher", "age class asked", "gender", "on real photos", "age class")
    print_table(
        (*head, "on real photos"),
        [
            (name, years, *_beside(teacher, years))
            for name, teacher in found.items()
            for years in teacher["age classes"]
        ],
    )
    print("a teacher's own errors bound the figures: compare with what it says of real photos\n")
    print_table(
        ("cell", *(f"{name}: gender, age class" for name in found)),
        [
            (str(c), *(_hits(t["cells"][str(c)]) for t in found.values()))
            for c in CELLS
            if all(str(c) in teacher["cells"] for teacher in found.values())
        ],
    )
    print_table(
        ("skin tone asked", "median error, degrees", "median signed", "portraits"),
        [
            (tone, _degrees(e["median_error"]), _degrees(e.get("median_signed")), e["of"])
            for tone, e in figures["skin_tone_error_degrees"].items()
        ],
    )


def _beside(teacher: Mapping[str, Any], years: str) -> list[str]:
    """Agreement in an age class, for each trait with the accuracy on real photos beside it."""
    out = []
    for trait in ("gender", "age class"):
        real = teacher["on_real_photos"][trait]["by age class"].get(years)
        out += [
            written(teacher["age classes"][years][trait]),
            "" if real is None else f"{real:.4f}",
        ]
    return out


def _hits(cell: Mapping[str, Any]) -> str:
    """Counts of a cell as text."""
    return ", ".join(f"{cell[t]['hits']}/{cell[t]['of']}" for t in ("gender", "age class"))


def _degrees(value: float | None) -> str:
    """Degrees as text."""
    return "" if value is None else f"{value:.1f}"


def asked_rows(figures: Mapping[str, Any]) -> list[Asked]:
    """Return what was asked for beside what teachers from outside say."""
    rows = []
    for name, teacher in figures["teachers"].items():
        if not teacher["used_inside"]:
            gender, age = teacher["gender"]["value"], teacher["age class"]["value"]
            rows.append(Asked(f"gender asked = labelled, {name}", gender, ">=", GENDER_ASKED))
            rows.append(Asked(f"age class asked = labelled, {name}", age, ">=", AGE_ASKED))
    return rows


SECTION = Section(measure, show, asked_rows)
