"""The errors anonyface raises; all of them carry the data a caller needs to react.

::

    AnonyfaceError
    ├── InputError (ValueError)      the caller's image, path or option is not usable
    │   └── NobodyLeft               fewer synthetic people fit than were asked for
    ├── WeightsError
    │   ├── WeightsMissing           a model file is not there
    │   └── WeightsCorrupt           a model file is not the one the manifest names
    ├── BackendError                 the inference engine failed
    └── FaceError                    one face could not be processed at one stage
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anonyface.types import Face, Identity


class AnonyfaceError(Exception):
    """Base of every error raised on purpose by anonyface.

    All of them can be pickled, with what they carry: they get out of a pool of processes.
    """

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[AnonyfaceError], args: tuple[object, ...], data: dict[str, object]
) -> AnonyfaceError:
    """An error as it was, whatever its kind asks for when it is raised first."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(data)
    return error


def printable(text: object) -> str:
    r"""Return a text on one line, with what a terminal would obey or not show written out.

    Names of files may hold line breaks and escape codes; messages and tables must not.

    >>> printable("a\nb\x1b[31m.jpg")
    'a\\nb\\x1b[31m.jpg'
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode()
        for c in str(text)
    )


class InputError(AnonyfaceError, ValueError):
    """The caller's image, path or option can't be used; the message is one printable line."""

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(message))


class NobodyLeft(InputError):
    """Fewer synthetic people pass the screens than were asked for.

    Attributes:
        found: Those who do.
    """

    def __init__(self, found: Sequence[Identity], asked: int) -> None:
        super().__init__(
            f"nobody else who fits this request passes the screens: {len(found)} of {asked} found"
        )
        self.found = tuple(found)


class WeightsError(AnonyfaceError):
    """A model file can't be used.

    Attributes:
        name: Name of the model in the manifest.
        path: Where the file was looked for.
    """

    def __init__(self, name: str, path: Path, problem: str) -> None:
        super().__init__(f"model {name!r} {problem}: {path}")
        self.name = name
        self.path = path


class WeightsMissing(WeightsError):
    """A model file is not there."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name, path, "is missing")


class WeightsCorrupt(WeightsError):
    """A model file's sha256 is not the one in the manifest.

    Attributes:
        expected: sha256 the manifest names, hex.
        actual: sha256 of the file found, hex.
    """

    def __init__(self, name: str, path: Path, *, expected: str, actual: str) -> None:
        super().__init__(name, path, f"has sha256 {actual[:16]}, expected {expected[:16]}")
        self.expected = expected
        self.actual = actual


class BackendError(AnonyfaceError):
    """The inference engine refused a model or failed while running it."""


class FaceError(AnonyfaceError):
    """One face could not be processed.

    Attributes:
        face: The face, or None where the failure came before there was one.
        stage: Name of the stage that gave up, e.g. ``"landmarks"``.
    """

    def __init__(self, message: str, *, stage: str, face: Face | None = None) -> None:
        super().__init__(f"{stage}: {message}")
        self.stage = stage
        self.face = face
