"""``anonyface weights`` and ``anonyface demo``: are the models whole, does it work here?"""

from __future__ import annotations

from pathlib import Path

import click

from anonyface.batch import make_folder
from anonyface.commands import options
from anonyface.errors import WeightsError
from anonyface.terminal import weights_table


@click.command(context_settings=options.SETTINGS)
@options.debug
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


@click.command(context_settings=options.SETTINGS)
@click.option(
    "-o", "--output", type=Path, default=Path("anonyface-demo"), show_default=True, help="Folder."
)
@options.seed
@options.threads
@options.debug
def demo(output: Path, seed: int | None, threads: int, debug: bool) -> int:
    """Make a scene of people who don't exist and anonymize it, to see before and after."""
    from anonyface.demo import make_demo

    make_folder(output)
    before, after = make_demo(output, seed=seed, threads=threads)
    click.echo(f"{before} -> {after}")
    return 0
