"""One step of training, and what a later leg needs to go on."""

from __future__ import annotations

import torch
from torch import Tensor

from anonyface.errors import InputError
from training.manifest import WEIGHTS
from training.retinaface.ages import CLASS_OF_BIN, CLASSES
from training.retinaface.anchors import iou, priors
from training.retinaface.checkpoints import load_onnx
from training.retinaface.detect import Found, average_precision, find
from training.retinaface.losses import Targets, multi_task_loss
from training.retinaface.network import RetinaFace
from training.retinaface.presets import Preset

_CLIP = 10.0
_MATCHED_IOU = 0.5


class Trainer:
    """Network and optimiser of a preset.

    Args:
        preset: The recipe.
        steps: Steps of the whole run.
        device: Where.
        seed: Of new weights.
    """

    def __init__(self, preset: Preset, *, steps: int, device: torch.device, seed: int) -> None:
        torch.manual_seed(seed)
        self.preset, self.steps, self.device = preset, steps, device
        if preset.start == "shipped":
            if preset.backbone != "mobilenet-0.25":
                raise InputError(f"no shipped weights for {preset.backbone}")
            self.network = load_onnx(WEIGHTS / "detector.onnx", traits=True)
        else:
            self.network = RetinaFace(preset.backbone)
        if preset.frozen_detection:
            for part in self.network.detection_parts():
                part.requires_grad_(False)
        self.network.to(device)
        learnt = [p for p in self.network.parameters() if p.requires_grad]
        self.optimiser: torch.optim.Optimizer = (
            torch.optim.AdamW(learnt, lr=preset.rate, weight_decay=preset.decay)
            if preset.optimiser == "adamw"
            else torch.optim.SGD(learnt, lr=preset.rate, momentum=0.9, weight_decay=preset.decay)
        )
        self.step_number = 0

    def rate(self) -> float:
        """Learning rate of the next step."""
        drops = sum(self.step_number >= share * self.steps for share in self.preset.drops)
        ramp = min(1.0, (self.step_number + 1) / max(1, self.preset.warm_up))
        return float(self.preset.rate * ramp * 0.1**drops)

    def step(self, images: Tensor, targets: list[Targets]) -> dict[str, float]:
        """Learn from a batch.

        Returns:
            The loss and its terms.

        Raises:
            InputError: The loss is not finite.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        # A frozen detector keeps the statistics of its norms, too.
        self.network.train(not self.preset.frozen_detection)
        images = images.to(self.device)
        anchors = priors((images.shape[2], images.shape[3])).to(self.device)
        moved = [t.to(self.device) for t in targets]
        terms = multi_task_loss(self.network(images), moved, anchors, self.preset.weights)
        if not torch.isfinite(terms["loss"]):
            raise InputError(f"the loss is not finite at step {self.step_number}")
        self.optimiser.zero_grad()
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        self.optimiser.step()
        self.step_number += 1
        return {name: float(value.detach()) for name, value in terms.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Everything a later leg needs."""
        out = {f"network.{n}": t for n, t in self.network.state_dict().items()}
        for i, state in self.optimiser.state_dict()["state"].items():
            named = {n: t for n, t in state.items() if t is not None}
            out |= {f"optimiser.{i}.{n}": torch.as_tensor(t) for n, t in named.items()}
        return out

    def restore(self, tensors: dict[str, Tensor], step_number: int) -> None:
        """Go on from what `tensors` gave."""
        start = "network."
        own = {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
        self.network.load_state_dict(own)
        state = self.optimiser.state_dict()
        for name, tensor in tensors.items():
            if name.startswith("optimiser."):
                _, i, part = name.split(".")
                state["state"].setdefault(int(i), {})[part] = tensor
        self.optimiser.load_state_dict(state)
        self.step_number = step_number

    @torch.no_grad()
    def measure(self, examples: list[tuple[Tensor, Targets]]) -> dict[str, float]:
        """AP at IoU 0.4, and of the faces found: gender and age class of their best anchor."""
        network = self.network.eval()
        found, right = [], []
        for image, targets in examples:
            outputs = network(image[None].to(self.device))
            finds = find(outputs, (image.shape[1], image.shape[2]))
            found.append(finds)
            if outputs.gender is not None and outputs.age is not None:
                right += _right(finds, outputs.gender[0], outputs.age[0], targets)
        result = {"ap": round(average_precision(found, [t.boxes for _, t in examples]), 4)}
        for name, column in (("gender_right", 0), ("class_right", 1)):
            values = [r[column] for r in right if r[column] is not None]
            if values:
                result[name] = round(sum(map(float, values)) / len(values), 4)
        return result


def _right(
    finds: Found, gender: Tensor, age: Tensor, targets: Targets
) -> list[tuple[bool | None, bool | None]]:
    """For each labelled face that was found, whether gender and age class are right."""
    if not len(finds.boxes) or not len(targets.boxes):
        return []
    overlap = iou(targets.boxes.to(finds.boxes.device), finds.boxes)
    members = torch.eye(len(CLASSES))[list(CLASS_OF_BIN)]
    out: list[tuple[bool | None, bool | None]] = []
    for row, sex, years in zip(overlap, targets.gender, targets.age, strict=True):
        if float(row.max()) < _MATCHED_IOU:
            continue
        anchor = finds.anchors[row.argmax()]
        ages = age[anchor].softmax(0).cpu() @ members
        out.append(
            (
                bool(gender[anchor].argmax() == sex.argmax()) if sex.isfinite().all() else None,
                bool(ages.argmax() == (years @ members).argmax())
                if years.isfinite().all()
                else None,
            )
        )
    return out
