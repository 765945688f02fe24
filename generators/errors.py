"""What can be wrong with a checkpoint."""

from __future__ import annotations

from anonyface.errors import InputError


class CheckpointError(InputError):
    """A checkpoint can't be read."""


class CheckpointCorrupt(CheckpointError):
    """The file is not a checkpoint, is damaged, or holds something no checkpoint needs."""


class UnsafeGlobal(CheckpointError):
    """The file refers to code that is not on the list of known builders; nothing was executed.

    Attributes:
        module: Module the file names; ``"copyreg extension"`` for a registered code.
        name: Name within the module, or the code.
    """

    def __init__(self, module: str, name: str) -> None:
        super().__init__(f"refused: the file refers to {module}.{name}; nothing was executed")
        self.module = module
        self.name = name
