"""The command line: ``anonyface photo.jpg``, ``anonyface detect``, ``weights``, ``demo``.

Exit codes: 0 done, 1 some file failed, 2 bad use (one line on stderr says what). Nothing heavy is
imported until a command needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from anonyface.batch import FileResult, make_folder, plan, process
from anonyface.config import Config
from anonyface.errors import InputError, WeightsError
from anonyface.terminal import (
    check_report_path,
    complain,
    exit_code,
    face_table,
    one_line,
    progress_bar,
    report_entry,
    tell,
    weights_table,
    write_json,
)
from anonyface.types import Detail, Method, OnFailure

if TYPE_CHECKING:
    from anonyface.api import Anonymizer

Command = TypeVar("Command", bound=Callable[..., Any])

RUN_SCHEMA = "anonyface.run/1"
DETECT_SCHEMA = "anonyface.detect/1"

_detail = click.option(
    "--detail",
    type=click.Choice(get_args(Detail)),
    default=Config.detail,
    show_default=True,
    help="How hard to look for faces.",
)
_threads = click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=Config.threads,
    show_default=True,
    help="Threads to use, 0 for all cores.",
)
_seed = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=Config.seed,
    help="Make the result reproducible.  [default: fresh randomness]",
)
_debug = click.option("--debug", is_flag=True, help="Show tracebacks.")


def make_anonymizer(config: Config, *, protect: Sequence[str] = ()) -> Anonymizer:
    """Return an `Anonymizer`; the place where the heavy imports happen.

    Args:
        config: The options.
        protect: Photos of people who stay.

    Raises:
        InputError: If a photo to protect is not usable.
        WeightsError: If a model is missing or corrupt.
    """
    from anonyface.api import Anonymizer

    return Anonymizer(
        protect=protect,
        method=config.method,
        detail=config.detail,
        on_failure=config.on_failure,
        seed=config.seed,
        threads=config.threads,
    )


def _version(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    """Print the version and end, if it was asked for."""
    if wanted:
        from anonyface.media.metadata import software

        click.echo(software())
        context.exit()


def _indices(
    context: click.Context, option: click.Parameter, texts: tuple[str, ...]
) -> tuple[int, ...]:
    """Turn ``("0,2", "5")`` into ``(0, 2, 5)``.

    Raises:
        BadParameter: If there is something else than numbers and commas.
    """
    text = ",".join(texts)
    if text and not re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)*", text):
        raise click.BadParameter(f"expected face numbers such as 0,2, got {text!r}")
    return tuple(int(number) for number in text.split(",") if number)


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Other commands: anonyface detect, anonyface weights, anonyface demo; each has --help. "
    "A photo of such a name is given as ./detect.",
)
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...")
@click.option("-o", "--output", type=Path, help="Folder of the results, or file for one photo.")
@click.option("--protect", multiple=True, metavar="PHOTO", help="Photo of a person who stays.")
@click.option(
    "--keep",
    multiple=True,
    callback=_indices,
    metavar="N,N",
    help="Numbers of faces that stay (see anonyface detect).",
)
@click.option(
    "--only",
    multiple=True,
    callback=_indices,
    metavar="N,N",
    help="Numbers of faces that go; all others stay.",
)
@click.option(
    "--method",
    type=click.Choice(get_args(Method)),
    default=Config.method,
    show_default=True,
    help="What to put in place of a face.",
)
@_detail
@click.option(
    "--on-failure",
    type=click.Choice(get_args(OnFailure)),
    default=Config.on_failure,
    show_default=True,
    help="Cover a face that can't be replaced, or give up on the photo.",
)
@_seed
@_threads
@click.option("--json", "json_path", metavar="FILE", help="Write a report, - for stdout.")
@click.option("--overwrite", is_flag=True, help="Make results anew that exist.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@_debug
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version)
def anonymize(
    photos: tuple[str, ...],
    output: Path | None,
    protect: tuple[str, ...],
    keep: tuple[int, ...],
    only: tuple[int, ...],
    method: Method,
    detail: Detail,
    on_failure: OnFailure,
    seed: int | None,
    threads: int,
    json_path: str | None,
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
    check_report_path(json_path, jobs)
    config = Config(method=method, detail=detail, on_failure=on_failure, seed=seed, threads=threads)
    anonymizer = make_anonymizer(config, protect=protect)
    entries: list[dict[str, Any] | None] = []
    errors: list[type[Exception]] = []  # not the errors: their tracebacks hold images
    with progress_bar(len(jobs), hidden=quiet) as bar:
        for done in process(anonymizer, jobs, keep=keep, only=only, overwrite=overwrite):
            tell(done, quiet=quiet, to_stderr=json_path == "-", debug=debug, bar=bar)
            entries.append(report_entry(done) if json_path else None)
            errors.extend([type(done.error)] if done.error else [])
    if json_path:
        write_json(json_path, RUN_SCHEMA, entries)
    return exit_code(errors, alone=len(jobs) == 1)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...")
@_detail
@_threads
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@_debug
def detect(
    photos: tuple[str, ...], detail: Detail, threads: int, as_json: bool, debug: bool
) -> int:
    """List the faces in photos; their numbers are what --keep takes."""
    from anonyface.report import describe_face

    jobs = plan(photos)
    anonymizer = make_anonymizer(Config(detail=detail, threads=threads))
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


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@_debug
def weights(debug: bool) -> int:
    """List the models and check that each is the one its manifest names."""
    from anonyface.weights import manifest, read_weights

    code = 0
    rows = [("name", "bytes", "licence", "sha256")]
    for name, record in sorted(manifest().items()):
        try:
            read_weights(name)
            state = "ok"
        except WeightsError as error:
            state, code = str(error), 1
        rows.append((name, f"{record.bytes:,}", record.licence, state))
    click.echo(weights_table(rows))
    return code


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-o", "--output", type=Path, default=Path("anonyface-demo"), show_default=True, help="Folder."
)
@_seed
@_threads
@_debug
def demo(output: Path, seed: int | None, threads: int, debug: bool) -> int:
    """Make a scene of people who don't exist and anonymize it, to see before and after."""
    from anonyface.demo import make_demo

    make_folder(output)
    before, after = make_demo(output, seed=seed, threads=threads)
    click.echo(f"{before} -> {after}")
    return 0


COMMANDS: dict[str, click.Command] = {"detect": detect, "weights": weights, "demo": demo}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: Arguments without the program's name, None for the process's own.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    command, name = anonymize, "anonyface"
    if arguments and arguments[0] in COMMANDS:
        command, name = COMMANDS[arguments[0]], f"anonyface {arguments.pop(0)}"
    try:
        code = command.main(arguments, prog_name=name, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.Abort:
        complain("stopped")
        return 1
    except BrokenPipeError:  # the reader of a pipe has enough; keep the exit silent
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the outermost place: one line, not a traceback
        if "--debug" in arguments:
            traceback.print_exc()
        complain(one_line(error))
        if isinstance(error, click.ClickException):
            return error.exit_code
        return 2 if isinstance(error, InputError) else 1
