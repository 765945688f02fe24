"""Composed scenes: the labels are where the faces are, and scenes repeat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")
pytest.importorskip("onnx", reason="training/ needs the extra 'train'")

import torch

from anonyface.errors import InputError
from training.retinaface.anchors import iou
from training.retinaface.compose import Sticker, background, compose, paste, read_stickers
from training.retinaface.degrade import degrade
from training.retinaface.detect import average_precision, find
from training.retinaface.network import RetinaFace
from training.retinaface.pictures import to_input
from training.retinaface.wider import read_folder


def test_the_detector_finds_pasted_faces_at_their_labels(
    stickers: list[Sticker], detector: RetinaFace
) -> None:
    scene = np.array(background(448, 640, np.random.default_rng(0)))
    faces = [
        paste(scene, piece, x, 200, size, turn)
        for piece, x, size, turn in zip(
            stickers, (90, 240, 390, 550), (60, 110, 130, 90), (0, 15, -15, 5), strict=True
        )
    ]
    with torch.no_grad():
        found = find(detector(to_input(scene[None])), (448, 640), least=0.5)
    boxes = torch.from_numpy(np.stack([f.box for f in faces]))
    overlap, index = iou(boxes, found.boxes).max(dim=1)
    assert (overlap > 0.5).all()
    off = found.landmarks[index].numpy() - np.stack([f.landmarks for f in faces])
    size = (boxes[:, 3] - boxes[:, 1]).numpy()
    assert (np.linalg.norm(off, axis=2).mean(axis=1) < 0.08 * size).all()
    assert average_precision([found], [boxes]) > 0.99
    assert average_precision([found], [boxes + 300]) == 0


def test_traits_travel_with_the_faces(stickers: list[Sticker]) -> None:
    assert [s.face.p_female for s in stickers] == [1, 0, 1, 0]
    assert [s.face.years for s in stickers] == [24.5, 33, 64.5, 6]
    _, faces = compose(stickers, np.random.default_rng(4))
    known = {(s.face.p_female, s.face.years) for s in stickers}
    assert faces
    assert {(f.p_female, f.years) for f in faces} <= known


def test_scenes_repeat_and_differ(stickers: list[Sticker]) -> None:
    first, faces = compose(stickers, np.random.default_rng([1, 2]))
    again, same = compose(stickers, np.random.default_rng([1, 2]))
    other, _ = compose(stickers, np.random.default_rng([1, 3]))
    assert np.array_equal(first, again)
    assert all(np.array_equal(a.box, b.box) for a, b in zip(faces, same, strict=True))
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_a_written_folder_is_read_by_the_loader(scenes: Path) -> None:
    pictures = list(read_folder(scenes))
    assert len(pictures) == 4
    assert sum(len(a.faces) for a, _ in pictures) > 4
    for annotation, pixels in pictures:
        height, width = pixels.shape[:2]
        for face in annotation.faces:
            middle = (face.box[:2] + face.box[2:]) / 2
            assert (middle >= 0).all()
            assert (middle <= (width, height)).all()


def test_degrading_keeps_the_shape_it_says(stickers: list[Sticker]) -> None:
    rng, factors = np.random.default_rng(0), []
    for _ in range(40):
        pixels, factor = degrade(stickers[0].pixels, rng)
        assert pixels.dtype == np.uint8
        assert pixels.shape[1] == pytest.approx(stickers[0].pixels.shape[1] * factor, abs=1)
        factors.append(factor)
    assert min(factors) < 0.5
    assert max(factors) == 1


def test_a_source_without_faces_is_an_error(tmp_path: Path, detector: RetinaFace) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 64, 3), 90, np.uint8))
    (tmp_path / "labels.csv").write_text("file,age,gender,race\na.png,3-9,Male,White\n")
    with pytest.raises(InputError, match="no face found"):
        read_stickers(tmp_path, 10, detector)
