"""Threads, other processes, folders that can't be written: the same results, or one line."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonyface.media.images import load_image

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = [
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    "from anonyface.cli import main; sys.exit(main())",
]


def test_threads_sharing_an_anonymizer_give_the_same_files(anonymizer, scene, tmp_path):
    views = [np.roll(scene, 4 * number, axis=1)[:300, :300] for number in range(2)]

    def save(number):
        return anonymizer(views[number]).save(tmp_path / f"{number}.jpg").read_bytes()

    one_by_one = [save(number) for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(save, range(2))) == one_by_one
    assert len(set(one_by_one)) == 2


def test_threads_reading_and_writing_at_once(fake, nobody, tmp_path):
    photo = nobody.photo[:120, :160]
    kinds = [".jpg", ".png", ".webp", ".tif", ".bmp"]

    def work(number):
        path = tmp_path / f"{number}{kinds[number % len(kinds)]}"
        return fake(photo).save(path).read_bytes()

    expected = [work(number) for number in range(len(kinds))]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(work, range(40)))
    assert all(data == expected[number % len(kinds)] for number, data in enumerate(done))


@pytest.mark.skipif(sys.platform == "win32", reason="HOME means nothing there")
def test_no_home_no_cache_no_temporary_folder_is_needed(scene, tmp_path):
    photo = tmp_path / "photo.png"
    Image.fromarray(scene).save(photo)
    nowhere = str(tmp_path / "missing" / "folder")  # whatever needs one would make it
    names = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "TMPDIR")
    environment = {**os.environ, **dict.fromkeys(names, nowhere)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)  # ours to set: onnxruntime keeps a device id
    done = subprocess.run(
        [*COMMAND, "photo.png", "--method", "blur"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {"photo.png", "photo.anon.png"}


def test_two_commands_at_once_share_a_folder(scene, tmp_path):
    for number in range(12):
        Image.fromarray(scene[: 200 + number, :200]).save(tmp_path / f"{number:02}.png")
    command = [*COMMAND, ".", "--method", "blur", "--seed", "3", "--threads", "1"]
    runs = [
        subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [run.communicate(timeout=120) for run in runs]
    assert [(run.returncode, errors) for run, (_, errors) in zip(runs, said, strict=True)] == [
        (0, "")
    ] * 2
    lines = [line for text, _ in said for line in text.splitlines()]
    assert len(lines) == 24
    if sys.platform != "win32":
        assert sum("skipped" in line for line in lines) == 12
    results = {path.name for path in tmp_path.iterdir()} - {f"{n:02}.png" for n in range(12)}
    assert results == {f"{n:02}.anon.png" for n in range(12)}
    for name in results:
        assert load_image(tmp_path / name).image_hw[1] == 200
