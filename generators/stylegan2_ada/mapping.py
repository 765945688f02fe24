"""The mapping network: latents and labels to styles (arXiv 1812.04948, section 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from generators.stylegan2_ada.layers import FullyConnected
from generators.stylegan2_ada.ops import normalize_second_moment


class MappingNetwork(nn.Module):
    """Map normalised latents and embedded labels to intermediate latents ``w``.

    Args:
        z_dim: Width of the latents; 0 for none (the discriminator's label mapping).
        c_dim: Width of the labels; 0 for an unconditional network.
        w_dim: Width of the result.
        num_ws: How many copies of ``w`` to return, one for each layer they steer; None for one
            without that axis.
        num_layers: Depth.
        embed_features: Width of the label embedding; None for ``w_dim``.
        layer_features: Width of the layers between; None for ``w_dim``.
        lr_multiplier: Learning rate relative to the rest (arXiv 1812.04948, section C).
        w_avg_beta: Decay of the running mean of ``w``; None for no running mean.
    """

    w_avg: Tensor

    def __init__(
        self,
        *,
        z_dim: int,
        c_dim: int = 0,
        w_dim: int = 512,
        num_ws: int | None = None,
        num_layers: int = 8,
        embed_features: int | None = None,
        layer_features: int | None = None,
        lr_multiplier: float = 0.01,
        w_avg_beta: float | None = 0.995,
    ) -> None:
        super().__init__()
        if z_dim < 0 or c_dim < 0 or z_dim + c_dim == 0:
            raise ValueError(f"nothing to map: z_dim={z_dim}, c_dim={c_dim}")
        if num_layers < 1:
            raise ValueError(f"num_layers must be 1 or more, got {num_layers}")
        self.z_dim = z_dim
        self.c_dim = c_dim
        self.w_dim = w_dim
        self.num_ws = num_ws
        self.num_layers = num_layers
        self.w_avg_beta = w_avg_beta
        embedded = 0
        if c_dim:
            embedded = embed_features or w_dim
            self.embed = FullyConnected(c_dim, embedded)
        hidden = layer_features or w_dim
        widths = [z_dim + embedded, *[hidden] * (num_layers - 1), w_dim]
        for index in range(num_layers):
            layer = FullyConnected(
                widths[index],
                widths[index + 1],
                activation="lrelu",
                lr_multiplier=lr_multiplier,
            )
            self.add_module(f"fc{index}", layer)
        if w_avg_beta is not None:
            self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(
        self,
        z: Tensor | None,
        c: Tensor | None = None,
        *,
        psi: float = 1.0,
        cutoff: int | None = None,
        update_average: bool = False,
    ) -> Tensor:
        """Map a batch.

        Args:
            z: Latents, (N, z_dim), unit normal; ignored where ``z_dim`` is 0.
            c: Labels, (N, c_dim); ignored where ``c_dim`` is 0.
            psi: Truncation: 1 leaves ``w`` alone, 0 gives the mean face
                (arXiv 1812.04948, section B: ``w' = mean + psi * (w - mean)``).
            cutoff: Truncate only the first so many of the ``num_ws``; None for all.
            update_average: Fold the mean of this batch into ``w_avg``.

        Returns:
            (N, num_ws, w_dim), or (N, w_dim) where ``num_ws`` is None.
        """
        x = self._input(z, c)
        for index in range(self.num_layers):
            x = self.get_submodule(f"fc{index}")(x)
        if update_average:
            self._update_average(x)
        if self.num_ws is not None:
            x = x[:, None].expand(-1, self.num_ws, -1)
        if psi == 1:
            return x
        if self.w_avg_beta is None:
            raise ValueError("truncation needs a running mean of w; this network keeps none")
        if self.num_ws is None or cutoff is None:
            return self.w_avg.lerp(x, psi)
        return torch.cat([self.w_avg.lerp(x[:, :cutoff], psi), x[:, cutoff:]], dim=1)

    def _input(self, z: Tensor | None, c: Tensor | None) -> Tensor:
        parts = []
        if self.z_dim:
            parts.append(normalize_second_moment(_checked("z", z, self.z_dim)))
        if self.c_dim:
            parts.append(normalize_second_moment(self.embed(_checked("c", c, self.c_dim))))
        return torch.cat(parts, dim=1)

    @torch.no_grad()
    def _update_average(self, w: Tensor) -> None:
        if self.w_avg_beta is None:
            raise ValueError("this network keeps no running mean of w")
        self.w_avg.copy_(w.mean(dim=0).lerp(self.w_avg, self.w_avg_beta))


def _checked(name: str, value: Tensor | None, width: int) -> Tensor:
    if value is None or value.ndim != 2 or value.shape[1] != width:
        actual = None if value is None else tuple(value.shape)
        raise ValueError(f"{name} must have shape (N, {width}), got {actual}")
    return value.float()
