"""Options that several commands share, and the objects they stand for.

Defaults come from `anonyface.config.Config`; nothing heavy is imported until a command needs it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from anonyface.config import Config
from anonyface.errors import InputError
from anonyface.types import Detail, Unsure

if TYPE_CHECKING:
    from anonyface.api import Anonymizer
    from anonyface.media.signing import Algorithm, C2paSigner
    from anonyface.protection.gallery import Gallery
    from anonyface.protection.photos import SeveralFaces

Command = TypeVar("Command", bound=Callable[..., Any])

SETTINGS = {"help_option_names": ["-h", "--help"]}
GALLERY_SUFFIX = ".gallery"
PASSPHRASE = "ANONYFACE_PASSPHRASE"  # noqa: S105 - the name of a variable, not its value


def indices(
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


detail = click.option(
    "--detail",
    type=click.Choice(get_args(Detail)),
    default=Config.detail,
    show_default=True,
    help="How hard to look for faces.",
)
threads = click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=Config.threads,
    show_default=True,
    help="Threads to use, 0 for all cores.",
)
seed = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=Config.seed,
    help="Make the result reproducible.  [default: fresh randomness]",
)
debug = click.option("--debug", is_flag=True, help="Show tracebacks.")
protect = click.option(
    "--protect",
    multiple=True,
    metavar="PHOTO",
    help=f"Photo of a person who stays, or a {GALLERY_SUFFIX} file.",
)
denylist = click.option(
    "--denylist",
    multiple=True,
    metavar="PHOTO",
    help="Photo of a person no synthetic one may resemble, or a gallery.",
)
keep = click.option(
    "--keep",
    multiple=True,
    callback=indices,
    metavar="N,N",
    help="Numbers of faces that stay (see anonyface review).",
)
only = click.option(
    "--only",
    multiple=True,
    callback=indices,
    metavar="N,N",
    help="Numbers of faces that go; all others stay.",
)
keep_largest = click.option(
    "--keep-largest",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="The N largest faces stay.",
)
keep_central = click.option(
    "--keep-central", is_flag=True, help="The face nearest the centre stays."
)
unsure = click.option(
    "--unsure",
    type=click.Choice(get_args(Unsure)),
    default=Config.unsure,
    show_default=True,
    help="What happens to a face that might be a protected person.",
)
allow_repeats = click.option(
    "--allow-repeats",
    is_flag=True,
    default=Config.allow_repeats,
    help="A protected person may stay more than once in a photo.",
)


def make_anonymizer(
    config: Config,
    *,
    protect: Sequence[str] = (),
    denylist: Sequence[str] = (),
    swapper: Path | None = None,
) -> Anonymizer:
    """Return an `Anonymizer`; the place where the heavy imports happen.

    Args:
        config: The options.
        protect: Photos of people who stay, and galleries.
        denylist: Photos of people no synthetic one may resemble, and galleries.
        swapper: A user's swap network, None for the built-in engine.

    Raises:
        InputError: If a photo of a person or a user's network is not usable.
        WeightsError: If a model is missing or corrupt.
    """
    from anonyface.api import Anonymizer
    from anonyface.protection.photos import SeveralFaces

    people, denied = (
        [open_gallery(p) if is_gallery(p) else p for p in given] for given in (protect, denylist)
    )
    try:
        return _anonymizer(Anonymizer, config, people, denied, swapper)
    except SeveralFaces as error:
        raise InputError(f"{error}; see {_draw_faces(error)}") from error


def _draw_faces(error: SeveralFaces) -> Path:
    """Write a sheet of the faces in a reference into the current folder, and return its name.

    Raises:
        InputError: If it can't be written.
    """
    from anonyface.contact_sheet import crop_sheet
    from anonyface.media.images import load_image, save_image

    sheet = crop_sheet(error)
    target = Path(f"{Path(error.name).stem}.faces.png")
    return save_image(sheet, target, source=load_image(sheet), mark=False)


def _anonymizer(
    make: type[Anonymizer],
    config: Config,
    protect: Sequence[str | Gallery],
    denylist: Sequence[str | Gallery],
    swapper: Path | None,
) -> Anonymizer:
    return make(
        protect=protect,
        denylist=denylist,
        method=config.method,
        region=config.region,
        detail=config.detail,
        on_failure=config.on_failure,
        unsure=config.unsure,
        allow_repeats=config.allow_repeats,
        verify=config.verify,
        metadata=config.metadata,
        mark=config.mark,
        seed=config.seed,
        threads=config.threads,
        swapper=swapper,
    )


def is_gallery(path: str | Path) -> bool:
    """Say whether a path is called like a gallery."""
    return Path(path).suffix.lower() == GALLERY_SUFFIX


def open_gallery(path: str | Path) -> Gallery:
    """Load a gallery; one with a passphrase takes it from the environment or asks for it.

    Raises:
        InputError: If it can't be read, or the passphrase is missing or wrong.
    """
    from anonyface.protection.gallery import Gallery
    from anonyface.protection.vault import PassphraseNeeded

    try:
        return Gallery.load(path)
    except PassphraseNeeded:
        passphrase = os.environ.get(PASSPHRASE)
        if passphrase is None and sys.stdin.isatty():
            passphrase = click.prompt(f"Passphrase of {path}", hide_input=True, err=True)
        if passphrase is None:
            raise InputError(
                f"{path}: the gallery is encrypted, set {PASSPHRASE} to its passphrase"
            ) from None
        return Gallery.load(path, passphrase=passphrase)


def make_signer(
    certificates: Path | None, key: Path | None, algorithm: Algorithm
) -> C2paSigner | None:
    """Return who signs the results, None for nobody.

    Raises:
        InputError: Only one of certificate and key is given, or they can't sign.
    """
    if certificates is None and key is None:
        return None
    if certificates is None or key is None:
        raise InputError("--sign-cert and --sign-key belong together")
    from anonyface.media.signing import C2paSigner

    return C2paSigner(certificates, key, algorithm=algorithm)
