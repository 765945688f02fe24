"""StyleGAN2-ADA, written from the papers (arXiv 1812.04948, 1912.04958, 2006.06676).

Parameters are named as in the published checkpoints, so those load with ``load_state_dict``.
"""

from generators.stylegan2_ada.discriminator import Discriminator
from generators.stylegan2_ada.generator import Generator

__all__ = ["Discriminator", "Generator"]
