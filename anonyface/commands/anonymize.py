"""``anonyface photo.jpg``: replace the faces in photos and folders."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from anonyface.batch import plan, process
from anonyface.commands import options
from anonyface.config import Config
from anonyface.errors import InputError
from anonyface.terminal import (
    check_report_path,
    exit_code,
    progress_bar,
    report_entry,
    tell,
    write_json,
)
from anonyface.types import Detail, MetadataPolicy, Method, OnFailure, Region, Unsure, Verify

if TYPE_CHECKING:
    from anonyface.media.signing import Algorithm
    from anonyface.review_page import ReviewEntry

RUN_SCHEMA = "anonyface.run/1"
ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")


def _version(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    """Print the version and end, if it was asked for."""
    if wanted:
        from anonyface.media.metadata import software

        click.echo(software())
        context.exit()


@click.command(
    context_settings=options.SETTINGS,
    epilog="Other commands: anonyface review, detect, verify, gallery, weights, demo; each has "
    "--help. A photo of such a name is given as ./detect.",
)
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...")
@click.option(
    "-o",
    "--output",
    type=Path,
    metavar="PATH",
    help="Folder for results, or the file for a single photo.  [default: beside the photo]",
)
@options.protect
@options.denylist
@options.unsure
@options.allow_repeats
@options.keep
@options.only
@options.keep_largest
@options.keep_central
@click.option(
    "--method",
    type=click.Choice(get_args(Method)),
    default=Config.method,
    show_default=True,
    help="What to put in place of a face.",
)
@click.option(
    "--region",
    type=click.Choice(get_args(Region)),
    default=Config.region,
    show_default=True,
    help="What of a face is replaced; with less than the face, people stay recognisable.",
)
@click.option(
    "--swapper",
    type=Path,
    metavar="ONNX",
    help="Your own swap network (inswapper type), its ArcFace encoder beside it.",
)
@options.detail
@click.option(
    "--on-failure",
    type=click.Choice(get_args(OnFailure)),
    default=Config.on_failure,
    show_default=True,
    help="Cover a face that can't be replaced, or give up on the photo.",
)
@click.option(
    "--verify",
    type=click.Choice(get_args(Verify)),
    default=Config.verify,
    show_default=True,
    help="How far the old identity must be gone.",
)
@click.option(
    "--metadata",
    type=click.Choice(get_args(MetadataPolicy)),
    default=Config.metadata,
    show_default=True,
    help="What results may say of the photo; never places, serial numbers or thumbnails.",
)
@click.option(
    "--mark/--no-mark",
    default=Config.mark,
    show_default=True,
    help="Say in results that parts of them are synthetic.",
)
@click.option("--sign-cert", type=Path, metavar="PEM", help="Sign results (C2PA): certificates.")
@click.option("--sign-key", type=Path, metavar="PEM", help="The key of the certificate.")
@click.option(
    "--sign-algorithm",
    type=click.Choice(ALGORITHMS),
    default=ALGORITHMS[0],
    show_default=True,
    help="What the key is for.",
)
@options.seed
@options.threads
@click.option("--json", "json_path", metavar="FILE", help="Write a report, - for stdout.")
@click.option("--html", "html_path", metavar="FILE", help="Write a page to look the results over.")
@click.option(
    "--compare",
    type=Path,
    metavar="FOLDER",
    help="Write pictures before, after and difference there; they show the original faces.",
)
@click.option("--overwrite", is_flag=True, help="Make results anew that exist.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@options.debug
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version)
def anonymize(
    photos: tuple[str, ...],
    output: Path | None,
    protect: tuple[str, ...],
    denylist: tuple[str, ...],
    unsure: Unsure,
    allow_repeats: bool,
    keep: tuple[int, ...],
    only: tuple[int, ...],
    keep_largest: int,
    keep_central: bool,
    method: Method,
    region: Region,
    swapper: Path | None,
    detail: Detail,
    on_failure: OnFailure,
    verify: Verify,
    metadata: MetadataPolicy,
    mark: bool,
    sign_cert: Path | None,
    sign_key: Path | None,
    sign_algorithm: Algorithm,
    seed: int | None,
    threads: int,
    json_path: str | None,
    html_path: str | None,
    compare: Path | None,
    overwrite: bool,
    quiet: bool,
    debug: bool,
) -> int:
    """Replace every face in photos with a face that belongs to nobody.

    photo.jpg gives photo.anon.jpg beside it. Folders are searched with their subfolders. Inputs are
    never changed; results that exist are skipped.
    """
    jobs = plan(photos, output=output)
    if (keep or only) and len(jobs) > 1:
        raise InputError("--keep and --only number the faces of one photo; give one photo")
    inputs = [job.path for job in jobs]
    check_report_path(json_path, inputs)
    check_report_path(html_path, inputs, option="--html", to_stdout=False)
    signer = options.make_signer(sign_cert, sign_key, sign_algorithm)
    config = Config(
        method=method,
        region=region,
        detail=detail,
        on_failure=on_failure,
        unsure=unsure,
        allow_repeats=allow_repeats,
        verify=verify,
        metadata=metadata,
        mark=mark,
        seed=seed,
        threads=threads,
    )
    anonymizer = options.make_anonymizer(
        config, protect=protect, denylist=denylist, swapper=swapper
    )
    run = partial(anonymizer, keep_largest=keep_largest, keep_central=keep_central)
    entries: list[dict[str, Any] | None] = []
    pages: list[ReviewEntry] = []
    errors: list[type[Exception]] = []  # not the errors: their tracebacks hold images
    with progress_bar(len(jobs), hidden=quiet) as bar:
        for done in process(run, jobs, keep=keep, only=only, overwrite=overwrite, sign=signer):
            tell(done, quiet=quiet, to_stderr=json_path == "-", debug=debug, bar=bar)
            entries.append(report_entry(done) if json_path else None)
            if html_path and done.result is not None:
                from anonyface.review_page import review_entry

                pages.append(review_entry(done.name, done.result))
            if compare is not None and done.result is not None:
                from anonyface.comparison import write_comparison

                write_comparison(done.path, done.result, compare)
            errors.extend([type(done.error)] if done.error else [])
    if json_path:
        write_json(json_path, RUN_SCHEMA, entries)
    if html_path:
        from anonyface.review_page import write_review_page

        write_review_page(pages, html_path)
    return exit_code(errors, alone=len(jobs) == 1)
