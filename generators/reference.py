"""The shipped generator in torch: a MobileStyleGAN (arXiv 2104.04767) with a head for 256 px.

It reads the same files as the runtime, ``mapping`` and ``synthesis-256``, and can be differentiated
and batched: the teacher for training another generator, and a source of pictures without end.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from anonyface.weights import read_weights
from generators.onnx_module import OnnxModule

MEAN_OF = 4096
"""Latents whose styles make the mean of ``w``: it is known to a hundredth of their spread then."""
MEAN_SEED = 0
LR_MULTIPLIER = 0.01
"""Of mapping networks (arXiv 1812.04948, section C)."""


class ReferenceGenerator(nn.Module):
    """Latents to pictures of 256 px.

    The synthesis has no random input: its noise is constant.

    Raises:
        WeightsError: If a model file is missing or corrupt.
    """

    z_dim = 512
    w_dim = 512
    resolution = 256
    w_avg: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.mapping = OnnxModule(read_weights("mapping"))
        self.synthesis = OnnxModule(read_weights("synthesis-256"))
        rng = torch.Generator().manual_seed(MEAN_SEED)
        with torch.no_grad():
            styles = self.map(torch.randn(MEAN_OF, self.z_dim, generator=rng))
        self.register_buffer("w_avg", styles.mean(dim=0))
        self.eval()

    def map(self, z: Tensor) -> Tensor:
        """Return the (N, 512) styles of (N, 512) standard normal latents."""
        w: Tensor = self.mapping(z)[0]
        return w

    def truncate(self, w: Tensor, psi: float | Tensor) -> Tensor:
        """Draw (N, 512) styles towards their mean.

        Args:
            w: Styles.
            psi: 1 leaves them alone, 0 gives the mean face (arXiv 1812.04948, section B); a tensor
                of shape (N, 1) for one a row.
        """
        truncated: Tensor = self.w_avg + psi * (w - self.w_avg)
        return truncated

    def render(self, w: Tensor) -> Tensor:
        """Return (N, 3, 256, 256) RGB, nominally in [-1, 1], of (N, 512) styles."""
        image: Tensor = self.synthesis(w, outputs=["image"])[0]
        return image

    def mapping_state(self) -> dict[str, Tensor]:
        """Return the mapping as state dict of our own ``MappingNetwork``, running mean included.

        That network stores weights of unit variance (generators/stylegan2_ada/layers.py); here the
        scale is in the weights.
        """
        names = [n for step in self.mapping.steps for n in step.inputs]
        fixed = [self.mapping.constant(n) for n in names if self.mapping.has(n)]
        weights = [t for t in fixed if t.shape == (self.w_dim, self.w_dim)]
        biases = [t for t in fixed if t.shape == (1, self.w_dim)]
        state = {"w_avg": self.w_avg.clone()}
        for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            gain = LR_MULTIPLIER / math.sqrt(weight.shape[0])
            state[f"fc{index}.weight"] = weight.T / gain
            state[f"fc{index}.bias"] = bias[0] / LR_MULTIPLIER
        return state

    def forward(self, z: Tensor, *, psi: float | Tensor = 1.0) -> Tensor:
        """Return (N, 3, 256, 256) pictures of (N, 512) latents; see ``truncate``."""
        return self.render(self.truncate(self.map(z), psi))
