"""The command line: what it writes, what it says, and its exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from anonyface import cli
from anonyface.commands import options
from anonyface.config import Config
from anonyface.errors import FaceError, InputError, WeightsCorrupt, WeightsMissing
from anonyface.media.images import load_image
from anonyface.result import AnonymizeResult, FaceOutcome
from anonyface.types import Face
from anonyface.weights import ModelRecord

MAKE_ANONYMIZER = options.make_anonymizer  # the real one; most tests here put a fake in its place


def face(score=0.98):
    return Face([1, 2, 30, 40], np.zeros((5, 2)), score, 0.9, 33)


class FakeAnonymizer:
    """Makes negatives; finds two faces, replaces the first and covers the second."""

    def __init__(self):
        self.calls = []
        self.faces = (face(), face(0.7))

    def __call__(self, image, *, keep=(), only=(), keep_largest=0, keep_central=False):
        self.calls.append((image.name, keep, only))
        source = load_image(image)
        if "face_error" in image.name:
            raise FaceError("no mesh", stage="landmarks")
        if "bug" in image.name:
            raise ZeroDivisionError("float division\nby zero")
        outcomes = tuple(
            FaceOutcome(found, action, "because")
            for found, action in zip(self.faces, ("replaced", "redacted"), strict=False)
        )
        settings = Config().as_dict()
        return AnonymizeResult(255 - source.pixels, outcomes, settings, 0.1, source)

    def detect(self, image):
        load_image(image)
        return self.faces


class Made:
    """What the command line asked for."""

    def __init__(self):
        self.anonymizer = FakeAnonymizer()
        self.config = self.protect = self.denylist = self.swapper = None

    def make(self, config, *, protect=(), denylist=(), swapper=None):
        self.config, self.swapper = config, swapper
        self.protect, self.denylist = protect, denylist
        if "gone.jpg" in protect:
            raise InputError("gone.jpg: No such file or directory")
        return self.anonymizer


@pytest.fixture
def made(monkeypatch):
    made = Made()
    monkeypatch.setattr(options, "make_anonymizer", made.make)
    monkeypatch.setattr("anonyface.report.manifest", dict)
    return made


@pytest.fixture
def photos(tmp_path, monkeypatch):
    (tmp_path / "album").mkdir()
    for name in ("photo.jpg", "album/a.png", "album/b.png"):
        Image.new("RGB", (16, 12), (10, 20, 30)).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys):
    """Return a function arguments -> (exit code, stdout, stderr)."""

    def run_main(*arguments):
        code = cli.main(arguments)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err or "--debug" in arguments
        return code, captured.out, captured.err

    return run_main


def bad_use(run, *arguments):
    """Return the one line on stderr of a call that must end with exit code 2."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("anonyface: ")
    assert err.count("\n") == 1
    return err


# --- the main job -------------------------------------------------------------------------------


def test_a_photo(run, made, photos):
    code, out, err = run("photo.jpg")
    assert (code, err) == (0, "")
    assert out == "photo.jpg -> photo.anon.jpg: 2 faces: 1 replaced, 1 covered\n"
    assert abs(int(load_image("photo.anon.jpg").pixels[0, 0, 0]) - 245) < 3
    assert made.config == Config()
    assert made.protect == ()


def test_counts_in_words(run, made, photos):
    made.anonymizer.faces = (face(),)
    assert run("photo.jpg")[1].endswith(": 1 face: 1 replaced\n")
    made.anonymizer.faces = ()
    assert run("photo.jpg", "--overwrite")[1].endswith(": no faces found\n")


def test_a_folder(run, made, photos):
    code, out, err = run("album", "-o", "out")
    assert (code, err) == (0, "")
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "album/a.png -> out/a.anon.png",
        "album/b.png -> out/b.anon.png",
    ]
    assert sorted(p.name for p in (photos / "out").iterdir()) == ["a.anon.png", "b.anon.png"]


