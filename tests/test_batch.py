"""Folders: what is found, where it goes, and that one bad photo stays one bad photo."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonyface.batch import find_images, output_path, plan, process
from anonyface.claims import claim
from anonyface.errors import FaceError, InputError, WeightsMissing
from anonyface.media.images import load_image
from anonyface.result import AnonymizeResult


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Photos of several kinds in nested folders; the working folder is their parent."""
    for name in (
        "trip/b.jpg",
        "trip/a.PNG",
        "trip/a.anon.png",
        "trip/notes.txt",
        "trip/.hidden.jpg",
        "trip/.cache/c.jpg",
        "trip/day2/c.jpg",
        "trip/day2/deep/d.webp",
        "other/b.jpg",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".txt":
            Image.new("RGB", (8, 6), (200, 100, 50)).save(path)
        else:
            path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invert(image, *, keep=(), only=()):
    """Stand in for an Anonymizer: the negative of the photo."""
    source = load_image(image)
    return AnonymizeResult(255 - source.pixels, (), {}, 0.0, source)


def names(paths):
    return [path.as_posix() for path in paths]


def test_folders_give_their_photos_in_order(tree):
    expected = ["trip/a.PNG", "trip/b.jpg", "trip/day2/c.jpg", "trip/day2/deep/d.webp"]
    assert names(find_images(["trip"])) == expected
    assert names(find_images(["trip"], recursive=False)) == expected[:2]


def test_named_files_are_taken_as_they_are(tree):
    given = ["trip/notes.txt", "trip/.hidden.jpg", "trip/b.jpg"]
    assert names(find_images(given)) == given


def test_each_photo_comes_once(tree):
    given = ["trip/b.jpg", tree / "trip" / "b.jpg", "trip"]
    assert names(find_images(given, recursive=False)) == ["trip/b.jpg", "trip/a.PNG"]


def test_a_second_glob_does_not_take_the_results(tree):
    (tree / "x.gif").touch()
    (tree / "x.gif.anon.png").touch()
    assert names(find_images(["trip/a.PNG", "trip/a.anon.png"])) == ["trip/a.PNG"]
    assert names(find_images(["x.gif.anon.png", "x.gif"])) == ["x.gif"]
    assert names(find_images(["trip/a.anon.png"])) == ["trip/a.anon.png"]


def test_links_to_folders_are_not_followed(tree):
    (tree / "trip" / "loop").symlink_to(tree / "trip")
    assert len(find_images(["trip"])) == 4


def test_a_missing_path_is_an_error(tree):
    with pytest.raises(InputError, match=r"^nowhere: no such file or folder$"):
        find_images(["trip", "nowhere"])


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        ("photo.jpg", "photo.anon.jpg"),
        ("photo.JPG", "photo.anon.JPG"),
        ("photo.jpeg", "photo.anon.jpeg"),
        ("photo.png", "photo.anon.png"),
        ("photo.tiff", "photo.anon.tiff"),
        ("photo.heic", "photo.anon.heic"),
        ("photo.HEIF", "photo.anon.HEIF"),
        ("photo.avif", "photo.anon.avif"),
        ("photo.jp2", "photo.jp2.anon.jpg"),
        ("photo.gif", "photo.gif.anon.png"),
        ("photo", "photo.anon.jpg"),
        ("a.b.jpg", "a.b.anon.jpg"),
        ("in/photo.jpg", "in/photo.anon.jpg"),
    ],
)
def test_output_path_beside_the_photo(photo, expected):
    assert output_path(Path(photo)).as_posix() == expected


def test_output_path_in_a_folder():
    photo = Path("trip/day2/c.jpg")
    out = Path("out")
    assert output_path(photo, out_dir=out).as_posix() == "out/c.anon.jpg"
    assert output_path(photo, out_dir=out, root=Path("trip")).as_posix() == "out/day2/c.anon.jpg"
    with pytest.raises(ValueError, match="subpath"):
        output_path(photo, out_dir=out, root=Path("other"))


def test_one_folder_is_mirrored(tree):
    jobs = plan(["trip"], output=Path("out"))
    assert names(job.output for job in jobs) == [
        "out/a.anon.PNG",
        "out/b.anon.jpg",
        "out/day2/c.anon.jpg",
        "out/day2/deep/d.anon.webp",
    ]
    assert [job.name for job in jobs] == ["a.PNG", "b.jpg", "day2/c.jpg", "day2/deep/d.webp"]


def test_several_folders_get_a_folder_each(tree, monkeypatch):
    outputs = [str(job.output) for job in plan(["trip", "other"], output=Path("out"))]
    assert "out/trip/b.anon.jpg" in outputs
    assert "out/other/b.anon.jpg" in outputs
    monkeypatch.chdir(tree / "trip")
    jobs = plan(["..", "../other"], output=Path("o"))
    assert all(".." not in job.output.parts for job in jobs)


