"""The rules of the reliability benchmark: whatever goes wrong must show."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import worker
from benchmarks.corpus.kinds import Keeps, Kind
from benchmarks.interrupted import Interrupted, Kill
from benchmarks.reliability import Case, asked_rows, summary
from benchmarks.worker import Answer, Worker

PHOTO = Kind("jpeg Exif thumbnail", ".jpg", expected="ok", hides=True, keeps=Keeps())
BROKEN = Kind("noise", ".jpg", expected="error")
DONE = Answer("done", actions=("replaced",))
REFUSED = Answer("failed", error="a.jpg: not an image", kind="InputError", on_purpose=True)
RIGHT = Kill("blur", 20, False, 20, 1, 0, 0, 0, 0, 0, 0)


def test_a_right_result_and_a_proper_refusal_are_no_problem():
    assert Case(PHOTO, "clean", DONE).problems == []
    assert Case(BROKEN, "clean", REFUSED).problems == []
    either = replace(BROKEN, expected="either")
    assert Case(either, "keep", DONE).problems == Case(either, "keep", REFUSED).problems == []


@pytest.mark.parametrize(
    "case",
    [
        Case(PHOTO, "clean", REFUSED),
        Case(BROKEN, "clean", DONE),
        Case(BROKEN, "clean", Answer("crashed")),
        Case(BROKEN, "clean", Answer("hung")),
        Case(BROKEN, "clean", Answer("skipped")),
        Case(BROKEN, "clean", replace(REFUSED, on_purpose=False)),
        Case(BROKEN, "clean", replace(REFUSED, error="two\nlines")),
        Case(BROKEN, "clean", replace(REFUSED, error="")),
        Case(BROKEN, "clean", replace(REFUSED, chatter="warning: ...")),
        Case(BROKEN, "clean", REFUSED, litter=[".a.anon.jpg.01234567.tmp"]),
        Case(PHOTO, "clean", DONE, faces=["JPEG@98"]),
        Case(PHOTO, "clean", DONE, words=["gps: GPSLatitude"]),
        Case(PHOTO, "clean", DONE, lost={"alpha": True}),
        Case(PHOTO, "clean", DONE, input_changed=True),
    ],
)
def test_every_problem_is_named(case):
    assert case.problems


def test_what_was_asked_for_is_met_only_without_problems():
    good = [Case(PHOTO, "clean", DONE, pictures=1, lost={"profile": False}),
            Case(BROKEN, "clean", REFUSED)]  # fmt: skip
    found = {"jpeg Exif thumbnail": True}
    assert all(row.met for row in asked_rows(summary(good, found, None)))
    for spoiled in (
        {"faces": ["JPEG@98"]},
        {"words": ["gps: GPSLatitude"]},
        {"lost": {"profile": True}},
        {"litter": ["x.tmp"]},
        {"answer": Answer("hung")},
    ):
        cases = [replace(good[0], **spoiled), good[1]]
        assert not all(row.met for row in asked_rows(summary(cases, found, None))), spoiled
    blind = summary(good, {"jpeg Exif thumbnail": False}, None)
    assert not all(row.met for row in asked_rows(blind))


@pytest.mark.parametrize("name", ["broken", "exit_code", "missing", "wrong", "again", "stray"])
def test_a_killed_run_is_right_only_if_nothing_shows(name):
    assert RIGHT.right
    assert all(row.met for row in Interrupted([RIGHT]).asked())
    bad = replace(RIGHT, **{name: 1})
    assert not bad.right
    assert not all(row.met for row in Interrupted([RIGHT, bad]).asked())
    assert not any(row.met for row in Interrupted([]).asked())


FAKE = """
import os, sys, time
print("{}", flush=True)
for line in sys.stdin:
    if "SLEEP" in line:
        time.sleep(60)
    if "DIE" in line:
        os._exit(1)
    print("warning", file=sys.stderr, flush=True)
    print('{"status": "done", "actions": ["kept"]}', flush=True)
"""


def test_the_keeper_outlives_hangs_and_crashes(tmp_path, monkeypatch):
    start = subprocess.Popen
    monkeypatch.setattr(worker, "LIMIT_S", 0.5)
    monkeypatch.setattr(
        worker.subprocess,
        "Popen",
        lambda command, **options: start([sys.executable, "-c", FAKE], **options),
    )
    with Worker({}, tmp_path / "log") as keeper:
        said = [
            keeper.run(tmp_path / name, tmp_path / "out") for name in ("a", "SLEEP", "DIE", "b")
        ]
    assert [answer.status for answer in said] == ["done", "hung", "crashed", "done"]
    assert said[0].actions == ("kept",)
    assert "warning" in said[0].chatter
    assert keeper.starts == 3


def test_the_worker_runs_the_product(tmp_path):
    from PIL import Image

    photo = tmp_path / "photo.png"
    Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(photo)
    settings = json.loads(json.dumps({"method": "blur", "threads": 1, "metadata": "clean"}))
    with Worker(settings, tmp_path / "log") as keeper:
        done = keeper.run(photo, tmp_path / "photo.anon.png")
        failed = keeper.run(tmp_path / "gone.png", tmp_path / "gone.anon.png")
    assert (done.status, done.actions, done.chatter) == ("done", (), "")
    assert (tmp_path / "photo.anon.png").is_file()
    assert (failed.status, failed.kind, failed.on_purpose) == ("failed", "InputError", True)
