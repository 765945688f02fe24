"""The refinement in training: one step, the running average, what a later leg needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anonyface.errors import InputError
from generators.state import EXACT, load_state
from training.manifest import WEIGHTS
from training.retinaface.ages import CENTRES, CLASS_OF_BIN, CLASSES
from training.retinaface.faces import EMBEDDING, TEACHERS, Batch, CachedFaces
from training.retinaface.reading_loss import loss_of, teacher_loss
from training.retinaface.refinement import Refinement

WARM_UP = 300
FROZEN_BLOCKS = 1
"""First blocks of the picture branch that stay as SFace has them: half of the cost of a step."""
AVERAGED = 0.998
MORPH_STEPS = 800
"""Steps after which all slopes are `refinement.SLOPE`."""
TEACHER_WEIGHT = 1.0
"""Of each teacher's embedding beside gender and age."""


@dataclass(frozen=True)
class Settings:
    """How the refinement is trained.

    Attributes:
        epochs: Passes over the faces that the learning rate is planned for.
        batch: Faces a step.
        rate: Highest learning rate of the new layers.
        trunk_rate: Highest learning rate of the layers that start from SFace.
        decay: Weight decay.
        picture: Whether the picture branch is there.
        pooled: Whether the branch of the backbone's maps is there.
    """

    epochs: int = 16
    batch: int = 64
    rate: float = 1e-3
    trunk_rate: float = 5e-4
    decay: float = 0.03
    picture: bool = True
    pooled: bool = True


