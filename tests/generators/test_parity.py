"""The networks against tensors an independent implementation computed; skipped without them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="generators need the extra 'train' (torch)")

NAME = "stylegan2ada_conditional_32"
FOLDER = Path(os.environ.get("ANONYFACE_PARITY", Path(__file__).parents[3] / "shared/parity"))
ATOL = 1e-4  # float32 sums in another order reach about 2e-5


@pytest.fixture(scope="module")
def golden() -> tuple[dict[str, Any], dict[str, dict[str, torch.Tensor]]]:
    """The settings, and the tensors as "G", "D" and "model" (the ``io.`` ones)."""
    if not (FOLDER / f"{NAME}.json").exists():
        pytest.skip(f"no parity files in {FOLDER}; set ANONYFACE_PARITY to their folder")
    from generators.checkpoint import load_state_dicts

    settings = json.loads((FOLDER / f"{NAME}.json").read_text())
    return settings, load_state_dicts(FOLDER / f"{NAME}.safetensors")


@pytest.fixture(scope="module")
def networks(golden: Any) -> tuple[Any, Any]:
    """Generator and discriminator with the golden weights."""
    from generators.stylegan2_ada import Discriminator, Generator

    s, tensors = golden
    shared = {k: s[k] for k in ("c_dim", "img_resolution", "channel_base", "channel_max")}
    shared |= {k: s[k] for k in ("conv_clamp", "num_fp16_res")}
    latents = {k: s[k] for k in ("z_dim", "w_dim", "mapping_layers")}
    generator = Generator(**shared, **latents)
    generator.load_state_dict(tensors["G"])
    discriminator = Discriminator(**shared, **s["discriminator"])
    discriminator.load_state_dict(tensors["D"])
    return generator, discriminator


@pytest.mark.parametrize(("name", "psi"), [("io.w_psi1", 1.0), ("io.w_psi07", 0.7)])
def test_mapping(golden: Any, networks: Any, name: str, psi: float) -> None:
    io = golden[1]["model"]
    got = networks[0].mapping(io["io.z"], io["io.c"], psi=psi)
    torch.testing.assert_close(got, io[name], atol=ATOL, rtol=0)


@pytest.mark.parametrize(
    ("name", "styles", "noise"),
    [
        ("io.img_const_psi07", "io.w_psi07", "const"),
        ("io.img_nonoise_psi1", "io.w_psi1", "none"),
    ],
)
def test_synthesis(golden: Any, networks: Any, name: str, styles: str, noise: Any) -> None:
    io = golden[1]["model"]
    got = networks[0].synthesis(io[styles], noise=noise)
    torch.testing.assert_close(got, io[name], atol=ATOL, rtol=0)


def test_the_whole_generator(golden: Any, networks: Any) -> None:
    io = golden[1]["model"]
    got = networks[0](io["io.z"], io["io.c"], psi=0.7, noise="const")
    torch.testing.assert_close(got, io["io.img_const_psi07"], atol=ATOL, rtol=0)


def test_discriminator(golden: Any, networks: Any) -> None:
    io = golden[1]["model"]
    got = networks[1](io["io.img_const_psi07"], io["io.c"])
    torch.testing.assert_close(got, io["io.d_logit_of_img_const"], atol=ATOL, rtol=0)


def test_augmentation_at_each_percentile(golden: Any) -> None:
    from generators.stylegan2_ada.augment import AugmentConfig, AugmentPipe

    settings, tensors = golden
    io = tensors["model"]
    pipe = AugmentPipe(AugmentConfig(**settings["augment"]))
    names = [name for name in io if name.startswith("io.aug_out_")]
    assert names
    for name in names:
        percentile = float(name.removeprefix("io.aug_out_"))
        got = pipe(io["io.aug_in"], debug_percentile=percentile)
        torch.testing.assert_close(got, io[name], atol=ATOL, rtol=0)