def test_options_reach_the_anonymizer(run, made, photos):
    options = "--protect me.jpg --protect you.jpg --keep 0,2 --keep 5 --method pixelate "
    options += "--detail thorough --on-failure raise --seed 7 --threads 2 -o new.png"
    assert run("photo.jpg", *options.split())[0] == 0
    expected = Config(method="pixelate", detail="thorough", on_failure="raise", seed=7, threads=2)
    assert made.config == expected
    assert made.protect == ("me.jpg", "you.jpg")
    assert made.denylist == ()
    assert made.anonymizer.calls == [("photo.jpg", (0, 2, 5), ())]
    assert (photos / "new.png").exists()
    assert made.swapper is None
    run("photo.jpg", "--only", "1", "--region", "eyes", "--swapper", "my.onnx")
    assert (made.config.region, made.swapper) == ("eyes", Path("my.onnx"))
    assert made.anonymizer.calls[1] == ("photo.jpg", (), (1,))


def test_the_deny_list_reaches_the_anonymizer(run, made, photos, monkeypatch):
    assert run("photo.jpg", "--denylist", "star.jpg", "--denylist", "stars.gallery")[0] == 0
    assert (made.denylist, made.protect) == (("star.jpg", "stars.gallery"), ())
    monkeypatch.setattr(options, "open_gallery", lambda path: f"opened {path}")
    monkeypatch.setattr("anonyface.api.Anonymizer", lambda **given: given)
    given = MAKE_ANONYMIZER(Config(), denylist=made.denylist, protect=("me.jpg",))
    assert given["denylist"] == ["star.jpg", "opened stars.gallery"]
    assert given["protect"] == ["me.jpg"]


def test_results_are_not_made_twice(run, made, photos):
    run("photo.jpg")
    code, out, _ = run("photo.jpg")
    assert code == 0
    assert out == "photo.jpg: skipped, photo.anon.jpg exists (--overwrite makes it anew)\n"
    assert len(made.anonymizer.calls) == 1
    run("photo.jpg", "--overwrite")
    assert len(made.anonymizer.calls) == 2


def test_quiet_is_quiet(run, made, photos):
    assert run("photo.jpg", "album", "--quiet") == (0, "", "")


