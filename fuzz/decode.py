"""Feed decoder, metadata readers and writers whatever comes: a right result or an InputError.

``python fuzz/decode.py -max_total_time=60`` in the root of the repository; needs ``pip install
atheris`` (Linux or macOS, CPython). Options are those of libFuzzer. It starts from small files of
most kinds of the corpus; what makes it stop is written to ``fuzz/found/``. Without atheris,
``tests/robustness`` does the same with less aim.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # run as a script, the folder of the script comes first
    sys.path.insert(0, str(ROOT))

MAX_PIXELS = 300_000
MAX_BYTES = 400_000
SEED_BYTES = 60_000
"""Larger seeds slow the fuzzer down more than they teach it."""
SUFFIX_OF = {"PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "AVIF": ".avif"}
TIMEOUT_S = 30
DEFAULTS = {
    "-max_total_time": "60",
    "-timeout": str(TIMEOUT_S),
    "-rss_limit_mb": "3000",
    "-max_len": str(MAX_BYTES),
}


def judge(data: bytes, folder: Path) -> str:
    """Read a file and write it again under every policy.

    Args:
        data: Any bytes.
        folder: Where results go; nothing but results may be there afterwards.

    Returns:
        "refused" or "done".

    Raises:
        AssertionError: If an error is not one line, or a result is not the photo that was read.
        Exception: Whatever escapes; only `InputError` may be raised on bad input.
    """
    from anonyface.errors import InputError
    from anonyface.media.images import load_image, save_image
    from anonyface.types import MetadataPolicy

    try:
        source = load_image(data, max_pixels=MAX_PIXELS, max_bytes=MAX_BYTES)
    except InputError as error:
        check(len(str(error).splitlines()) == 1, f"not one line: {error!r}")
        return "refused"
    height, width = source.image_hw
    check(0 < height * width <= MAX_PIXELS, f"{source.image_hw} is over the limit")
    target = folder / f"result{SUFFIX_OF.get(source.format or '', '.jpg')}"
    for policy in get_args(MetadataPolicy):
        target.unlink(missing_ok=True)
        changed = source.with_result(source.pixels)
        try:
            save_image(source.pixels, target, source=changed, metadata=policy)
        except InputError as error:  # the format has limits of its own
            check(len(str(error).splitlines()) == 1, f"not one line: {error!r}")
            check(not any(folder.iterdir()), "a failed write left something")
            continue
        check([p.name for p in folder.iterdir()] == [target.name], "more than the result is there")
        again = load_image(target)
        check(again.image_hw == source.image_hw, f"{source.image_hw} became {again.image_hw}")
        if target.suffix in (".png", ".bmp", ".tif"):
            check(np.array_equal(again.pixels, source.pixels), "other pixels")
    target.unlink(missing_ok=True)
    return "done"


def check(right: bool, problem: str) -> None:
    """Raise AssertionError unless something is right; `assert` would vanish under ``-O``."""
    if not right:
        raise AssertionError(problem)


def seeds() -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of small files of most kinds of the corpus, made of no person at all."""
    from benchmarks.corpus.kinds import Sitter
    from benchmarks.corpus.registry import GROUPS

    y, x = np.mgrid[:36, :48]
    photo = np.stack([5 * x, 7 * y, 255 - 5 * x], axis=2).astype(np.uint8)
    sitter = Sitter(photo, np.ones((36, 48), bool))
    for group in ("hides a face", "says too much", "pixel formats", "broken"):
        for kind in GROUPS[group]:
            if "bomb" in kind.name or "megapixel" in kind.name or "3,000" in kind.name:
                continue
            try:
                data = kind.build(sitter)
            except ImportError:  # HEIC needs a package that is an extra
                continue
            if len(data) <= SEED_BYTES:
                yield kind.name, data


def fuzz(arguments: list[str]) -> None:
    """Run libFuzzer; it ends the process itself, with code 0 when the time is over.

    Raises:
        SystemExit: If atheris is not installed.
    """
    try:
        import atheris
    except ImportError:
        sys.exit("fuzzing needs `pip install atheris` (Linux or macOS, CPython)")
    with atheris.instrument_imports(include=["anonyface.media", "PIL"]):
        import anonyface.media.images  # noqa: F401
    place = Path(tempfile.mkdtemp())
    corpus, results = place / "corpus", place / "results"
    corpus.mkdir()
    results.mkdir()
    for _, data in seeds():
        (corpus / hashlib.sha256(data).hexdigest()).write_bytes(data)
    found = ROOT / "fuzz" / "found"
    found.mkdir(exist_ok=True)
    given = {argument.partition("=")[0] for argument in arguments}
    more = [f"{name}={value}" for name, value in DEFAULTS.items() if name not in given]

    def one(data: bytes) -> None:
        judge(data, results)

    prefix = f"-artifact_prefix={found}/"
    atheris.Setup([sys.argv[0], *more, prefix, *arguments, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz(sys.argv[1:])
