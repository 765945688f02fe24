"""Read pickles as data: a small stack machine that has no way to import or call anything.

The standard unpickler resolves globals and calls what a file names, and is then told what not to
do. This one is the other way round: a global becomes a ``Symbol`` with a builder from the caller's
table, or an error; only those builders are ever called. The standard library's ``pickletools``
splits the bytes into opcodes.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO

from generators.errors import CheckpointCorrupt, CheckpointError, UnsafeGlobal


@dataclass(frozen=True)
class Symbol:
    """A global the file referred to.

    Attributes:
        module: Its module.
        name: Its name there.
        build: What stands in for calling it; None for one that is only passed around.
    """

    module: str
    name: str
    build: Callable[..., object] | None


Table = Mapping[tuple[str, str], Callable[..., object] | None]

# What these exceptions mean here: the opcodes ask for something the stack doesn't hold.
_DAMAGE = (ArithmeticError, AttributeError, EOFError, LookupError, TypeError, ValueError)

_KEYS = (str, int, float, bytes, type(None))
"""Types of dictionary keys and set items: cheap to hash, whatever the file."""

_PUSHED = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE BINUNICODE SHORT_BINUNICODE "
    "BINUNICODE8".split()
)
"""Opcodes whose decoded argument is the value."""

_CONSTANTS: dict[str, object] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}

_FRESH: dict[str, Callable[[], object]] = {
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}

_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(
    stream: BytesIO, table: Table, *, persistent: Callable[[object], object] | None = None
) -> object:
    """Read one pickle.

    Args:
        stream: Positioned at its first byte; left after its last.
        table: Builder of each global that may occur.
        persistent: Resolves persistent ids; None where there may be none.

    Returns:
        Python's plain values and whatever the builders return.

    Raises:
        UnsafeGlobal: A global that is not in the table.
        CheckpointCorrupt: Anything else that is wrong.
    """
    machine = _Machine(table, persistent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of odd escapes in quoted text
            for opcode, argument, _ in pickletools.genops(stream):
                machine.run(opcode.name, argument)
        return machine.result()
    except CheckpointError:
        raise
    except _DAMAGE as error:
        raise CheckpointCorrupt(f"damaged pickle: {error}") from error


class _Machine:
    """The state of one pickle while it is read: stack, outer stacks of open marks, memo."""

    def __init__(self, table: Table, persistent: Callable[[object], object] | None) -> None:
        self.table = table
        self.persistent = persistent
        self.stack: list[object] = []
        self.outer: list[list[object]] = []
        self.memo: dict[int, object] = {}

    def result(self) -> object:
        """Return the one value left."""
        if len(self.stack) != 1 or self.outer:
            raise CheckpointCorrupt("damaged pickle: it doesn't end with one value")
        return self.stack[0]

    def run(self, name: str, argument: object) -> None:
        """Carry out one opcode."""
        if name in _PUSHED:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _FRESH:
            self.stack.append(_FRESH[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            items = [self.stack.pop() for _ in range(count)]
            self.stack.append(tuple(reversed(items)))
        elif name in ("EXT1", "EXT2", "EXT4"):
            raise UnsafeGlobal("copyreg extension", str(argument))
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise CheckpointCorrupt(f"opcode {name} has no place in a checkpoint")

    def _mark(self, _: object) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def _since_mark(self) -> list[object]:
        items, self.stack = self.stack, self.outer.pop()
        return items

    def _pop(self, _: object) -> None:
        self.stack.pop()

    def _pop_mark(self, _: object) -> None:
        self._since_mark()

    def _dup(self, _: object) -> None:
        self.stack.append(self.stack[-1])

    def _put(self, argument: object) -> None:
        self.memo[_index(argument)] = self.stack[-1]

    def _memoize(self, _: object) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _get(self, argument: object) -> None:
        self.stack.append(self.memo[_index(argument)])

    def _tuple(self, _: object) -> None:
        items = self._since_mark()
        self.stack.append(tuple(items))

    def _list(self, _: object) -> None:
        items = self._since_mark()
        self.stack.append(items)

    def _dict(self, _: object) -> None:
        items = self._since_mark()
        self.stack.append({})
        self._store(items)

    def _frozenset(self, _: object) -> None:
        items = self._since_mark()
        self.stack.append({_key(item) for item in items})

    def _append(self, _: object) -> None:
        self._extend([self.stack.pop()])

    def _appends(self, _: object) -> None:
        self._extend(self._since_mark())

    def _extend(self, items: list[object]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise CheckpointCorrupt(f"a list expected, found {_describe(target)}")
        target.extend(items)

    def _setitem(self, _: object) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._store([key, value])

    def _setitems(self, _: object) -> None:
        self._store(self._since_mark())

    def _store(self, items: list[object]) -> None:
        target = self.stack[-1]
        if type(target) is not dict:
            raise CheckpointCorrupt(f"a dictionary expected, found {_describe(target)}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = value

    def _additems(self, _: object) -> None:
        items = self._since_mark()
        target = self.stack[-1]
        if type(target) is not set:
            raise CheckpointCorrupt(f"a set expected, found {_describe(target)}")
        target.update(_key(item) for item in items)

    def _global(self, argument: object) -> None:
        module, _, name = str(argument).partition(" ")
        self.stack.append(self._symbol(module, name))

    def _stack_global(self, _: object) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(module) is not str or type(name) is not str:
            raise CheckpointCorrupt("a global without a name")
        self.stack.append(self._symbol(module, name))

    def _symbol(self, module: str, name: str) -> Symbol:
        if (module, name) not in self.table:
            raise UnsafeGlobal(module, name)
        return Symbol(module, name, self.table[module, name])

    def _inst(self, argument: object) -> None:
        self._global(argument)
        symbol = self.stack.pop()
        arguments = self._since_mark()
        self.stack.append(_build(symbol, tuple(arguments)))

    def _reduce(self, _: object) -> None:
        arguments, symbol = self.stack.pop(), self.stack.pop()
        self.stack.append(_build(symbol, arguments))

    def _build(self, _: object) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is dict:
            return  # attributes of a dictionary: torch's version notes
        set_state = None if isinstance(target, Symbol) else getattr(target, "set_state", None)
        if set_state is None:
            raise CheckpointCorrupt(f"{_describe(target)} takes no state")
        set_state(state)

    def _binpersid(self, _: object) -> None:
        if self.persistent is None:
            raise CheckpointCorrupt("a persistent id outside a torch file")
        self.stack.append(self.persistent(self.stack.pop()))


_STEPS: dict[str, Callable[[_Machine, object], None]] = {
    "MARK": _Machine._mark,
    "POP": _Machine._pop,
    "POP_MARK": _Machine._pop_mark,
    "DUP": _Machine._dup,
    "PUT": _Machine._put,
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "MEMOIZE": _Machine._memoize,
    "GET": _Machine._get,
    "BINGET": _Machine._get,
    "LONG_BINGET": _Machine._get,
    "TUPLE": _Machine._tuple,
    "LIST": _Machine._list,
    "DICT": _Machine._dict,
    "FROZENSET": _Machine._frozenset,
    "APPEND": _Machine._append,
    "APPENDS": _Machine._appends,
    "SETITEM": _Machine._setitem,
    "SETITEMS": _Machine._setitems,
    "ADDITEMS": _Machine._additems,
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "INST": _Machine._inst,
    "REDUCE": _Machine._reduce,
    "NEWOBJ": _Machine._reduce,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._binpersid,
}
"""What each opcode does; those listed nowhere are refused."""


def _index(argument: object) -> int:
    return int(str(argument))


def _key(value: object) -> object:
    if not isinstance(value, _KEYS):
        raise CheckpointCorrupt(f"{_describe(value)} as a key")
    return value


def _build(symbol: object, arguments: object) -> object:
    if not isinstance(symbol, Symbol) or symbol.build is None:
        raise CheckpointCorrupt(f"{_describe(symbol)} can't be called")
    if type(arguments) is not tuple:
        raise CheckpointCorrupt(f"{symbol.module}.{symbol.name} called without a tuple")
    return symbol.build(*arguments)


def _describe(value: object) -> str:
    if isinstance(value, Symbol):
        return f"{value.module}.{value.name}"
    return f"an object of type {type(value).__name__}"
