"""The command line: ``anonyface photo.jpg``, ``anonyface review``, ``detect``, ``verify`` ...

Exit codes: 0 done, 1 some file failed, 2 bad use (one line on stderr says what). Nothing heavy is
imported until a command needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from anonyface.commands.anonymize import anonymize
from anonyface.commands.look import detect, review, verify
from anonyface.commands.people import gallery
from anonyface.commands.upkeep import demo, weights
from anonyface.errors import InputError
from anonyface.terminal import complain, one_line

COMMANDS: dict[str, click.Command] = {
    "detect": detect,
    "review": review,
    "verify": verify,
    "gallery": gallery,
    "weights": weights,
    "demo": demo,
}


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