class Refiner:
    """The refinement, its optimiser and its running average.

    Args:
        settings: How to train.
        steps: Steps in all, for the learning rate.
        device: Where.
        seed: Of new weights and of all randomness.
    """

    def __init__(self, settings: Settings, *, steps: int, device: torch.device, seed: int) -> None:
        torch.manual_seed(seed)
        self.settings, self.steps, self.device = settings, steps, device
        self.network = Refinement(picture=settings.picture, pooled=settings.pooled)
        trunk: list[torch.nn.Parameter] = []
        branch = self.network.picture
        if branch is not None:
            branch.start_from_sface(WEIGHTS / "second-encoder.onnx")
            frozen = [branch.first, *branch.blocks[:FROZEN_BLOCKS]]
            for module in frozen:
                module.requires_grad_(False)
            trunk = [p for p in branch.parameters() if p.requires_grad]
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.pupils = nn.ModuleDict(
            {name: nn.Linear(self.network.values, EMBEDDING) for name in TEACHERS}
        ).to(device)
        known = {id(p) for p in self.network.parameters() if not p.requires_grad}
        known |= {id(p) for p in trunk}
        new = [p for p in self.network.parameters() if id(p) not in known]
        new += list(self.pupils.parameters())
        self.rates = (settings.rate, settings.trunk_rate)
        self.optimiser = torch.optim.AdamW(
            [{"params": new}, {"params": trunk}], weight_decay=settings.decay
        )
        self.average = {n: t.clone() for n, t in self.network.state_dict().items()}
        self.started_morphed = False
        self.step_number = 0
        self.rng = np.random.default_rng(seed)

    def start_from(self, other: Refinement) -> None:
        """Take over the weights of another run; slopes have come all the way."""
        self.network.load_state_dict(other.state_dict())
        self.average = {n: t.clone() for n, t in self.network.state_dict().items()}
        self.started_morphed = True

    def step(self, batch: Batch) -> float:
        """Learn from a batch; the loss."""
        ramp = min(1.0, (self.step_number + 1) / WARM_UP)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, self.step_number / self.steps)))
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * ramp * fall + 1e-6
        self.network.morph(self.morphed())
        self.network.train()
        inner = self.network.describe(batch.picture, batch.maps)
        loss = loss_of(self.network.read(inner), batch)
        for name, pupil in self.pupils.items():
            loss = loss + TEACHER_WEIGHT * teacher_loss(pupil(inner), batch.teachers[name])
        if not torch.isfinite(loss):
            raise InputError(f"the loss is not finite at step {self.step_number}")
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.step_number += 1
        self._follow()
        return float(loss.detach())

    def morphed(self) -> float:
        """How far the slopes have come."""
        return 1.0 if self.started_morphed else min(1.0, self.step_number / MORPH_STEPS)

    @torch.no_grad()
    def _follow(self) -> None:
        keep = min(AVERAGED, self.step_number / (self.step_number + 10))
        for name, tensor in self.network.state_dict().items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - keep)
            else:
                self.average[name].copy_(tensor)

    def averaged(self) -> Refinement:
        """Return a copy of the network with the running average of its weights."""
        out = Refinement(picture=self.settings.picture, pooled=self.settings.pooled)
        out.load_state_dict(self.average)
        out.morph(self.morphed())
        return out.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]

    def tensors(self) -> dict[str, Tensor]:
        """Everything a later leg needs."""
        out = {f"network.{n}": t for n, t in self.network.state_dict().items()}
        out |= {f"{EXACT}average.{n}": t for n, t in self.average.items()}
        out |= {f"pupils.{n}": t for n, t in self.pupils.state_dict().items()}
        for i, state in self.optimiser.state_dict()["state"].items():
            out |= {f"optimiser.{i}.{n}": torch.as_tensor(t) for n, t in state.items()}
        return out

    def restore(self, tensors: dict[str, Tensor], step_number: int) -> None:
        """Go on from what `tensors` gave."""
        start = "network."
        own = {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
        self.network.load_state_dict(own)
        start = "pupils."
        own = {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
        self.pupils.load_state_dict(own)
        prefix = f"{EXACT}average."
        self.average = {n.removeprefix(prefix): t for n, t in tensors.items() if prefix in n}
        state = self.optimiser.state_dict()
        for name, tensor in tensors.items():
            if name.startswith("optimiser."):
                _, i, part = name.split(".")
                state["state"].setdefault(int(i), {})[part] = tensor
        self.optimiser.load_state_dict(state)
        self.step_number = step_number
        self.rng = np.random.default_rng([step_number, 7])


@torch.no_grad()
def measure(
    network: Refinement, faces: CachedFaces, rows: np.ndarray, device: torch.device
) -> dict[str, float]:
    """Accuracy of gender, four classes and bins, error in years, and loss on held-out faces."""
    right, total, seen = np.zeros(4), 0.0, 0
    centres = torch.tensor(CENTRES, device=device)
    classes = torch.tensor(CLASS_OF_BIN, device=device)
    members = F.one_hot(classes, len(CLASSES)).float()
    for start in range(0, len(rows), 100):
        some = rows[start : start + 100]
        batch = faces.batch(some, None).to(device)
        reading = network(batch.picture, batch.maps)
        truth = torch.from_numpy(faces.labels[some]).to(device)
        ages = reading.age.softmax(1)
        right += [
            float((reading.gender.argmax(1) == truth[:, 0].round()).sum()),
            float(((ages @ members).argmax(1) == classes[truth[:, 1].long()]).sum()),
            float((ages.argmax(1) == truth[:, 1]).sum()),
            float((ages @ centres - centres[truth[:, 1].long()]).abs().sum()),
        ]
        total += float(loss_of(reading, batch)) * len(some)
        seen += len(some)
    names = ("gender", "class", "bin", "years")
    out = {n: round(float(v), 4) for n, v in zip(names, right / seen, strict=True)}
    return {**out, "loss_held_out": round(total / seen, 4)}


def load_refinement(path: Path) -> Refinement:
    """Read the averaged network of a run's state.

    Raises:
        InputError: The file is missing or of something else.
    """
    tensors, facts = load_state(path)
    prefix = f"{EXACT}average."
    average = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    settings = facts.get("settings")
    if not average or not isinstance(settings, dict):
        raise InputError(f"{path} holds no refinement")
    out = Refinement(picture=bool(settings["picture"]), pooled=bool(settings["pooled"]))
    out.load_state_dict(average)
    out.morph(float(str(facts["morphed"])))
    return out.eval()
