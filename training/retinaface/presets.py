"""Recipes: which network, which pictures, how long, how fast."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

from anonyface.errors import InputError
from training.retinaface.losses import Weights
from training.retinaface.network import Backbone


@dataclass(frozen=True)
class Preset:
    """A recipe.

    Attributes:
        about: One line.
        backbone: Of the network.
        start: "scratch" for new weights, "shipped" for those of weights/detector.onnx
            (MobileNet-0.25 only; its norms are folded, so it is tuned without them).
        side: Of a training example, pixels; a multiple of 32.
        batch: Examples a step.
        epochs: Passes over the pictures.
        optimiser: "sgd" with momentum 0.9, or "adamw".
        rate: Learning rate after the warm-up.
        drops: Shares of the run at which the rate falls to a tenth.
        warm_up: Steps over which it rises.
        decay: Weight decay.
        augment: Whether examples are random crops in other light, mirrored or not.
        held_out: Share of the pictures that is measured on and not trained with; 0 to measure on
            the training pictures.
        snapshot_epochs: A measurement, a state and curves every so many epochs.
        weights: Of the loss's terms.
    """

    about: str
    backbone: Backbone = "mobilenet-0.25"
    start: Literal["scratch", "shipped"] = "scratch"
    side: int = 640
    batch: int = 32
    epochs: int = 250
    optimiser: Literal["sgd", "adamw"] = "sgd"
    rate: float = 1e-2
    drops: tuple[float, ...] = (0.76, 0.88)
    warm_up: int = 500
    decay: float = 5e-4
    augment: bool = True
    held_out: float = 0.02
    snapshot_epochs: int = 5
    weights: Weights = field(default_factory=Weights)

    @property
    def frozen_detection(self) -> bool:
        """Whether nothing is learnt but gender and age."""
        terms = self.weights
        return not (terms.classes or terms.boxes or terms.landmarks)

    def facts(self) -> dict[str, object]:
        """All settings, for JSON."""
        out = asdict(self)
        out["drops"] = list(self.drops)
        return out


TRAITS_ONLY = Weights(classes=0.0, boxes=0.0, landmarks=0.0, gender=1.0, age=1.0)

PRESETS = {
    "wider": Preset("everything from nothing, on WIDER FACE; for an accelerator"),
    "wider-resnet50": Preset(
        "the same with ResNet-50; for an accelerator",
        backbone="resnet-50",
        side=832,
        batch=24,
        epochs=100,
        drops=(0.7, 0.9),
    ),
    "tune": Preset(
        "the shipped detector, all heads, on new pictures",
        start="shipped",
        batch=16,
        epochs=40,
        rate=1e-3,
        decay=1e-4,
    ),
    "traits": Preset(
        "gender and age on the anchors of the shipped detector, which stays as it is",
        start="shipped",
        side=448,
        batch=16,
        epochs=12,
        optimiser="adamw",
        rate=1e-2,
        drops=(0.6, 0.85),
        warm_up=20,
        decay=1e-4,
        held_out=0.1,
        snapshot_epochs=2,
        weights=TRAITS_ONLY,
    ),
    "scenes": Preset(
        "everything from nothing on composed scenes: a short run for a CPU",
        side=320,
        batch=10,
        epochs=20,
        optimiser="adamw",
        rate=3e-3,
        drops=(0.7, 0.9),
        warm_up=20,
        decay=1e-4,
        held_out=0.1,
        snapshot_epochs=4,
    ),
    "overfit": Preset(
        "does the recipe learn at all? New weights, a few pictures, no augmentation",
        side=320,
        batch=10,
        epochs=120,
        optimiser="adamw",
        rate=3e-3,
        drops=(0.7, 0.9),
        warm_up=20,
        decay=0.0,
        augment=False,
        held_out=0.0,
        snapshot_epochs=20,
    ),
}


def find_preset(name: str) -> Preset:
    """Look a preset up.

    Raises:
        InputError: There is none of that name.
    """
    if name not in PRESETS:
        raise InputError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]
