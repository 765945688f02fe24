"""Feed the checkpoint reader whatever comes: tensors, or a CheckpointError, and nothing runs.

``python fuzz/checkpoint.py -max_total_time=60`` in the root of the repository; needs torch and
``pip install atheris`` (Linux or macOS, CPython). Options are those of libFuzzer. It starts from a
small file of each format; what makes it stop is written to ``fuzz/found/``. Without atheris,
``tests/generators/test_hostile_checkpoint.py`` does the same with less aim.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # run as a script, the folder of the script comes first
    sys.path.insert(0, str(ROOT))

FORBIDDEN = ("pickle.find_class", "import", "exec", "compile", "os.", "subprocess.", "socket.")
"""Audit events that reading a file must not raise: each one is a step towards running it."""
CODECS = ("unicode_escape", "raw_unicode_escape", "latin-1", "ascii", "utf-8", "cp437")
MAX_GROWTH = 4
"""Bytes of tensors a byte of the file may become; arrays are copied once, float16 never grows."""
DEFAULTS = {"-max_total_time": "60", "-timeout": "30", "-rss_limit_mb": "3000", "-max_len": "20000"}


class Watch:
    """Notes what Python's audit hook reports while it is switched on."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        for codec in CODECS:  # imported when they are first used, by nobody's bidding
            "".encode(codec)
        sys.addaudithook(self._note)  # a hook can't be taken off again

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event.startswith(FORBIDDEN):
            self.seen.append(f"{event} {arguments[:1]!r}")

    def __enter__(self) -> Watch:
        self.seen.clear()
        self.on = True
        return self

    def __exit__(self, *_: object) -> None:
        self.on = False


def judge(data: bytes, watch: Watch, path: Path) -> str:
    """Read a checkpoint and try to make a generator of it.

    Args:
        data: Any bytes.
        watch: Notes what happens meanwhile.
        path: Where to put them.

    Returns:
        "unsafe" (a global was refused), "refused", "read", or "built".

    Raises:
        AssertionError: If an error is not one line, tensors outgrow the file, or the file had
            something run.
        Exception: Whatever escapes; only `CheckpointError` may be raised on bad input.
    """
    from generators.checkpoint import CheckpointError, UnsafeGlobal, load_networks
    from generators.settings import build_generator, pick_network

    path.write_bytes(data)
    result = "refused"
    try:
        with watch:
            networks = load_networks(path)
        result = "read"
        tensors = [t for network in networks.values() for t in network.tensors.values()]
        blocks = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
        check(sum(blocks.values()) <= MAX_GROWTH * len(data), "tensors larger than the file")
        build_generator(pick_network(networks))
        result = "built"
    except UnsafeGlobal as error:
        name = f"{error.module}.{error.name}"
        check(name in str(error) or not name.isprintable(), f"no name: {error!r}")
        result = "unsafe"
    except CheckpointError as error:
        check(len(str(error).splitlines()) <= 1, f"not one line: {error!r}")
    check(not watch.seen, f"the file had something run: {watch.seen[:3]}")
    return result


def check(right: bool, problem: str) -> None:
    """Raise AssertionError unless something is right; `assert` would vanish under ``-O``."""
    if not right:
        raise AssertionError(problem)


def seeds() -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of a small generator in every format, and of a payload."""
    import torch

    from generators.stylegan2_ada import Generator

    torch.manual_seed(0)
    tiny = Generator(z_dim=2, w_dim=2, img_resolution=8, mapping_layers=1, channel_max=1)
    state = OrderedDict(tiny.state_dict())
    for new_format in (True, False):
        stream = io.BytesIO()
        torch.save(state, stream, _use_new_zipfile_serialization=new_format)
        yield f"torch, zip {new_format}", stream.getvalue()
    for protocol in (2, 4):
        yield f"pickle {protocol}", pickle.dumps({"G_ema": state}, protocol)
        yield f"payload {protocol}", pickle.dumps({"G": print, "state": state}, protocol)
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    yield "arrays", pickle.dumps(arrays, 4)
    yield "safetensors", _safetensors({f"G.{k}": v for k, v in arrays.items()})


def _safetensors(arrays: dict[str, Any]) -> bytes:
    header: dict[str, Any] = {}
    body = b""
    for name, array in arrays.items():
        span = [len(body), len(body) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": span}
        body += array.tobytes()
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def fuzz(arguments: list[str]) -> None:
    """Run libFuzzer; it ends the process itself, with code 0 when the time is over.

    Raises:
        SystemExit: If atheris is not installed.
    """
    try:
        import atheris
    except ImportError:
        sys.exit("fuzzing needs `pip install atheris` (Linux or macOS, CPython)")
    with atheris.instrument_imports(include=["generators"]):
        import generators.checkpoint
        import generators.settings  # noqa: F401
    place = Path(tempfile.mkdtemp())
    corpus = place / "corpus"
    corpus.mkdir()
    for _, data in seeds():
        (corpus / hashlib.sha256(data).hexdigest()).write_bytes(data)
    found = ROOT / "fuzz" / "found"
    found.mkdir(exist_ok=True)
    given = {argument.partition("=")[0] for argument in arguments}
    more = [f"{name}={value}" for name, value in DEFAULTS.items() if name not in given]
    watch = Watch()

    def one(data: bytes) -> None:
        judge(data, watch, place / "checkpoint")

    atheris.Setup([sys.argv[0], *more, f"-artifact_prefix={found}/", *arguments, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz(sys.argv[1:])
