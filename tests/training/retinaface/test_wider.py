"""Annotations come back as written, bad ones are told by line; crops move faces along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")


from anonyface.errors import InputError
from training.retinaface.augment import training_crop
from training.retinaface.wider import (
    Annotation,
    LabelledFace,
    read_labels,
    read_picture,
    write_labels,
)

POINTS = np.array([[12, 14], [20, 14], [16, 18], [13, 22], [19, 22]], np.float32)
FACE = LabelledFace(np.array([10, 10, 22, 26], np.float32), POINTS, 0.75, 31.0)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "label.txt"
    plain = LabelledFace(np.array([1, 2, 30, 40], np.float32))
    write_labels(path, [Annotation("a/b.jpg", (FACE, plain)), Annotation("c.jpg", ())])
    first, second = read_labels(path)
    assert (first.name, second.name, second.faces) == ("a/b.jpg", "c.jpg", ())
    np.testing.assert_allclose(first.faces[0].landmarks, POINTS)
    assert first.faces[0].p_female == 0.75
    assert first.faces[0].years == 31
    np.testing.assert_allclose(first.faces[1].box, [1, 2, 30, 40])
    assert np.isnan(first.faces[1].landmarks).all()
    assert first.faces[1].years == -1


def test_the_original_columns_are_read(tmp_path: Path) -> None:
    path = tmp_path / "label.txt"
    unknown = " ".join(["-1.0"] * 15)
    path.write_text(f"# a.jpg\n5 6 7 8\n1 2 3 4 {unknown} 0.4\n9 9 0 0\n", encoding="utf-8")
    (picture,) = read_labels(path)
    assert [f.box.tolist() for f in picture.faces] == [[5, 6, 12, 14], [1, 2, 4, 6]]
    assert all(np.isnan(f.landmarks).all() for f in picture.faces)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3 4\n", "line 1: a face before"),
        ("# a.jpg\n1 2 3\n", "line 2: 3 numbers"),
        ("# a.jpg\n1 2 x 4\n", "no numbers"),
        ("# a.jpg\n1 2 nan 4\n", "not finite"),
        ("# ../a.jpg\n", "no path below"),
        ("#\n", "no path below"),
    ],
)
def test_bad_lines(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "label.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        read_labels(path)
    assert "\n" not in str(caught.value)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no picture at .*gone\.jpg"):
        read_picture(tmp_path, Annotation("gone.jpg", ()))


def marked() -> np.ndarray:
    """A grey picture whose only face has a white left eye and a black nose."""
    pixels = np.full((64, 90, 3), 128, np.uint8)
    for (x, y), value in ((POINTS[0], 255), (POINTS[2], 0)):
        pixels[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = value
    return pixels


def test_the_whole_picture_is_scaled_to_fit() -> None:
    pixels, found = training_crop(marked(), [FACE], 180, None)
    assert pixels.shape == (180, 180, 3)
    np.testing.assert_allclose(found.boxes[0], FACE.box * 2)
    assert (pixels[64 * 2 + 4 :] == (123, 117, 104)).all()
    assert found.gender[0].tolist() == [0.25, 0.75]
    assert int(found.age[0].argmax()) == 4


def test_crops_move_and_mirror_the_points() -> None:
    mirrored = 0
    for seed in range(30):
        pixels, found = training_crop(marked(), [FACE], 160, np.random.default_rng(seed))
        if not len(found.boxes):
            continue
        eye, other, nose = (found.landmarks[0, i].numpy() for i in (0, 1, 2))
        assert eye[0] < other[0]  # image-left first, mirrored or not
        spots = []
        for x, y in (eye, other):
            inside = 2 <= x < 158 and 2 <= y < 158
            spots.append(float(pixels[int(y), int(x)].mean()) if inside else None)
        if None in spots or not (2 <= nose[0] < 158 and 2 <= nose[1] < 158):
            continue
        assert pixels[int(nose[1]), int(nose[0])].mean() < max(spots)
        mirrored += spots[1] > spots[0] + 20
        assert abs(spots[1] - spots[0]) > 20
    assert 3 < mirrored < 27


def test_faces_outside_and_tiny_ones_are_left_out() -> None:
    tiny = LabelledFace(np.array([40, 40, 42, 42], np.float32))
    outside = LabelledFace(np.array([200, 40, 240, 80], np.float32))
    _, found = training_crop(marked(), [tiny, outside, FACE], 90, None)
    assert len(found.boxes) == 1
