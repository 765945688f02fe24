"""What is kept, counted and shown of the faces whose utility is measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from anonyface.result import FaceOutcome
from anonyface.types import Crop, Face, Identity, Mesh, Patch
from benchmarks import utility, utility_photos
from benchmarks.anonymized import Darkroom, seed_for
from benchmarks.contract import ROOT
from benchmarks.readers import Reading
from benchmarks.utility_faces import (
    MEASURES,
    Compared,
)
from benchmarks.utility_figures import asked_rows, set_rows, summary
from benchmarks.utility_frechet import distances
from benchmarks.utility_photos import Album, Mask, Print, Recording, lfw_seeds, read_faces
from benchmarks.utility_sheets import (
    COLUMNS,
    FACE_PX,
    PER_SHEET,
    RANDOM,
    RANDOM_NAME,
    TILE_PX,
    WORST,
    Picks,
    cut_pair,
    lay_out,
)

from .made import Image, face_at, outcome


def person() -> Identity:
    mesh = Mesh(np.zeros((468, 3)), 1.0)
    blank = np.zeros(128)
    return Identity(np.zeros((4, 4, 3)), mesh, np.zeros(512), "female", 30, blank, 1, "made up")


def test_the_mask_is_that_of_the_person_who_stayed() -> None:
    refused, worn = person(), person()

    def swap(crop: Crop, mesh: Mesh, identity: Identity, /) -> Patch:
        alpha = np.full(crop.pixels.shape[:2], 0.001 if identity is worn else 1, np.float32)
        return Patch(crop.pixels, alpha)

    recording = Recording(swap)
    crop = Crop(np.zeros((80, 80, 3), np.uint8), np.array([[1, 0, -7], [0, 1, -9]], float))
    for who in (refused, worn):
        recording(crop, Mesh(np.zeros((468, 3)), 1.0), who)
    face = face_at(37, 39, 20)  # reach of 13.5 px about (47, 49), in the crop (40, 40)
    mask = recording.mask(FaceOutcome(face, "replaced", "", identity=worn))
    assert mask is not None
    assert mask.window == (slice(9, 89), slice(7, 87))
    assert np.unique(mask.alpha).tolist() == [0, 1]  # however faint, what was touched is above 0
    assert mask.alpha[30:50, 30:50].all()
    assert not mask.alpha[:25].any()
    assert recording.mask(FaceOutcome(face, "redacted", "", identity=worn)) is None
    assert recording.mask(FaceOutcome(face, "replaced", "", identity=person())) is None


@pytest.fixture
def exposed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of all photos that were really anonymized."""
    seeds: list[int] = []
    mask = Mask(np.full((5, 6), 200, np.uint8), (3, 2))

    def fake(image: Image, seed: int, *, threads: int) -> tuple[SimpleNamespace, SimpleNamespace]:
        seeds.append(seed)
        faces = (outcome(face_at(1, 1, 20)), outcome(face_at(9, 9, 5), "redacted", "too small"))
        shown = SimpleNamespace(mask=lambda o: mask if o.action == "replaced" else None)
        return SimpleNamespace(image=np.full_like(image, seed), faces=faces), shown

    monkeypatch.setattr(utility_photos, "expose", fake)
    return seeds


def test_a_photo_is_anonymized_once(exposed: list[int], tmp_path: Path) -> None:
    photo = np.zeros((30, 40, 3), np.uint8)

    def detector(image: Image) -> list[Face]:
        return [face_at(1, 1, 20)]

    def room() -> Album:
        return Album(detector, threads=1, cache=tmp_path, version="1")  # type: ignore[arg-type]

    first, again = (room().develop(photo, 7) for _ in range(2))
    assert exposed == [7]
    for one in (first, again):
        assert (one.image == 7).all()
        assert [(o.action, o.reason) for o in one.outcomes] == [
            ("replaced", "as asked"),
            ("redacted", "too small"),
        ]
        assert one.masks[1] is None
        assert one.masks[0] is not None
        assert one.masks[0].window == (slice(2, 7), slice(3, 9))
        assert (one.masks[0].alpha == 200).all()
        assert (one.outcomes[1].face.box == [9, 9, 14, 14]).all()
    # The darkroom of the other benchmarks need not make it anew.
    plain = Darkroom(detector, threads=1, cache=tmp_path, version="1")  # type: ignore[arg-type]
    taken = plain(photo, face_at(1, 1, 20), 7)
    assert (taken.action, taken.reason, int(taken.image.max())) == ("replaced", "as asked", 7)
    room().develop(photo, 8)
    Album(detector, threads=1, cache=None, version="1").develop(photo, 7)  # type: ignore[arg-type]
    assert exposed == [7, 8, 7]


