"""``anonyface gallery``: the people who stay, in one file without pictures."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from anonyface.commands import options
from anonyface.errors import InputError


@click.command(context_settings=options.SETTINGS)
@click.argument("file", type=Path)
@click.option("--add", "name", metavar="NAME", help="Add photos of a person.")
@click.option("--forget", "gone", metavar="NAME", help="Remove a person.")
@click.option("--encrypt", is_flag=True, help="Ask for a passphrase and encrypt the file with it.")
@click.argument("photos", nargs=-1, metavar="[PHOTO]...")
@options.threads
@options.debug
def gallery(
    file: Path,
    name: str | None,
    gone: str | None,
    encrypt: bool,
    photos: tuple[str, ...],
    threads: int,
    debug: bool,
) -> int:
    """Keep the people who stay in FILE: list, add or forget them.

    FILE ends in .gallery and holds names and embeddings, never pictures. Use it as
    `--protect FILE`. A passphrase is asked for, or taken from ANONYFACE_PASSPHRASE.
    """
    from anonyface.protection.gallery import Gallery

    if not options.is_gallery(file):
        raise InputError(f"{file}: a gallery's name ends in {options.GALLERY_SUFFIX}")
    if bool(photos) != bool(name):
        raise InputError("--add NAME and the photos of that person belong together")
    people = options.open_gallery(file) if file.exists() else Gallery(threads=threads)
    if gone is not None:
        people.forget(gone)
    if name is not None:
        for note in people.add(name, *photos):
            click.echo(f"note: {note}", err=True)
    if name is not None or encrypt:
        people.save(file, passphrase=_passphrase() if encrypt else people.passphrase)
    elif not file.exists():
        raise InputError(f"{file}: no such file")
    for person, entries in people.entries().items():
        click.echo(f"{person}: {len(entries)} reference{'s' * (len(entries) != 1)}")
    return 0


def _passphrase() -> str:
    """Return a new passphrase, from the environment or asked for twice.

    Raises:
        InputError: If there is nobody to ask.
    """
    found = os.environ.get(options.PASSPHRASE)
    if found is None and sys.stdin.isatty():
        found = str(
            click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
        )
    if not found:
        raise InputError(f"set {options.PASSPHRASE} to the passphrase")
    return found
