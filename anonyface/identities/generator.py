"""The generator at run time: latents to portraits, at 256 or 1024 px."""

from __future__ import annotations

from typing import Literal

import numpy as np

from anonyface.runtime import open_session, run
from anonyface.types import FloatArray, ImageArray

PortraitSize = Literal[256, 1024]


class Generator:
    """Mapping and synthesis of the shipped generator.

    The 1024-px part is opened when it is first needed.

    Args:
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(self, *, threads: int = 0) -> None:
        self.threads = threads
        self.synthesis = open_session("synthesis-256", threads=threads)

    def map(self, z: FloatArray) -> FloatArray:
        """(n, 512) standard normal -> (n, 512) style vectors w."""
        session = open_session("mapping", threads=self.threads)
        return np.asarray(run(session, {"z": z.astype(np.float32)}, ["w"])[0], dtype=np.float32)

    def render(self, w: FloatArray, *, size: PortraitSize) -> ImageArray:
        """Synthesize one portrait.

        Args:
            w: (512,) style vector.
            size: 256 (features read out early, a quarter of the cost) or 1024.

        Returns:
            (size, size, 3) RGB uint8.
        """
        feed = {"w": np.asarray(w, dtype=np.float32)[None]}
        if size == 256:
            image = run(self.synthesis, feed, ["image"])[0]
        else:
            features = run(self.synthesis, feed, ["features"])[0]
            rest = open_session("synthesis-1024", threads=self.threads)
            image = run(rest, {**feed, "features": features}, ["image"])[0]
        scaled = np.clip(image[0] * 127.5 + 128, 0, 255).astype(
            np.uint8
        )  # [-1,1], truncation rounds
        return np.ascontiguousarray(scaled.transpose(1, 2, 0))
