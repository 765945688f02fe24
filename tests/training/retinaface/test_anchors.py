"""Anchors lie where the shipped model has them; every face finds one; boxes come back."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")

import torch

from training.retinaface.anchors import (
    corners,
    decode_boxes,
    decode_landmarks,
    encode_boxes,
    encode_landmarks,
    match,
    priors,
)


def test_order_and_places() -> None:
    anchors = priors((64, 96))
    assert anchors.shape == (2 * (8 * 12 + 4 * 6 + 2 * 3), 4)
    assert anchors[0].tolist() == [4, 4, 16, 16]
    assert anchors[1].tolist() == [4, 4, 32, 32]
    assert anchors[2].tolist() == [12, 4, 16, 16]  # along a row first
    assert anchors[2 * 12].tolist() == [4, 12, 16, 16]
    assert anchors[2 * 96].tolist() == [8, 8, 64, 64]
    assert anchors[-1].tolist() == [80, 48, 512, 512]


def test_boxes_and_landmarks_come_back() -> None:
    anchors = priors((128, 128))[::7]
    rng = torch.Generator().manual_seed(0)
    low = torch.rand(len(anchors), 2, generator=rng) * 100
    boxes = torch.cat([low, low + 5 + 60 * torch.rand(len(anchors), 2, generator=rng)], dim=1)
    points = torch.rand(len(anchors), 5, 2, generator=rng) * 128
    torch.testing.assert_close(
        decode_boxes(encode_boxes(boxes, anchors), anchors), boxes, atol=1e-3, rtol=1e-4
    )
    torch.testing.assert_close(
        decode_landmarks(encode_landmarks(points, anchors), anchors), points, atol=1e-3, rtol=1e-4
    )
    one = encode_boxes(torch.tensor([[0.0, 0, 16, 16]]), torch.tensor([[4.0, 4, 16, 16]]))
    torch.testing.assert_close(one, torch.tensor([[2.5, 2.5, 0, 0]]))


def test_anchors_take_the_face_they_overlap_and_each_face_has_one() -> None:
    anchors = priors((128, 128))
    exact = corners(anchors[40:41])[0]
    odd = torch.tensor([60.0, 60, 108, 66])  # wide and flat: no anchor overlaps it by much
    faces = torch.stack([exact, odd])
    matched = match(faces, anchors)
    assert matched[40] == 0
    assert (matched == 1).sum() == 1
    assert set(matched.unique().tolist()) == {-1, 0, 1}
    assert (match(torch.zeros(0, 4), anchors) == -1).all()


def test_a_neighbour_on_the_same_anchor_does_not_push_a_face_out() -> None:
    anchors = priors((64, 64))
    best = corners(anchors[10:11])[0]
    faces = torch.stack([best, best + torch.tensor([1.0, 0, 1, 0])])
    assert match(faces, anchors)[10] == 0
