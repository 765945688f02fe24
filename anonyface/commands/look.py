"""Commands that look and change nothing: ``detect``, ``review``, ``verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from anonyface.batch import FileResult, plan
from anonyface.commands import options
from anonyface.config import Config
from anonyface.errors import InputError, WeightsError
from anonyface.terminal import (
    check_report_path,
    exit_code,
    face_table,
    tell,
    write_document,
    write_json,
)
from anonyface.types import Detail, Unsure

DETECT_SCHEMA = "anonyface.detect/1"


@click.command(context_settings=options.SETTINGS)
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...")
@options.detail
@options.threads
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@options.debug
def detect(
    photos: tuple[str, ...], detail: Detail, threads: int, as_json: bool, debug: bool
) -> int:
    """List the faces in photos; their numbers are what --keep takes."""
    from anonyface.report import describe_face

    jobs = plan(photos)
    anonymizer = options.make_anonymizer(Config(detail=detail, threads=threads))
    files: list[dict[str, Any]] = []
    errors: list[type[Exception]] = []
    for job in jobs:
        try:
            found = [describe_face(face) for face in anonymizer.detect(job.path)]
        except WeightsError:
            raise
        except Exception as error:  # noqa: BLE001 - told and counted; the next photo gets its turn
            errors.append(type(error))
            tell(
                FileResult(job.path, job.name, error=error), quiet=True, to_stderr=True, debug=debug
            )
            continue
        faces = [{"index": index, **face} for index, face in enumerate(found)]
        files.append({"file": job.name, "faces": faces})
        if not as_json:
            click.echo(face_table(str(job.path), faces))
    if as_json:
        write_json("-", DETECT_SCHEMA, files)
    return exit_code(errors, alone=len(jobs) == 1)


@click.command(context_settings=options.SETTINGS)
@click.argument("photo", type=Path)
@click.option(
    "-o",
    "--output",
    type=Path,
    metavar="FILE",
    help="The sheet.  [default: photo.review.png in the current folder]",
)
@options.protect
@options.unsure
@options.allow_repeats
@options.keep
@options.only
@options.keep_largest
@options.keep_central
@options.detail
@options.threads
@options.debug
def review(
    photo: Path,
    output: Path | None,
    protect: tuple[str, ...],
    unsure: Unsure,
    allow_repeats: bool,
    keep: tuple[int, ...],
    only: tuple[int, ...],
    keep_largest: int,
    keep_central: bool,
    detail: Detail,
    threads: int,
    debug: bool,
) -> int:
    """Draw who would stay and who would go, before anything is done.

    The sheet shows each face of PHOTO with its number, the decision and the score behind it;
    `anonyface PHOTO --keep 2,5` takes those numbers. It shows original faces: keep it to yourself.
    """
    from anonyface.contact_sheet import review_sheet, verdict
    from anonyface.media.images import load_image, save_image

    target = Path(f"{photo.stem}.review.png") if output is None else output
    config = Config(detail=detail, unsure=unsure, allow_repeats=allow_repeats, threads=threads)
    anonymizer = options.make_anonymizer(config, protect=protect)
    source = load_image(photo)
    faces, decisions = anonymizer.review(
        photo, keep=keep, only=only, keep_largest=keep_largest, keep_central=keep_central
    )
    sheet = review_sheet(source.pixels, faces, decisions)
    if target.exists() and target.samefile(photo):
        raise InputError(f"refusing to overwrite the input: {target}")
    save_image(sheet, target, source=load_image(sheet), mark=False)
    for number, (face, decision) in enumerate(zip(faces, decisions, strict=True)):
        x0, y0, x1, y1 = (round(float(v)) for v in face.box)
        why = f": {decision.reason}" if decision.reason else ""
        click.echo(f"{number:4d}  {x0},{y0},{x1},{y1}  {verdict(decision)}{why}")
    click.echo(f"{photo} -> {target}")
    return 0


@click.command(context_settings=options.SETTINGS)
@click.argument("before", type=Path)
@click.argument("after", type=Path)
@click.option(
    "--keep",
    multiple=True,
    callback=options.indices,
    metavar="N,N",
    help="Numbers of faces that were to stay.",
)
@click.option("--json", "json_path", metavar="FILE", help="Write the figures, - for stdout.")
@options.threads
@options.debug
def verify(
    before: Path,
    after: Path,
    keep: tuple[int, ...],
    json_path: str | None,
    threads: int,
    debug: bool,
) -> int:
    """Say who is still recognisable in AFTER, whatever tool made it from BEFORE.

    Exit code 0 if nobody is, else 1.
    """
    check_report_path(json_path, [before, after])
    from anonyface.detection.faces import FaceFinder
    from anonyface.verification.check import built_in_judges, masked_judges
    from anonyface.verification.compare import compare_photos
    from anonyface.verification.comparison import comparison_table
    from anonyface.verification.encoder import DlibEncoder, UpperFace

    encoder = DlibEncoder(threads=threads)
    found = compare_photos(
        before,
        after,
        detector=FaceFinder(detail="thorough", threads=threads),
        judges=built_in_judges(encoder, threads=threads),
        masked=masked_judges(UpperFace(encoder), threads=threads),
        keep=keep,
    )
    if json_path != "-":
        click.echo(f"{before} -> {after}: {comparison_table(found)}")
    if json_path:
        write_document(json_path, found.as_dict(before_name=before.name, after_name=after.name))
    return 0 if found.passed else 1