def test_photos_without_a_face_come_back(tmp_path: Path) -> None:
    utility_photos.write_faces(tmp_path / "none.npz", (), ())
    assert read_faces(tmp_path / "none.npz") == ((), ())


def test_seeds_are_those_of_the_other_benchmarks() -> None:
    seeds = lfw_seeds([(0, 1), (2, 3)], 6, base=1)
    wanted = [(r, n) for n in (0, 1) for r in ("A", "B")] + [("attacker", 0), ("attacker", 1)]
    assert seeds == [seed_for(role, 1, n) for role, n in wanted]


def compared(
    again: bool, value: float | str, *, sex: str = "female", agrees: bool = True
) -> Compared:
    face, she = face_at(0, 0, 60), Reading(True, 30)
    after = None if not again else Reading(agrees, 36)
    return Compared(
        face,
        face if again else None,
        groups={"sex": sex},
        values=dict.fromkeys(MEASURES, value),
        readings={"outsider": (she, after)},
    )


def made_up(faces: Sequence[Compared]) -> dict[str, object]:
    return summary(faces) | {"photos_changed_outside": 0}


def test_faces_that_are_missed_are_counted() -> None:
    faces = [compared(True, 1.0)] * 6 + [compared(True, 3.0, sex="male")] * 3
    found = summary([*faces, compared(False, "not found again")])
    assert (found["found_again"].hits, found["found_again"].of) == (9, 10)
    yaw = found["measures"]["yaw error"]
    assert (yaw["all"]["median"], yaw["all"]["of"]) == (1.0, 9)
    assert yaw["by sex"]["male"] == {"median": 3.0, "p90": 3.0, "p95": 3.0, "of": 3}
    assert yaw["not_measured"] == {"not found again": 1}
    assert found["measures"]["sharpness"]["within 0.8-1.25"].hits == 6
    said = found["readers"]["outsider"]
    assert (said["gender_agreement"].hits, said["gender_agreement"].of) == (9, 10)
    assert said["age_difference_years"]["mean"] == 6
    assert said["by sex"]["male"]["gender_agreement"].of == 3


def test_what_was_asked_is_met_or_not() -> None:
    good = {row.what: row.met for row in set_rows("x", made_up([compared(True, 0.05)] * 4))}
    bad = {row.what: row.met for row in set_rows("x", made_up([compared(True, 9.0, agrees=False)]))}
    none = [row.met for row in set_rows("x", made_up([]))]
    for what in ("yaw error", "gaze error", "mouth opening error", "skin tone difference, ITA"):
        (key,) = (k for k in good if what in k)
        assert good[key]
        assert not any(met for k, met in bad.items() if what in k)
    assert not any(met for k, met in bad.items() if "gender" in k or "95th" in k or "sharp" in k)
    assert none.count(True) == 1  # nothing was changed outside: all else was not measured


def test_the_values_asked_for_are_all_there() -> None:
    figures = {
        "sets": {"x": made_up([compared(True, 1.0)])},
        "swap_and_blend_120_px": SimpleNamespace(median=71.0),
        "by_eye": {"faces": RANDOM, "obviously_fake": 5},
    }
    rows = asked_rows(figures)
    assert len(rows) == len(set_rows("x", figures["sets"]["x"])) + 2
    assert (rows[-2].met, rows[-1].met) == (False, True)
    figures["by_eye"] = {"faces": RANDOM - 1, "obviously_fake": 0}
    assert not asked_rows(figures)[-1].met


def test_what_lies_outside_must_be_the_same(texture: Image) -> None:
    tally, face = utility.Tally(), face_at(30, 30, 20)
    after = texture.copy()
    after[35:45, 35:45] ^= 255
    tally.add_photo(texture, Print(after, (outcome(face),), (None,)))
    assert utility.least_db(tally.outside_db) == "infinite"
    after[0, 0, 0] ^= 1
    small = outcome(face_at(60, 60, 47), "redacted", "12 px is too small")
    large = outcome(face_at(40, 40, 48), "redacted", "12 px is too small")
    tally.add_photo(texture, Print(after, (outcome(face), small, large), (None,) * 3))
    assert isinstance(utility.least_db(tally.outside_db), float)
    assert dict(tally.covered) == {"# px is too small": 1}
    assert tally.counts["redacted_smaller"] == tally.counts["redacted"] == 1


