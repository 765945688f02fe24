"""Terms can be frozen, hard background is sought out, background has neither place nor age."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="training/ needs the extra 'train'")

import torch

from training.retinaface.anchors import corners, encode_boxes, encode_landmarks, match, priors
from training.retinaface.losses import NEGATIVES, Targets, Weights, multi_task_loss
from training.retinaface.network import Outputs

ANCHORS = priors((96, 96))
NOWHERE = float("nan")


def targets(*, landmarks: bool = True, traits: bool = True) -> Targets:
    """Two faces."""
    boxes = corners(ANCHORS[[30, 260]])
    points = boxes[:, None, :2] + torch.rand(2, 5, 2, generator=torch.Generator().manual_seed(1))
    shape = (2, 9)
    return Targets(
        boxes,
        points if landmarks else torch.full((2, 5, 2), NOWHERE),
        torch.tensor([[1.0, 0], [0, 1]]) if traits else torch.full((2, 2), NOWHERE),
        torch.eye(9)[[2, 5]] if traits else torch.full(shape, NOWHERE),
    )


def outputs(seed: int = 0) -> Outputs:
    rng = torch.Generator().manual_seed(seed)

    def some(values: int) -> torch.Tensor:
        return torch.randn(1, len(ANCHORS), values, generator=rng).requires_grad_()

    return Outputs(some(4), some(2), some(10), some(2), some(9))


def test_perfect_outputs_have_no_loss() -> None:
    wanted = targets()
    face = match(wanted.boxes, ANCHORS)
    on = face >= 0
    boxes, points = torch.zeros(len(ANCHORS), 4), torch.zeros(len(ANCHORS), 10)
    boxes[on] = encode_boxes(wanted.boxes[face[on]], ANCHORS[on])
    points[on] = encode_landmarks(wanted.landmarks[face[on]], ANCHORS[on])
    logits = torch.where(on[:, None], torch.tensor([-20.0, 20]), torch.tensor([20.0, -20]))
    gender = torch.where(on[:, None], wanted.gender[face] * 40 - 20, torch.zeros(1))
    age = torch.where(on[:, None], wanted.age[face] * 60, torch.zeros(1))
    best = Outputs(boxes[None], logits[None], points[None], gender[None], age[None])
    terms = multi_task_loss(best, [wanted], ANCHORS, Weights())
    assert float(terms["loss"]) < 1e-6
    other = multi_task_loss(outputs(), [wanted], ANCHORS, Weights())["loss"]
    assert float(other.detach()) > 1


def test_a_frozen_term_gives_no_gradient() -> None:
    made = outputs()
    frozen = Weights(classes=0, boxes=0, landmarks=0)
    multi_task_loss(made, [targets()], ANCHORS, frozen)["loss"].backward()
    assert made.boxes.grad is None
    assert made.logits.grad is None
    assert made.gender.grad is not None
    on = match(targets().boxes, ANCHORS) >= 0
    assert (made.gender.grad[0].abs().sum(1) > 0).equal(on)
    assert (made.age.grad[0].abs().sum(1) > 0).equal(on)


def test_only_the_hardest_background_is_learnt() -> None:
    made = outputs()
    multi_task_loss(made, [targets()], ANCHORS, Weights())["loss"].backward()
    on = match(targets().boxes, ANCHORS) >= 0
    learnt = made.logits.grad[0].abs().sum(1) > 0
    assert learnt[on].all()
    assert int(learnt[~on].sum()) == NEGATIVES * int(on.sum())
    looks_like_a_face = (made.logits[0, :, 1] - made.logits[0, :, 0]).detach()
    assert looks_like_a_face[learnt & ~on].min() >= looks_like_a_face[~learnt].max()


def test_what_is_not_known_is_not_learnt() -> None:
    made = outputs()
    terms = multi_task_loss(made, [targets(landmarks=False, traits=False)], ANCHORS, Weights())
    terms["loss"].backward()
    assert torch.isfinite(terms["loss"])
    for name in ("landmarks", "gender", "age"):
        assert float(terms[name].detach()) == 0
        assert not getattr(made, name).grad.any()
    assert made.boxes.grad.any()


def test_a_picture_without_faces_teaches_background() -> None:
    made = outputs()
    empty = Targets(torch.zeros(0, 4), torch.zeros(0, 5, 2), torch.zeros(0, 2), torch.zeros(0, 9))
    multi_task_loss(made, [empty], ANCHORS, Weights())["loss"].backward()
    assert int((made.logits.grad[0].abs().sum(1) > 0).sum()) == NEGATIVES
