"""Files made to do harm are refused by name, and nothing in them runs."""

from __future__ import annotations

import io
import os
import pickle
import random
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")

from generators.checkpoint import (  # noqa: E402
    CheckpointCorrupt,
    CheckpointError,
    UnsafeGlobal,
    load_state_dicts,
)

_seen: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is not None and event.split(".")[0] in WATCHED:
        _seen.append(f"{event} {arguments[:1]}")


WATCHED = {"pickle", "import", "exec", "compile", "os", "subprocess", "socket", "ctypes"}
sys.addaudithook(_watch)  # a hook can't be taken off again; it rests while _seen is None


@contextmanager
def nothing_happens() -> Iterator[None]:
    """Fail if anything is imported, compiled, executed or unpickled meanwhile."""
    global _seen
    _seen = []
    try:
        yield
        assert _seen == []
    finally:
        _seen = None


def test_the_watch_sees_an_ordinary_unpickler() -> None:
    data = pickle.dumps(os.getcwd)
    with pytest.raises(AssertionError, match="find_class"), nothing_happens():
        pickle.loads(data)  # noqa: S301


class Payload:
    """Unpickled in the usual way, it calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def refuse(tmp_path: Path, data: bytes, module: str, name: str) -> None:
    path = tmp_path / "hostile.pkl"
    path.write_bytes(data)
    with pytest.raises(UnsafeGlobal, match="nothing was executed") as caught, nothing_happens():
        load_state_dicts(path)
    assert (caught.value.module, caught.value.name) == (module, name)
    assert f"{module}.{name}" in str(caught.value)


def torch_zip(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", data)
    return stream.getvalue()


@pytest.mark.parametrize("protocol", range(6))
def test_a_payload_that_would_write_a_file(tmp_path: Path, trace: Path, protocol: int) -> None:
    data = pickle.dumps({"G": Payload(os.system, f"touch {trace}")}, protocol)
    refuse(tmp_path, data, os.system.__module__, "system")
    refuse(tmp_path, torch_zip(data), os.system.__module__, "system")
    assert not trace.exists()
    pickle.loads(data)  # noqa: S301 the payload is real
    assert trace.exists()


def test_a_payload_deep_in_an_official_file(tmp_path: Path, official: Any, trace: Path) -> None:
    module = torch.nn.Linear(2, 2)
    module.extra = Payload(exec, f"open({str(trace)!r}, 'w')")
    refuse(tmp_path, official({"G": module}), "builtins", "exec")
    assert not trace.exists()


def test_a_payload_inside_the_bytes_of_a_storage(tmp_path: Path, trace: Path) -> None:
    inner = pickle.dumps(Payload(os.system, f"touch {trace}"))
    outer = pickle.dumps({"G": Payload(torch.storage._load_from_bytes, inner)})
    refuse(tmp_path, outer, os.system.__module__, "system")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("data", "module", "name"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os", "system"),
        (b"(S'true'\nios\nsystem\n.", "os", "system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93)R.", "os", "system"),
        (b"\x80\x04\x8c\x08builtins\x8c\x0deval.__code__\x93.", "builtins", "eval.__code__"),
        (b"\x80\x02cbuiltins\ngetattr\n.", "builtins", "getattr"),
        (b"\x80\x02]cos\nsystem\na.", "os", "system"),
        (b"\x80\x02(cos\nsystem\nS'x'\no.", "os", "system"),
        (b"\x80\x02cposix\nsystem\n)\x81.", "posix", "system"),
        (b"\x80\x04}\x8c\x01gcnt\nsystem\n\x8c\x01x\x85RsQ.", "nt", "system"),
        (b"\x80\x02cnumpy.core.multiarray\nfromfile\n.", "numpy.core.multiarray", "fromfile"),
        (b"\x80\x02ctorch\nload\n.", "torch", "load"),
        (b"\x80\x02ctorch.hub\nload\n.", "torch.hub", "load"),
        (b"\x80\x02ccollections\nOrderedDict.__init__\n.", "collections", "OrderedDict.__init__"),
        (b"\x80\x02\x82\x07.", "copyreg extension", "7"),
        (b"\x80\x02\x83\x07\x01.", "copyreg extension", "263"),
        (b"\x80\x02\x84\x07\x00\x00\x00.", "copyreg extension", "7"),
        (b"\x80\x02(X\x07\x00\x00\x00storagecos\nsystem\ntQ.", "os", "system"),
        (b"\x80\x02c__main__ x\ny\n.", "__main__", "x y"),
    ],
)
def test_every_way_to_name_a_global(tmp_path: Path, data: bytes, module: str, name: str) -> None:
    refuse(tmp_path, data, module, name)
    refuse(tmp_path, torch_zip(data), module, name)


@pytest.mark.parametrize(
    "data",
    [
        b"Pname\n.",  # persistent ids outside a torch file
        b"\x80\x02K\x01Q.",
        b"\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb.",  # state for a global
        b"\x80\x02ctorch\nSize\nK\x01R.",  # arguments that are no tuple
        b"\x80\x02ctorch\nFloatStorage\n)R.",  # a global that is only a name
        b"\x80\x02}ctorch\nSize\nK\x01s.",  # as key
        b"\x80\x02}))s.",
        b"\x80\x02K\x01r\xff\xff\xff\xff0j\xff\xff\xff\xfe.",  # memo far away
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",  # 8 EiB of bytes
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x05\x97.",  # a buffer from elsewhere
        b"\x80\x02]q\x00h\x00a.",  # a list in itself
        b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".",
        b"\x80\x02]2a2a2a.",  # a list in itself, three times
        b"S'\\.'\n.",  # an escape that Python warns about
        b"I" + b"9" * 9000 + b"\n.",
    ],
)
def test_other_tricks(tmp_path: Path, data: bytes) -> None:
    for content in (data, torch_zip(data)):
        path = tmp_path / "hostile.pkl"
        path.write_bytes(content)
        with pytest.raises(CheckpointCorrupt), nothing_happens():
            load_state_dicts(path)


def test_lists_that_multiply_are_cut_off(tmp_path: Path) -> None:
    level: list[Any] = [1]
    for _ in range(28):
        level = [level, level, level]
    path = tmp_path / "bomb.pkl"
    path.write_bytes(pickle.dumps({"G": level}))
    with pytest.raises(CheckpointCorrupt, match="nested without end"):
        load_state_dicts(path)


def test_tensors_larger_than_the_file_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.save({"w": torch.zeros(1)}, stream, _use_new_zipfile_serialization=False)
    data = stream.getvalue()
    cases = [data.replace(b"K\x01N", b"J\xff\xff\xff\x7fN", 1)]  # count of the storage
    stretched = torch.zeros(1).expand(10**9)
    cases.append(pickle.dumps({"w": stretched}))
    for case in cases:
        assert case != data
        (tmp_path / "bomb").write_bytes(case)
        with pytest.raises(CheckpointCorrupt, match="fit"):
            load_state_dicts(tmp_path / "bomb")


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"0" * 10**6)
    with pytest.raises(CheckpointCorrupt, match="compressed"):
        load_state_dicts(tmp_path / "bomb")


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change, delete, insert or repeat up to four short pieces."""
    result = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(result))
        end = at + rng.randint(1, 6)
        kind = rng.randrange(4)
        if kind == 0:
            result[at] = rng.randrange(256)
        elif kind == 1:
            del result[at:end]
        elif kind == 2:
            result[at:at] = rng.randbytes(end - at)
        else:
            result[at:at] = result[at : at + 40]
    return bytes(result)


