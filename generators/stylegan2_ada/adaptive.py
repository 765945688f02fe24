"""The controller of the augmentation probability (arXiv 2006.06676, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(kw_only=True)
class AdaptiveProbability:
    """Raise ``p`` while the discriminator overfits, lower it while it doesn't.

    The sign of overfitting is ``r_t``, the mean sign of its logits for real training images
    (equation 1).

    Attributes:
        p: Current probability, 0 to 1.
        target: The ``r_t`` aimed at.
        ramp_images: Real images within which ``p`` can go from 0 to 1.
        sign_sum: Sum of the signs seen since the last step.
        sign_count: Number of the signs seen since the last step.
    """

    p: float = 0.0
    target: float = 0.6
    ramp_images: int = 500_000
    sign_sum: float = 0.0
    sign_count: int = 0

    def observe(self, real_logits: Tensor) -> None:
        """Take note of logits, of any shape, for real images."""
        self.sign_sum += float(real_logits.detach().sign().sum())
        self.sign_count += real_logits.numel()

    def step(self, images: int) -> float:
        """Move ``p`` by what was observed since the last step, and forget it.

        Args:
            images: Real images shown since the last step; limits how far ``p`` moves.

        Returns:
            The new ``p``; the old one where nothing was observed.
        """
        if self.sign_count:
            r_t = self.sign_sum / self.sign_count
            direction = (r_t > self.target) - (r_t < self.target)
            self.p = min(max(self.p + direction * images / self.ramp_images, 0.0), 1.0)
            self.sign_sum, self.sign_count = 0.0, 0
        return self.p
