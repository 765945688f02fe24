"""What the command line prints: summaries, tables, one-line errors, the JSON of a run."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import click

from anonyface.batch import RESULT_SUFFIX, FileResult
from anonyface.errors import AnonyfaceError, InputError, printable

ACTION_WORDS = {"replaced": "replaced", "redacted": "covered", "kept": "kept"}


def tell(done: FileResult, *, quiet: bool, to_stderr: bool, debug: bool, bar: Any = None) -> None:
    """Print what became of a photo, one line, and move the progress bar if there is one."""
    if bar is not None:
        bar.clear()
    if done.error is not None:
        if debug:
            click.echo("".join(traceback.format_exception(done.error)), err=True, nl=False)
        complain(_with_name(done.error, done.path))
    elif not quiet:
        click.echo(summary(done), err=to_stderr)
    if bar is not None:
        bar.update()


def summary(done: FileResult) -> str:
    """Return a line such as "a.jpg -> a.anon.jpg: 6 faces: 5 replaced, 1 covered"."""
    path, output = printable(done.path), printable(done.output)
    if done.result is None:
        return f"{path}: skipped, {output} exists (--overwrite makes it anew)"
    actions = [outcome.action for outcome in done.result.faces]
    parts = [
        f"{actions.count(action)} {word}"
        for action, word in ACTION_WORDS.items()
        if action in actions
    ]
    found = f"{len(actions)} face{'s' * (len(actions) != 1)}: {', '.join(parts)}"
    return f"{path} -> {output}: {found if actions else 'no faces found'}"


def face_table(name: str, faces: Sequence[dict[str, Any]]) -> str:
    """Return the faces of a photo as a table."""
    name = printable(name)
    if not faces:
        return f"{name}: no faces found"
    lines = [f"{name}: {len(faces)} face{'s' * (len(faces) != 1)}"]
    lines.append(
        f"{'#':>4} {'x0':>6} {'y0':>6} {'x1':>6} {'y1':>6} {'score':>6} {'gender':>7} {'age':>4}"
    )
    for face in faces:
        box = " ".join(f"{value:6d}" for value in face["box"])
        age = "-" if face["age"] is None else f"{face['age']:.0f}"
        gender = face["gender"] or "-"
        lines.append(f"{face['index']:4d} {box} {face['score']:6.2f} {gender:>7} {age:>4}")
    return "\n".join(lines)


def weights_table(rows: Sequence[tuple[str, str, str, str]]) -> str:
    """Return name, size, licence and state of the models, the first row being the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        f"{name:{widths[0]}}  {size:>{widths[1]}}  {licence:{widths[2]}}  {state}"
        for name, size, licence, state in rows
    )


def progress_bar(total: int, *, hidden: bool) -> AbstractContextManager[Any]:
    """Return a progress bar on stderr, or a context of None where nobody would see it."""
    if hidden or total < 2 or not sys.stderr.isatty():
        return nullcontext()
    from tqdm import tqdm

    return tqdm(total=total, unit="photo", file=sys.stderr)


def report_entry(done: FileResult) -> dict[str, Any]:
    """Return what the run's report says of a photo."""
    from anonyface.report import build_report

    report = (
        None
        if done.result is None
        else build_report(done.result, file_name=done.name, output=done.output)
    )
    return {
        "file": done.name,
        "output": done.output.name if done.output else None,
        "status": done.status,
        "error": one_line(done.error) if done.error else None,
        "report": report,
    }


def write_json(path: str, schema: str, files: Sequence[Any]) -> None:
    """Write the document of a run: to stdout for "-", else whole or not at all.

    Raises:
        InputError: If the file can't be written.
    """
    from anonyface.media.metadata import software

    write_document(path, {"schema": schema, "software": software(), "files": files})


def write_document(path: str, document: dict[str, Any]) -> None:
    """Write a JSON document: to stdout for "-", else whole or not at all.

    Raises:
        InputError: If the file can't be written.
    """
    from anonyface.media.files import replace_file

    text = json.dumps(document, indent=2, allow_nan=False)
    if path == "-":
        click.echo(text)
    else:
        replace_file(Path(path), f"{text}\n".encode())


def exit_code(errors: Sequence[type[Exception]], *, alone: bool) -> int:
    """Return 0, 1 if a photo failed, or 2 if the one photo asked for is no usable input."""
    if not errors:
        return 0
    return 2 if alone and issubclass(errors[0], InputError) else 1


def check_report_path(
    path: str | None, inputs: Sequence[Path], *, option: str = "--json", to_stdout: bool = True
) -> None:
    """Check that a report can be written before the work starts.

    Args:
        path: The file, "-" for stdout, None for no report.
        inputs: The photos, which it must not replace.
        option: What the user calls it.
        to_stdout: Whether "-" is allowed.

    Raises:
        InputError: If it can't be written, or has the name of an image.
    """
    if path == "-" and not to_stdout:
        raise InputError(f"{option} needs the name of a file")
    if path is None or path == "-":
        return
    from anonyface.media.files import check_target

    check_target(path, inputs=inputs)
    if Path(path).suffix.lower() in RESULT_SUFFIX:
        raise InputError(f"{option} {path}: this is the name of an image")


def complain(line: str) -> None:
    """Print one line on stderr."""
    click.echo(f"anonyface: {printable(line)}", err=True)


def one_line(error: Exception) -> str:
    """Return one line for an error; what was not raised on purpose is called internal."""
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    line = printable(" ".join(text.split()))
    if isinstance(error, AnonyfaceError | click.ClickException):
        return line
    return f"internal error: {type(error).__name__}: {line}"


def _with_name(error: Exception, path: Path) -> str:
    """Return an error's line, with the photo's name where it lacks it."""
    line = one_line(error)
    name = printable(path)
    return line if name in line else f"{name}: {line}"