def test_two_photos_never_share_an_output(tree):
    with pytest.raises(InputError, match=r"trip/b.jpg and other/b.jpg would both"):
        plan(["trip/b.jpg", "other/b.jpg"], output=Path("out"))
    for name in ("p.jpg", "p.jpeg", "p.png", "p.heic", "p.avif", "p.gif"):
        (tree / "other" / name).touch()
    outputs = [job.output for job in plan(["other"])]
    assert len(set(outputs)) == len(outputs) == 7


def test_output_may_be_a_file_for_one_photo(tree):
    (job,) = plan(["trip/b.jpg"], output=Path("new.png"))
    assert job.output == Path("new.png")
    with pytest.raises(InputError, match="one file for 4 photos"):
        plan(["trip"], output=Path("new.png"))
    with pytest.raises(InputError, match="not one that can be written"):
        plan(["trip/b.jpg"], output=Path("new.gif"))
    with pytest.raises(InputError, match="refusing to overwrite the input"):
        plan(["trip/b.jpg"], output=tree / "trip" / "b.jpg")
    with pytest.raises(InputError, match="no folder"):
        plan(["trip/b.jpg"], output=Path("nowhere/new.png"))


def test_output_may_not_be_another_file(tree):
    with pytest.raises(InputError, match="can't make the folder"):
        plan(["trip"], output=Path("trip/notes.txt"))


def test_nothing_to_do_is_an_error(tree):
    (tree / "empty").mkdir()
    with pytest.raises(InputError, match=r"^no images in empty$"):
        plan(["empty"])


def test_process_writes_every_result(tree):
    before = (tree / "trip" / "a.PNG").read_bytes()
    results = list(process(invert, plan(["trip"], output=Path("out"))))
    assert [r.status for r in results] == ["done"] * 4
    assert all(r.output.is_file() and r.error is None for r in results)
    assert np.array_equal(load_image("out/a.anon.PNG").pixels[0, 0], [55, 155, 205])
    assert (tree / "trip" / "a.PNG").read_bytes() == before


@pytest.mark.parametrize("error", [InputError("bad"), FaceError("no", stage="mesh"), KeyError(3)])
def test_a_failure_does_not_stop_the_rest(tree, error):
    def fail_on_b(image, *, keep, only):
        if image.name == "b.jpg":
            raise error
        return invert(image)

    results = list(process(fail_on_b, plan(["trip"])))
    assert [r.status for r in results] == ["done", "failed", "done", "done"]
    failed = results[1]
    assert failed.error is error
    assert failed.output is failed.result is None
    assert not (tree / "trip" / "b.anon.jpg").exists()


def test_a_missing_model_stops_at_once(tree):
    calls = []

    def no_model(image, *, keep, only):
        calls.append(image)
        raise WeightsMissing("detector", Path("detector.onnx"))

    with pytest.raises(WeightsMissing):
        list(process(no_model, plan(["trip"])))
    assert len(calls) == 1


def test_what_exists_is_skipped_unless_asked(tree):
    def never(image, *, keep, only):
        raise AssertionError(image)

    list(process(invert, plan(["trip"])))
    stamps = {job.output: job.output.stat().st_mtime_ns for job in plan(["trip"])}
    again = list(process(never, plan(["trip"])))
    assert [r.status for r in again] == ["skipped"] * 4
    assert {r.output: r.output.stat().st_mtime_ns for r in again} == stamps
    made_anew = list(process(invert, plan(["trip"]), overwrite=True))
    assert [r.status for r in made_anew] == ["done"] * 4


def test_keep_and_only_reach_the_anonymizer(tree):
    seen = []

    def note(image, *, keep, only):
        seen.append((keep, only))
        return invert(image)

    list(process(note, plan(["trip/b.jpg"]), keep=(0, 2)))
    list(process(note, plan(["trip/b.jpg"]), only=(1,), overwrite=True))
    assert seen == [((0, 2), ()), ((), (1,))]


