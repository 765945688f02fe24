"""Strange and broken files in a folder run; ``benchmarks.reliability`` does all, with people."""

import threading

import pytest

from anonyface.batch import Job, output_path, process
from anonyface.errors import AnonyfaceError
from benchmarks.carver import carve
from benchmarks.corpus.kinds import Kind
from benchmarks.corpus.registry import GROUPS
from benchmarks.kept import lost
from benchmarks.remains import NAMES, words_left

from .conftest import make_fake

SLOW = ("bomb in", "121 megapixels", "jpeg of 65,500", "20,000")
DANGEROUS = ("endless device", "40 GB hole")  # a failing check would take the machine along
HEAVY = [*GROUPS["says too much"], *GROUPS["hides a face"][1::5]]
LIGHT = [
    kind
    for group in ("pixel formats", "broken", "strange places")
    for kind in GROUPS[group]
    if not any(word in kind.name for word in SLOW) and kind.name not in DANGEROUS
]


def run(kind, policy, sitter, folder):
    """Anonymize one kind of file as in a folder run; in a thread, to outlive a hang."""
    if kind.suffix in (".heic", ".heif"):
        pytest.importorskip("pillow_heif")
    path = kind.write(sitter, folder / "in")
    out = folder / "out"
    out.mkdir()
    target = output_path(path, out_dir=out)
    jobs, done = [Job(path, target, path.name)], []
    anonymizer = make_fake(metadata=policy)
    thread = threading.Thread(target=lambda: done.extend(process(anonymizer, jobs)), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "hangs"
    (result,) = done
    written = [target] if result.status == "done" else []
    assert list(out.iterdir()) == written
    if result.status == "failed":
        assert kind.expected != "ok", result.error
        assert isinstance(result.error, AnonyfaceError), repr(result.error)
        assert len(str(result.error).splitlines()) == 1
        return None
    assert kind.expected != "error"
    assert {name for name, gone in lost(target, kind.keeps, sitter).items() if gone} == set()
    return target


@pytest.mark.parametrize("kind", LIGHT, ids=lambda kind: kind.name)
def test_a_right_result_or_one_line(kind, nobody, tmp_path):
    run(kind, "clean", nobody, tmp_path)


@pytest.mark.parametrize("policy", ["clean", "keep"])
@pytest.mark.parametrize("kind", HEAVY, ids=lambda kind: kind.name)
def test_one_picture_and_nothing_about_people(kind, policy, nobody, tmp_path):
    target = run(kind, policy, nobody, tmp_path)
    if target is None:
        return
    haul = carve(target.read_bytes())
    assert len(haul.pictures) == 1
    groups = (*NAMES, "iptc") if policy == "clean" else NAMES
    assert words_left(haul, groups=tuple(groups)) == []


def test_the_checks_notice_a_copied_file(nobody, tmp_path):
    """What would pass a file through must fail every check above."""
    for number, kind in enumerate(k for k in HEAVY[::3] if k.suffix != ".heic"):
        path = kind.write(nobody, tmp_path / str(number))
        haul = carve(path.read_bytes())
        said = words_left(haul, groups=(*NAMES, "iptc"))
        assert len(haul.pictures) > 1 or said, kind.name


def test_a_lost_property_is_noticed(nobody, tmp_path):
    by_name = {kind.name: kind for kind in GROUPS["pixel formats"]}
    plain = by_name["jpeg 4:4:4"].write(nobody, tmp_path)
    for name, problem in (
        ("png 16 bits RGB", "bit depth"),
        ("png RGBA", "alpha"),
        ("jpeg P3", "profile"),
        ("jpeg grey", "grey"),
    ):
        assert lost(plain, by_name[name].keeps, nobody)[problem]
    turned = Kind("turned", ".jpg", lambda s: by_name["jpeg orientation 6"].build(s)[:2]
                  + s.jpeg[2:]).write(nobody, tmp_path)  # fmt: skip
    assert not any(lost(turned, by_name["jpeg orientation 6"].keeps, nobody).values())
    stored = by_name["jpeg orientation 6"].build(nobody).replace(b"Exif\0\0", b"Exit\0\0")
    turned.write_bytes(stored)
    wrong = lost(turned, by_name["jpeg orientation 6"].keeps, nobody)
    assert wrong["size and orientation"]
    assert wrong["picture"]