def test_a_terminal_gets_a_progress_bar(run, made, photos, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code, out, err = run("album")
    assert code == 0
    assert len(out.splitlines()) == 2
    assert "2/2" in err
    assert run("photo.jpg")[2] == ""
    assert run("album", "--quiet", "--overwrite")[2] == ""


def test_json_to_a_file(run, made, photos):
    (photos / "album" / "broken.png").write_bytes(b"\x89PNG")
    code, _, err = run("photo.jpg", "album", "--json", "report.json")
    assert code == 1
    assert "broken.png" in err
    document = json.loads((photos / "report.json").read_text())
    assert document["schema"] == "anonyface.run/1"
    rows = [(f["file"], f["output"], f["status"]) for f in document["files"]]
    assert rows == [
        ("photo.jpg", "photo.anon.jpg", "done"),
        ("a.png", "a.anon.png", "done"),
        ("b.png", "b.anon.png", "done"),
        ("broken.png", None, "failed"),
    ]
    report = document["files"][0]["report"]
    assert report["file"] == "photo.jpg"
    assert report["counts"] == {"found": 2, "replaced": 1, "redacted": 1, "kept": 0}
    assert document["files"][3]["report"] is None
    assert "broken.png" in document["files"][3]["error"]


def test_json_to_stdout_is_nothing_but_json(run, made, photos):
    code, out, err = run("photo.jpg", "--json", "-")
    assert code == 0
    assert json.loads(out)["files"][0]["status"] == "done"
    assert err == "photo.jpg -> photo.anon.jpg: 2 faces: 1 replaced, 1 covered\n"


# --- failures -----------------------------------------------------------------------------------


def test_a_failing_photo_does_not_stop_a_folder(run, made, photos):
    Image.new("RGB", (4, 4)).save(photos / "album" / "a_bug.png")
    Image.new("RGB", (4, 4)).save(photos / "album" / "a_face_error.png")
    (photos / "album" / "a_text.png").write_text("text")
    code, out, err = run("album")
    assert code == 1
    assert len(out.splitlines()) == 2
    assert err.splitlines() == [
        "anonyface: album/a_bug.png: internal error: ZeroDivisionError: float division by zero",
        "anonyface: album/a_face_error.png: landmarks: no mesh",
        "anonyface: album/a_text.png: not an image, or of an unknown format",
    ]
    assert sorted(p.name for p in (photos / "album").glob("*.anon.*")) == [
        "a.anon.png",
        "b.anon.png",
    ]


def test_exit_code_of_a_single_photo(run, made, photos):
    (photos / "text.png").write_text("text")
    assert "text.png: not an image" in bad_use(run, "text.png")
    Image.new("RGB", (4, 4)).save(photos / "bug.png")
    code, _, err = run("bug.png")
    assert code == 1
    assert err.count("\n") == 1


def test_debug_shows_the_traceback(run, made, photos):
    Image.new("RGB", (4, 4)).save(photos / "bug.png")
    code, _, err = run("bug.png", "--debug")
    assert code == 1
    assert "Traceback" in err
    assert "ZeroDivisionError" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'PHOTO...'"),
        (["nowhere.jpg"], "nowhere.jpg: no such file or folder"),
        (["detcet"], "detcet: no such file or folder"),
        (["photo.jpg", "--what"], "No such option"),
        (["photo.jpg", "--method", "melt"], "'melt' is not one of 'synthetic'"),
        (["photo.jpg", "--seed", "x"], "'x' is not a valid integer range"),
        (["photo.jpg", "--seed", "-1"], "--seed"),
        (["photo.jpg", "--threads", "-1"], "--threads"),
        (["photo.jpg", "--keep", "a"], "expected face numbers such as 0,2, got 'a'"),
        (["photo.jpg", "--keep", "1,,2"], "expected face numbers"),
        (["album", "--keep", "0"], "give one photo"),
        (["album", "--only", "0"], "give one photo"),
        (["photo.jpg", "--protect", "gone.jpg"], "gone.jpg: No such file"),
        (["album", "-o", "one.jpg"], "one.jpg is one file for 2 photos"),
        (["photo.jpg", "-o", "photo.jpg"], "refusing to overwrite the input"),
        (["photo.jpg", "--json", "no/where.json"], "there is no folder no"),
        (["photo.jpg", "--json", "photo.jpg"], "refusing to overwrite the input"),
        (["photo.jpg", "--json", "other.png"], "name of an image"),
        (["detect"], "Missing argument 'PHOTO...'"),
        (["detect", "nowhere.jpg"], "nowhere.jpg: no such file or folder"),
        (["weights", "extra"], "unexpected extra argument"),
    ],
)
def test_bad_use_is_one_line_and_exit_code_2(run, made, photos, arguments, message):
    before = sorted(photos.rglob("*"))
    assert message in bad_use(run, *arguments)
    assert sorted(photos.rglob("*")) == before
    assert made.anonymizer.calls == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("the gallery is empty"), 2),
        (WeightsMissing("detector", "detector.onnx"), 1),
        (RuntimeError("engine\nbroke"), 1),
    ],
)
def test_errors_before_the_first_photo(run, monkeypatch, photos, error, code):
    def fail(config, *, protect=(), denylist=(), swapper=None):
        raise error

    monkeypatch.setattr(options, "make_anonymizer", fail)
    got, out, err = run("photo.jpg")
    assert (got, out) == (code, "")
    assert err.count("\n") == 1
    assert ("internal error: RuntimeError: engine broke" in err) == isinstance(error, RuntimeError)


def test_a_missing_model_during_the_work_stops_it(run, made, photos, monkeypatch):
    def fail(image, *, keep=(), only=(), keep_largest=0, keep_central=False):
        raise WeightsMissing("encoder", "encoder.onnx")

    monkeypatch.setattr(made, "anonymizer", fail)
    code, _, err = run("photo.jpg", "album")
    assert code == 1
    assert err == "anonyface: model 'encoder' is missing: encoder.onnx\n"


def test_interrupting_leaves_no_traceback(run, made, photos, monkeypatch):
    def stop(image, *, keep=(), only=(), keep_largest=0, keep_central=False):
        raise KeyboardInterrupt

    monkeypatch.setattr(made, "anonymizer", stop)
    code, _, err = run("photo.jpg")
    assert code == 1
    assert err.strip() == "anonyface: stopped"


# --- the other commands -------------------------------------------------------------------------