def test_sheets_show_the_worst(tmp_path: Path) -> None:
    picks, pair = Picks(), np.zeros((TILE_PX, 2 * TILE_PX, 3), np.uint8)
    for number in np.random.default_rng(2).permutation(60):
        picks.offer("yaw", float(number), f"{number}", lambda: pair)
        picks.offer(RANDOM_NAME, float(number), "", lambda: pair)
    assert [s.caption for s in picks.kept["yaw"]] == [str(n) for n in range(59, 59 - WORST, -1)]
    both = Picks()
    both.take(picks)
    both.offer("yaw", 100.0, "worse", lambda: pair)
    assert [s.caption for s in both.kept["yaw"]][:2] == ["worse", "59"]
    assert len(both.kept["yaw"]) == WORST
    assert [p.name for p in both.write(tmp_path)] == [
        "yaw-01.png",
        *(f"random-{n:02d}.png" for n in (1, 2, 3)),
    ]
    with pytest.raises(ValueError, match="repository"):
        both.write(ROOT / "docs" / "sheets")


def test_a_face_is_shown_at_160_px_beside_itself() -> None:
    before, after = np.zeros((2, 300, 300, 3), np.uint8)
    before[100:140, 100:140] = 255
    pair = cut_pair(before, after, face_at(100, 100, 40))
    assert pair.shape == (TILE_PX, 2 * TILE_PX, 3)
    assert abs(int((pair[TILE_PX // 2, :TILE_PX, 0] > 127).sum()) - FACE_PX) <= 4
    assert FACE_PX >= 160
    assert not pair[:, TILE_PX:].any()
    sheet = lay_out([pair] * (COLUMNS + 1), ["", *["1.234"] * COLUMNS])
    assert (sheet[-30:] < 128).any()  # the caption of the second row
    assert PER_SHEET == 24


def test_the_count_by_eye_is_put_into_the_result(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="measured"):
        utility.count_fake(tmp_path, 3)
    eye = {"faces": RANDOM, "digest": "x", "obviously_fake": None}
    row = utility.by_eye_row(eye)
    assert not row.met
    record = dict.fromkeys(("date", "commit", "weights_manifest_sha256"), "x") | {
        "schema": "anonyface.benchmark/1",
        "benchmark": "utility",
        "machine": {"a": 1},
        "versions": {"a": 1},
        "settings": {},
        "counts": {"a": 1},
        "figures": {"by_eye": eye},
        "asked": [
            {"what": row.what, "value": None, "sense": "<=", "limit": 5, "met": False},
            {"what": "other", "value": 1, "sense": "<=", "limit": 5, "met": True},
        ],
    }
    (tmp_path / "utility.json").write_text(json.dumps(record), encoding="utf-8")
    written = json.loads(utility.count_fake(tmp_path, 4).read_text(encoding="utf-8"))
    assert written["figures"]["by_eye"]["obviously_fake"] == 4
    assert [(r["value"], r["met"]) for r in written["asked"]] == [(4, True), (1, True)]
    with pytest.raises(ValueError, match="101 of 100"):
        utility.count_fake(tmp_path, 101)


def test_sheets_in_the_repository_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["utility", "--sheet", str(ROOT / "sheets")])
    with pytest.raises(SystemExit):
        utility.main()
    assert "inside the repository" in capsys.readouterr().err


def test_frechet_distance_of_two_sets(rng: np.random.Generator) -> None:
    pytest.importorskip("torch", reason="the extra train is not installed")
    assert distances([], seed=1) is None
    rows = rng.standard_normal((40, 2, 4)).astype(np.float32)
    same = distances([(a, a) for a, _ in rows], seed=1)
    assert same is not None
    assert same["before_to_after"] == pytest.approx(0, abs=1e-4)
    assert same["halves_before_to_after"] == pytest.approx(same["halves_before_to_before"])
    apart = distances([(a, a + np.float32(3)) for a, _ in rows], seed=1)
    assert apart is not None
    assert apart["before_to_after"] == pytest.approx(4 * 3**2, rel=1e-3)
