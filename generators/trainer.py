"""A StyleGAN2-ADA training run: networks, optimisers, one step, and its whole state."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from anonyface.errors import AnonyfaceError, InputError
from generators.ema import average_decay, update_average
from generators.losses import (
    PATH_WEIGHT,
    PathLength,
    discriminator_loss,
    generator_loss,
    lazy_adam,
    mixed_styles,
    r1_penalty,
)
from generators.moments import optimiser_tensors, restore_optimisers
from generators.presets import Preset
from generators.state import EXACT
from generators.stylegan2_ada.adaptive import AdaptiveProbability
from generators.stylegan2_ada.augment import AugmentPipe

BETAS = (0.0, 0.99)
"""Of Adam (arXiv 1912.04958, appendix B)."""
EPSILON = 1e-8
"""Of Adam (arXiv 1912.04958, appendix B)."""

NETWORKS = ("G", "D", "G_ema")


class TrainingError(AnonyfaceError):
    """A run can't go on, as when its losses are no longer finite."""


class Trainer:
    """A run in progress.

    All randomness comes from two generators that belong to the run: one on the CPU (images,
    latents, mixing) and one on the device (noise, augmentation, path directions).

    Args:
        preset: Settings.
        c_dim: Number of classes, 0 for none.
        device: Where the networks are.
        seed: Seed of weights and randomness.

    Attributes:
        images: Real images shown so far.
        steps: Steps done so far.
        G: Generator in training.
        D: Discriminator.
        G_ema: Average of the generator, which is the result.
        ada: Controller of the augmentation.
        path: Path-length regulariser with its running mean.
        rng: Source of randomness on the CPU; draw the training images from it, too.
    """

    def __init__(self, preset: Preset, *, c_dim: int, device: torch.device, seed: int) -> None:
        self.preset = preset
        self.c_dim = c_dim
        self.device = device
        self.images = 0
        self.steps = 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.G = preset.generator(c_dim=c_dim).to(device)
            self.D = preset.discriminator(c_dim=c_dim).to(device)
        self.G_ema = copy.deepcopy(self.G).eval().requires_grad_(False)
        self.rng = torch.Generator().manual_seed(seed)
        self.device_rng = torch.Generator(device).manual_seed(seed + 1)
        self.augment = AugmentPipe(p=0.0).to(device)
        self.ada = AdaptiveProbability(target=preset.ada_target, ramp_images=preset.ada_ramp_images)
        self.path = PathLength(torch.zeros([], device=device))
        self.optimisers = {
            "G": self._adam(self.G, preset.path_interval),
            "D": self._adam(self.D, preset.r1_interval),
        }

    def _adam(self, network: nn.Module, interval: int) -> torch.optim.Adam:
        rate, betas = lazy_adam(
            learning_rate=self.preset.learning_rate, betas=BETAS, interval=interval
        )
        return torch.optim.Adam(network.parameters(), lr=rate, betas=betas, eps=EPSILON)

    def step(self, images: Tensor, labels: Tensor) -> dict[str, float]:
        """Learn from a batch of real images.

        Generated images get the labels of the real ones, so both have the same distribution.

        Args:
            images: (N, 3, side, side) in [-1, 1], on any device.
            labels: (N, c_dim).

        Returns:
            The losses by name: "generator" and "discriminator", and "r1" and "path" where those
            ran; and "sign", the mean sign of the discriminator's verdicts on real images.

        Raises:
            TrainingError: A loss is not finite.
        """
        preset = self.preset
        images, labels = images.to(self.device), labels.to(self.device)
        losses = self._learn_discriminator(images, labels)
        if preset.r1_interval and self.steps % preset.r1_interval == 0:
            losses["r1"] = self._learn_r1(images, labels)
        losses["generator"] = self._learn_generator(labels)
        if preset.path_interval and self.steps % preset.path_interval == 0:
            losses["path"] = self._learn_path(labels)
        for name, value in losses.items():
            if not math.isfinite(value):
                raise TrainingError(f"the loss {name!r} is {value} after {self.images} images")
        self.steps += 1
        self.images += len(images)
        decay = average_decay(
            images=self.images,
            batch=len(images),
            half_life=preset.ema_images,
            ramp=preset.ema_ramp,
        )
        update_average(self.G_ema, self.G, decay=decay)
        if self.steps % preset.ada_interval == 0:
            self.augment.set_probability(self.ada.step(len(images) * preset.ada_interval))
        return losses

    def _score(self, images: Tensor, labels: Tensor, *, exact: bool = False) -> Tensor:
        """What the discriminator, which only ever sees augmented images, says to a batch."""
        seen = self.augment(images, rng=self.device_rng)
        logits: Tensor = self.D(seen, labels, precision="full" if exact else "auto")
        return logits

    def _generate(self, labels: Tensor, *, learning: bool) -> Tensor:
        ws = mixed_styles(
            self.G.mapping,
            labels,
            probability=self.preset.mixing,
            rng=self.rng,
            update_average=learning,
        )
        images: Tensor = self.G.synthesis(ws, noise=self.preset.noise, rng=self.device_rng)
        return images

    def _learn_discriminator(self, images: Tensor, labels: Tensor) -> dict[str, float]:
        with torch.no_grad():
            fakes = self._generate(labels, learning=False)
        # One batch each: the deviation over a minibatch must not mix real and generated images.
        real_logits = self._score(images, labels)
        loss = discriminator_loss(self._score(fakes, labels), real_logits)
        self._descend("D", loss)
        self.ada.observe(real_logits)
        return {
            "discriminator": float(loss.detach()),
            "sign": float(real_logits.detach().sign().mean()),
        }

    def _learn_r1(self, images: Tensor, labels: Tensor) -> float:
        images = images.detach().requires_grad_()
        logits = self._score(images, labels, exact=True)
        penalty = r1_penalty(logits, images, gamma=self.preset.r1_gamma)
        # Rare steps count as often as they are left out (arXiv 1912.04958, section 3.1).
        self._descend("D", penalty * self.preset.r1_interval)
        return float(penalty.detach())

    def _learn_generator(self, labels: Tensor) -> float:
        self.D.requires_grad_(False)
        loss = generator_loss(self._score(self._generate(labels, learning=True), labels))
        self._descend("G", loss)
        self.D.requires_grad_(True)
        return float(loss.detach())

    def _learn_path(self, labels: Tensor) -> float:
        count = max(len(labels) // self.preset.path_shrink, 1)
        ws = mixed_styles(
            self.G.mapping, labels[:count], probability=self.preset.mixing, rng=self.rng
        )
        images = self.G.synthesis(
            ws, noise=self.preset.noise, precision="full", rng=self.device_rng
        )
        penalty = self.path.penalty(images, ws, rng=self.device_rng)
        self._descend("G", penalty * PATH_WEIGHT * self.preset.path_interval)
        return float(penalty.detach())

    def _descend(self, name: str, loss: Tensor) -> None:
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.preset.num_fp16_res and self.device.type == "cuda":
            # Half precision overflows now and then; one such value must not end the run.
            for parameter in (p for group in optimiser.param_groups for p in group["params"]):
                if parameter.grad is not None:
                    parameter.grad.nan_to_num_(nan=0.0, posinf=1e5, neginf=-1e5)
        optimiser.step()

    def tensors(self, *, optimisers: bool = True) -> dict[str, Tensor]:
        """Return everything a run is made of that is a tensor, by name.

        Args:
            optimisers: Whether the optimisers' moments are among it: more than half of the bytes.
        """
        result = {
            f"{name}.{key}": value
            for name in NETWORKS
            for key, value in getattr(self, name).state_dict().items()
        }
        result[f"{EXACT}path_mean"] = self.path.mean
        result[f"{EXACT}rng.cpu"] = self.rng.get_state()
        result[f"{EXACT}rng.{self.device.type}.noise"] = self.device_rng.get_state()
        return result | (optimiser_tensors(self.optimisers) if optimisers else {})

    def facts(self) -> dict[str, object]:
        """Return everything a run is made of that is no tensor, as plain values."""
        return {
            "settings": self.preset.facts(),
            "c_dim": self.c_dim,
            "images": self.images,
            "steps": self.steps,
            "augmentation": {
                "p": self.ada.p,
                "sign_sum": self.ada.sign_sum,
                "sign_count": self.ada.sign_count,
            },
        }

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, object]) -> None:
        """Go on where another run stopped; a run without optimiser state starts those anew.

        Raises:
            InputError: The state is of a run with other settings, or incomplete.
        """
        if facts.get("settings") != self.preset.facts() or facts.get("c_dim") != self.c_dim:
            raise InputError("the state is of a run with other settings or classes")
        try:
            for name in NETWORKS:
                prefix = f"{name}."
                part = {
                    k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)
                }
                getattr(self, name).load_state_dict(part)
            self.path.mean = tensors[f"{EXACT}path_mean"].to(self.device)
            self.rng.set_state(tensors[f"{EXACT}rng.cpu"])
            self._restore_counters(facts)
            restore_optimisers(self.optimisers, tensors)
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"the state does not fit these settings: {reason}") from error
        noise = tensors.get(f"{EXACT}rng.{self.device.type}.noise")
        if noise is None:  # the run was on a device of another kind
            seed = int(torch.randint(2**62, (1,), generator=self.rng))
            noise = torch.Generator(self.device).manual_seed(seed).get_state()
        self.device_rng.set_state(noise)

    def _restore_counters(self, facts: dict[str, object]) -> None:
        self.images, self.steps = int(str(facts["images"])), int(str(facts["steps"]))
        augmentation = dict(facts["augmentation"])  # type: ignore[call-overload]
        self.ada.p = float(augmentation["p"])
        self.ada.sign_sum = float(augmentation["sign_sum"])
        self.ada.sign_count = int(augmentation["sign_count"])
        self.augment.set_probability(self.ada.p)