# --- runs that are killed, meet each other, or have no room --------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {places!r}
from test_batch import invert
from anonyface.batch import plan, process
os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
list(process(invert, plan(["trip"])))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_what_a_killed_run_left_is_removed_by_the_next(tree):
    here = Path(__file__).parent
    code = KILLED.format(places=[str(here), str(here.parent)])
    done = subprocess.run([sys.executable, "-c", code], cwd=tree, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = (tree / "trip").glob(".*.tmp")
    assert left.name.startswith(".a.anon.PNG.")
    assert left.stat().st_size > 0
    list(process(invert, plan(["trip"])))
    assert not list((tree / "trip").rglob("*.tmp"))
    assert (tree / "trip" / "a.anon.PNG").is_file()


def test_a_leftover_beside_a_finished_result_is_removed_too(tree):
    list(process(invert, plan(["trip/b.jpg"])))
    left = tree / "trip" / ".b.anon.jpg.01234567.tmp"
    left.write_bytes(b"half")
    (result,) = process(invert, plan(["trip/b.jpg"]))
    assert result.status == "skipped"
    assert not left.exists()


def test_only_leftovers_of_the_job_are_removed(tree):
    strange = [".b.anon.jpg.tmp", ".b.anon.jpg.0123456.tmp", ".c.anon.jpg.01234567.tmp", "x.tmp"]
    for name in strange:
        (tree / "trip" / name).touch()
    (tree / "trip" / ".b.anon.jpg.89abcdef.tmp").mkdir()
    list(process(invert, plan(["trip/b.jpg"])))
    assert all((tree / "trip" / name).exists() for name in strange)
    assert (tree / "trip" / ".b.anon.jpg.89abcdef.tmp").is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_photo_another_run_is_at_work_on_comes_last_and_is_not_done_twice(tree):
    jobs = plan(["trip"])
    order = []

    def note(image, *, keep, only):
        order.append(image.name)
        return invert(image)

    with claim(jobs[0].path) as claimed:
        assert claimed == "held"
        with claim(jobs[0].path) as again:
            assert again == "busy"
        run = process(note, jobs)
        assert [next(run).name for _ in range(3)] == [job.name for job in jobs[1:]]
        jobs[0].output.write_bytes(b"the other run's result")
    (last,) = run
    assert (last.name, last.status) == ("a.PNG", "skipped")
    assert order == ["b.jpg", "c.jpg", "d.webp"]
    assert jobs[0].output.read_bytes() == b"the other run's result"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_photo_another_run_gave_up_on_is_done(tree):
    (job,) = plan(["trip/b.jpg"])
    with claim(job.path):
        run = process(invert, [job])
        results = []
        thread = threading.Thread(target=lambda: results.extend(run))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
    thread.join(10)
    assert [r.status for r in results] == ["done"]


def test_runs_at_the_same_time_share_the_work(tree):
    for number in range(30):
        Image.new("RGB", (30, 20), (number, 0, 0)).save(tree / "other" / f"{number}.png")
    calls = []

    def note(image, *, keep, only):
        calls.append(image.name)
        return invert(image)

    results = [[], [], []]
    threads = [
        threading.Thread(target=lambda out=out: out.extend(process(note, plan(["other"]))))
        for out in results
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [len(out) for out in results] == [31] * 3
    assert not [r.error for out in results for r in out if r.error]
    assert not list((tree / "other").glob(".*"))
    if sys.platform != "win32":
        assert len(calls) == len(set(calls)) == 31


def test_a_full_disk_is_an_error_and_leaves_nothing(tree, monkeypatch):
    resource = pytest.importorskip("resource")
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    Image.fromarray(noise).save(tree / "trip" / "large.png")
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
        results = list(process(invert, plan(["trip"])))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    failed = {r.name for r in results if r.status == "failed"}
    assert failed == {"large.png"}
    assert all(isinstance(r.error, InputError) for r in results if r.error)
    assert not list((tree / "trip").rglob("*.tmp"))
    assert not (tree / "trip" / "large.anon.png").exists()
    again = list(process(invert, plan(["trip"])))
    assert {r.name for r in again if r.status == "done"} == failed


def test_a_folder_that_is_not_writable_is_told_before_the_work(tree, monkeypatch):
    def never(image, *, keep, only):
        raise AssertionError(image)

    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: allowed(path, mode) and not mode & os.W_OK)
    with pytest.raises(InputError, match=r"^can't write into out: the folder is not writable$"):
        plan(["trip"], output=Path("out"))
    results = list(process(never, plan(["trip"])))
    assert all("is not writable" in str(r.error) for r in results)


def test_a_name_too_long_for_its_result_fails_alone(tree):
    long = tree / "trip" / ("n" * 251 + ".jpg")
    Image.new("RGB", (8, 6)).save(long)
    results = list(process(invert, plan(["trip"])))
    assert [r.status for r in results].count("done") == 4
    (failed,) = (r for r in results if r.status == "failed")
    assert failed.path.name == long.name
    assert isinstance(failed.error, InputError)


@pytest.mark.parametrize("name", ["n" * 300, "null\0byte", "ring"])
def test_paths_the_system_refuses_are_input_errors(tree, name):
    (tree / "ring").symlink_to(tree / "ring")
    with pytest.raises(InputError) as caught:
        find_images([name])
    assert len(str(caught.value).splitlines()) == 1


def test_an_empty_result_is_none(tree):
    (tree / "trip" / "b.anon.jpg").touch()
    (result,) = process(invert, plan(["trip/b.jpg"]))
    assert result.status == "done"
    assert (tree / "trip" / "b.anon.jpg").stat().st_size > 0


def test_a_folder_in_the_place_of_a_result_is_an_error(tree):
    (tree / "trip" / "b.anon.jpg").mkdir()
    (result,) = process(invert, plan(["trip/b.jpg"]))
    assert "it is a folder" in str(result.error)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_does_not_hang_a_claim(tree):
    os.mkfifo(tree / "pipe.jpg")
    with claim(tree / "pipe.jpg") as claimed:
        assert claimed == "unlocked"
