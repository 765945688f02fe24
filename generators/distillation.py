"""Teach a StyleGAN2 to render what another generator renders from the same ``w``.

The student gets a teacher's styles and is asked for the teacher's picture: pixel by pixel, in the
features of a fixed image network, and in the eyes of a discriminator. It shares the teacher's ``w``
space, so everything known about that (mean, regressors, directions, pools) holds for it, too.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from anonyface.errors import InputError
from generators.ema import average_decay, update_average
from generators.losses import discriminator_loss, generator_loss, lazy_adam, r1_penalty
from generators.moments import optimiser_tensors, restore_optimisers
from generators.recipes import Recipe
from generators.state import EXACT
from generators.teachers import Features, feature_distance
from generators.trainer import BETAS, EPSILON, TrainingError

EMA_RAMP = 0.05
"""Most of the average's half-life as share of the pictures shown (arXiv 2006.06676, appendix C)."""


class Distiller:
    """A distillation in progress.

    Args:
        recipe: Settings.
        mapping: State dict of the teacher's mapping network: the student keeps it as it is.
        device: Where the networks are.
        seed: Seed of weights and randomness.
        features: Network for the comparison by features; None for none.

    Attributes:
        images: Pictures shown so far.
        steps: Steps done so far.
        G: Generator whose synthesis is in training.
        G_ema: Average of it, which is the result.
        D: Discriminator.
        rng: Source of randomness on the CPU; draw pairs from it, too.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        mapping: dict[str, Tensor],
        device: torch.device,
        seed: int,
        features: Features | None = None,
    ) -> None:
        self.recipe = recipe
        self.device = device
        self.features = features
        self.images = self.steps = 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.G = recipe.generator(mapping).to(device)
            self.D = recipe.discriminator().to(device)
        self.G.mapping.requires_grad_(False)
        self.G_ema = copy.deepcopy(self.G).eval().requires_grad_(False)
        self.rng = torch.Generator().manual_seed(seed)
        self.optimisers = {
            "G": self._adam(self.G.synthesis, 0),
            "D": self._adam(self.D, recipe.r1_interval),
        }

    def _adam(self, network: nn.Module, interval: int) -> torch.optim.Adam:
        rate, betas = lazy_adam(
            learning_rate=self.recipe.learning_rate, betas=BETAS, interval=interval
        )
        return torch.optim.Adam(network.parameters(), lr=rate, betas=betas, eps=EPSILON)

    def render(self, w: Tensor, *, average: bool = False) -> Tensor:
        """Return the student's (N, 3, side, side) pictures of (N, w_dim) styles."""
        synthesis = (self.G_ema if average else self.G).synthesis
        ws = w[:, None].expand(-1, synthesis.num_ws, -1)
        image: Tensor = synthesis(ws, noise="const")  # as the teacher's, the same every time
        return image

    def step(self, w: Tensor, target: Tensor) -> dict[str, float]:
        """Learn from a batch.

        Args:
            w: (N, w_dim) styles.
            target: (N, 3, side, side) the teacher's pictures.

        Returns:
            The losses by name: "pixel"; "features" where there is a network for it; "generator",
            "discriminator" and "r1" where those ran.

        Raises:
            TrainingError: A loss is not finite.
        """
        w, target = w.to(self.device), target.to(self.device)
        image = self.render(w)
        terms = {"pixel": (image - target).abs().mean()}
        weights = {"pixel": 1.0, "features": self.recipe.feature_weight}
        if self.features is not None:
            side = self.recipe.feature_side
            terms["features"] = feature_distance(self.features, image, target, side=side)
        judged = self.recipe.adversarial_weight > 0 and self.images >= self.recipe.adversarial_from
        if judged:
            weights["generator"] = self.recipe.adversarial_weight
            self.D.requires_grad_(False)
            terms["generator"] = generator_loss(self.D(image))
        self._descend("G", torch.stack([weights[k] * v for k, v in terms.items()]).sum())
        losses = {name: float(value.detach()) for name, value in terms.items()}
        if judged:
            losses |= self._judge(image.detach(), target)
        for name, value in losses.items():
            if not math.isfinite(value):
                raise TrainingError(f"the loss {name!r} is {value} after {self.images} images")
        self.steps += 1
        self.images += len(w)
        decay = average_decay(
            images=self.images, batch=len(w), half_life=self.recipe.ema_images, ramp=EMA_RAMP
        )
        update_average(self.G_ema, self.G, decay=decay)
        return losses

    def _judge(self, image: Tensor, target: Tensor) -> dict[str, float]:
        """Train the discriminator: the teacher's pictures are the real ones."""
        self.D.requires_grad_(True)
        loss = discriminator_loss(self.D(image), self.D(target))
        self._descend("D", loss)
        losses = {"discriminator": float(loss.detach())}
        if self.recipe.r1_interval and self.steps % self.recipe.r1_interval == 0:
            target = target.detach().requires_grad_()
            logits = self.D(target, precision="full")
            penalty = r1_penalty(logits, target, gamma=self.recipe.r1_gamma)
            self._descend("D", penalty * self.recipe.r1_interval)
            losses["r1"] = float(penalty.detach())
        return losses

    def _descend(self, name: str, loss: Tensor) -> None:
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.num_fp16_res and self.device.type == "cuda":
            # Half precision overflows now and then; one such value must not end the run.
            for parameter in (p for group in optimiser.param_groups for p in group["params"]):
                if parameter.grad is not None:
                    parameter.grad.nan_to_num_(nan=0.0, posinf=1e5, neginf=-1e5)
        optimiser.step()

    @torch.no_grad()
    def psnr(self, w: Tensor, target: Tensor) -> float:
        """Return the mean over pictures of the average's PSNR against the teacher's, dB."""
        images = [
            self.render(part.to(self.device), average=True).cpu() for part in torch.split(w, 16)
        ]
        errors = (torch.cat(images).clamp(-1, 1) - target.cpu()).square().mean(dim=(1, 2, 3))
        return float((10 * (4 / errors).log10()).mean())  # a picture spans 2

    def tensors(self, *, optimisers: bool = True) -> dict[str, Tensor]:
        """Return everything a run is made of that is a tensor, by name.

        Args:
            optimisers: Whether the optimisers' moments are among it: half of the bytes and more.
        """
        networks = {"G": self.G, "G_ema": self.G_ema, "D": self.D}
        result = {
            f"{name}.{key}": value
            for name, network in networks.items()
            for key, value in network.state_dict().items()
        }
        result[f"{EXACT}rng.cpu"] = self.rng.get_state()
        return result | (optimiser_tensors(self.optimisers) if optimisers else {})

    def facts(self) -> dict[str, object]:
        """Return everything a run is made of that is no tensor, as plain values."""
        return {"settings": self.recipe.facts(), "images": self.images, "steps": self.steps}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, object]) -> None:
        """Go on where another run stopped; a run without optimiser state starts those anew.

        Raises:
            InputError: The state is of a run with other settings, or incomplete.
        """
        if facts.get("settings") != self.recipe.facts():
            raise InputError("the state is of a run with another recipe")
        try:
            for name, network in (("G", self.G), ("G_ema", self.G_ema), ("D", self.D)):
                prefix = f"{name}."
                network.load_state_dict(
                    {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
                )
            self.rng.set_state(tensors[f"{EXACT}rng.cpu"])
            self.images, self.steps = int(str(facts["images"])), int(str(facts["steps"]))
            restore_optimisers(self.optimisers, tensors)
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"the state does not fit this recipe: {reason}") from error