def test_damaged_files_give_only_the_documented_errors(tmp_path: Path, official: Any) -> None:
    module = torch.nn.Linear(2, 2)
    sources = [official({"G": module}), official({"G": module}, protocol=2)]
    for new_format in (True, False):
        stream = io.BytesIO()
        state = module.state_dict()
        torch.save(state, stream, _use_new_zipfile_serialization=new_format)
        sources.append(stream.getvalue())
    header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    sources.append(len(header).to_bytes(8, "little") + header + b"12345678")
    path = tmp_path / "mutant"
    for source in sources:
        path.write_bytes(source)
        assert load_state_dicts(path)
    rng = random.Random(0)  # noqa: S311
    outcomes = {"read": 0, "refused": 0}
    for round_ in range(2000):
        path.write_bytes(mutate(sources[round_ % len(sources)], rng))
        with nothing_happens():
            try:
                load_state_dicts(path)
                outcomes["read"] += 1
            except CheckpointError:
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 50, outcomes


def test_a_header_of_another_encoding_is_refused(tmp_path: Path) -> None:
    # safetensors are UTF-8; json guesses the encoding of bytes, and imports a codec the file named
    header = '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    for encoding in ("utf-16-le", "utf-32-le"):
        text = header.encode(encoding)
        path = tmp_path / "model"
        path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
        with pytest.raises(CheckpointCorrupt, match="safetensors"), nothing_happens():
            load_state_dicts(path)