def test_detect(run, made, photos):
    code, out, err = run("detect", "photo.jpg", "--detail", "fast", "--threads", "1")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "photo.jpg: 2 faces"
    assert lines[1].split() == ["#", "x0", "y0", "x1", "y1", "score", "gender", "age"]
    assert lines[2].split() == ["0", "1", "2", "30", "40", "0.98", "female", "33"]
    assert (made.config.detail, made.config.threads) == ("fast", 1)
    assert not list(photos.glob("*.anon.*"))


def test_detect_json(run, made, photos):
    (photos / "text.png").write_text("text")
    code, out, err = run("detect", "photo.jpg", "text.png", "--json")
    assert code == 1
    assert "text.png" in err
    document = json.loads(out)
    assert document["schema"] == "anonyface.detect/1"
    (entry,) = document["files"]
    assert entry["file"] == "photo.jpg"
    assert entry["faces"][1] == {
        "index": 1,
        "box": [1, 2, 30, 40],
        "score": 0.7,
        "gender": "female",
        "p_female": 0.9,
        "age": 33.0,
    }


def test_detect_without_faces_or_estimates(run, made, photos):
    made.anonymizer.faces = ()
    assert run("detect", "photo.jpg")[1] == "photo.jpg: no faces found\n"
    made.anonymizer.faces = (Face([1, 2, 3, 4], np.zeros((5, 2)), 0.5),)
    assert run("detect", "photo.jpg")[1].splitlines()[2].split()[-2:] == ["-", "-"]


def test_a_photo_may_be_called_detect(run, made, photos):
    (photos / "photo.jpg").rename(photos / "detect")
    code, out, _ = run("./detect")
    assert code == 0
    assert out.startswith("detect -> detect.anon.jpg: ")


def test_weights(run, monkeypatch):
    def record(name):
        return ModelRecord(name, f"{name}.onnx", "00" * 32, 12345678, "CC0-1.0", "here", "image")

    def read(name):
        if name == "mesh":
            raise WeightsCorrupt(name, "mesh.onnx", expected="00" * 32, actual="11" * 32)

    models = {name: record(name) for name in ("mesh", "detector")}
    monkeypatch.setattr("anonyface.weights.manifest", lambda: models)
    monkeypatch.setattr("anonyface.weights.read_weights", read)
    code, out, _ = run("weights")
    assert code == 1
    lines = out.splitlines()
    assert lines[0].split() == ["name", "bytes", "licence", "sha256"]
    assert lines[1].split() == ["detector", "12,345,678", "CC0-1.0", "ok"]
    assert "has sha256 1111111111111111, expected 0000000000000000" in lines[2]
    del models["mesh"]
    assert run("weights")[0] == 0


def test_demo(run, photos, monkeypatch):
    class Demo:
        @staticmethod
        def make_demo(out_dir, *, seed, threads):
            assert out_dir.is_dir()
            assert (seed, threads) == (3, 0)
            return out_dir / "before.png", out_dir / "after.png"

    monkeypatch.setitem(sys.modules, "anonyface.demo", Demo)
    code, out, _ = run("demo", "-o", "show", "--seed", "3")
    assert (code, out) == (0, "show/before.png -> show/after.png\n")


# --- help ---------------------------------------------------------------------------------------


def test_help_shows_the_defaults_of_the_config():
    text = CliRunner().invoke(cli.anonymize, ["--help"], terminal_width=200).output
    text = " ".join(text.split())
    for default in (Config.method, Config.detail, Config.on_failure):
        assert f"[default: {default}]" in text
    options = {option.name: option for option in cli.anonymize.params}
    for name in ("method", "detail", "on_failure", "seed", "threads"):
        assert options[name].default == getattr(Config, name)


@pytest.mark.parametrize("command", [[], ["detect"], ["weights"], ["demo"]])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help(run, command, flag):
    code, out, err = run(*command, flag)
    assert (code, err) == (0, "")
    assert out.startswith(" ".join(["Usage: anonyface", *command]))


def test_version(run):
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("anonyface ")


def test_help_imports_nothing_heavy():
    program = (
        "import sys; from anonyface.cli import main; main(['--help']);"
        "heavy = {'onnxruntime', 'cv2', 'torch', 'tqdm', 'PIL.Image'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    paths = ["-c", f"import sys; sys.path[:0] = {sys.path!r}; {program}"]
    done = subprocess.run([sys.executable, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
